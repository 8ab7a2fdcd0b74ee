"""Who reaches repositories, file systems, recovery points, topics and roles, decided on the components' own policies.

The caller's own account grants everything, so that nothing but the resource's policy refuses.
"""

import pytest
from asked import ACCOUNT, COLLEAGUES, ELSEWHERE, HOME, OTHERS, REGIME, STRANGERS, Who, role, service
from simulator import FULL_ACCESS, Decision, Document, Simulator

from falaj.components.backup import vault_policy
from falaj.components.backup_role import backup_trust
from falaj.components.findings import group_policy, topic_policy
from falaj.components.home_folders import file_system_policy
from falaj.components.image_policies import registry_policy, repository_policy
from falaj.components.network_flow_log import flow_log_trust

TRAINER, COLLEAGUE, STRANGER = role("trainer"), role("trainer", COLLEAGUES), role("trainer", STRANGERS, OTHERS)
REPOSITORY = f"arn:aws:ecr:{HOME}:{ACCOUNT}:repository/base"
FILES = f"arn:aws:elasticfilesystem:{HOME}:{ACCOUNT}:file-system/fs-0123456789abcdef0"
POINT = f"arn:aws:backup:{HOME}:{ACCOUNT}:recovery-point:one"
TOPIC, RULE = f"arn:aws:sns:{HOME}:{ACCOUNT}:findings", f"arn:aws:events:{HOME}:{ACCOUNT}:rule/findings"
GROUP = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/aws/events/findings"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/of-a-service"


def asks(iam: Simulator, policy: Document, who: Who, action: str, resource: str, **context: str) -> Decision:
    """Decide a request by whom IAM of their own account allows everything."""
    return iam.decide(
        who.arn,
        action,
        resource,
        account=ACCOUNT,
        identity_policies=[FULL_ACCESS] if who.arn.startswith("arn:") else [],
        resource_policy=policy,
        context={"aws:RequestedRegion": HOME, **who.context, **context},
    )


@pytest.mark.parametrize("action", ["ecr:BatchGetImage", "ecr:PutImage", "ecr:BatchDeleteImage"])
def test_images_are_for_the_account_and_where_they_are_shared_the_organization_pulls_and_no_more(iam, action):
    pulls = action == "ecr:BatchGetImage"
    for shared in (False, True):
        policy = repository_policy(REGIME, shared=shared)
        assert asks(iam, policy, TRAINER, action, REPOSITORY)
        assert asks(iam, policy, COLLEAGUE, action, REPOSITORY).allowed is (shared and pulls)
        stranger = asks(iam, policy, STRANGER, action, REPOSITORY)
        assert not stranger
        assert "resource:DenyOutside" in stranger.denied_by


def test_a_shared_repository_is_only_pulled_from_even_where_a_careless_statement_allows_more(iam):
    policy = repository_policy(REGIME, shared=True)
    allow = {"Effect": "Allow", "Principal": {"AWS": COLLEAGUE.arn}, "Action": "ecr:*"}
    careless = {**policy, "Statement": [*policy["Statement"], allow]}
    assert asks(iam, careless, COLLEAGUE, "ecr:BatchGetImage", REPOSITORY)
    pushed = asks(iam, careless, COLLEAGUE, "ecr:PutImage", REPOSITORY)
    assert pushed.denied_by == ("resource:DenyAllButPullToOtherAccounts",)


@pytest.mark.parametrize("action", ["ecr:CreateRepository", "ecr:BatchImportUpstreamImage"])
def test_mirrors_are_filled_by_importers_and_by_nobody_from_elsewhere(iam, action):
    policy = registry_policy(REGIME, ["mirror"], [TRAINER.arn])
    mirror = REPOSITORY.replace("base", "mirror/base")

    def fills(who: Who, resource: str = mirror, granted: bool = False) -> Decision:
        return iam.decide(
            who.arn,
            action,
            resource,
            account=ACCOUNT,
            identity_policies=[FULL_ACCESS] if granted else [],
            resource_policy=policy,
            context={"aws:RequestedRegion": HOME, **who.context},
        )

    assert fills(TRAINER)
    assert not fills(TRAINER, REPOSITORY)
    assert not fills(role("passer-by"))
    assert fills(COLLEAGUE, granted=True).denied_by == ("resource:DenyCreationOutsideAccount",)


@pytest.mark.parametrize("shared", [True, False])
def test_a_service_of_aws_that_is_let_in_is_not_taken_for_a_stranger(iam, shared):
    policy = repository_policy(REGIME, shared=shared)
    allow = {"Effect": "Allow", "Principal": {"Service": "inspector2.amazonaws.com"}, "Action": "ecr:BatchGetImage"}
    opened = {**policy, "Statement": [*policy["Statement"], allow]}
    assert asks(iam, opened, service("inspector2.amazonaws.com"), "ecr:BatchGetImage", REPOSITORY)
    assert not asks(iam, policy, service("inspector2.amazonaws.com"), "ecr:BatchGetImage", REPOSITORY)


def test_nobody_sends_images_from_another_registry(iam):
    policy = registry_policy(REGIME, [], [])
    for who in (TRAINER, COLLEAGUE):
        assert asks(iam, policy, who, "ecr:ReplicateImage", REPOSITORY).denied_by == ("resource:DenyReplication",)
    assert asks(iam, policy, TRAINER, "ecr:CreateRepository", REPOSITORY)


MOUNTED = {
    "aws:SecureTransport": "true",
    "elasticfilesystem:AccessedViaMountTarget": "true",
    "elasticfilesystem:AccessPointArn": f"arn:aws:elasticfilesystem:{HOME}:{ACCOUNT}:access-point/fsap-1",
}
WITHOUT = {key: value for key, value in MOUNTED.items() if key != "elasticfilesystem:AccessPointArn"}


@pytest.mark.parametrize(
    ("who", "action", "context", "by"),
    [
        (TRAINER, "ClientWrite", MOUNTED | {"aws:SecureTransport": "false"}, "DenyPlaintext"),
        (
            TRAINER,
            "ClientMount",
            MOUNTED | {"elasticfilesystem:AccessedViaMountTarget": "false"},
            "DenyOutsideTheNetwork",
        ),
        (COLLEAGUE, "ClientMount", MOUNTED, "DenyOutsideAccount"),
        (STRANGER, "ClientMount", MOUNTED, "DenyOutsideAccount"),
        (TRAINER, "ClientRootAccess", MOUNTED, "DenyRoot"),
        (TRAINER, "ClientWrite", WITHOUT, "DenyWithoutAccessPoint"),
    ],
)
def test_home_folders_are_mounted_as_they_are_meant_to_be(iam, who, action, context, by):
    policy = file_system_policy(FILES, REGIME, by_access_point=True)
    assert asks(iam, policy, TRAINER, "elasticfilesystem:ClientMount", FILES, **MOUNTED)
    assert asks(iam, policy, TRAINER, "elasticfilesystem:ClientWrite", FILES, **MOUNTED)

    refused = asks(iam, policy, who, f"elasticfilesystem:{action}", FILES, **context)
    assert refused.denied_by == (f"resource:{by}",)


@pytest.mark.parametrize(
    ("action", "by"),
    [
        ("backup:DeleteRecoveryPoint", "DenyDeletion"),
        ("backup:UpdateRecoveryPointLifecycle", "DenyDeletion"),
        ("backup:StartCopyJob", "DenyCopies"),
    ],
)
def test_recovery_points_are_neither_deleted_nor_copied(iam, action, by):
    assert asks(iam, vault_policy(), TRAINER, action, POINT).denied_by == (f"resource:{by}",)
    assert asks(iam, vault_policy(), TRAINER, "backup:DescribeRecoveryPoint", POINT)


def test_findings_are_told_by_the_rule_alone(iam):
    for policy, action, resource in (
        (topic_policy(TOPIC, RULE), "sns:Publish", TOPIC),
        (group_policy(GROUP, RULE), "logs:PutLogEvents", f"{GROUP}:log-stream:one"),
    ):
        assert asks(iam, policy, service("events.amazonaws.com", arn=RULE), action, resource)
        assert not asks(iam, policy, service("events.amazonaws.com", arn=f"{RULE}-other"), action, resource)
        theirs = service("events.amazonaws.com", STRANGERS, OTHERS, RULE.replace(ACCOUNT, STRANGERS))
        assert not asks(iam, policy, theirs, action, resource)
        assert not asks(iam, policy, service("s3.amazonaws.com", arn=RULE), action, resource)
        assert not asks(iam, policy, STRANGER, action, resource)
    plain = asks(iam, topic_policy(TOPIC, RULE), TRAINER, "sns:Publish", TOPIC, **{"aws:SecureTransport": "false"})
    assert plain.denied_by == ("resource:DenyPlaintext",)


@pytest.mark.parametrize(
    ("trust", "name", "arn"),
    [
        (backup_trust(REGIME), "backup.amazonaws.com", ""),
        (flow_log_trust(REGIME), "vpc-flow-logs.amazonaws.com", f"arn:aws:ec2:{HOME}:{ACCOUNT}:vpc-flow-log/fl-1"),
    ],
    ids=["backup", "flow logs"],
)
def test_a_role_of_a_service_is_assumed_by_it_for_our_account_and_by_nobody_else(iam, trust, name, arn):
    assert asks(iam, trust, service(name, arn=arn), "sts:AssumeRole", ROLE)

    assert not asks(iam, trust, service(name, STRANGERS, OTHERS, arn), "sts:AssumeRole", ROLE)
    assert not asks(iam, trust, service(name, None), "sts:AssumeRole", ROLE)
    assert not asks(iam, trust, service("lambda.amazonaws.com", arn=arn), "sts:AssumeRole", ROLE)
    assert not asks(iam, trust, TRAINER, "sts:AssumeRole", ROLE)
    if arn:
        assert not asks(iam, trust, service(name, arn=arn.replace(HOME, ELSEWHERE)), "sts:AssumeRole", ROLE)
