"""What a region guard lets through, as a service control policy and as a permission boundary.

The caller is granted everything, so that nothing but the guard refuses.
"""

from collections.abc import Mapping

import pytest
from asked import ACCOUNT, ELSEWHERE, HOME, REGIME, Who, role
from simulator import FULL_ACCESS, Decision, Document, Simulator

from falaj.components import RegionGuardMode
from falaj.components.region_guard import guard_policy

SCP, BOUNDARY = RegionGuardMode.SERVICE_CONTROL_POLICY, RegionGuardMode.PERMISSION_BOUNDARY
NAME = "dev-region-guard"
GUARD = f"arn:aws:iam::{ACCOUNT}:policy/{NAME}"
MEMBER, DEPLOYER, GLASS = role("member"), role("platform-deployer"), role("break-glass")
US = "us-east-1"

BOUND = {
    "s3:CreateBucket": "arn:aws:s3:::new",
    "s3:PutObject": "arn:aws:s3:::new/object",
    "kms:CreateKey": "*",
    "ec2:CreateVolume": f"arn:aws:ec2:{HOME}:{ACCOUNT}:volume/*",
    "eks:CreateCluster": "*",
    "secretsmanager:CreateSecret": f"arn:aws:secretsmanager:{HOME}:{ACCOUNT}:secret:one-AbCdEf",
    "logs:CreateLogGroup": f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:one",
}
REACHABLE = {
    "iam:ListRoles": "*",
    "sts:AssumeRole": f"arn:aws:iam::{ACCOUNT}:role/one",
    "sts:GetCallerIdentity": "*",
    "organizations:DescribeOrganization": "*",
    "route53:ListHostedZones": "*",
    "budgets:ViewBudget": f"arn:aws:budgets::{ACCOUNT}:budget/one",
    "support:DescribeCases": "*",
    "s3:ListAllMyBuckets": "*",
    "ec2:DescribeRegions": "*",
    "cloudfront:ListDistributions": "*",
}
FINDINGS = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/aws/events/dev-findings"
PROTECTED = {
    "organizations:LeaveOrganization": ("KeepAccount", "*"),
    "cloudtrail:StopLogging": ("KeepRecords", f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/one"),
    "config:StopConfigurationRecorder": ("KeepRecords", "*"),
    "logs:DeleteLogGroup": ("KeepLogs", FINDINGS),
    "logs:DeleteLogStream": ("KeepLogs", f"{FINDINGS}:log-stream:one"),
    "logs:PutRetentionPolicy": ("KeepLogs", FINDINGS),
    "logs:DisassociateKmsKey": ("KeepLogs", FINDINGS),
    "logs:AssociateKmsKey": ("KeepLogs", FINDINGS),
    "guardduty:DeleteDetector": ("KeepDetection", f"arn:aws:guardduty:{HOME}:{ACCOUNT}:detector/one"),
    "s3:PutReplicationConfiguration": ("NoCopiesOut", "arn:aws:s3:::bucket"),
    "kms:ReplicateKey": ("NoCopiesOut", f"arn:aws:kms:{HOME}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"),
}
DEPLOYERS_MAY = {"KeepRecords", "KeepLogs", "KeepDetection"}


def asks(
    iam: Simulator,
    mode: RegionGuardMode,
    action: str,
    resource: str,
    *,
    region: str = HOME,
    who: Who = MEMBER,
    context: Mapping[str, str] | None = None,
) -> Decision:
    """Decide a request under the guard in one of its forms."""
    guard = guard_policy(mode, REGIME, NAME, exempt=[GLASS.arn], deployers=[DEPLOYER.arn])
    root = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    key = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*", **root}]}
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", **root}]}
    policies = {"kms": key if ":key/" in resource else None, "sts": trust if ":role/" in resource else None}
    scps: list[list[Document]] = [[FULL_ACCESS], [FULL_ACCESS, guard]] if mode is SCP else []
    return iam.decide(
        who.arn,
        action,
        resource,
        account=ACCOUNT,
        identity_policies=[FULL_ACCESS],
        resource_policy=policies.get(action.partition(":")[0]),
        scps=scps,
        permission_boundaries=[guard] if mode is BOUNDARY else [],
        context={**who.context, "aws:RequestedRegion": region, **(context or {})},
    )


def kind(mode: RegionGuardMode) -> str:
    return "scp" if mode is SCP else "permissionBoundary"


@pytest.mark.parametrize("mode", [SCP, BOUNDARY])
@pytest.mark.parametrize("action", BOUND)
def test_what_holds_data_is_made_in_the_home_region_alone(iam, mode, action):
    resource = BOUND[action]
    assert asks(iam, mode, action, resource)
    for region in (ELSEWHERE, US, "me-south-1"):
        refused = asks(iam, mode, action, resource, region=region)
        assert refused.denied_by == (f"{kind(mode)}:HomeRegionOnly",)
    assert asks(iam, mode, action, resource, region=ELSEWHERE, who=GLASS)
    assert not asks(iam, mode, action, resource, region=ELSEWHERE, who=DEPLOYER)


@pytest.mark.parametrize("mode", [SCP, BOUNDARY])
@pytest.mark.parametrize("action", REACHABLE)
def test_global_services_stay_reachable(iam, mode, action):
    assert asks(iam, mode, action, REACHABLE[action], region=US)


@pytest.mark.parametrize("mode", [SCP, BOUNDARY])
@pytest.mark.parametrize("action", PROTECTED)
def test_records_detectors_and_borders_are_protected_in_the_home_region_too(iam, mode, action):
    sid, resource = PROTECTED[action]
    assert asks(iam, mode, action, resource).denied_by == (f"{kind(mode)}:{sid}",)
    assert asks(iam, mode, action, resource, who=GLASS)
    assert asks(iam, mode, action, resource, who=DEPLOYER).allowed is (sid in DEPLOYERS_MAY)


@pytest.mark.parametrize("mode", [SCP, BOUNDARY])
@pytest.mark.parametrize(
    "path", ["/falaj/dev/audit-trail", "/vpc/dev/network/flow-logs", "/aws/events/dev-findings", "/aws/eks/dev/cluster"]
)
def test_the_platform_s_log_groups_are_kept_and_written_to(iam, mode, path):
    group = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:{path}"
    assert asks(iam, mode, "logs:DeleteLogGroup", group).denied_by == (f"{kind(mode)}:KeepLogs",)
    assert asks(iam, mode, "logs:PutLogEvents", f"{group}:log-stream:one")
    assert asks(iam, mode, "logs:DeleteLogGroup", group.replace(path, "/vision/dev/training"))


@pytest.mark.parametrize("mode", [SCP, BOUNDARY])
def test_a_key_is_made_for_one_region(iam, mode):
    assert asks(iam, mode, "kms:CreateKey", "*", context={"kms:MultiRegion": "false"})
    denied = asks(iam, mode, "kms:CreateKey", "*", context={"kms:MultiRegion": "true"}).denied_by
    assert denied == (f"{kind(mode)}:NoMultiRegionKeys",)


def test_a_boundary_lets_no_service_through_that_nobody_has_looked_at(iam):
    assert asks(iam, SCP, "sagemaker:ListModels", "*")
    assert asks(iam, BOUNDARY, "sagemaker:ListModels", "*").because == "not allowed by pb"


def test_a_boundary_grants_nothing(iam):
    guard = guard_policy(BOUNDARY, REGIME, NAME)
    context = {**MEMBER.context, "aws:RequestedRegion": HOME}
    arguments = {"account": ACCOUNT, "permission_boundaries": [guard], "context": context}
    assert not iam.decide(MEMBER.arn, "kms:CreateKey", "*", **arguments)
    assert iam.decide(MEMBER.arn, "kms:CreateKey", "*", identity_policies=[FULL_ACCESS], **arguments)


@pytest.mark.parametrize("action", ["iam:CreateRole", "iam:PutRolePermissionsBoundary"])
def test_who_is_bound_makes_only_roles_that_are_bound(iam, action):
    new = f"arn:aws:iam::{ACCOUNT}:role/new"
    other = GUARD.replace(NAME, "loose")
    assert asks(iam, BOUNDARY, action, new, context={"iam:PermissionsBoundary": GUARD})
    for context in ({}, {"iam:PermissionsBoundary": other}):
        denied = asks(iam, BOUNDARY, action, new, context=context).denied_by
        assert denied == ("permissionBoundary:BoundaryOnNewIdentities",)


def test_a_boundary_is_neither_dropped_nor_edited(iam):
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/member"
    dropped = asks(iam, BOUNDARY, "iam:DeleteRolePermissionsBoundary", role_arn)
    assert dropped.denied_by == ("permissionBoundary:BoundaryStaysOn",)
    assert asks(iam, BOUNDARY, "iam:CreatePolicyVersion", GUARD).denied_by == (
        "permissionBoundary:BoundaryStaysAsItIs",
    )
    assert asks(iam, BOUNDARY, "iam:CreatePolicyVersion", GUARD, who=DEPLOYER)
    assert asks(iam, BOUNDARY, "iam:CreatePolicyVersion", GUARD.replace(NAME, "another"))
