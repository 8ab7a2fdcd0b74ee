"""Who asks, from where and how: principals, and the condition keys that AWS puts beside each request."""

from dataclasses import dataclass, field
from typing import Any

from falaj.components import Regime

HOME, ELSEWHERE = "me-central-1", "eu-west-1"
ACCOUNT, COLLEAGUES, STRANGERS = "123456789012", "210987654321", "999999999999"
"""Ours, another one of our organization, and one outside it."""
ORGANIZATION, OTHERS = "o-a1b2c3d4e5", "o-z9y8x7w6v5"
REGIME: Regime = {"home_region": HOME, "account_id": ACCOUNT, "organization_id": ORGANIZATION}
KEY = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
OTHER_KEY = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/99999999-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Who:
    """A principal and the condition keys that describe it."""

    arn: str
    context: dict[str, str] = field(default_factory=dict[str, str])


def role(name: str, account: str = ACCOUNT, organization: str | None = ORGANIZATION) -> Who:
    """Return a role of an account, which may belong to an organization."""
    arn = f"arn:aws:iam::{account}:role/{name}"
    context = {"aws:PrincipalArn": arn, "aws:PrincipalAccount": account, "aws:PrincipalIsAWSService": "false"}
    return Who(arn, context | ({"aws:PrincipalOrgID": organization} if organization else {}))


def service(name: str, account: str | None = ACCOUNT, organization: str | None = ORGANIZATION, arn: str = "") -> Who:
    """Return a service's own principal, which may say for which account, organization and resource it works."""
    context = {"aws:PrincipalIsAWSService": "true", "aws:PrincipalServiceName": name}
    sources = {"aws:SourceAccount": account, "aws:SourceOrgID": organization if account else None, "aws:SourceArn": arn}
    return Who(name, context | {key: value for key, value in sources.items() if value})


def request(region: str = HOME, *, tls: str = "1.3", **more: str) -> dict[str, str]:
    """Return the condition keys of any request to S3: where it goes and how it travels."""
    return {"aws:RequestedRegion": region, "aws:SecureTransport": "true", "s3:TlsVersion": tls, **more}


def grants(*actions: str, resource: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
    """Return an identity's policy that allows the actions."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {
        "Version": "2012-10-17",
        "Statement": [statement | ({"Condition": condition} if condition else {})],
    }
