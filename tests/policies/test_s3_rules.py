"""Buckets: what their rules look through."""

from policies.cases.objects import LOCK, REPLICATION
from policies.making import BLOCK, BLOCKED, bucket, make, verdict

from falaj.policies.model import Verdict


def test_companions_are_found_by_value_where_the_engine_names_no_origin() -> None:
    by_name = make(BLOCK, {"bucket": "data"} | BLOCKED, name="block")
    assert verdict("FJ-S3-003", bucket(by_name)) is Verdict.PASS
    assert verdict("FJ-S3-003", bucket(make(BLOCK, {"bucket": "other"} | BLOCKED, name="block"))) is Verdict.FAIL


def test_a_lock_in_years_is_a_term_too() -> None:
    lock = {"rule": {"defaultRetention": {"mode": "COMPLIANCE", "years": 5.0}}}
    assert verdict("FJ-S3-009", [make(LOCK, lock)]) is Verdict.PASS


def test_copies_that_are_switched_off_need_no_key() -> None:
    rules = [{"status": "Disabled", "destination": {"bucket": "arn:aws:s3:::copy"}}]
    assert verdict("FJ-S3-014", [make(REPLICATION, {"rules": rules})]) is Verdict.PASS


def test_a_bucket_that_holds_no_trail_needs_no_lock() -> None:
    assert verdict("FJ-S3-010", bucket()) is Verdict.NOT_APPLICABLE
