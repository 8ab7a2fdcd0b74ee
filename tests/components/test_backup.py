"""Backup: its vault, its plan, its role, its refusals."""

import json

import pytest
from component_samples import KEY, OWNERSHIP, REGIME

from falaj.components import Backup, BackupResource, Classification, ConfigError
from falaj.components.backup import vault_policy
from falaj.components.backup_role import backup_permissions, backup_trust, selected_arns
from falaj.components.package import COMPONENTS

ARGS = {"key": KEY, "regime": REGIME, "ownership": OWNERSHIP}
TOPIC = "arn:aws:sns:me-central-1:123456789012:alarms"


def statements(document):
    return {each["Sid"]: each for each in document["Statement"]}


def test_backups_are_kept_in_a_locked_vault_as_long_as_the_regime_asks(run, engine, providers):
    outputs = run(lambda: (backup := Backup("b", ARGS, providers())) and [backup.vault_name, backup.vault_arn])
    assert outputs[0] == "test-restricted"
    vault = engine.one("Vault")
    assert (vault["name"], vault["kmsKeyArn"]) == ("test-restricted", KEY["arn"])
    assert vault["tags"]["classification"] == "restricted"
    lock = engine.one("VaultLockConfiguration")
    assert (lock["minRetentionDays"], lock["changeableForDays"]) == (90, 7)
    assert json.loads(engine.one("VaultPolicy")["policy"]) == vault_policy()
    (rule,) = engine.one("Plan")["rules"]
    assert rule["lifecycle"] == {"deleteAfter": 90}
    assert rule["schedule"] == "cron(0 1 ? * * *)"
    assert rule["recoveryPointTags"]["classification"] == "restricted"
    assert engine.all("VaultNotifications") == []


def test_below_the_regime_s_threshold_the_lock_can_be_taken_off_by_who_may(run, engine, providers):
    run(lambda: Backup("b", {**ARGS, "classification": Classification.INTERNAL}, providers()).plan_id)
    lock = engine.one("VaultLockConfiguration")
    assert lock["minRetentionDays"] == 14
    assert "changeableForDays" not in lock


def test_no_backup_leaves_the_vault_and_no_argument_could_make_one(run, engine, providers):
    run(lambda: Backup("b", {**ARGS, "topic": TOPIC, "delete_after_days": 400}, providers()).plan_id)
    (rule,) = engine.one("Plan")["rules"]
    assert "copyActions" not in rule
    denied = statements(vault_policy())["DenyCopies"]
    assert (denied["Effect"], denied["Principal"]) == ("Deny", {"AWS": "*"})
    assert {"backup:CopyIntoBackupVault", "backup:StartCopyJob"} <= set(denied["Action"])
    role = json.loads(engine.one("RolePolicy")["policy"])
    assert not [action for each in role["Statement"] for action in each["Action"] if "Copy" in action]
    arguments = next(each for each in COMPONENTS if each is Backup).__init__.__annotations__["args"].__annotations__
    assert not [name for name in arguments if "copy" in name or "region" in name]


def test_nobody_deletes_or_shortens_a_backup():
    denied = statements(vault_policy())["DenyDeletion"]
    assert denied["Action"] == ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle"]
    assert "Condition" not in denied


def test_it_takes_in_what_bears_the_tag_of_its_classification(run, engine, providers):
    args = {**ARGS, "classification": Classification.CONFIDENTIAL}
    run(lambda: Backup("b", args, providers()).plan_id)
    selection = engine.one("Selection")
    assert selection["conditions"] == [{"stringEquals": [{"key": "aws:ResourceTag/backup", "value": "confidential"}]}]
    assert selection["resources"] == [
        "arn:aws:s3:::*",
        "arn:aws:elasticfilesystem:me-central-1:123456789012:file-system/*",
        "arn:aws:ec2:me-central-1:123456789012:volume/*",
    ]


def test_only_the_kinds_that_are_named_are_taken_in_and_may_be_read(run, engine, providers):
    run(lambda: Backup("b", {**ARGS, "resources": [BackupResource.EFS]}, providers()).plan_id)
    assert engine.one("Selection")["resources"] == selected_arns([BackupResource.EFS], REGIME)
    allowed = statements(json.loads(engine.one("RolePolicy")["policy"]))
    assert set(allowed) == {"FindResources", "TagRecoveryPoints", "BackUpFileSystems"}


def test_the_role_is_aws_backup_s_for_this_account_and_bounded_by_tag_or_account():
    (trust,) = backup_trust(REGIME)["Statement"]
    assert trust["Principal"] == {"Service": "backup.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    found = statements(backup_permissions([*BackupResource], "restricted", REGIME))
    tagged = {"StringEquals": {"aws:ResourceTag/backup": "restricted"}}
    assert found["SnapshotVolumes"]["Condition"] == found["BackUpFileSystems"]["Condition"] == tagged
    ours = {"StringEquals": {"aws:ResourceAccount": "123456789012"}}
    assert found["ReadBuckets"]["Condition"] == found["ReadObjects"]["Condition"] == ours
    unbounded = {sid for sid, each in found.items() if each["Resource"] == "*"}
    assert unbounded == {"FindResources", "ListBuckets", "SeeChanges", "FindVolumes"}


def test_a_topic_hears_of_what_should_not_be(run, engine, providers):
    run(lambda: Backup("b", {**ARGS, "topic": TOPIC}, providers()).plan_id)
    told = engine.one("VaultNotifications")
    assert told["snsTopicArn"] == TOPIC
    assert {"BACKUP_JOB_FAILED", "COPY_JOB_STARTED"} <= set(told["backupVaultEvents"])


def test_old_backups_may_get_colder(run, engine, providers):
    run(lambda: Backup("b", {**ARGS, "delete_after_days": 365.0, "cold_after_days": 30}, providers()).plan_id)
    (rule,) = engine.one("Plan")["rules"]
    assert rule["lifecycle"] == {"deleteAfter": 365, "coldStorageAfter": 30}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"delete_after_days": 30},
            "b.delete_after_days must be at least 90 days, as uae-restricted asks for this classification (got 30)",
        ),
        (
            {"cold_after_days": 30},
            "b.cold_after_days must be at least 90 days before delete_after_days, which is 90 (got 30)",
        ),
        (
            {"changeable_for_days": 2},
            "b.changeable_for_days must be a whole number from 3 to 36500 days (got 2)",
        ),
        (
            {"changeable_for_days": 7, "classification": "internal"},
            "b.changeable_for_days must be left out for internal, as uae-restricted wants firm locks from "
            "confidential on (got 7)",
        ),
        (
            {"schedule": "daily"},
            "b.schedule must be a cron expression of six fields such as cron(0 1 ? * * *) (got 'daily')",
        ),
        ({"resources": []}, "b.resources must name at least one of s3, efs, ebs (got [])"),
        ({"resources": ["rds"]}, "b.resources must be among s3, efs, ebs (got 'rds')"),
        (
            {"vault_name": "a vault"},
            "b.vault_name must be 2 to 50 letters, digits, hyphens and underscores (got 'a vault')",
        ),
        (
            {"key": {**KEY, "classification": "internal"}},
            "b.key must be a key classified restricted or higher, as the data is (got 'internal')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: Backup("b", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
