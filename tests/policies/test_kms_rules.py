"""Keys: what their rules look through."""

from policies.making import KEY, make, verdict

from falaj.policies.model import Verdict


def test_keys_that_aws_cannot_rotate_need_no_rotation() -> None:
    assert verdict("FJ-KMS-001", [make(KEY, {"customerMasterKeySpec": "RSA_4096"})]) is Verdict.PASS
    assert verdict("FJ-KMS-001", [make(KEY, {"customerMasterKeySpec": "SYMMETRIC_DEFAULT"})]) is Verdict.FAIL
