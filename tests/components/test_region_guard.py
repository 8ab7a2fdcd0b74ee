"""RegionGuard: what it denies, to whom, what it leaves reachable and why, and its refusals."""

import json
from fnmatch import fnmatchcase

import pytest
from component_samples import OWNERSHIP, REGIME

from falaj.components import ConfigError, RegionGuard, RegionGuardMode
from falaj.components.region_guard import LONGEST, deny_regions, global_services, guard_policy, protections

SCP, BOUNDARY = RegionGuardMode.SERVICE_CONTROL_POLICY, RegionGuardMode.PERMISSION_BOUNDARY
UNIT = "ou-ab12-cdef3456"
ARGS = {"mode": SCP, "targets": [UNIT], "regime": REGIME, "ownership": OWNERSHIP}
GLASS = "arn:aws:iam::123456789012:role/break-glass"
DEPLOYER = "arn:aws:iam::123456789012:role/deployer"


def statement(policy, sid):
    (found,) = [each for each in policy["Statement"] if each["Sid"] == sid]
    return found


def exempt(statement):
    return statement.get("Condition", {}).get("ArnNotLike", {}).get("aws:PrincipalArn", [])


def reachable(action):
    return any(fnmatchcase(action, pattern) for pattern in deny_regions("me-central-1")["NotAction"])


def test_every_region_but_the_home_region_is_denied():
    denial = deny_regions("me-central-1")
    assert (denial["Effect"], denial["Resource"]) == ("Deny", "*")
    assert denial["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": "me-central-1"}}


@pytest.mark.parametrize("action", ["iam:GetRole", "sts:GetCallerIdentity", "route53:ChangeResourceRecordSets"])
def test_what_the_platform_cannot_do_without_stays_reachable(action):
    assert reachable(action)


@pytest.mark.parametrize(
    "action",
    [
        *("s3:PutObject", "s3:CreateBucket", "kms:Decrypt", "kms:CreateKey", "ec2:RunInstances", "ec2:CopySnapshot"),
        *("cloudfront:CreateDistribution", "globalaccelerator:CreateAccelerator", "organizations:LeaveOrganization"),
        *("account:EnableRegion", "bedrock:InvokeModel", "sagemaker:CreateTrainingJob", "logs:PutLogEvents"),
    ],
)
def test_nothing_that_holds_or_moves_data_stays_reachable(action):
    assert not reachable(action)


def test_every_exception_and_every_protection_has_its_reason_and_source():
    for each in (*global_services(), *protections()):
        assert len(each.why) > 20, each
        assert each.source.startswith("https://docs.aws.amazon.com/"), each
        assert each.actions, each


def test_no_exception_opens_a_service_that_holds_data():
    whole = {action for each in global_services() for action in each.actions if action.endswith(":*")}
    assert whole == {"budgets:*", "iam:*", "pricing:*", "route53:*", "support:*"}


def test_a_service_control_policy_only_denies():
    assert {each["Effect"] for each in guard_policy(SCP, REGIME, "p")["Statement"]} == {"Deny"}


def test_a_boundary_lets_the_platform_s_services_through_and_what_a_stack_adds():
    policy = guard_policy(BOUNDARY, REGIME, "p", also_services=["sagemaker"])
    (passage,) = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    assert {"s3:*", "kms:*", "eks:*", "sagemaker:*"} <= set(passage["Action"])
    assert not {"*", "bedrock:*"} & set(passage["Action"])


def test_what_a_boundary_leaves_reachable_it_lets_through():
    (passage,) = [each for each in guard_policy(BOUNDARY, REGIME, "p")["Statement"] if each["Effect"] == "Allow"]
    services = {action.partition(":")[0] for each in global_services() for action in each.actions}
    assert services <= {action.partition(":")[0] for action in passage["Action"]}


def test_a_boundary_is_neither_dropped_nor_edited_nor_left_off_a_new_role():
    policy = guard_policy(BOUNDARY, REGIME, "test-region-guard")
    arn = "arn:aws:iam::123456789012:policy/test-region-guard"
    making = statement(policy, "BoundaryOnNewIdentities")
    assert {"iam:CreateRole", "iam:PutRolePermissionsBoundary"} <= set(making["Action"])
    assert making["Condition"] == {"StringNotEquals": {"iam:PermissionsBoundary": arn}}
    assert "iam:DeleteRolePermissionsBoundary" in statement(policy, "BoundaryStaysOn")["Action"]
    editing = statement(policy, "BoundaryStaysAsItIs")
    assert "iam:CreatePolicyVersion" in editing["Action"]
    assert editing["Resource"] == arn


@pytest.mark.parametrize("mode", RegionGuardMode)
def test_the_broken_glass_is_bound_by_nothing(mode):
    denials = [
        each for each in guard_policy(mode, REGIME, "p", exempt=[GLASS])["Statement"] if each["Effect"] == "Deny"
    ]
    assert all(GLASS in exempt(each) for each in denials)


def test_deployers_may_change_records_log_groups_and_detectors_and_nothing_else():
    policy = guard_policy(SCP, REGIME, "p", deployers=[DEPLOYER])
    open_to_them = {each["Sid"] for each in policy["Statement"] if DEPLOYER in exempt(each)}
    assert open_to_them == {"KeepRecords", "KeepLogs", "KeepDetection"}


@pytest.mark.parametrize(
    ("sid", "action"),
    [
        ("KeepAccount", "organizations:LeaveOrganization"),
        ("KeepRecords", "cloudtrail:StopLogging"),
        ("KeepRecords", "config:StopConfigurationRecorder"),
        ("KeepLogs", "logs:DeleteLogGroup"),
        ("KeepDetection", "guardduty:DeleteDetector"),
        ("KeepDetection", "macie2:DisableMacie"),
        ("KeepDetection", "securityhub:DisableSecurityHub"),
        ("NoCopiesOut", "s3:PutReplicationConfiguration"),
        ("NoCopiesOut", "kms:ReplicateKey"),
        ("NoCopiesOut", "ec2:ModifySnapshotAttribute"),
    ],
)
def test_the_foundation_s_protection_cannot_be_taken_away(sid, action):
    assert action in statement(guard_policy(SCP, REGIME, "p"), sid)["Action"]


def test_only_multi_region_keys_are_denied_of_all_keys():
    denial = statement(guard_policy(SCP, REGIME, "p"), "NoMultiRegionKeys")
    assert denial["Condition"] == {"Bool": {"kms:MultiRegion": "true"}}


@pytest.mark.parametrize("mode", RegionGuardMode)
def test_there_is_room_for_more_below_what_aws_takes(mode):
    assert len(json.dumps(guard_policy(mode, REGIME, "p"), separators=(",", ":"))) < LONGEST[mode] - 1000


def test_a_service_control_policy_is_attached_to_each_target(run, engine, providers):
    targets = ["r-ab12", UNIT, "123456789012"]
    text = run(lambda: RegionGuard("guard", {**ARGS, "targets": targets}, providers()).document)
    policy = engine.one("Policy")
    assert policy["type"] == "SERVICE_CONTROL_POLICY"
    assert policy["content"] == text
    assert json.loads(text) == guard_policy(SCP, REGIME, "test-region-guard")
    assert policy["tags"]["owner"] == "ml-platform"
    attached = engine.all("PolicyAttachment")
    assert {each["targetId"] for each in attached} == set(targets)
    assert {each["policyId"] for each in attached} == {"guard-policy-id"}


def test_a_boundary_is_an_iam_policy_of_the_account(run, engine, providers):
    args = {**ARGS, "mode": BOUNDARY, "targets": [], "exempt_principals": [GLASS], "deployers": [DEPLOYER]}
    arn = run(lambda: RegionGuard("guard", args, providers()).policy_arn)
    policy = engine.one("Policy")
    assert arn == "arn:aws:mock:me-central-1:123456789012:guard-boundary"
    wanted = guard_policy(BOUNDARY, REGIME, "test-region-guard", exempt=[GLASS], deployers=[DEPLOYER])
    assert json.loads(policy["policy"]) == wanted
    assert engine.all("PolicyAttachment") == []


def test_what_a_stack_adds_with_a_reason_stays_reachable(run, providers):
    more = [{"actions": ["chatbot:Describe*"], "why": "Alarms are told in the team's chat"}]
    text = run(lambda: RegionGuard("guard", {**ARGS, "also_reachable": more}, providers()).document)
    assert "chatbot:Describe*" in statement(json.loads(text), "HomeRegionOnly")["NotAction"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"mode": "both"},
            "guard.mode must be one of service-control-policy, permission-boundary (got 'both')",
        ),
        (
            {"targets": []},
            "guard.targets must name what the policy is attached to, such as ou-ab12-cdef3456 (got [])",
        ),
        (
            {"mode": BOUNDARY},
            "guard.targets must be left out with a permission boundary, which roles carry (got ['ou-ab12-cdef3456'])",
        ),
        (
            {"targets": ["prod"]},
            "guard.targets must be the id of a root, organizational unit or account, such as ou-ab12-cdef3456"
            " (got 'prod')",
        ),
        (
            {"exempt_principals": ["*"]},
            "guard.exempt_principals must be ARNs of IAM roles or users without wildcards (got '*')",
        ),
        (
            {"also_reachable": [{"actions": ["chatbot:*"], "why": " "}]},
            "guard.also_reachable.why must say what would stand still without the actions (got ' ')",
        ),
        (
            {"also_reachable": [{"actions": ["*"], "why": "everything"}]},
            "guard.also_reachable.actions must be actions of one service, such as chatbot:Describe* (got '*')",
        ),
        (
            {"also_services": ["sagemaker"]},
            "guard.also_services must be left out with a service control policy, which only denies (got ['sagemaker'])",
        ),
        (
            {"mode": BOUNDARY, "targets": [], "also_services": ["*"]},
            "guard.also_services must be a service as IAM writes it before the colon, such as sagemaker (got '*')",
        ),
        (
            {"regime": {**REGIME, "home_region": "us-east-1"}},
            "guard.regime.home_region must be a region that uae-restricted allows: me-central-1 (got 'us-east-1')",
        ),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_made(run, engine, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: RegionGuard("guard", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
    assert engine.made == [] or all(each.typ.startswith("pulumi:providers:") for each in engine.made)


def test_a_policy_that_aws_would_not_take_is_refused_with_its_length(run, providers):
    actions = [f"chatbot:Describe{'A' * length}" for length in range(20, 80)]
    many = [{"actions": actions, "why": "Nobody reads this much"}]
    with pytest.raises(ConfigError, match=r"guard\.also_reachable must leave the policy within the 5120 characters"):
        run(lambda: RegionGuard("guard", {**ARGS, "also_reachable": many}, providers()))
