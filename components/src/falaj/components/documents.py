"""IAM policy documents that several components write."""

from typing import Any


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy document of the statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions: list[str], resources: str | list[str]) -> dict[str, Any]:
    """Return a statement that lets the holder of the policy do the actions on the resources."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources}


def service_trust(service: str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a trust policy by which one AWS service, and nobody else, assumes a role."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    return document(statement | ({"Condition": condition} if condition else {}))
