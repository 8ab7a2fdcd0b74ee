"""Backup on HashiCorp's provider: what AWS Backup holds, changes, drift and the end."""

import json

import pytest
from botocore.exceptions import ClientError
from examples import Example

pytestmark = pytest.mark.lab
VAULT = {"BackupVaultName": "dev-confidential"}


def lock_days(vault) -> float:
    """Return how long after its making the vault's lock is firm."""
    return (vault["LockDate"] - vault["CreationDate"]).total_seconds() / 86400


def check_the_vault(backup, key) -> None:
    vault = backup.describe_backup_vault(**VAULT)
    assert (vault["EncryptionKeyArn"], vault["Locked"], vault["MinRetentionDays"]) == (key, True, 35)
    assert 6 < lock_days(vault) < 8
    policy = json.loads(backup.get_backup_vault_access_policy(**VAULT)["Policy"])
    denied = {action for each in policy["Statement"] for action in each["Action"]}
    assert denied >= {"backup:DeleteRecoveryPoint", "backup:StartCopyJob", "backup:CopyIntoBackupVault"}
    assert {each["Effect"] for each in policy["Statement"]} == {"Deny"}
    told = backup.get_backup_vault_notifications(**VAULT)
    assert told["SNSTopicArn"].endswith(":backup-alarms")
    assert "BACKUP_JOB_FAILED" in told["BackupVaultEvents"]


def check_the_plan(backup, iam, plan) -> dict[str, str]:
    """Return how to name what the plan takes in."""
    (rule,) = backup.get_backup_plan(**plan)["BackupPlan"]["Rules"]
    assert rule["TargetBackupVaultName"] == "dev-confidential"
    assert rule["Lifecycle"].items() >= {"MoveToColdStorageAfterDays": 60, "DeleteAfterDays": 180}.items()
    assert not rule.get("CopyActions")
    (listed,) = backup.list_backup_selections(**plan)["BackupSelectionsList"]
    one = {**plan, "SelectionId": listed["SelectionId"]}
    selection = backup.get_backup_selection(**one)["BackupSelection"]
    tag = [{"ConditionKey": "aws:ResourceTag/backup", "ConditionValue": "confidential"}]
    assert selection["Conditions"]["StringEquals"] == tag
    assert "arn:aws:s3:::*" in selection["Resources"]
    role = iam.get_role(RoleName=selection["IamRoleArn"].rpartition("/")[2])["Role"]
    trusted = [each["Principal"] for each in role["AssumeRolePolicyDocument"]["Statement"]]
    assert trusted == [{"Service": "backup.amazonaws.com"}]
    return one


def test_backups_are_planned_and_locked_as_they_were_asked_for(bridged):
    example = Example(bridged, "backup")
    example.up()
    assert example.changes() == {}
    backup, plan = example.aws("backup"), {"BackupPlanId": example.outputs()["plan"]}
    check_the_vault(backup, example.resources()["backups-key"]["outputs"]["arn"])
    selection = check_the_plan(backup, example.aws("iam"), plan)

    assert example.changes(deleteAfterDays="365") == {"backup-plan": ("update", {"rules"})}
    firmer = example.changes(deleteAfterDays="180", changeableForDays="14")
    assert firmer == {"backup-lock": ("replace", {"changeableForDays"})}
    example.up(changeableForDays="14")
    locked = backup.describe_backup_vault(**VAULT)
    assert locked["Locked"]  # the old lock went before the new one came
    assert lock_days(locked) > 13

    policy = json.loads(backup.get_backup_vault_access_policy(**VAULT)["Policy"])
    everything = {"Effect": "Allow", "Principal": "*", "Action": "backup:DeleteRecoveryPoint", "Resource": "*"}
    opened = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    backup.put_backup_vault_access_policy(**VAULT, Policy=opened)
    backup.delete_backup_selection(**selection)
    drift = example.drift()
    assert drift["backup-policy"][1] == {"policy"}
    assert drift["backup-selection"][0] == "delete"
    example.up()
    assert json.loads(backup.get_backup_vault_access_policy(**VAULT)["Policy"]) == policy
    assert len(backup.list_backup_selections(**plan)["BackupSelectionsList"]) == 1

    example.destroy()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        backup.describe_backup_vault(**VAULT)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        backup.get_backup_plan(**plan)
