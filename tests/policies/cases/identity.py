"""Identities: what passes, what fails, and what cannot be decided."""

import json
from typing import Any

from policies.making import ROLE, Case, allow, document, make, simple

from falaj.policies.values import UNKNOWN

_ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
_HARMLESS = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
_ATTACHMENTS = {
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "policyArn",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "policyArn",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": "policyArn",
    "aws:iam/policyAttachment:PolicyAttachment": "policyArn",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": "policyArns",
    "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive": "policyArns",
    "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive": "policyArns",
    "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment": "managedPolicyArn",
    "aws:ssoadmin/managedPolicyAttachmentsExclusive:ManagedPolicyAttachmentsExclusive": "managedPolicyArns",
    "aws:rolesanywhere/profile:Profile": "managedPolicyArns",
    ROLE: "managedPolicyArns",
}
_PASSWORDS = {"minimumPasswordLength": 14, "passwordReusePrevention": 24}
_MANAGED = "aws:iam/policy:Policy"
_ARN = "arn:aws:iam::123456789012:policy/bound"
_BOUNDARY = document(allow(Action="*"), allow(Effect="Deny", Action="iam:DeleteRolePermissionsBoundary"))


def attached(name: str, arn: Any) -> dict[str, Any]:
    return {name: [arn] if name.endswith("s") else arn}


def boundary(policy: Any, arn: Any = _ARN) -> list[Any]:
    attachment = make("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"policyArn": arn}, name="attachment")
    return [make(_MANAGED, {"policy": policy, "arn": _ARN}), attachment]


CASES = [
    *(
        simple("FJ-IAM-002", type_, *(attached(name, arn) for arn in (_HARMLESS, _ADMINISTRATOR, UNKNOWN)))
        for type_, name in _ATTACHMENTS.items()
    ),
    Case("FJ-IAM-003", [make(ROLE, {})], [make("aws:iam/accessKey:AccessKey", {"user": "ci"})], []),
    Case("FJ-IAM-003", [make(ROLE, {})], [make("aws:iam/userLoginProfile:UserLoginProfile", {"user": "ci"})], []),
    simple(
        "FJ-IAM-004",
        ROLE,
        {"assumeRolePolicy": document(allow({"Service": "ec2.amazonaws.com"}))},
        {"assumeRolePolicy": document(allow({"AWS": "*"}))},
        {"assumeRolePolicy": UNKNOWN},
    ),
    Case("FJ-IAM-018", [make(ROLE, {})], [make("aws:iam/user:User", {"name": "ci"})], []),
    simple("FJ-IAM-019", "aws:iam/userPolicy:UserPolicy", {}, {"user": "ci"}, {"user": UNKNOWN}),
    simple("FJ-IAM-019", "aws:iam/userPolicyAttachment:UserPolicyAttachment", {}, {"user": "ci"}, {"user": UNKNOWN}),
    simple(
        "FJ-IAM-019",
        "aws:iam/policyAttachment:PolicyAttachment",
        {"roles": ["reader"]},
        {"users": ["ci"]},
        {"users": UNKNOWN},
    ),
    simple("FJ-IAM-020", ROLE, {}, {"maxSessionDuration": 43200}, {"maxSessionDuration": UNKNOWN}),
    simple(
        "FJ-IAM-020",
        "aws:rolesanywhere/profile:Profile",
        {"durationSeconds": 3600},
        {"durationSeconds": 43200},
        {"durationSeconds": UNKNOWN},
    ),
    simple(
        "FJ-IAM-021",
        "aws:iam/accountPasswordPolicy:AccountPasswordPolicy",
        _PASSWORDS,
        _PASSWORDS | {"minimumPasswordLength": 8},
        _PASSWORDS | {"passwordReusePrevention": UNKNOWN},
    ),
    Case("FJ-IAM-022", boundary(_BOUNDARY, _HARMLESS), boundary(_BOUNDARY), boundary(_BOUNDARY, UNKNOWN)),
    simple(
        "FJ-IAM-023",
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {"clientIdLists": ["sts.amazonaws.com"], "url": "https://token.example"},
        {"clientIdLists": ["*"], "url": "https://token.example"},
        {"clientIdLists": ["sts.amazonaws.com"], "url": UNKNOWN},
    ),
]

_ANYONE = json.dumps({"Statement": [allow({"AWS": "*"}, Action="sts:AssumeRole")]})
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("Role", ["assumeRolePolicy"], _ANYONE, {"FJ-IAM-004"}),
    ("RolePolicyAttachment", ["policyArn"], "arn:aws:iam::aws:policy/IAMFullAccess", {"FJ-IAM-002"}),
]
