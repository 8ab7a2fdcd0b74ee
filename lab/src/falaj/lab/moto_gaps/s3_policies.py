"""S3: a bucket policy's statement with a condition denies nobody. moto takes every condition as met, and so denied all.

Without IAM enforced nobody is identified whom a condition could mean; with it, an authorizer decides.
"""

import json
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket


def leave_conditions_out() -> None:
    """Let moto hold objects to those statements of a bucket's policy that have no condition."""

    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        statements = [one for one in _statements(self.policy) if not one.get("Condition")]
        policy = IAMPolicy(json.dumps({"Statement": statements}))
        return policy.is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission


def leave_to_authorizer() -> None:
    """Let moto hold objects to no statement of a bucket's policy."""

    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        return PermissionResult.NEUTRAL

    FakeBucket.get_permission = get_permission


def _statements(policy: bytes | None) -> list[dict[str, Any]]:
    statements = json.loads(policy)["Statement"] if policy else []
    return statements if isinstance(statements, list) else [statements]
