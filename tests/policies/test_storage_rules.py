"""File systems and copies of disks: what their rules look through."""

import pytest
from policies.cases.storage import EFS, NO_PLAIN_MOUNTS, mounts
from policies.making import document, make, verdict

from falaj.policies.model import Verdict


@pytest.mark.parametrize(
    "change",
    [
        {"Principal": {"AWS": "arn:aws:iam::123456789012:role/team"}},
        {"Effect": "Allow"},
        {"Action": "elasticfilesystem:ClientWrite"},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    ],
)
def test_a_narrower_denial_of_plain_mounts_is_none(change: dict[str, object]) -> None:
    assert verdict("FJ-EFS-001", mounts(document(NO_PLAIN_MOUNTS | change))) is Verdict.FAIL


def test_a_policy_that_cannot_be_read_denies_nothing_for_sure() -> None:
    assert verdict("FJ-EFS-001", mounts("{")) is Verdict.UNDETERMINED


def test_no_account_may_have_a_copy_unless_it_is_allowed() -> None:
    share = make("aws:rds/snapshot:Snapshot", {"sharedAccounts": ["123456789012"]})
    assert verdict("FJ-STO-002", [share]) is Verdict.FAIL
    assert verdict("FJ-STO-002", [share], allowedAccounts=["123456789012"]) is Verdict.PASS


def test_a_file_system_that_is_encrypted_by_default_still_needs_a_key() -> None:
    assert verdict("FJ-STO-001", [make(EFS, {"encrypted": True})]) is Verdict.FAIL
