"""A store, its key, a key of named users, a region guard in both forms, and roles that may do more or less."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from falaj.components import (
    DataStore,
    KeyUse,
    Ownership,
    Regime,
    RegionGuard,
    RegionGuardMode,
    ResidencyKey,
)

config = pulumi.Config()
ACCOUNT = "123456789012"
regime: Regime = {
    "home_region": "me-central-1",
    "account_id": ACCOUNT,
    "organization_id": config.require("organization"),
}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
BUCKET = f"dev-datasets-{ACCOUNT}-me-central-1"
tags = {"owner": "ml-platform", "cost-centre": "cc-1000", "environment": "dev", "classification": "restricted"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def role(name: str, *grants: dict[str, Any], boundary: pulumi.Input[str] | None = None) -> aws.iam.Role:
    """Make a role that people of one team may assume."""
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": "vision"}},
    }
    made = aws.iam.Role(name, name=name, assume_role_policy=document(trust), permissions_boundary=boundary, tags=tags)
    if grants:
        aws.iam.RolePolicy(f"{name}-grants", role=made.name, policy=document(*grants))
    return made


objects = {
    "Effect": "Allow",
    "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
    "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
}
keys = {
    "Effect": "Allow",
    "Action": "kms:*",
    "Resource": f"arn:aws:kms:me-central-1:{ACCOUNT}:key/*",
}
anything = {"Effect": "Allow", "Action": ["s3:*", "kms:*", "ec2:*"], "Resource": "*"}

guard = RegionGuard("boundary", {"mode": RegionGuardMode.PERMISSION_BOUNDARY, "regime": regime, "ownership": ownership})
RegionGuard(
    "control",
    {
        "mode": RegionGuardMode.SERVICE_CONTROL_POLICY,
        "targets": [config.require("member")],
        "regime": regime,
        "ownership": ownership | {"environment": "organization"},
    },
)
roles = [
    role("reader", objects, keys),
    role("keyless", objects),
    role("ungranted"),
    role("keeper", objects, keys),
    role("guarded", anything, boundary=guard.policy_arn),
    role("unguarded", anything),
]

key = ResidencyKey(
    "datasets",
    {"purpose": "datasets", "used_by": [KeyUse.S3], "regime": regime, "ownership": ownership},
)
named = ResidencyKey(
    "seal",
    {
        "purpose": "seal",
        "used_by": [KeyUse.VAULT_SEAL],
        "regime": regime,
        "ownership": ownership,
        "administrators": [f"arn:aws:iam::{ACCOUNT}:user/deployer", f"arn:aws:iam::{ACCOUNT}:role/keeper"],
        "users": [f"arn:aws:iam::{ACCOUNT}:role/reader"],
    },
    pulumi.ResourceOptions(depends_on=roles),
)
store = DataStore("store", {"purpose": "datasets", "key": key.ref, "regime": regime, "ownership": ownership})

pulumi.export("bucket", store.bucket)
pulumi.export("key", key.arn)
pulumi.export("named", named.arn)
