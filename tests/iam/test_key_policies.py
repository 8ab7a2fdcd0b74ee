"""Who may do what with a key, decided on the policies that `key_policy` writes.

Each refusal differs from what is let through in one thing, so that it is that one thing that is refused.
"""

from collections.abc import Mapping

import pytest
from asked import (
    ACCOUNT,
    COLLEAGUES,
    ELSEWHERE,
    HOME,
    KEY,
    ORGANIZATION,
    OTHERS,
    REGIME,
    STRANGERS,
    Who,
    grants,
    role,
    service,
)
from simulator import FULL_ACCESS, Decision, Document, Simulator

from falaj.components import KeyUse
from falaj.components.key_policy import key_policy

TRAINER, KEEPER, PASSER_BY = role("trainer"), role("key-keepers"), role("passer-by")
CONTEXT = "kms:EncryptionContext:aws"
OURS = f"{HOME}:{ACCOUNT}"
TRAIL = f"arn:aws:cloudtrail:{OURS}:trail/a"

# Uses with the identity of the caller: what the service asks of KMS, and what it says beside it.
THROUGH = {
    KeyUse.S3: ("kms:Decrypt", {"kms:ViaService": f"s3.{HOME}.amazonaws.com"}),
    KeyUse.EFS: ("kms:GenerateDataKey", {"kms:ViaService": f"elasticfilesystem.{HOME}.amazonaws.com"}),
    KeyUse.FSX: ("kms:GenerateDataKey", {"kms:ViaService": f"fsx.{HOME}.amazonaws.com"}),
    KeyUse.ECR: ("kms:Decrypt", {"kms:ViaService": f"ecr.{HOME}.amazonaws.com"}),
    KeyUse.BACKUP: ("kms:Decrypt", {"kms:ViaService": f"backup.{HOME}.amazonaws.com"}),
    KeyUse.SNS: ("kms:GenerateDataKey", {"kms:ViaService": f"sns.{HOME}.amazonaws.com"}),
    KeyUse.SQS: ("kms:Decrypt", {"kms:ViaService": f"sqs.{HOME}.amazonaws.com"}),
    KeyUse.SECRETS_MANAGER: ("kms:Decrypt", {"kms:ViaService": f"secretsmanager.{HOME}.amazonaws.com"}),
    KeyUse.SSM: ("kms:Decrypt", {"kms:ViaService": f"ssm.{HOME}.amazonaws.com"}),
    KeyUse.CLOUDTRAIL: (
        "kms:Decrypt",
        {
            "kms:ViaService": f"s3.{HOME}.amazonaws.com",
            f"{CONTEXT}:cloudtrail:arn": f"arn:aws:cloudtrail:{OURS}:trail/a",
        },
    ),
}
# Uses of a role by itself, without a service between.
DIRECT = {
    KeyUse.EKS: ("kms:Encrypt", {}),
    KeyUse.NETWORK_FIREWALL: ("kms:DescribeKey", {}),
    KeyUse.VAULT_SEAL: ("kms:Decrypt", {}),
    KeyUse.SEALED_MODELS: ("kms:Decrypt", {"kms:EncryptionContext:tenant": "vision"}),
}
# Uses by a service's own principal: its name, what it asks, for which resource of ours, in which encryption context.
BY_SERVICE = {
    KeyUse.LOGS: (
        f"logs.{HOME}.amazonaws.com",
        "kms:Encrypt",
        "",
        {f"{CONTEXT}:logs:arn": f"arn:aws:logs:{OURS}:log-group:/vpc/flow"},
    ),
    KeyUse.CLOUDTRAIL: (
        "cloudtrail.amazonaws.com",
        "kms:GenerateDataKey",
        TRAIL,
        {f"{CONTEXT}:cloudtrail:arn": TRAIL},
    ),
    KeyUse.CONFIG: ("config.amazonaws.com", "kms:GenerateDataKey", "", {}),
    KeyUse.LOG_DELIVERY: ("delivery.logs.amazonaws.com", "kms:GenerateDataKey", f"arn:aws:logs:{OURS}:flow", {}),
    KeyUse.GUARDDUTY: (
        "guardduty.amazonaws.com",
        "kms:GenerateDataKey",
        f"arn:aws:guardduty:{OURS}:detector/a",
        {},
    ),
    KeyUse.MACIE: ("macie.amazonaws.com", "kms:GenerateDataKey", f"arn:aws:macie2:{OURS}:export-configuration:a", {}),
    KeyUse.INSPECTOR: ("inspector2.amazonaws.com", "kms:Decrypt", f"arn:aws:inspector2:{OURS}:report/a", {}),
    KeyUse.SNS: (
        "events.amazonaws.com",
        "kms:GenerateDataKey",
        "",
        {f"{CONTEXT}:sns:topicArn": f"arn:aws:sns:{OURS}:alarms"},
    ),
    KeyUse.SQS: ("sns.amazonaws.com", "kms:GenerateDataKey", "", {f"{CONTEXT}:sqs:arn": f"arn:aws:sqs:{OURS}:jobs"}),
}
BY_GRANT = [KeyUse.EKS, KeyUse.EFS, KeyUse.FSX, KeyUse.ECR, KeyUse.BACKUP, KeyUse.NETWORK_FIREWALL]
USED_IN_MAKING = {KeyUse.EFS, KeyUse.FSX, KeyUse.BACKUP}
"""Uses in which AWS wants a data key of who makes a resource, and that is an administrator."""
BY_ROLE = {KeyUse.EBS}
"""Uses of one service-linked role; a test of its own."""


def asks(
    iam: Simulator,
    policy: Document,
    who: Who,
    action: str,
    context: Mapping[str, str] | None = None,
    *,
    region: str = HOME,
    granted: bool = True,
) -> Decision:
    """Decide a request to KMS, by whom IAM allows everything or nothing."""
    return iam.decide(
        who.arn,
        action,
        KEY,
        account=ACCOUNT,
        identity_policies=[FULL_ACCESS] if granted and who.arn.startswith("arn:") else [],
        resource_policy=policy,
        context={"aws:RequestedRegion": region, **who.context, **(context or {})},
    )


def test_every_use_is_proven():
    assert {*THROUGH, *DIRECT, *BY_SERVICE, *BY_ROLE} == set(KeyUse)


@pytest.mark.parametrize("use", THROUGH)
def test_a_caller_with_a_grant_uses_the_key_through_the_service_and_in_no_other_way(iam, use):
    policy = key_policy(REGIME, [use])
    action, through = THROUGH[use]
    named = through["kms:ViaService"]
    assert asks(iam, policy, TRAINER, action, through)

    assert not asks(iam, policy, TRAINER, action, through, granted=False)
    directly = {key: value for key, value in through.items() if key != "kms:ViaService"}
    assert not asks(iam, policy, TRAINER, action, directly)
    assert not asks(iam, policy, TRAINER, action, through | {"kms:ViaService": f"dynamodb.{HOME}.amazonaws.com"})
    assert not asks(iam, policy, TRAINER, action, through | {"kms:ViaService": named.replace(HOME, ELSEWHERE)})


@pytest.mark.parametrize("use", [*THROUGH, *DIRECT])
def test_nobody_uses_the_key_from_elsewhere_or_for_others(iam, use):
    policy = key_policy(REGIME, [use], users=[TRAINER.arn] if use is KeyUse.VAULT_SEAL else [])
    action, context = {**THROUGH, **DIRECT}[use]
    assert asks(iam, policy, TRAINER, action, context)

    def refused(who: Who, by: str, region: str = HOME) -> bool:
        decision = asks(iam, policy, who, action, context, region=region)
        # To describe is no use: nothing denies it, and administrators may do it from anywhere.
        return not decision and (f"resource:{by}" in decision.denied_by or action == "kms:DescribeKey")

    assert refused(role("trainer", COLLEAGUES), "DenyOutsideAccount")
    assert refused(role("trainer", STRANGERS, OTHERS), "DenyOutsideAccount")
    if action != "kms:DescribeKey":
        assert refused(TRAINER, "DenyOutsideHomeRegion", ELSEWHERE)
        assert refused(role("trainer", organization=OTHERS), "DenyOutsideOrganization")
        assert refused(role("trainer", organization=None), "DenyOutsideOrganization")


@pytest.mark.parametrize("use", [*THROUGH, *DIRECT])
def test_where_users_are_named_nobody_else_uses_the_key_and_they_need_no_other_grant(iam, use):
    policy = key_policy(REGIME, [use], [KEEPER.arn], [TRAINER.arn])
    action, context = {**THROUGH, **DIRECT}[use]
    assert asks(iam, policy, TRAINER, action, context)
    assert asks(iam, policy, TRAINER, action, context, granted=False)

    assert not asks(iam, policy, PASSER_BY, action, context)
    if action != "kms:DescribeKey":  # which is administration as well
        assert not asks(iam, policy, KEEPER, action, context)


@pytest.mark.parametrize("use", DIRECT)
def test_a_direct_use_needs_a_grant(iam, use):
    if use is not KeyUse.VAULT_SEAL:  # whose users are always named
        action, context = DIRECT[use]
        assert not asks(iam, key_policy(REGIME, [use], [KEEPER.arn]), TRAINER, action, context, granted=False)


def test_a_seal_encrypts_and_decrypts_and_makes_no_data_keys(iam):
    policy = key_policy(REGIME, [KeyUse.VAULT_SEAL], [KEEPER.arn], [TRAINER.arn])
    assert asks(iam, policy, TRAINER, "kms:Encrypt")
    for action in ("kms:GenerateDataKey", "kms:CreateGrant", "kms:ReEncryptFrom"):
        assert not asks(iam, policy, TRAINER, action)


@pytest.mark.parametrize("action", ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:RevokeGrant"])
def test_administrators_administer_and_users_do_not(iam, action):
    policy = key_policy(REGIME, [KeyUse.S3], [KEEPER.arn], [TRAINER.arn])
    assert asks(iam, policy, KEEPER, action)
    assert asks(iam, policy, KEEPER, action, granted=False)

    assert not asks(iam, policy, TRAINER, action)
    assert not asks(iam, policy, PASSER_BY, action)
    assert not asks(iam, policy, role("key-keepers", STRANGERS, OTHERS), action)


@pytest.mark.parametrize("action", ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"])
def test_administrators_do_not_use_the_key_whatever_iam_says(iam, action):
    through = {"kms:ViaService": f"efs.{HOME}.amazonaws.com"} | THROUGH[KeyUse.EFS][1]
    named = key_policy(REGIME, [KeyUse.EFS], [KEEPER.arn], [TRAINER.arn])
    context = through | ({"kms:GrantIsForAWSResource": "true"} if action == "kms:CreateGrant" else {})
    assert asks(iam, named, TRAINER, action, context)
    assert not asks(iam, named, KEEPER, action, context)


@pytest.mark.parametrize("use", [*THROUGH, KeyUse.EKS])
def test_where_iam_decides_who_uses_a_key_it_decides_for_everybody_but_the_administrators(iam, use):
    action, context = {**THROUGH, **DIRECT}[use]
    policy = key_policy(REGIME, [use], [KEEPER.arn])
    assert asks(iam, policy, TRAINER, action, context)
    assert asks(iam, policy, KEEPER, action, context).allowed is (use in USED_IN_MAKING)
    assert asks(iam, key_policy(REGIME, [use]), KEEPER, action, context)


@pytest.mark.parametrize("use", BY_GRANT)
def test_an_administrator_hands_the_key_to_what_it_makes(iam, use):
    policy = key_policy(REGIME, [use], [KEEPER.arn])
    via = THROUGH[use][1] if use in THROUGH else {}
    assert asks(iam, policy, KEEPER, "kms:CreateGrant", via | {"kms:GrantIsForAWSResource": "true"})
    assert not asks(iam, policy, KEEPER, "kms:CreateGrant", via)
    assert asks(iam, policy, KEEPER, "kms:DescribeKey")


@pytest.mark.parametrize("use", list(KeyUse))
def test_a_key_is_never_copied(iam, use):
    policy = key_policy(REGIME, [use], [KEEPER.arn], [TRAINER.arn])
    for who in (KEEPER, TRAINER):
        for action in ("kms:ReplicateKey", "kms:UpdatePrimaryRegion"):
            assert asks(iam, policy, who, action).denied_by == ("resource:DenyCopies",)


@pytest.mark.parametrize(
    "use", [KeyUse.EKS, KeyUse.EFS, KeyUse.FSX, KeyUse.ECR, KeyUse.BACKUP, KeyUse.NETWORK_FIREWALL]
)
def test_a_grant_is_for_aws_resources_alone(iam, use):
    policy = key_policy(REGIME, [use], users=[TRAINER.arn])
    via = THROUGH[use][1] if use in THROUGH else {}
    assert asks(iam, policy, TRAINER, "kms:CreateGrant", via | {"kms:GrantIsForAWSResource": "true"})
    assert not asks(iam, policy, TRAINER, "kms:CreateGrant", via | {"kms:GrantIsForAWSResource": "false"})
    assert not asks(iam, policy, TRAINER, "kms:CreateGrant", via)


@pytest.mark.parametrize("use", [KeyUse.S3, KeyUse.SNS, KeyUse.SQS, KeyUse.SSM, KeyUse.SECRETS_MANAGER, KeyUse.LOGS])
def test_where_no_service_needs_a_grant_nobody_makes_one(iam, use):
    context = (THROUGH[use][1] if use in THROUGH else {}) | {"kms:GrantIsForAWSResource": "true"}
    assert not asks(iam, key_policy(REGIME, [use], [KEEPER.arn]), TRAINER, "kms:CreateGrant", context)


@pytest.mark.parametrize("use", BY_SERVICE)
def test_a_service_works_with_the_key_for_our_account_only(iam, use):
    name, action, source, context = BY_SERVICE[use]
    policy = key_policy(REGIME, [use])
    assert asks(iam, policy, service(name, arn=source), action, context)

    assert not asks(iam, policy, service("lambda.amazonaws.com", arn=source), action, context)
    for account, organization in ((STRANGERS, OTHERS), (COLLEAGUES, ORGANIZATION)):
        for_others = service(name, account, organization, source.replace(ACCOUNT, account))
        theirs = {key: value.replace(ACCOUNT, account) for key, value in context.items()}
        assert not asks(iam, policy, for_others, action, theirs)
    # A deputy that is confused names our resource, and itself for whom it works.
    assert asks(iam, policy, service(name, STRANGERS, OTHERS, source), action, context).denied_by == (
        "resource:DenyServicesForOthers",
    )
    assert not asks(iam, policy, service(name, arn=source), action, context, region=ELSEWHERE)
    if context:
        assert not asks(iam, policy, service(name, arn=source), action, theirs)
    if source:
        assert not asks(iam, policy, service(name, arn=source.replace(HOME, ELSEWHERE)), action, context)


def test_the_organization_s_trail_works_for_its_other_accounts_and_for_no_others(iam):
    policy, context = key_policy(REGIME, [KeyUse.CLOUDTRAIL]), BY_SERVICE[KeyUse.CLOUDTRAIL][3]

    def encrypts(account: str, organization: str) -> Decision:
        trail = service("cloudtrail.amazonaws.com", account, organization, TRAIL)
        return asks(iam, policy, trail, "kms:GenerateDataKey", context)

    assert encrypts(COLLEAGUES, ORGANIZATION)
    assert not encrypts(STRANGERS, OTHERS)
    for arn, described in ((TRAIL, True), (TRAIL.replace(ACCOUNT, STRANGERS), False)):
        trail = service("cloudtrail.amazonaws.com", arn=arn)
        assert asks(iam, policy, trail, "kms:DescribeKey").allowed is described


def test_node_disks_are_attached_by_the_service_linked_role_and_by_no_other(iam):
    policy = key_policy(REGIME, [KeyUse.EBS], [KEEPER.arn])
    auto_scaling = role("aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling")
    grant = {"kms:GrantIsForAWSResource": "true"}
    assert asks(iam, policy, auto_scaling, "kms:GenerateDataKeyWithoutPlaintext", granted=False)
    assert asks(iam, policy, auto_scaling, "kms:CreateGrant", grant, granted=False)

    assert not asks(iam, policy, auto_scaling, "kms:CreateGrant", granted=False)
    for who in (PASSER_BY, KEEPER, role("AWSServiceRoleForAutoScaling")):
        assert not asks(iam, policy, who, "kms:GenerateDataKeyWithoutPlaintext")
        assert not asks(iam, policy, who, "kms:CreateGrant", grant)
    assert not asks(iam, policy, auto_scaling, "kms:Decrypt", region=ELSEWHERE)


def test_a_linked_bucket_is_read_by_the_file_system_s_role_through_s3_alone(iam):
    policy = key_policy(REGIME, [KeyUse.FSX], users=[TRAINER.arn])
    lustre = "aws-service-role/s3.data-source.lustre.fsx.amazonaws.com/AWSServiceRoleForFSxS3Access_fs-0123"
    via = {"kms:ViaService": f"s3.{HOME}.amazonaws.com"}
    assert asks(iam, policy, role(lustre), "kms:Decrypt", via)

    assert not asks(iam, policy, role(lustre), "kms:Decrypt")
    assert not asks(iam, policy, PASSER_BY, "kms:Decrypt", via)
    assert not asks(iam, policy, role(lustre, STRANGERS, OTHERS), "kms:Decrypt", via)


def test_imported_material_is_brought_by_administrators_of_keys_that_say_so(iam):
    for imported in (True, False):
        policy = key_policy(REGIME, [KeyUse.S3], [KEEPER.arn], [TRAINER.arn], imported=imported)
        assert bool(asks(iam, policy, KEEPER, "kms:ImportKeyMaterial")) is imported
        assert not asks(iam, policy, TRAINER, "kms:ImportKeyMaterial")


def test_a_regime_without_an_organization_still_keeps_to_its_account(iam):
    policy = key_policy({"home_region": HOME, "account_id": ACCOUNT}, [KeyUse.S3])
    action, through = THROUGH[KeyUse.S3]
    assert asks(iam, policy, role("trainer", organization=None), action, through)
    assert not asks(iam, policy, role("trainer", STRANGERS, None), action, through)


def test_a_grant_in_iam_alone_opens_no_key_whose_policy_does_not_ask_iam(iam):
    policy = key_policy(REGIME, [KeyUse.LOGS], [KEEPER.arn])
    assert not asks(iam, policy, TRAINER, "kms:Decrypt")
    assert not iam.decide(
        TRAINER.arn,
        "kms:Decrypt",
        KEY,
        account=ACCOUNT,
        identity_policies=[grants("kms:Decrypt", resource=KEY)],
        resource_policy=policy,
        context={"aws:RequestedRegion": HOME, **TRAINER.context},
    )
