"""Versions of Kubernetes: in support until a day, in the order of their numbers."""

import datetime

import pytest
from policies.making import CLUSTER, make, verdict

from falaj.policies.kubernetes_support import in_standard_support
from falaj.policies.model import Verdict


@pytest.mark.parametrize(
    ("version", "day", "supported"),
    [
        ("1.34", "2026-12-01", True),
        ("1.34", "2026-12-02", False),
        ("1.9", "2026-11-26", False),
        ("1.40", "2026-11-26", True),
    ],
)
def test_support_ends_on_a_day_and_in_order(version: str, day: str, supported: bool) -> None:
    assert in_standard_support(version, day) is supported
    assert in_standard_support(version, datetime.date.fromisoformat(day)) is supported


@pytest.mark.parametrize(("version", "day"), [("1.40", "2030-01-01"), ("1.35", ""), ("latest", "2026-11-26")])
def test_what_the_table_does_not_say_is_not_guessed(version: str, day: str) -> None:
    with pytest.raises(ValueError):
        in_standard_support(version, day)


def test_without_a_day_a_cluster_s_version_is_undetermined() -> None:
    cluster = make(CLUSTER, {"version": "1.35", "upgradePolicy": {"supportType": "STANDARD"}})
    assert verdict("FJ-EKS-006", [cluster], today="2026-11-26") is Verdict.PASS
    assert verdict("FJ-EKS-006", [cluster]) is Verdict.UNDETERMINED
