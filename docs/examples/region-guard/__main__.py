"""A guard that keeps a team's role to the home region: as its permission boundary, or from the organization."""

import json

import pulumi
import pulumi_aws as aws

from falaj.components import Ownership, Regime, RegionGuard, RegionGuardArgs, RegionGuardMode

config = pulumi.Config()
target = config.get("target")  # a unit of the organization, for example ou-ab12-cdef3456
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}

wanted: RegionGuardArgs = {
    "mode": RegionGuardMode.SERVICE_CONTROL_POLICY if target else RegionGuardMode.PERMISSION_BOUNDARY,
    "targets": [target] if target else [],
    "regime": regime,
    "ownership": ownership,
    "exempt_principals": ["arn:aws:iam::123456789012:role/break-glass"],
    "deployers": ["arn:aws:iam::123456789012:role/platform-deployer"],
}
if config.get_bool("chat"):
    wanted["also_reachable"] = [
        {"actions": ["chatbot:Describe*"], "why": "Alarms are told in the team's chat, entry 12 of the register"}
    ]
guard = RegionGuard("guard", wanted)

trust = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
    "Action": "sts:AssumeRole",
    "Condition": {"StringEquals": {"aws:PrincipalTag/team": "vision"}},
}
aws.iam.Role(
    "vision-developer",
    name="vision-developer",
    permissions_boundary=None if target else guard.policy_arn,
    assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    tags={"owner": "vision-team", "cost-centre": "cc-1000", "environment": "dev", "classification": "restricted"},
)

pulumi.export("policy", guard.policy_arn)
pulumi.export("document", guard.document)
