"""Identities: what their rules look through."""

from typing import Any

import pytest
from policies.cases.grants import granted
from policies.cases.trust import trusting
from policies.making import ROLE, allow, document, make, urn, verdict

from falaj.policies.model import Resource, Verdict
from falaj.policies.values import UNKNOWN

POLICY, ATTACHMENT = "aws:iam/policy:Policy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
KEEPS = allow(Effect="Deny", Action=["iam:DeleteRolePermissionsBoundary"])


def judged(rule: str, *statements: dict[str, Any]) -> Verdict:
    return verdict(rule, [make(POLICY, {"policy": document(*statements)})])


@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        ("FJ-IAM-005", {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}),
        ("FJ-IAM-006", granted("iam:*")),
        ("FJ-IAM-006", granted("IAM:attach*", "arn:aws:iam::*:role/*")),
        ("FJ-IAM-006", {"Effect": "Allow", "Action": "iam:*", "NotResource": "arn:aws:iam::1:role/admin"}),
        ("FJ-IAM-008", granted("kms:*", "arn:aws:kms:*:*:*")),
        ("FJ-IAM-008", granted("kms:Decrypt", StringLike={"kms:ViaService": "*"})),
        ("FJ-IAM-009", granted("*", "arn:aws:s3:::*", Bool={"aws:SecureTransport": "true"})),
        ("FJ-IAM-012", granted("*", "arn:aws:iam::123456789012:role/one")),
    ],
    ids=str,
)
def test_a_grant_is_seen_in_whatever_words_it_is_written(rule: str, statement: dict[str, Any]) -> None:
    assert judged(rule, statement) is Verdict.FAIL


def test_a_denial_takes_a_grant_away_where_it_denies_all_of_it() -> None:
    everything = granted(["iam:*", "sts:*"])
    assert judged("FJ-IAM-010", everything, allow(Effect="Deny", Action="sts:Assume*")) is Verdict.PASS
    mild = granted("sts:AssumeRole", Bool={"aws:MultiFactorAuthPresent": "false"}) | {"Effect": "Deny"}
    assert judged("FJ-IAM-010", everything, mild) is Verdict.FAIL


def test_a_wildcard_on_another_service_s_resources_is_no_grant_of_a_grave_one() -> None:
    assert judged("FJ-IAM-012", granted("*", "arn:aws:s3:::data/*")) is Verdict.PASS


def test_a_permissions_boundary_grants_nothing_until_somebody_has_it_as_a_policy() -> None:
    wide = document(granted(["iam:*", "kms:*", "s3:*"]), KEEPS)
    boundary = make(POLICY, {"policy": wide})
    for rule in ("FJ-IAM-006", "FJ-IAM-008", "FJ-IAM-009", "FJ-IAM-012", "FJ-IAM-017"):
        assert verdict(rule, [boundary]) is Verdict.PASS
    attachment = make(ATTACHMENT, {"policyArn": UNKNOWN}, name="attachment", policyArn=urn(POLICY))
    assert verdict("FJ-IAM-022", [boundary, attachment]) is Verdict.FAIL
    elsewhere = make(ATTACHMENT, {"policyArn": UNKNOWN}, name="attachment", policyArn=urn(POLICY, "another"))
    assert verdict("FJ-IAM-022", [boundary, elsewhere]) is Verdict.PASS


def taken(statement: dict[str, Any], **more: Any) -> list[Resource]:
    return [make(ROLE, {"assumeRolePolicy": document(statement)}, **more)]


def test_our_accounts_are_the_provider_s_and_those_that_are_set() -> None:
    theirs = trusting({"AWS": "210987654321"})
    assert verdict("FJ-TRU-001", taken(theirs)) is Verdict.FAIL
    assert verdict("FJ-TRU-001", taken(theirs), ownAccounts=["210987654321"]) is Verdict.PASS
    assert verdict("FJ-TRU-001", taken(theirs, provider={})) is Verdict.UNDETERMINED
    assert verdict("FJ-TRU-001", taken(theirs, provider={"allowedAccountIds": UNKNOWN})) is Verdict.UNDETERMINED


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("repo:ours/platform:ref:refs/heads/main", Verdict.PASS),
        ("repo:ours/*", Verdict.PASS),
        ("repo:ours*", Verdict.FAIL),
        ("repo*", Verdict.FAIL),
        ("*", Verdict.FAIL),
        ("*:ref:refs/heads/main", Verdict.FAIL),
        ("system:serviceaccount:team:*", Verdict.PASS),
        ("system:serviceaccount:team*:one", Verdict.FAIL),
        ("system:serviceaccount:?:one", Verdict.FAIL),
        ("project_path:group/*", Verdict.PASS),
        ("user-1*", Verdict.PASS),
    ],
)
def test_a_subject_names_its_owner_before_its_first_wildcard(subject: str, expected: Verdict) -> None:
    provider = {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.example"}
    condition = {"StringLike": {"token.example:sub": subject}}
    statement = trusting(provider, "sts:AssumeRoleWithWebIdentity", **condition)
    assert verdict("FJ-TRU-004", taken(statement)) is expected


def test_a_pattern_of_clusters_is_not_one_cluster() -> None:
    clusters = {"ArnLike": {"aws:SourceArn": "arn:aws:eks:me-central-1:123456789012:cluster/*"}}
    assert (
        verdict("FJ-TRU-007", taken(trusting({"Service": "pods.eks.amazonaws.com"}, "sts:AssumeRole", **clusters)))
        is Verdict.FAIL
    )


def test_services_that_cannot_say_for_whom_they_work_are_not_asked() -> None:
    assert verdict("FJ-TRU-006", taken(trusting({"Service": "ec2.amazonaws.com"}))) is Verdict.PASS


def test_a_closed_resource_policy_may_begin_with_everyone() -> None:
    outside = {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}
    whole = {"Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    private = document(allow("*", **whole), allow("*", Effect="Deny", Condition=outside, **whole))
    assert (
        verdict("FJ-RPL-001", [make("aws:apigateway/restApiPolicy:RestApiPolicy", {"policy": private})]) is Verdict.PASS
    )
