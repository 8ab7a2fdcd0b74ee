"""Buckets: what their rules look through."""

from policies.making import BLOCK, BLOCKED, bucket, make, verdict

from falaj.policies.model import Verdict


def test_companions_are_found_by_value_where_the_engine_names_no_origin() -> None:
    by_name = make(BLOCK, {"bucket": "data"} | BLOCKED, name="block")
    assert verdict("FJ-S3-003", bucket(by_name)) is Verdict.PASS
    assert verdict("FJ-S3-003", bucket(make(BLOCK, {"bucket": "other"} | BLOCKED, name="block"))) is Verdict.FAIL
