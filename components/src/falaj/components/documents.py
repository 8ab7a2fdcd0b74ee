"""IAM policy documents that several components write."""

from typing import Any


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy document of the statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions: list[str], resources: str | list[str]) -> dict[str, Any]:
    """Return a statement that lets the holder of the policy do the actions on the resources."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


NO_SERVICE = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}
"""Leaves out the principals of AWS's services, which belong to no account and no organization."""


def deny(
    sid: str, action: str | list[str], resource: str | list[str], condition: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a statement of a resource's policy that denies everyone the action, where the condition holds."""
    statement: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": action,
        "Resource": resource,
    }
    return statement | ({"Condition": condition} if condition else {})


def service_trust(service: str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a trust policy by which one AWS service, and nobody else, assumes a role."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    return document(statement | ({"Condition": condition} if condition else {}))
