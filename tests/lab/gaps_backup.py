"""Gaps of AWS Backup."""

import json
from typing import Any

from asking import Aws, name, refused

ROLE = "arn:aws:iam::123456789012:role/backup"
TOPIC = "arn:aws:sns:me-central-1:123456789012:alarms"


def vault(aws: Aws) -> dict[str, str]:
    """Make a vault; return how to name it."""
    named = {"BackupVaultName": name()}
    aws.client("backup").create_backup_vault(**named)
    return named


def plan(aws: Aws, called: str | None = None, **lifecycle: int) -> dict[str, Any]:
    """Make a plan; return what was answered."""
    return aws.client("backup").create_backup_plan(BackupPlan=document(called or name(), **lifecycle))


def document(called: str, **lifecycle: int) -> dict[str, Any]:
    rule = {"RuleName": "daily", "TargetBackupVaultName": "v", "Lifecycle": {"DeleteAfterDays": 35, **lifecycle}}
    return {"BackupPlanName": called, "Rules": [rule]}


def selection(**more: Any) -> dict[str, Any]:
    return {"SelectionName": "tagged", "IamRoleArn": ROLE, "Resources": ["arn:aws:s3:::*"], **more}


def a_plan_changes_and_tells_its_next_version(aws: Aws) -> bool:
    backup, called = aws.client("backup"), name()
    made = plan(aws, called)
    named = {"BackupPlanId": made["BackupPlanId"]}
    changed = backup.update_backup_plan(**named, BackupPlan=document(called, DeleteAfterDays=90))
    found = backup.get_backup_plan(**named)
    kept = found["BackupPlan"]["Rules"][0]["Lifecycle"]["DeleteAfterDays"] == 90
    return kept and found["VersionId"] == changed["VersionId"] != made["VersionId"]


def a_plan_s_cold_storage_lasts_long_enough(aws: Aws) -> bool:
    short = {"MoveToColdStorageAfterDays": 30, "DeleteAfterDays": 100}
    return refused(lambda: plan(aws, **short), "InvalidParameterValueException", "90 days")


def a_plan_takes_in_what_its_selections_say(aws: Aws) -> bool:
    backup, named = aws.client("backup"), {"BackupPlanId": plan(aws)["BackupPlanId"]}
    conditions = {"StringEquals": [{"ConditionKey": "aws:ResourceTag/backup", "ConditionValue": "restricted"}]}
    wanted = selection(Conditions=conditions)
    one = {**named, "SelectionId": backup.create_backup_selection(**named, BackupSelection=wanted)["SelectionId"]}
    found = backup.get_backup_selection(**one)["BackupSelection"]
    listed = backup.list_backup_selections(**named)["BackupSelectionsList"]
    if found != wanted or [each["SelectionName"] for each in listed] != ["tagged"]:
        return False
    backup.delete_backup_selection(**one)
    unknown = refused(lambda: backup.get_backup_selection(**one), "InvalidParameterValueException", "Cannot find")
    return unknown and backup.list_backup_selections(**named)["BackupSelectionsList"] == []


def a_plan_that_takes_something_in_is_not_deleted(aws: Aws) -> bool:
    backup, named = aws.client("backup"), {"BackupPlanId": plan(aws)["BackupPlanId"]}
    backup.create_backup_selection(**named, BackupSelection=selection())
    return refused(lambda: backup.delete_backup_plan(**named), "InvalidRequestException", "must be deleted prior")


def a_deleted_plan_is_gone_and_its_name_is_free(aws: Aws) -> bool:
    backup, called = aws.client("backup"), name()
    named = {"BackupPlanId": plan(aws, called)["BackupPlanId"]}
    backup.delete_backup_plan(**named)
    if not refused(lambda: backup.get_backup_plan(**named), "ResourceNotFoundException", "plan"):
        return False
    plan(aws, called)
    return True


def a_vault_has_a_policy_without_wildcard_actions(aws: Aws) -> bool:
    backup, named = aws.client("backup"), vault(aws)

    def put(action: str) -> None:
        deny = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*"}
        backup.put_backup_vault_access_policy(**named, Policy=json.dumps({"Statement": [deny]}))

    if not refused(lambda: put("backup:*"), "InvalidParameterValueException", "policy"):
        return False
    put("backup:DeleteRecoveryPoint")
    if "DeleteRecoveryPoint" not in backup.get_backup_vault_access_policy(**named)["Policy"]:
        return False
    backup.delete_backup_vault_access_policy(**named)
    return refused(lambda: backup.get_backup_vault_access_policy(**named), "ResourceNotFoundException", "policy")


def a_vault_tells_a_topic_of_events(aws: Aws) -> bool:
    backup, named = aws.client("backup"), vault(aws)
    told = {"SNSTopicArn": TOPIC, "BackupVaultEvents": ["BACKUP_JOB_FAILED"]}
    backup.put_backup_vault_notifications(**named, **told)
    found = backup.get_backup_vault_notifications(**named)
    if {key: found[key] for key in told} != told:
        return False
    backup.delete_backup_vault_notifications(**named)
    return refused(lambda: backup.get_backup_vault_notifications(**named), "ResourceNotFoundException", "notif")


def tags_are_told_whether_or_not_the_path_ends_with_a_slash(aws: Aws) -> bool:
    backup, named = aws.client("backup"), {"BackupVaultName": name()}
    arn = backup.create_backup_vault(**named, BackupVaultTags={"owner": "o"})["BackupVaultArn"]

    def as_go_does(request: Any, **_: Any) -> None:
        request.url = request.url.removesuffix("/")

    backup.meta.events.register("before-sign.backup.ListTags", as_go_does)
    return backup.list_tags(ResourceArn=arn)["Tags"] == {"owner": "o"}


GAPS = [
    a_plan_changes_and_tells_its_next_version,
    a_plan_s_cold_storage_lasts_long_enough,
    a_plan_takes_in_what_its_selections_say,
    a_plan_that_takes_something_in_is_not_deleted,
    a_deleted_plan_is_gone_and_its_name_is_free,
    a_vault_has_a_policy_without_wildcard_actions,
    a_vault_tells_a_topic_of_events,
    tags_are_told_whether_or_not_the_path_ends_with_a_slash,
]
