"""Daily backups of everything tagged `backup: confidential`, in a locked vault that nothing leaves."""

import json

import pulumi
import pulumi_aws as aws

from falaj.components import Backup, Classification, KeyUse, Ownership, Regime, ResidencyKey

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
uses = [KeyUse.BACKUP, KeyUse.SNS]
key = ResidencyKey("backups", {"purpose": "backups", "used_by": [*uses], "regime": regime, "ownership": ownership})
publish = {
    "Effect": "Allow",
    "Principal": {"Service": "backup.amazonaws.com"},
    "Action": "sns:Publish",
    "Resource": "arn:aws:sns:me-central-1:123456789012:backup-alarms",
    "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
}
alarms = aws.sns.Topic(
    "alarms",
    name="backup-alarms",
    kms_master_key_id=key.arn,
    policy=json.dumps({"Version": "2012-10-17", "Statement": [publish]}),
    tags={"owner": "ml-platform", "cost-centre": "cc-1000", "environment": "dev", "classification": "internal"},
)
backup = Backup(
    "backup",
    {
        "classification": Classification.CONFIDENTIAL,
        "delete_after_days": config.get_int("deleteAfterDays") or 180,
        "cold_after_days": 60,
        "changeable_for_days": config.get_int("changeableForDays") or 7,
        "topic": alarms.arn,
        "key": key.ref,
        "regime": regime,
        "ownership": ownership,
    },
)
pulumi.export("vault", backup.vault_name)
pulumi.export("plan", backup.plan_id)
