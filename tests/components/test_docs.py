"""The guide's examples are programs that run, and each component's page tells its arguments as they are."""

import json
import re
from pathlib import Path

import pytest

import falaj.components
from falaj.components.package import COMPONENTS

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "components.md"
SCHEMA = json.loads(Path(__file__).with_name("schema.json").read_text())
ANNEX_A = {"5": 37, "6": 8, "7": 14, "8": 34}
"""How many controls each part of ISO/IEC 27001:2022's Annex A has."""
HEADING = "| argument | default | why this default | controls |"


def kebab(name: str) -> str:
    """Return a component's name as its page and its example have it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def rows(name: str) -> list[list[str]]:
    """Return the table of a component's page, without its heading."""
    text = (DOCS / "components" / f"{kebab(name)}.md").read_text()
    table = text[text.index(HEADING) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def default(name: str, argument: str) -> str:
    """Return the default that an argument's description tells."""
    described = SCHEMA["resources"][f"falaj:index:{name}"]["inputProperties"][camel(argument)]["description"]
    found = re.search(r"Default: (.*?)\.?$", " ".join(described.split()))
    return found[1].replace("``", "`") if found else "required"


@pytest.mark.parametrize("name", sorted(component.__name__ for component in COMPONENTS))
def test_a_component_s_page_tells_each_argument_with_its_default_and_why(name):
    arguments = list(getattr(falaj.components, f"{name}Args").__annotations__)
    table = rows(name)
    assert [row[0] for row in table] == [f"`{argument}`" for argument in arguments]
    assert [row[1] for row in table] == [default(name, argument) for argument in arguments]
    assert all(len(row) == 4 and row[2] for row in table)


@pytest.mark.parametrize("name", sorted(component.__name__ for component in COMPONENTS))
def test_the_controls_on_a_component_s_page_exist(name):
    named = {control for row in rows(name) for control in re.findall(r"\bA\.(\d+)\.(\d+)\b", row[3])}
    assert named
    assert all(1 <= int(number) <= ANNEX_A.get(part, 0) for part, number in named)


def test_the_guides_examples_run_one_after_the_other(run, engine):
    examples = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.S)
    names = {}

    def program():
        for example in examples:
            exec(compile(example, str(GUIDE), "exec"), names)  # noqa: S102 - the guide is ours
        return names["detector"].url

    assert run(program) == "http://detector.vision.svc:8000"


def test_the_guide_leads_to_every_page_and_each_component_has_one():
    linked = set(re.findall(r"\(components/([a-z-]+)\.md\)", GUIDE.read_text()))
    assert linked >= {kebab(component.__name__) for component in COMPONENTS}
    assert linked == {page.stem for page in (DOCS / "components").glob("*.md")}
