"""The table of known gaps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compare import ABSENT, Difference
from gaps import TABLE, Gap, explain, read


def difference(**changed: Any) -> Difference:
    return replace(Difference("local", "state", "a T", "outputs.x", 1, 2), **changed)


def test_a_gap_explains_what_matches_all_of_its_patterns() -> None:
    gap = Gap("why", phase="state", resource=".* T", path=r"outputs\.x", emulated="1")
    assert gap.explains(difference())
    assert not gap.explains(difference(phase="inventory"))
    assert not gap.explains(difference(path="outputs.xy"))
    assert not gap.explains(difference(emulated=11))


@pytest.mark.parametrize("nothing", [None, "", 0, False, [], {}, ABSENT])
def test_an_empty_gap_explains_only_what_says_nothing_on_both_sides(nothing: Any) -> None:
    gap = Gap("why", phase="state", empty=True)
    assert gap.explains(difference(emulated=nothing, bridged=None))
    assert not gap.explains(difference(emulated=nothing, bridged=1))


def test_what_no_gap_explains_is_left_and_a_gap_that_explains_nothing_is_stale() -> None:
    used, unused = Gap("why", path=r"outputs\.x"), Gap("why", path=r"outputs\.y")
    found = explain([difference(), difference(path="outputs.z")], [used, unused], ["local"])
    assert [each.path for each in found.unexplained] == ["outputs.z"]
    assert found.stale == [unused]


def test_a_gap_of_a_stack_that_was_not_compared_is_not_stale() -> None:
    assert not explain([], [Gap("why", stack="prod", path="x")], ["local"]).stale
    assert explain([], [Gap("why", stack="prod", path="x")], ["local", "prod"]).stale


@pytest.mark.parametrize(
    "row",
    ['why = "a"\npaths = "x"', 'path = "x"', 'why = "a"', 'why = "a"\nstack = "local"'],
    ids=["a key that is not known", "no reason", "no pattern", "a whole stack"],
)
def test_a_gap_that_would_explain_too_much_is_refused(tmp_path: Path, row: str) -> None:
    table = tmp_path / "gaps.toml"
    table.write_text(f"[[gap]]\n{row}\n")
    with pytest.raises(ValueError, match="gap"):
        read(table)


def test_the_guide_names_every_gap() -> None:
    guide = (TABLE.parents[2] / "docs" / "fidelity.md").read_text()
    assert [gap.why for gap in read() if f"| {gap.why} |" not in guide] == []
