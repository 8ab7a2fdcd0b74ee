"""Residency: what their rules look through."""

from policies.making import AWS_PROVIDER, HOME, KEY, make, verdict

from falaj.policies.model import Verdict


def test_a_region_that_nobody_states_is_elsewhere() -> None:
    assert verdict("FJ-RES-001", [make(KEY, {}, provider={})]) is Verdict.FAIL
    assert verdict("FJ-RES-001", [make(KEY, {}, provider=None)]) is Verdict.FAIL


def test_home_regions_and_accounts_can_be_set() -> None:
    assert verdict("FJ-RES-001", [make(KEY, {"region": "me-south-1"})], homeRegions=["me-south-1"]) is Verdict.PASS
    assert verdict("FJ-RES-002", [make(AWS_PROVIDER, HOME)], allowedAccounts=["999999999999"]) is Verdict.FAIL
