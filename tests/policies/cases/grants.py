"""What identities are granted: what passes, what fails, and what cannot be decided."""

import json
from typing import Any

from policies.making import ROLE, Case, allow, document, simple

from falaj.policies.rules.grants import IDENTITY_POLICIES
from falaj.policies.values import UNKNOWN

_ACCOUNT = "123456789012"
_KEY = f"arn:aws:kms:me-central-1:{_ACCOUNT}:key/*"
_BOUNDARY = {"StringEquals": {"iam:PermissionsBoundary": f"arn:aws:iam::{_ACCOUNT}:policy/bound"}}


def granted(action: Any, resource: Any = "*", **condition: Any) -> dict[str, Any]:
    return allow(Action=action, Resource=resource) | ({"Condition": condition} if condition else {})


def role(name: str) -> str:
    return f"arn:aws:iam::{_ACCOUNT}:role/{name}"


STATEMENTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("FJ-IAM-001", granted("s3:*"), granted(["s3:GetObject", "*:*"])),
    (
        "FJ-IAM-005",
        granted("iam:PassRole", role("pods-*")),
        granted("iam:pass*", role("*"), StringEquals={"iam:PassedToService": "ec2.amazonaws.com"}),
    ),
    ("FJ-IAM-006", granted("iam:AttachRolePolicy", **_BOUNDARY), granted("iam:AttachRolePolicy")),
    (
        "FJ-IAM-007",
        granted("ssm:StartSession", StringEquals={"aws:ResourceTag/team": "red"}),
        granted("ssm:StartSession", f"arn:aws:ec2:me-central-1:{_ACCOUNT}:instance/*"),
    ),
    (
        "FJ-IAM-008",
        granted("kms:Decrypt", _KEY, StringEquals={"kms:ViaService": "s3.me-central-1.amazonaws.com"}),
        granted("kms:Decrypt", _KEY),
    ),
    (
        "FJ-IAM-009",
        granted("s3:GetObject", "arn:aws:s3:::*/*", StringEquals={"aws:ResourceAccount": "${aws:PrincipalAccount}"}),
        granted("s3:GetObject", "arn:aws:s3:::*"),
    ),
    ("FJ-IAM-010", granted("sts:AssumeRole", role("reader")), granted("sts:AssumeRole", "arn:aws:iam::*:role/*")),
    (
        "FJ-IAM-011",
        granted("ssm:GetParameter", f"arn:aws:ssm:me-central-1:{_ACCOUNT}:parameter/red/*"),
        granted("ssm:GetParameter*", f"arn:aws:ssm:me-central-1:{_ACCOUNT}:parameter/*"),
    ),
    (
        "FJ-IAM-024",
        granted("lambda:InvokeFunction", f"arn:aws:lambda:me-central-1:{_ACCOUNT}:function:hello"),
        granted("lambda:InvokeFunction"),
    ),
    ("FJ-IAM-012", granted(["kms:Describe*", "s3:*"], _KEY), granted("kms:*", _KEY.replace("*", "1"))),
    (
        "FJ-IAM-013",
        {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::data/*"},
    ),
    ("FJ-IAM-014", granted("cloudtrail:GetTrail"), granted("cloudtrail:*Trail")),
    ("FJ-IAM-015", granted("s3:PutBucketPolicy", "arn:aws:s3:::data"), granted("s3:PutBucketPolicy")),
    ("FJ-IAM-017", granted("iam:CreateRole", role("pods-*"), **_BOUNDARY), granted("iam:CreateRole", role("pods-*"))),
]


def holding(type_: str, policy: Any) -> dict[str, Any]:
    """Return the properties of a resource of a type that holds the policy."""
    if type_ == ROLE:
        return {"inlinePolicies": [{"policy": policy}]}
    return {"inlinePolicy" if "ssoadmin" in type_ else "policy": policy}


def held(rule: str, type_: str, good: Any, bad: Any) -> Case:
    return simple(rule, type_, *(holding(type_, policy) for policy in (good, bad, UNKNOWN)))


def old(resource: str) -> str:
    return json.dumps({"Version": "2008-10-17", "Statement": [granted("s3:GetObject", resource)]})


CASES = [
    *(
        held(rule, type_, document(granted("s3:ListBucket", "arn:aws:s3:::data"), good), document(bad))
        for rule, good, bad in STATEMENTS
        for type_ in IDENTITY_POLICIES
    ),
    *(
        held("FJ-IAM-016", type_, old("arn:aws:s3:::data/*"), old("arn:aws:s3:::data/${aws:username}/*"))
        for type_ in IDENTITY_POLICIES
    ),
]

# In prod the first policy of a role writes flow logs.
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("RolePolicy", ["policy"], document(bad), {rule})
    for rule, _, bad in STATEMENTS
    if rule not in ("FJ-IAM-001", "FJ-IAM-013")
]
