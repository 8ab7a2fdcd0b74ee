"""The policy of a key: who may do what, per use, and what is denied whatever IAM says."""

import json

import pytest
from component_samples import REGIME

from falaj.components import ConfigError, KeyUse
from falaj.components.key_policy import check_separation, key_policy
from falaj.policies.documents import statements
from falaj.policies.values import View

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
KEEPER, TRAINER = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("keeper", "trainer"))
IN_ORGANIZATION = {**REGIME, "organization_id": "o-a1b2c3d4e5"}
EACH_USE = pytest.mark.parametrize("uses", [[use] for use in KeyUse] + [list(KeyUse)], ids="+".join)
THROUGH = {
    KeyUse.S3: ("S3", "s3"),
    KeyUse.EFS: ("Efs", "elasticfilesystem"),
    KeyUse.FSX: ("Fsx", "fsx"),
    KeyUse.ECR: ("Ecr", "ecr"),
    KeyUse.BACKUP: ("Backup", "backup"),
    KeyUse.SNS: ("Sns", "sns"),
    KeyUse.SQS: ("Sqs", "sqs"),
    KeyUse.SECRETS_MANAGER: ("SecretsManager", "secretsmanager"),
    KeyUse.SSM: ("Ssm", "ssm"),
}
USING = ("Encrypt", "Decrypt", "GenerateDataKey", "ReEncrypt", "CreateGrant")


def statement(policy, sid):
    (found,) = [each for each in policy["Statement"] if each["Sid"] == sid]
    return found


def allowed(policy):
    return [each for each in policy["Statement"] if each["Effect"] == "Allow"]


def test_use_from_another_region_is_denied_to_everyone():
    denial = statement(key_policy(REGIME, [KeyUse.S3]), "DenyOutsideHomeRegion")
    assert denial["Effect"] == "Deny"
    assert denial["Principal"] == {"AWS": "*"}
    assert denial["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": "me-central-1"}}
    assert {"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:CreateGrant"} <= set(denial["Action"])


def test_use_from_another_account_is_denied_but_services_of_aws_stay_possible():
    denial = statement(key_policy(REGIME, [KeyUse.LOGS]), "DenyOutsideAccount")
    assert denial["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": ACCOUNT}
    assert denial["Condition"]["BoolIfExists"] == {"aws:PrincipalIsAWSService": "false"}


def test_a_service_that_works_for_another_account_is_denied():
    denial = statement(key_policy(REGIME, [KeyUse.CONFIG]), "DenyServicesForOthers")
    assert denial["Condition"] == {
        "Bool": {"aws:PrincipalIsAWSService": "true"},
        "Null": {"aws:SourceAccount": "false"},
        "StringNotEquals": {"aws:SourceAccount": ACCOUNT},
    }


def test_with_an_organization_who_is_outside_it_is_denied_but_services_of_aws_stay_possible():
    policy = key_policy(IN_ORGANIZATION, [KeyUse.S3])
    assert statement(policy, "DenyOutsideOrganization")["Condition"] == {
        "StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }
    assert statement(policy, "DenyServicesForOthers")["Condition"]["StringNotEquals"] == {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceOrgID": "o-a1b2c3d4e5",
    }


@EACH_USE
def test_no_denial_takes_administration_away(uses):
    policy = key_policy(IN_ORGANIZATION, uses)
    administer = set(statement(policy, "Administer")["Action"])
    assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"} <= administer
    for each in policy["Statement"]:
        if each["Effect"] == "Deny":
            assert not administer & set(each["Action"])


@EACH_USE
def test_nothing_is_allowed_to_everyone_or_without_limit(uses):
    policy = key_policy(REGIME, uses)
    for each in allowed(policy):
        assert not {"*", "kms:*"} & set(each["Action"])
    for each in statements(View(json.dumps(policy), "policy")):
        assert each.open_to_anyone().truth is False


@EACH_USE
def test_every_use_is_bounded_by_a_condition_or_by_one_role(uses):
    for each in allowed(key_policy(REGIME, uses)):
        if each["Sid"] not in ("Administer", "UseForNodeDisks"):
            assert each["Condition"]


@EACH_USE
def test_the_sids_are_told_apart(uses):
    sids = [each["Sid"] for each in key_policy(IN_ORGANIZATION, uses)["Statement"]]
    assert len(sids) == len(set(sids))


def test_all_uses_together_fit_into_a_key_policy():
    policy = key_policy(IN_ORGANIZATION, list(KeyUse), [KEEPER], [TRAINER])
    assert len(json.dumps(policy)) < 32 * 1024


@pytest.mark.parametrize(("use", "sid", "service"), [(use, *names) for use, names in THROUGH.items()])
def test_a_service_s_key_works_through_that_service_of_the_home_region_only(use, sid, service):
    assert statement(key_policy(REGIME, [use]), f"UseThrough{sid}")["Condition"]["StringEquals"] == {
        "kms:ViaService": f"{service}.me-central-1.amazonaws.com",
        "aws:RequestedRegion": "me-central-1",
    }


def test_a_key_for_logs_serves_log_groups_of_the_account_only():
    use = statement(key_policy(REGIME, [KeyUse.LOGS]), "UseByLogs")
    assert use["Principal"] == {"Service": "logs.me-central-1.amazonaws.com"}
    assert use["Condition"]["ArnLike"] == {
        "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:me-central-1:{ACCOUNT}:log-group:*"
    }


def test_a_trail_encrypts_for_itself_and_its_readers_read_through_s3():
    policy = key_policy(REGIME, [KeyUse.CLOUDTRAIL], users=[TRAINER])
    trails = f"arn:aws:cloudtrail:me-central-1:{ACCOUNT}:trail/*"
    context = {"kms:EncryptionContext:aws:cloudtrail:arn": trails}
    encrypt, read = statement(policy, "EncryptTrails"), statement(policy, "ReadTrails")
    assert encrypt["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
    assert encrypt["Condition"] == {"ArnLike": {"aws:SourceArn": trails}, "StringLike": context}
    assert (read["Principal"], read["Action"]) == ({"AWS": [TRAINER]}, ["kms:Decrypt"])
    assert read["Condition"]["StringLike"] == context
    assert read["Condition"]["StringEquals"]["kms:ViaService"] == "s3.me-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("use", "sid", "service"),
    [
        (KeyUse.CONFIG, "UseByConfig", "config"),
        (KeyUse.LOG_DELIVERY, "UseByLogDelivery", "delivery.logs"),
        (KeyUse.GUARDDUTY, "UseByGuardDuty", "guardduty"),
        (KeyUse.MACIE, "UseByMacie", "macie"),
        (KeyUse.INSPECTOR, "UseByInspector", "inspector2"),
    ],
)
def test_a_service_that_writes_by_itself_does_so_for_this_account_only(use, sid, service):
    found = statement(key_policy(REGIME, [use]), sid)
    assert found["Principal"] == {"Service": f"{service}.amazonaws.com"}
    assert found["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    source = found["Condition"].get("ArnLike", {}).get("aws:SourceArn", f"::{ACCOUNT}:")
    assert f":{ACCOUNT}:" in source


@pytest.mark.parametrize(
    ("use", "sid", "context"),
    [
        (KeyUse.SNS, "UseForServicesToSns", "kms:EncryptionContext:aws:sns:topicArn"),
        (KeyUse.SQS, "UseForServicesToSqs", "kms:EncryptionContext:aws:sqs:arn"),
    ],
)
def test_services_send_to_topics_and_queues_of_the_account_only(use, sid, context):
    assert statement(key_policy(REGIME, [use]), sid)["Condition"] == {
        "ArnLike": {context: f"arn:aws:{use}:me-central-1:{ACCOUNT}:*"}
    }


def test_a_linked_file_system_reads_objects_by_the_role_that_is_named_after_it():
    found = statement(key_policy(REGIME, [KeyUse.FSX]), "UseForLinkedBuckets")
    assert found["Condition"]["StringEquals"] == {
        "kms:ViaService": "s3.me-central-1.amazonaws.com",
        "aws:PrincipalAccount": ACCOUNT,
    }
    assert "/AWSServiceRoleForFSxS3Access_fs-*" in found["Condition"]["ArnLike"]["aws:PrincipalArn"]


def test_grants_are_for_aws_resources_only():
    grants = [each for each in allowed(key_policy(REGIME, list(KeyUse))) if "kms:CreateGrant" in each["Action"]]
    assert {each["Sid"] for each in grants} == {
        *("GrantToEks", "GrantForNodeDisks", "GrantThroughEfs", "GrantThroughFsx", "GrantThroughEcr"),
        *("GrantThroughBackup", "GrantToFirewalls"),
    }
    assert all(each["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"} for each in grants)


def test_named_administrators_replace_the_account():
    assert statement(key_policy(REGIME, [KeyUse.S3], [KEEPER]), "Administer")["Principal"] == {"AWS": [KEEPER]}
    assert statement(key_policy(REGIME, [KeyUse.S3]), "Administer")["Principal"] == {"AWS": ROOT}


def test_iam_decides_who_uses_the_key_for_everybody_but_the_administrators():
    use = statement(key_policy(REGIME, [KeyUse.S3], [KEEPER]), "UseThroughS3")
    assert use["Principal"] == {"AWS": ROOT}
    assert use["Condition"]["ArnNotEquals"] == {"aws:PrincipalArn": [KEEPER]}


def test_administrators_make_what_wants_the_key_of_its_maker():
    policy = key_policy(REGIME, list(KeyUse), [KEEPER])
    without_them = {each["Sid"] for each in allowed(policy) if "ArnNotEquals" in each.get("Condition", {})}
    assert without_them == {
        *("UseThroughS3", "UseForClusterSecrets", "UseThroughEcr", "ReadTrails", "UseThroughSns", "UseThroughSqs"),
        *("UseThroughSecretsManager", "UseThroughSsm", "UseForFirewalls", "UnsealVault", "SealForTenants"),
    }


@EACH_USE
def test_administrators_cannot_use_the_key_and_users_cannot_administer_it(uses):
    policy = key_policy(REGIME, uses, [KEEPER], [TRAINER])
    granted = {KEEPER: [], TRAINER: []}
    for each in allowed(policy):
        for who in granted.keys() & set(each["Principal"].get("AWS", ())):
            granted[who].append(each)
    (administer,) = granted[KEEPER]
    assert not [action for action in administer["Action"] if any(verb in action for verb in USING)]
    for each in granted[TRAINER]:
        assert not set(each["Action"]) & (set(administer["Action"]) - {"kms:RevokeGrant"})


def test_named_users_replace_the_account():
    policy = key_policy(REGIME, list(KeyUse), [KEEPER], [TRAINER])
    assert ROOT not in [each["Principal"].get("AWS") for each in allowed(policy)]


def test_who_imports_material_is_an_administrator():
    assert "kms:ImportKeyMaterial" in statement(key_policy(REGIME, [KeyUse.S3], imported=True), "Administer")["Action"]
    assert "kms:ImportKeyMaterial" not in statement(key_policy(REGIME, [KeyUse.S3]), "Administer")["Action"]


def test_a_key_of_sealed_models_makes_and_opens_data_keys_of_a_tenant_and_nothing_else():
    use = statement(key_policy(REGIME, [KeyUse.SEALED_MODELS], [KEEPER]), "SealForTenants")
    assert use["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert use["Condition"] == {
        "StringEquals": {"aws:RequestedRegion": "me-central-1"},
        "Null": {"kms:EncryptionContext:tenant": "false"},
        "ArnNotEquals": {"aws:PrincipalArn": [KEEPER]},
    }


def test_a_vault_s_role_uses_its_key_directly_in_the_home_region():
    use = statement(key_policy(REGIME, [KeyUse.VAULT_SEAL], users=[TRAINER]), "UnsealVault")
    assert use["Principal"] == {"AWS": [TRAINER]}
    assert use["Action"] == ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]
    assert use["Condition"] == {"StringEquals": {"aws:RequestedRegion": "me-central-1"}}


def test_copies_in_other_regions_are_denied():
    assert "kms:ReplicateKey" in statement(key_policy(REGIME, [KeyUse.S3]), "DenyCopies")["Action"]


def test_who_administers_and_uses_is_refused():
    with pytest.raises(ConfigError, match=r"^k\.users must be others than the administrators: .* \(got '.*/keeper'\)$"):
        check_separation("k", [KeyUse.S3], [KEEPER], [TRAINER, KEEPER])
