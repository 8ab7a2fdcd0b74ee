"""Backups of one classification: taken by tag, kept in a locked vault, and never copied to another region."""

import json
import re
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.backup_role import (
    TAG,
    BackupResource,
    backup_permissions,
    backup_trust,
    selected_arns,
)
from falaj.components.checks import bounded
from falaj.components.classification import Classification, reaches
from falaj.components.documents import deny, document
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef, key_arn
from falaj.components.regime import Regime, RegimeRules, at_least, check_regime, rules_of

_VAULT_NAME = re.compile(r"[a-zA-Z0-9_-]{2,50}")
_SCHEDULE = re.compile(r"cron\(\S+( \S+){5}\)")
_LONGEST = 36500
_COLD_DAYS = 90
"""Days that a recovery point stays in cold storage at least, as AWS Backup wants it."""
_GRACE_DAYS = 7
_EVENTS = ["BACKUP_JOB_FAILED", "BACKUP_JOB_EXPIRED", "RECOVERY_POINT_MODIFIED", "COPY_JOB_STARTED"]
"""What is told to the topic: what did not happen, and what should not."""


class BackupArgs(TypedDict):
    """What may be said of a backup."""

    key: pulumi.Input[KeyRef]
    """Key of the recovery points: ``ref`` of a ``ResidencyKey`` used by AWS Backup."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the backups and pays for them."""
    classification: NotRequired[Classification]
    """Classification of what is backed up: resources whose tag ``backup`` says so. Default: ``restricted``."""
    resources: NotRequired[list[str]]
    """Kinds of resources that are taken in: members of ``BackupResource``. Default: all."""
    schedule: NotRequired[str]
    """When a backup is taken, as a cron expression of AWS in UTC. Default: ``cron(0 1 ? * * *)``."""
    delete_after_days: NotRequired[int]
    """Days that a backup is kept. Default: the regime's for the classification."""
    cold_after_days: NotRequired[int]
    """Days after which a backup moves to cold storage, where the kind of resource has one. Default: never."""
    changeable_for_days: NotRequired[int]
    """Days until nobody can loosen the vault's lock. Default: 7 where the regime wants firm locks, else for ever."""
    vault_name: NotRequired[str]
    """Name of the vault. Default: ``<environment>-<classification>``."""
    topic: NotRequired[pulumi.Input[str]]
    """ARN of the SNS topic that hears of failed, changed and copied backups. Default: none."""


class Backup(pulumi.ComponentResource):
    """A vault, a plan and a role for the backups of one classification.

    There is no argument for a copy to another region or account, and the vault's policy denies both.
    Serves ISO/IEC 27001:2022 A.5.33, A.8.10, A.8.13 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    vault_name: pulumi.Output[str]
    """Name of the vault."""
    vault_arn: pulumi.Output[str]
    """ARN of the vault."""
    plan_id: pulumi.Output[str]
    """Id of the plan."""
    role_arn: pulumi.Output[str]
    """ARN of the role by which backups are taken."""

    def __init__(self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership = args["regime"], args["ownership"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        rules = rules_of(regime)
        least = rules.backup_days[classification]
        vault_name = _vault_name(
            f"{name}.vault_name", args.get("vault_name", f"{ownership['environment']}-{classification.value}")
        )
        resources = _resources(f"{name}.resources", args.get("resources", [*BackupResource]))
        schedule = _schedule(f"{name}.schedule", args.get("schedule", "cron(0 1 ? * * *)"))
        lifecycle = _lifecycle(name, args, least, rules.name)
        grace = _grace(f"{name}.changeable_for_days", args.get("changeable_for_days"), classification, rules)
        arn_of_key = key_arn(f"{name}.key", args["key"], classification)
        tags = labels(f"{name}.ownership", ownership, classification)

        super().__init__("falaj:index:Backup", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        vault = aws.backup.Vault(f"{name}-vault", name=vault_name, kms_key_arn=arn_of_key, tags=tags, opts=child)
        _guard(name, vault, least=least, grace=grace, topic=args.get("topic"), child=child)
        role = _role(name, resources=resources, classification=classification, regime=regime, tags=tags, child=child)
        plan = aws.backup.Plan(
            f"{name}-plan",
            name=vault_name,
            rules=[
                {
                    "rule_name": classification.value,
                    "target_vault_name": vault.name,
                    "schedule": schedule,
                    "lifecycle": lifecycle,
                    "recovery_point_tags": tags,
                }
            ],
            tags=tags,
            opts=child,
        )
        aws.backup.Selection(
            f"{name}-selection",
            name=classification.value,
            plan_id=plan.id,
            iam_role_arn=role.arn,
            resources=selected_arns(resources, regime),
            # Not by tag alone: that would take in every kind of resource that AWS Backup knows, now and later.
            conditions=[{"string_equals": [{"key": f"aws:ResourceTag/{TAG}", "value": classification.value}]}],
            opts=child,
        )

        self.vault_name = vault.name
        self.vault_arn = vault.arn
        self.plan_id = plan.id
        self.role_arn = role.arn
        self.register_outputs(
            {
                "vaultName": self.vault_name,
                "vaultArn": self.vault_arn,
                "planId": self.plan_id,
                "roleArn": self.role_arn,
            }
        )


def vault_policy() -> dict[str, Any]:
    """Return the vault's policy: nobody deletes or shortens a recovery point, and none is copied out or in.

    AWS Backup takes no wildcards for actions here, and rejects other accounts by itself for all but copies:
    https://docs.aws.amazon.com/aws-backup/latest/devguide/create-a-vault-access-policy.html
    """
    deletion = ["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle"]
    # A plan's copy would use the role's own permission to copy from the vault, which it does not have.
    copies = ["backup:CopyIntoBackupVault", "backup:StartCopyJob"]
    return document(deny("DenyDeletion", deletion, "*"), deny("DenyCopies", copies, "*"))


def _vault_name(field: str, value: str) -> str:
    if not _VAULT_NAME.fullmatch(value):
        raise ConfigError(field, value, "must be 2 to 50 letters, digits, hyphens and underscores")
    return value


def _resources(field: str, values: Sequence[str]) -> list[BackupResource]:
    known = ", ".join(BackupResource)
    if not values:
        raise ConfigError(field, list(values), f"must name at least one of {known}")
    for value in values:
        if value not in set(BackupResource):
            raise ConfigError(field, value, f"must be among {known}")
    return [BackupResource(value) for value in values]


def _schedule(field: str, value: str) -> str:
    if not _SCHEDULE.fullmatch(value):
        raise ConfigError(field, value, "must be a cron expression of six fields such as cron(0 1 ? * * *)")
    return value


def _lifecycle(name: str, args: BackupArgs, least: int, regime_name: str) -> aws.backup.PlanRuleLifecycleArgsDict:
    """Return when backups go, and when they get colder before."""
    field = f"{name}.delete_after_days"
    days = bounded(field, args.get("delete_after_days", least), 1, _LONGEST, "days")
    lifecycle: aws.backup.PlanRuleLifecycleArgsDict = {"delete_after": at_least(field, days, least, regime_name)}
    if "cold_after_days" in args:
        cold = bounded(f"{name}.cold_after_days", args["cold_after_days"], 1, _LONGEST, "days")
        if cold + _COLD_DAYS > days:
            remedy = f"must be at least {_COLD_DAYS} days before delete_after_days, which is {days}"
            raise ConfigError(f"{name}.cold_after_days", cold, remedy)
        lifecycle["cold_storage_after"] = cold
    return lifecycle


def _grace(field: str, days: float | None, classification: Classification, rules: RegimeRules) -> int | None:
    """Return the days until the lock is firm (compliance mode), none where it never is (governance mode)."""
    firm = reaches(classification, rules.lock_from)
    if days is None:
        return _GRACE_DAYS if firm else None
    if not firm:
        remedy = f"must be left out for {classification.value}, as {rules.name} wants firm locks from "
        raise ConfigError(field, days, f"{remedy}{rules.lock_from.value} on")
    return bounded(field, days, 3, _LONGEST, "days")


def _guard(
    name: str,
    vault: aws.backup.Vault,
    *,
    least: int,
    grace: int | None,
    topic: pulumi.Input[str] | None,
    child: pulumi.ResourceOptions,
) -> None:
    """Lock the vault, deny what nobody does with its backups, and tell the topic what should not be."""
    # Both are settings of the vault: made anew first, they would be gone when the old ones are deleted.
    settings = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(delete_before_replace=True))
    aws.backup.VaultLockConfiguration(
        f"{name}-lock",
        backup_vault_name=vault.name,
        min_retention_days=least,
        changeable_for_days=grace,
        opts=settings,
    )
    aws.backup.VaultPolicy(
        f"{name}-policy", backup_vault_name=vault.name, policy=json.dumps(vault_policy()), opts=child
    )
    if topic is not None:
        aws.backup.VaultNotifications(
            f"{name}-notifications",
            backup_vault_name=vault.name,
            sns_topic_arn=topic,
            backup_vault_events=_EVENTS,
            opts=settings,
        )


def _role(
    name: str,
    *,
    resources: Sequence[BackupResource],
    classification: Classification,
    regime: Regime,
    tags: dict[str, str],
    child: pulumi.ResourceOptions,
) -> aws.iam.Role:
    """Make the role by which AWS Backup takes backups; AWS names it, so that it can be replaced."""
    role = aws.iam.Role(f"{name}-role", assume_role_policy=json.dumps(backup_trust(regime)), tags=tags, opts=child)
    permissions = backup_permissions(resources, classification.value, regime)
    aws.iam.RolePolicy(f"{name}-permissions", role=role.id, policy=json.dumps(permissions), opts=child)
    return role
