"""What the documentation says of the rules is what the rules say of themselves."""

from pathlib import Path

import pytest

from falaj.policies.catalogue import controls_table, rules_table
from falaj.policies.controls import CONTROLS, ISO
from falaj.policies.model import Rule, Severity
from falaj.policies.rules import RULES

GUIDE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text()


@pytest.mark.parametrize("table", [rules_table(RULES), controls_table(RULES)], ids=["rules", "controls"])
def test_the_guide_holds_the_table_that_the_code_prints(table: str) -> None:
    assert table in GUIDE, "print it with: python -m falaj.policies.catalogue"


def test_the_catalogue_of_iso_27001_is_complete() -> None:
    numbers = [control.id for control in CONTROLS.values() if control.framework == ISO]
    themes = {"5": 37, "6": 8, "7": 14, "8": 34}
    assert numbers == [f"A.{theme}.{number}" for theme, count in themes.items() for number in range(1, count + 1)]


def test_a_rule_of_an_unknown_control_is_refused() -> None:
    with pytest.raises(ValueError, match=r"A\.99\.9"):
        Rule("FJ-TST-001", "Test", Severity.LOW, ("A.99.9",), ("aws:*",), "", lambda resource, context: iter(()))
