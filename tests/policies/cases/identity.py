"""Identities: what passes, what fails, and what cannot be decided."""

from policies.making import ROLE, Case, allow, document, make, simple

from falaj.policies.values import UNKNOWN

CASES = [
    simple(
        "FJ-IAM-001",
        "aws:iam/rolePolicy:RolePolicy",
        {"policy": document(allow(Action="s3:*"), allow(Action="*", Resource="arn:aws:s3:::data/*"))},
        {"policy": document(allow(Action=["s3:GetObject", "*:*"]))},
        {"policy": UNKNOWN},
    ),
    simple(
        "FJ-IAM-001",
        ROLE,
        {"inlinePolicies": [{"policy": document(allow())}]},
        {"inlinePolicies": [{"policy": document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})}]},
        {"inlinePolicies": [{"policy": UNKNOWN}]},
    ),
    simple(
        "FJ-IAM-002",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
        {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
        {"policyArn": UNKNOWN},
    ),
    Case("FJ-IAM-003", [make(ROLE, {})], [make("aws:iam/accessKey:AccessKey", {"user": "ci"})], []),
    simple(
        "FJ-IAM-004",
        ROLE,
        {"assumeRolePolicy": document(allow({"Service": "ec2.amazonaws.com"}))},
        {"assumeRolePolicy": document(allow({"AWS": "*"}))},
        {"assumeRolePolicy": UNKNOWN},
    ),
]
