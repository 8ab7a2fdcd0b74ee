"""Databases: what their rules look through."""

import pytest
from policies.making import make, verdict

from falaj.policies.model import Verdict
from falaj.policies.rules.databases import RDS, REDSHIFT

GROUP = "aws:rds/parameterGroup:ParameterGroup"
DOCUMENTS = "aws:docdb/clusterParameterGroup:ClusterParameterGroup"


def test_a_replica_has_the_key_and_the_backups_of_its_source() -> None:
    replica = make(RDS, {"replicateSourceDb": "source"})
    for rule in ("FJ-DB-001", "FJ-DB-006", "FJ-DB-007"):
        assert verdict(rule, [replica]) is Verdict.PASS


def test_engines_without_tokens_need_none() -> None:
    assert verdict("FJ-DB-005", [make(RDS, {"engine": "oracle-ee"})]) is Verdict.PASS


@pytest.mark.parametrize(
    ("type_", "family", "expected"),
    [
        (GROUP, "postgres16", Verdict.FAIL),
        (GROUP, "mariadb11.4", Verdict.FAIL),
        (GROUP, "oracle-ee-19", Verdict.PASS),
        (DOCUMENTS, "docdb5.0", Verdict.PASS),
    ],
)
def test_a_group_that_says_nothing_of_tls_has_its_family_s_default(type_: str, family: str, expected: Verdict) -> None:
    assert verdict("FJ-DB-004", [make(type_, {"family": family})]) is expected


def test_what_is_on_by_default_may_be_left_out() -> None:
    key = "arn:aws:kms:me-central-1:123456789012:key/1"
    assert verdict("FJ-DB-001", [make(REDSHIFT, {"kmsKeyId": key})]) is Verdict.PASS
    assert verdict("FJ-DB-012", [make(RDS, {})]) is Verdict.PASS


def test_a_password_that_the_program_knows_fails_however_it_is_given() -> None:
    for name in ("password", "passwordWo"):
        assert verdict("FJ-DB-006", [make(RDS, {name: "hunter2"})]) is Verdict.FAIL
