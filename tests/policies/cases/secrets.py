"""Secrets and parameters: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.cases.storage import KEY_ARN, companion, varied
from policies.making import Case, make, simple

from falaj.policies.values import UNKNOWN

SECRET = "aws:secretsmanager/secret:Secret"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
PARAMETER = "aws:ssm/parameter:Parameter"


def rotated(days: Any, origin: str = "it") -> list[Any]:
    rules = {"rotationRules": {"automaticallyAfterDays": days}}
    return [make(SECRET, {"name": "db"}), companion(ROTATION, "secretId", rules, SECRET, origin)]


CASES = [
    varied("FJ-SEC-001", SECRET, {"kmsKeyId": KEY_ARN}, "kmsKeyId", "alias/aws/secretsmanager"),
    Case("FJ-SEC-002", rotated(30.0), rotated(365.0), rotated(UNKNOWN)),
    Case(
        "FJ-SEC-002",
        [
            make(SECRET, {"name": "db"}),
            companion(ROTATION, "secretId", {"rotationRules": {"scheduleExpression": "rate(4 hours)"}}, SECRET),
        ],
        rotated(30.0, "another"),
        [make(SECRET, {"name": "db"}), make(ROTATION, {"secretId": UNKNOWN, "rotationRules": UNKNOWN}, name="turn")],
    ),
    varied("FJ-SEC-003", SECRET, {"recoveryWindowInDays": 7.0}, "recoveryWindowInDays", 0.0),
    simple(
        "FJ-SEC-004",
        PARAMETER,
        {"name": "/prod/db/password", "type": "SecureString", "keyId": KEY_ARN},
        {"name": "/prod/db/password", "type": "String"},
        {"name": UNKNOWN, "type": "String"},
    ),
    simple(
        "FJ-SEC-004",
        PARAMETER,
        {"name": "/prod/tokens/url", "type": "String"},
        {"name": "/prod/licence", "type": "SecureString"},
        {"name": "/prod/licence", "type": "SecureString", "keyId": UNKNOWN},
    ),
    varied(
        "FJ-SEC-005",
        "aws:secretsmanager/secretPolicy:SecretPolicy",
        {"blockPublicPolicy": True},
        "blockPublicPolicy",
        None,
    ),
]
