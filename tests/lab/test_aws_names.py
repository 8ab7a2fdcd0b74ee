"""The bridged provider serves the SDK's names: its own schema beside what the installed `pulumi_aws` declares.

What differs is listed in docs/aws-names.md, and nothing else may. What the emulated provider knows of the types that it
records, facts.json, is what the bridged one's schema says. Run as a program, this writes both again.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from falaj.lab import tools
from falaj.lab.plugins import BRIDGED
from falaj.lab.provider.aws import ENACTED, KINDS
from falaj.lab.provider.aws_types.facts import FACTS
from falaj.lab.provider.aws_types.functions import FUNCTIONS
from falaj.lab.provider.declared import (
    GETTER,
    Declared,
    Shape,
    declared,
    nested_type,
    package_folder,
    sdk_version,
)
from falaj.lab.provider.values import is_empty

ROOT = Path(__file__).parents[2]
LIST = ROOT / "docs" / "aws-names.md"
HEAD = """# Names that differ

The bridged `aws` provider serves {resources} resource types and {functions} functions of HashiCorp's AWS {version}. Its
generated schema is compared with the Python SDK `pulumi-aws` {sdk}: tokens, property names at every depth,
required inputs, objects against lists. {same} types and functions are the same in all of it. These differ: the SDK
follows a newer provider, so nearly all are properties that came later. A program that sets one of them is refused by
the bridged provider, with the property's name. Six functions seem to take `tags`: one line of the source stands for
their results and for the `tagsAll` of resources, which must be an input. This list is made by
`python tests/lab/test_aws_names.py`.

| type or function | only in the SDK | only in the bridged provider | otherwise |
| --- | --- | --- | --- |
"""
# A resource or function in a Python program.
USED = re.compile(r"\baws\.([a-z0-9_]+)\.([A-Z]\w+|get_\w+)\(")


def program() -> Path:
    """Return the bridged provider, if it is built."""
    path = tools.resolve(BRIDGED).path
    if path is None:
        pytest.skip("the bridged aws provider is not built: falaj-lab install --aws bridged")
    return path


@cache
def schema() -> Mapping[str, Any]:
    """Return the bridged provider's own schema."""
    done = subprocess.run([program(), "--schema"], capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)
    del found["functions"]["pulumi:providers:aws/terraformConfig"]  # the bridge's own
    return found


def reference(shape: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of an object that a property refers to."""
    name = shape.get("$ref", "").removeprefix("#/types/")
    return schema()["types"].get(name) if name else None


def kind(shape: Mapping[str, Any]) -> str:
    """Return list, map, object, a scalar's name, or any."""
    if "oneOf" in shape or shape.get("$ref", "").startswith("pulumi.json"):
        return "any"
    if "$ref" in shape:
        found = reference(shape)
        return "object" if found and found.get("type") == "object" else "any"
    name: str = shape["type"]
    return {"array": "list", "object": "map", "integer": "number"}.get(name, name)


def differences(
    ours: Mapping[str, Any], required: list[str], theirs: Declared, path: str = "", seen: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Yield ``sdk``, ``bridge`` or ``otherwise``, and the path, for each input that differs."""
    for name in sorted({*ours, *theirs.inputs}):
        where = f"{path}{name}"
        if name not in ours or name not in theirs.inputs:
            yield ("bridge" if name in ours else "sdk"), where
            continue
        wanted = theirs.inputs[name]
        if (name in required) != wanted.required:
            yield "otherwise", f"{where} is {'optional' if wanted.required else 'required'}"
        yield from _shapes(ours[name], wanted.shape, theirs, where, seen)


def _shapes(
    shape: Mapping[str, Any], wanted: Shape, theirs: Declared, where: str, seen: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    found = kind(shape)
    if "any" in (found, wanted.kind):
        return
    if found != wanted.kind:
        yield "otherwise", f"{where} is a {found}, not a {wanted.kind}"
    elif found in ("list", "map"):
        items = shape.get("items") or shape.get("additionalProperties") or {"type": "string"}
        if wanted.item:
            yield from _shapes(items, wanted.item, theirs, where, seen)
    elif found == "object" and wanted.type not in seen:
        nested, declares = reference(shape), nested_type(theirs.folder, wanted.type)
        if nested and declares:
            properties, required = nested.get("properties", {}), nested.get("required", [])
            yield from differences(properties, required, declares, f"{where}.", (*seen, wanted.type))


def of_function(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the arguments and the results that the source of an SDK function declares."""
    arguments = re.findall(r"__args__\['(\w+)'\] = ", text)
    result = re.search(r"^class Get\w+Result:.*?^class Awaitable", text, re.MULTILINE | re.DOTALL)
    return frozenset(arguments), frozenset(
        camel or snake for camel, snake in re.findall(GETTER, result[0] if result else "")
    )


@cache
def sdk_functions() -> Mapping[str, Path]:
    """Return the source of each function that the SDK declares."""
    found = {}
    for path in package_folder("pulumi_aws").rglob("get_*.py"):
        for token in re.findall(r"runtime\.invoke\('([^']+)'", path.read_text()):
            found[token] = path
    return found


def rows() -> Iterator[tuple[str, ...]]:
    """Yield a row of the list for each type or function that differs."""
    found: dict[str, list[tuple[str, str]]] = {}
    for token, resource in schema()["resources"].items():
        known = declared("pulumi_aws", token)
        assert known, f"the SDK has no {token}"
        inputs, outputs = resource.get("inputProperties", {}), resource.get("properties", {}).keys()
        found[token] = [
            *differences(inputs, resource.get("requiredInputs", []), known),
            *(("sdk", f"{name} (output)") for name in sorted(known.outputs - outputs - known.inputs.keys())),
            *(("bridge", f"{name} (output)") for name in sorted(outputs - known.outputs - inputs.keys() - {"id"})),
        ]
    provider = declared("pulumi_aws", "pulumi:providers:aws")
    assert provider
    found["pulumi:providers:aws"] = [*differences(schema()["provider"]["inputProperties"], [], provider)]
    for token, function in schema()["functions"].items():
        arguments, results = of_function(sdk_functions()[token].read_text())
        ours = function.get("inputs", {}).get("properties", {}).keys()
        returned = function.get("outputs", {}).get("properties", {}).keys()
        pairs = ((arguments - ours, "sdk", ""), (ours - arguments, "bridge", ""))
        outputs = ((results - returned, "sdk", " (output)"), (returned - results, "bridge", " (output)"))
        found[token] = [(side, f"{n}{suffix}") for names, side, suffix in (*pairs, *outputs) for n in sorted(names)]
    for token, differing in sorted(found.items()):
        if differing:
            cells = [", ".join(f"`{n}`" for side, n in differing if side == which) for which in ("sdk", "bridge")]
            yield token, *cells, "; ".join(text for side, text in differing if side == "otherwise")


def written() -> str:
    """Return the list as it should be."""
    made = [*rows()]
    resources, functions = len(schema()["resources"]), len(schema()["functions"])
    same = resources + functions + 1 - len(made)
    numbers = {"version": tools.table()[BRIDGED].version, "sdk": sdk_version("pulumi_aws"), "same": same}
    head = HEAD.format(resources=resources, functions=functions, **numbers)
    return head + "".join(f"| `{token}` | {' | '.join(cells)} |\n" for token, *cells in made)


def test_names_are_those_of_the_sdk_but_for_the_list():
    assert written() == LIST.read_text()


def test_every_type_that_the_emulated_provider_enacts_is_served():
    assert set(ENACTED) <= schema()["resources"].keys()
    assert set(FUNCTIONS) <= schema()["functions"].keys()


@pytest.mark.parametrize("folder", ["components", "stacks", "tests/e2e", "tests/components", "docs/examples"])
def test_every_type_that_programs_use_is_served(folder: str):
    known = {python_name(token) for token in (*schema()["resources"], *schema()["functions"])}
    used = {found for path in (ROOT / folder).rglob("*.py") for found in USED.findall(path.read_text())}
    assert {found for found in used if found not in known} == set()


def python_name(token: str) -> tuple[str, str]:
    """Return the module and the name of a type or function in Python."""
    _, module, name = token.split(":")
    if name.startswith("get"):
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return module.partition("/")[0], name


STRICTER = {
    "aws:ec2/capacityReservation:CapacityReservation": {"outpostArn", "placementGroupArn"},
    "aws:ec2/subnet:Subnet": {"ipv6CidrBlock"},
    "aws:ec2/vpc:Vpc": {"assignGeneratedIpv6CidrBlock", "instanceTenancy"},
}
"""What the emulated provider makes anew, though HashiCorp's changes it in place (a tenancy only from dedicated), or
takes no notice (a reservation, which AWS keeps as it was)."""
BY_VALUE = {"aws:eks/cluster:Cluster": {"encryptionConfig"}, "aws:eks/addon:Addon": {"namespaceConfig"}}
"""What HashiCorp's provider makes anew by a rule outside its schema (as every region), or by one that came later."""


def test_what_makes_a_thing_anew_is_the_same_in_the_emulated_and_the_real_provider():
    wrong: dict[str, tuple[set[str], set[str]]] = {}
    for token, real in replacing().items():
        known = declared("pulumi_aws", token)
        assert known
        emulated = {name for name in KINDS[token].replace_on if name in known.inputs}
        allowed = {"region", *STRICTER.get(token, ()), *BY_VALUE.get(token, ())}
        only_real, only_emulated = real - emulated, emulated - real - allowed
        if only_real or only_emulated:
            wrong[token] = (only_real, only_emulated)
    assert wrong == {}


def replacing() -> Mapping[str, set[str]]:
    """Return the inputs that make a thing anew, of every enacted type whose schema in HashiCorp's provider shows them.

    Types on Terraform's plugin framework decide in code; `make fidelity` compares what they do.
    """
    done = subprocess.run([program(), "-get-provider-info"], capture_output=True, text=True, timeout=120, check=True)
    info = json.loads(done.stdout)
    found: dict[str, set[str]] = {}
    for name, resource in info["resources"].items():
        properties = info["provider"]["resources"][name]
        known = declared("pulumi_aws", resource["tok"]) if resource["tok"] in KINDS else None
        if known is None or not any(shown.get("forceNew") for shown in properties.values()):
            continue
        names = {
            (resource["fields"].get(each) or {}).get("name") or re.sub(r"_(\w)", lambda m: m[1].upper(), each)
            for each, shown in properties.items()
            if shown.get("forceNew")
        }
        plural = {f"{each}s" for each in names}
        found[resource["tok"]] = {each for each in known.inputs if each in names | plural}
    return found


def test_a_difference_is_found():
    theirs = declared("pulumi_aws", "aws:kms/key:Key")
    assert theirs
    key = schema()["resources"]["aws:kms/key:Key"]["inputProperties"]
    renamed = {("policies" if name == "policy" else name): shape for name, shape in key.items()}
    assert [*differences(renamed, [], theirs)] == [("bridge", "policies"), ("sdk", "policy")]
    listed = {**key, "description": {"type": "array", "items": {"type": "string"}}}
    assert [*differences(listed, ["policy"], theirs)] == [
        ("otherwise", "description is a list, not a string"),
        ("otherwise", "policy is required"),
    ]


def facts() -> str:
    """Return facts.json as it should be: a type a line, without what is so everywhere or says nothing."""
    done = subprocess.run([program(), "--facts"], capture_output=True, text=True, timeout=120, check=True)
    lines: list[str] = []
    for token, given in sorted(json.loads(done.stdout).items()):
        known = {name: sorted(value) if isinstance(value, list) else value for name, value in given.items()}
        known["computed"] = [name for name in known.get("computed", []) if name != "region"]
        defaults = {name: value for name, value in known.get("defaults", {}).items() if value not in (False, 0, "")}
        known["defaults"] = dict(sorted(defaults.items()))
        kept = {name: value for name, value in sorted(known.items()) if not is_empty(value)}
        lines.append(f"{json.dumps(token)}: {json.dumps(kept)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def test_what_is_known_of_recorded_types_is_what_the_real_providers_schema_says():
    assert facts() == FACTS.read_text()


if __name__ == "__main__":
    LIST.write_text(written())
    FACTS.write_text(facts())
