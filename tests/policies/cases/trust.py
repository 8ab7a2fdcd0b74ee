"""Who may take a role: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import ROLE, Case, allow, document, make, simple

from falaj.policies.values import UNKNOWN

_OURS, _THEIRS = "123456789012", "210987654321"
_OIDC = f"arn:aws:iam::{_OURS}:oidc-provider/token.example"
_SAML = f"arn:aws:iam::{_OURS}:saml-provider/directory"
_PODS = {"Service": "pods.eks.amazonaws.com"}
_CLUSTER = f"arn:aws:eks:me-central-1:{_OURS}:cluster/main"
_AUDIENCE = {"token.example:aud": "sts.amazonaws.com"}
_SUBJECT = {"token.example:sub": "system:serviceaccount:team:trainer"}


def trusting(principal: Any, action: str = "sts:AssumeRole", **condition: Any) -> dict[str, Any]:
    return allow(principal, Action=action) | ({"Condition": condition} if condition else {})


def trust(rule: str, good: dict[str, Any], bad: dict[str, Any]) -> Case:
    trusts = [{"assumeRolePolicy": policy} for policy in (document(good), document(bad), UNKNOWN)]
    return simple(rule, ROLE, *trusts)


def web(**condition: Any) -> dict[str, Any]:
    return trusting({"Federated": _OIDC}, "sts:AssumeRoleWithWebIdentity", **condition)


def saml(**condition: Any) -> dict[str, Any]:
    return trusting({"Federated": _SAML}, "sts:AssumeRoleWithSAML", **condition)


CASES = [
    trust(
        "FJ-TRU-001",
        trusting({"AWS": _THEIRS}, StringEquals={"sts:ExternalId": "agreed"}),
        trusting({"AWS": [_OURS, f"arn:aws:iam::{_THEIRS}:role/theirs"]}),
    ),
    Case(
        "FJ-TRU-001",
        [make(ROLE, {"assumeRolePolicy": document(trusting({"AWS": _OURS}))})],
        [make(ROLE, {"assumeRolePolicy": document(trusting({"AWS": _THEIRS}))})],
        [make(ROLE, {"assumeRolePolicy": document(trusting({"AWS": _THEIRS}))}, provider={})],
    ),
    trust(
        "FJ-TRU-002",
        trusting({"AWS": [f"arn:aws:iam::{_THEIRS}:role/theirs", _OURS]}),
        trusting({"AWS": f"arn:aws:iam::{_THEIRS}:root"}, StringEquals={"sts:ExternalId": "agreed"}),
    ),
    trust("FJ-TRU-003", web(StringEquals=_AUDIENCE | _SUBJECT), web(StringEquals=_AUDIENCE)),
    trust("FJ-TRU-003", web(StringEquals=_AUDIENCE | _SUBJECT), web(StringEquals=_SUBJECT)),
    trust(
        "FJ-TRU-004",
        web(StringLike={"token.example:sub": ["repo:ours/*", "system:serviceaccount:team:*"]}),
        web(StringLike={"token.example:sub": "repo:*"}),
    ),
    trust("FJ-TRU-005", saml(StringEquals={"SAML:aud": "https://signin.aws.amazon.com/saml"}), saml()),
    trust(
        "FJ-TRU-006",
        trusting({"Service": ["backup.amazonaws.com"]}, StringEquals={"aws:SourceAccount": _OURS}),
        trusting({"Service": ["ec2.amazonaws.com", "backup.amazonaws.com"]}),
    ),
    trust(
        "FJ-TRU-007",
        trusting(_PODS, ArnEquals={"aws:SourceArn": _CLUSTER}),
        trusting(_PODS, StringEquals={"aws:SourceAccount": _OURS}),
    ),
    trust(
        "FJ-TRU-008",
        trusting({"AWS": f"arn:aws:iam::{_OURS}:user/one"}, Bool={"aws:MultiFactorAuthPresent": "true"}),
        trusting({"AWS": f"arn:aws:iam::{_OURS}:user/one"}, BoolIfExists={"aws:MultiFactorAuthPresent": "true"}),
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("Role", ["assumeRolePolicy"], document(bad), rules)
    for bad, rules in (
        (trusting({"AWS": f"arn:aws:iam::{_THEIRS}:role/theirs"}), {"FJ-TRU-001"}),
        (trusting({"AWS": _THEIRS}, StringEquals={"aws:PrincipalOrgID": "o-a1b2c3d4e5"}), {"FJ-TRU-002"}),
        (web(StringEquals=_AUDIENCE), {"FJ-TRU-003"}),
        (web(StringEquals=_AUDIENCE, StringLike={"token.example:sub": "repo:*"}), {"FJ-TRU-004"}),
        (saml(), {"FJ-TRU-005"}),
        (trusting({"Service": "vpc-flow-logs.amazonaws.com"}), {"FJ-TRU-006"}),
        (trusting(_PODS, StringEquals={"aws:SourceAccount": _OURS}), {"FJ-TRU-007"}),
        (trusting({"AWS": f"arn:aws:iam::{_OURS}:user/one"}), {"FJ-TRU-008"}),
    )
]
