"""Backups: what their rules look through."""

from typing import Any

import pytest
from policies.cases.backups import SELECTION, selected, tagged
from policies.cases.storage import EFS
from policies.making import make, verdict

from falaj.policies.model import Verdict


def conditioned(operator: str, value: str) -> dict[str, Any]:
    return {"resources": ["*"], "conditions": [{operator: [{"key": "aws:ResourceTag/backup", "value": value}]}]}


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("stringLikes", "da*", Verdict.PASS),
        ("stringEquals", "da*", Verdict.FAIL),
        ("stringNotEquals", "never", Verdict.PASS),
        ("stringNotEquals", "daily", Verdict.FAIL),
        ("stringNotLikes", "da*", Verdict.FAIL),
    ],
)
def test_conditions_of_a_selection_are_read_as_aws_reads_them(operator: str, value: str, expected: Verdict) -> None:
    assert verdict("FJ-BAK-004", selected(conditioned(operator, value))) is expected


def test_what_a_selection_leaves_out_is_not_backed_up() -> None:
    selection = tagged("daily") | {"notResources": ["arn:aws:elasticfilesystem:*:*:file-system/*"]}
    assert verdict("FJ-BAK-004", selected(selection)) is Verdict.FAIL


def test_every_condition_has_to_hold() -> None:
    selection = tagged("daily")
    selection["conditions"].append({"stringEquals": [{"key": "aws:ResourceTag/owner", "value": "team"}]})
    assert verdict("FJ-BAK-004", selected(selection)) is Verdict.FAIL
    assert verdict("FJ-BAK-004", selected(selection, {"backup": "daily", "owner": "team"})) is Verdict.PASS


def test_a_condition_on_something_else_than_a_tag_is_undecided() -> None:
    selection = {"resources": ["*"], "conditions": [{"stringEquals": [{"key": "aws:Region", "value": "x"}]}]}
    assert verdict("FJ-BAK-004", selected(selection)) is Verdict.UNDETERMINED


def test_default_tags_of_the_provider_count() -> None:
    provider = {"defaultTags": {"tags": {"backup": "daily"}}}
    stack = [make(EFS, {}, provider=provider), make(SELECTION, tagged("daily"), name="selection")]
    assert verdict("FJ-BAK-004", stack) is Verdict.PASS


def test_selections_of_other_services_do_not_count() -> None:
    selection = {"resources": ["arn:aws:dynamodb:me-central-1:123456789012:table/*"]}
    assert verdict("FJ-BAK-004", selected(selection)) is Verdict.FAIL
