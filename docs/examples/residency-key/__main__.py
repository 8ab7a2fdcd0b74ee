"""A key for datasets that some administer and others use; its material may come from elsewhere than KMS."""

import json

import pulumi
import pulumi_aws as aws

from falaj.components import KeyOrigin, KeyUse, Ownership, Regime, ResidencyKey, ResidencyKeyArgs

config = pulumi.Config()
origin = KeyOrigin(config.get("origin") or "aws")
# The role that runs this program: KMS refuses a policy that keeps its author from changing it again.
deployer = config.get("deployer") or "arn:aws:iam::123456789012:role/deployer"
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012", "organization_id": "o-a1b2c3d4e5"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
tags = {"owner": "ml-platform", "cost-centre": "cc-1000", "environment": "dev", "classification": "restricted"}


def role(name: str) -> aws.iam.Role:
    """Make a role for people of a team; AWS takes a key policy only when whom it names exists."""
    principal = {"AWS": "arn:aws:iam::123456789012:root"}
    team = {"StringEquals": {"aws:PrincipalTag/team": name}}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": team}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    return aws.iam.Role(name, name=name, assume_role_policy=document, tags=tags)


roles = [role("key-keepers"), role("trainers")]
wanted: ResidencyKeyArgs = {
    "purpose": config.get("purpose") or "datasets",
    "used_by": [KeyUse.S3, KeyUse.EFS],
    "regime": regime,
    "ownership": ownership,
    "administrators": [deployer, "arn:aws:iam::123456789012:role/key-keepers"],
    "users": ["arn:aws:iam::123456789012:role/trainers"],
    "origin": origin,
}
if origin is KeyOrigin.AWS:
    wanted["rotation_days"] = config.get_int("rotationDays") or 180
if origin is KeyOrigin.EXTERNAL:
    wanted["external_key"] = {"key_store_id": config.require("keyStoreId"), "xks_key_id": config.require("xksKeyId")}
key = ResidencyKey("datasets", wanted, pulumi.ResourceOptions(depends_on=roles))

pulumi.export("arn", key.arn)
pulumi.export("keyId", key.key_id)
pulumi.export("alias", key.alias)
