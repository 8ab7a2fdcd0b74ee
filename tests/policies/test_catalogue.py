"""The catalogue of controls is whole and consistent, and its pages say what the rules say of themselves."""

import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from falaj.policies.catalogue.controls import (
    CONTROLS,
    COST,
    FOLDER,
    FRAMEWORKS,
    ISO,
    RESIDENCY,
    ZERO_TRUST,
    Assessed,
    served,
)
from falaj.policies.catalogue.pages import PAGES, controls_page, main
from falaj.policies.catalogue.picture import picture
from falaj.policies.catalogue.standing import Standing, pillars, served_by, standing
from falaj.policies.model import Rule, Severity
from falaj.policies.rules import RULES

DOCS = Path(__file__).parents[2] / "docs"
NAMED = {ISO, ZERO_TRUST, RESIDENCY, COST}
"""The frameworks whose controls rules name; the others follow from them."""


def made(*controls: str) -> Rule:
    return Rule("FJ-TST-001", "Test", Severity.LOW, controls, ("aws:*",), "", lambda resource, context: iter(()))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_writes(name: str, tmp_path: Path) -> None:
    main(["--write", str(tmp_path)])
    assert (DOCS / name).read_text() == (tmp_path / name).read_text(), "python -m falaj.policies.catalogue --write"


def test_the_guide_leads_to_the_pages() -> None:
    guide = (DOCS / "policies.md").read_text()
    assert "(policy-rules.md)" in guide and "(policy-controls.md)" in guide


def test_the_catalogue_of_iso_27001_is_complete() -> None:
    numbers = [control.id for control in CONTROLS.values() if control.framework == ISO]
    themes = {"5": 37, "6": 8, "7": 14, "8": 34}
    assert numbers == [f"A.{theme}.{number}" for theme, count in themes.items() for number in range(1, count + 1)]


def test_every_file_is_read_and_no_id_is_given_twice() -> None:
    rows = [row["id"] for file in FOLDER.glob("*.toml") for row in tomllib.loads(file.read_text())["control"]]
    assert Counter(rows) == Counter(CONTROLS.keys())


def test_every_control_says_where_it_is_from_and_how_it_is_assessed() -> None:
    for control in CONTROLS.values():
        assert control.name and control.section and control.family, control.id
        assert FRAMEWORKS[control.framework].document
        assert control.basis.endswith("."), control.id


def test_the_crosswalk_leads_from_what_code_assesses_with_a_reason() -> None:
    for control in CONTROLS.values():
        for row in control.follows:
            assert row.controls and row.reason.endswith("."), control.id
            for source in row.controls:
                assert CONTROLS[source].framework in NAMED, control.id
                assert CONTROLS[source].assessed is not Assessed.NO, control.id


def test_controls_of_other_frameworks_follow_from_some_exactly_where_code_assesses_them() -> None:
    for control in CONTROLS.values():
        if control.framework in NAMED:
            assert not control.follows, control.id
        else:
            assert bool(control.follows) == (control.assessed is not Assessed.NO), control.id


def test_rules_serve_only_what_code_assesses() -> None:
    wrong = [(rule.id, id) for rule in RULES for id in rule.controls if CONTROLS[id].assessed is Assessed.NO]
    assert wrong == [], "name a control that code assesses, or say in frameworks/ what code sees of this one"


def test_rules_that_name_a_control_are_told_from_those_of_the_crosswalk() -> None:
    names, follows = made("GDPR-32"), made("A.8.13")
    service = served_by(CONTROLS["GDPR-32"], [names, follows, made("CE-1")])
    assert service.direct == (names,)
    assert [(row.controls, rules) for row, rules in service.followed if rules] == [(("A.8.13",), (follows,))]


def test_a_rule_that_serves_a_control_twice_counts_once() -> None:
    rule = made("A.8.24", "ZT-2", "A.8.13")
    assert served_by(CONTROLS["GDPR-32"], [rule]).rules == (rule,)


def test_what_a_rule_serves_holds_what_follows_from_the_controls_that_it_names() -> None:
    assert {control.id for control in served(["A.8.14"])} == {
        *("A.8.14", "CISA-NETWORKS", "PDPL-20", "GDPR-32", "IAS-T9.2")
    }
    assert served([]) == []


def test_a_rule_bears_on_the_pillars_that_its_controls_lead_to() -> None:
    assert pillars(made("A.8.24", "ZT-2")) == ["Networks", "Data"]
    assert pillars(made("CE-1")) == []


def test_what_code_cannot_assess_is_no_gap_and_never_served() -> None:
    assert standing(CONTROLS["A.7.1"], [made("A.7.1")]) is Standing.NOT_BY_CODE
    assert standing(CONTROLS["A.8.24"], []) is Standing.GAP
    assert standing(CONTROLS["PDPL-22"], [made("RES-10")]) is Standing.SERVED


def test_the_page_lists_every_gap() -> None:
    page = controls_page([made("A.8.24")])
    listed = page.partition("## Gaps")[2].partition("\n## ")[0]
    gaps = {id for id, control in CONTROLS.items() if standing(control, [made("A.8.24")]) is Standing.GAP}
    assert {id for id in CONTROLS if f"[{id}]" in listed} == gaps
    assert "A.8.24" not in gaps and "A.8.13" in gaps


def test_the_picture_counts_every_control_once_and_every_rule_by_family() -> None:
    root = ET.fromstring(picture([made("A.8.14")]))  # noqa: S314 - made here
    texts = [element.text for element in root.iter() if element.text]
    assert sum(int(text) for text in texts if text.isdigit()) == len(CONTROLS)
    assert texts.count("1 rule") == len({control.family for control in served(["A.8.14"])})


def test_a_rule_of_an_unknown_control_is_refused() -> None:
    with pytest.raises(ValueError, match=r"A\.99\.9"):
        made("A.99.9")
