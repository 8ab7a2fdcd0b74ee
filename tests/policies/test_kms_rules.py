"""Keys: what their rules look through."""

from policies.making import KEY, ROOT, document, make, verdict

from falaj.policies.model import Verdict


def test_keys_that_aws_cannot_rotate_need_no_rotation() -> None:
    assert verdict("FJ-KMS-001", [make(KEY, {"customerMasterKeySpec": "RSA_4096"})]) is Verdict.PASS
    assert verdict("FJ-KMS-001", [make(KEY, {"customerMasterKeySpec": "SYMMETRIC_DEFAULT"})]) is Verdict.FAIL


def test_the_account_and_services_may_be_given_a_key_whole_and_a_role_may_not() -> None:
    role = {"AWS": "arn:aws:iam::123456789012:role/admin"}
    for principal, expected in (
        (ROOT, Verdict.PASS),
        ({"AWS": "123456789012"}, Verdict.PASS),
        ({"Service": "logs.amazonaws.com"}, Verdict.PASS),
        (role, Verdict.FAIL),
    ):
        policy = document({"Effect": "Allow", "Principal": principal, "Action": ["KMS:*"], "Resource": "*"})
        assert verdict("FJ-KMS-008", [make(KEY, {"policy": policy})]) is expected, principal
    denial = document({"Effect": "Deny", "Principal": role, "Action": "kms:*", "Resource": "*"})
    assert verdict("FJ-KMS-008", [make(KEY, {"policy": denial})]) is Verdict.PASS


def test_a_grant_for_a_whole_account_fails() -> None:
    grant = {"granteePrincipal": ROOT["AWS"], "operations": ["Decrypt"]}
    assert verdict("FJ-KMS-007", [make("aws:kms/grant:Grant", grant)]) is Verdict.FAIL


def test_a_key_in_kms_itself_needs_no_named_store() -> None:
    assert verdict("FJ-KMS-010", [make(KEY, {})]) is Verdict.PASS
    assert verdict("FJ-KMS-010", [make(KEY, {"customKeyStoreId": "cks-1"})]) is Verdict.FAIL
