"""AWS Backup: plans change, take in what a selection says, and vaults have policies and notifications.

moto has none of these, and keeps the name of a deleted plan taken. No backup is taken: nothing in the lab runs at the
time of a schedule.
"""

import json
from typing import Any

from moto.backup import urls
from moto.backup.exceptions import (
    AlreadyExistsException,
    InvalidParameterValueException,
    InvalidRequestException,
    ResourceNotFoundException,
)
from moto.backup.models import Plan, Vault
from moto.backup.responses import BackupResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import unix_time
from moto.moto_api._internal import mock_random

from falaj.lab.moto_gaps.kept import Given, Kept, kept

_COLD_DAYS = 90


class Backup(Given, BackupResponse):
    """The operations of AWS Backup that are served."""

    def create_backup_plan(self) -> str:
        """Make a plan, if its rules can be kept."""
        _check_rules(self._get_param("BackupPlan"))
        return super().create_backup_plan()

    def get_backup_plan(self) -> str:
        """Tell of a plan; AWS knows a deleted one no more."""
        _ = self._plan
        return super().get_backup_plan()

    def update_backup_plan(self) -> ActionResult:
        """Give a plan other rules, as its next version."""
        plan, wanted = self._plan, self._get_param("BackupPlan")
        _check_rules(wanted)
        made: Any = Plan(wanted, plan.creator_request_id, self.backup_backend)  # which gives rules their defaults
        plan.backup_plan, plan.advanced_backup_settings = made.backup_plan, made.advanced_backup_settings
        plan.version_id = made.version_id
        return ActionResult(plan.to_dict())

    def delete_backup_plan(self) -> str:
        """Delete a plan that takes nothing in any more, so that its name is free."""
        plan = self._plan
        if _selections(plan):
            raise InvalidRequestException(
                "Related backup plan selections must be deleted prior to backup plan deletion"
            )
        answer = super().delete_backup_plan()
        _deleted(self)[plan.backup_plan_id] = self.backup_backend.plans.pop(plan.backup_plan_id)
        return answer

    def list_backup_plans(self) -> str:
        """List the plans, on request the deleted ones too."""
        plans = [*self.backup_backend.plans.values()]
        if self._get_param("IncludeDeleted"):
            plans += _deleted(self).values()
        return json.dumps({"BackupPlansList": [plan.to_list_dict() for plan in plans]})

    def create_backup_selection(self) -> ActionResult:
        """Let a plan take in what the selection says."""
        plan, selection = self._plan, self._get_param("BackupSelection")
        if any(each["BackupSelection"]["SelectionName"] == selection["SelectionName"] for each in _all(plan)):
            raise AlreadyExistsException("Backup selection with the same name already exists")
        identifier = str(mock_random.uuid4())
        made = {"SelectionId": identifier, "BackupPlanId": plan.backup_plan_id, "CreationDate": unix_time()}
        more = {"BackupSelection": selection, "CreatorRequestId": self._get_param("CreatorRequestId")}
        _selections(plan)[identifier] = {**made, **more}
        return ActionResult(made)

    def get_backup_selection(self) -> ActionResult:
        """Tell of one selection."""
        return ActionResult(self._selection())

    def list_backup_selections(self) -> ActionResult:
        """List what a plan takes in."""
        told = [
            {**each, "SelectionName": each["BackupSelection"]["SelectionName"]}
            | {"IamRoleArn": each["BackupSelection"]["IamRoleArn"]}
            for each in _all(self._plan)
        ]
        return ActionResult({"BackupSelectionsList": told})

    def delete_backup_selection(self) -> EmptyResult:
        """Take in no more what the selection says."""
        del _selections(self._plan)[self._selection()["SelectionId"]]
        return EmptyResult()

    def list_tags(self) -> str:
        """Tell tags; AWS's SDK for Go asks with a path that moto reads as another's."""
        return json.dumps({"Tags": self.backup_backend.list_tags(self._get_param("ResourceArn"))})

    def put_backup_vault_access_policy(self) -> EmptyResult:
        """Give a vault a policy, which AWS Backup wants without wildcards among its actions."""
        vault, policy = self._vault, self._get_param("Policy")
        try:
            statements = json.loads(policy)["Statement"]
            actions = [action for each in statements for action in _listed(each["Action"])]
        except (ValueError, KeyError, TypeError):
            actions = ["*"]
        if any("*" in action for action in actions):
            raise InvalidParameterValueException("The specified policy cannot be added to the vault")
        vars(vault)["access_policy"] = policy
        return EmptyResult()

    def get_backup_vault_access_policy(self) -> ActionResult:
        """Tell a vault's policy."""
        return ActionResult(_of(self._vault, "access_policy", "Policy"))

    def delete_backup_vault_access_policy(self) -> EmptyResult:
        """Forget a vault's policy."""
        vars(self._vault).pop("access_policy", None)
        return EmptyResult()

    def put_backup_vault_notifications(self) -> EmptyResult:
        """Keep which events a topic is to hear of; nothing happens in the lab that it could be told."""
        told = {name: self._get_param(name) for name in ("SNSTopicArn", "BackupVaultEvents")}
        vars(self._vault)["notifications"] = told
        return EmptyResult()

    def get_backup_vault_notifications(self) -> ActionResult:
        """Tell which events which topic hears of."""
        return ActionResult(_of(self._vault, "notifications"))

    def delete_backup_vault_notifications(self) -> EmptyResult:
        """Tell the topic no more."""
        vars(self._vault).pop("notifications", None)
        return EmptyResult()

    @property
    def _plan(self) -> Plan:
        """The plan that the path names."""
        identifier = self._get_param("BackupPlanId")
        return self.backup_backend.get_backup_plan(identifier, None)

    @property
    def _vault(self) -> Vault:
        """The vault that the path names."""
        return self.backup_backend.describe_backup_vault(self._get_param("BackupVaultName"))

    def _selection(self) -> Kept:
        """Return the selection that the path names; AWS does not call an unknown one not found."""
        identifier = self._get_param("SelectionId")
        try:
            return _selections(self._plan)[identifier]
        except KeyError:
            raise InvalidParameterValueException(f"Cannot find Backup selection with id {identifier}") from None


def serve() -> None:
    """Let moto's server answer AWS Backup's requests so."""
    paths = [*urls.url_paths]
    paths += [
        f"{{0}}/backup-vaults/(?P<name>[^/]+)/{part}$" for part in ("access-policy", "notification-configuration")
    ]
    urls.url_paths.update(dict.fromkeys(paths, Backup.dispatch))


def _check_rules(plan: Kept) -> None:
    """Refuse a rule that takes a backup out of cold storage before its time there is over."""
    for rule in plan["Rules"]:
        lifecycle = rule.get("Lifecycle") or {}
        cold, gone = lifecycle.get("MoveToColdStorageAfterDays"), lifecycle.get("DeleteAfterDays")
        if cold is not None and gone is not None and gone < cold + _COLD_DAYS:
            raise InvalidParameterValueException(
                f"Invalid lifecycle. DeleteAfterDays cannot be less than {_COLD_DAYS} days apart from "
                "MoveToColdStorageAfterDays"
            )


def _selections(plan: Plan) -> dict[str, Kept]:
    """Return what a plan takes in."""
    return kept(plan, "selections")


def _all(plan: Plan) -> list[Kept]:
    return list(_selections(plan).values())


def _deleted(request: BackupResponse) -> dict[str, Plan]:
    return kept(request.backup_backend, "deleted_plans")


def _of(vault: Vault, kept: str, member: str | None = None) -> Kept:
    """Return what a vault has of one kind, or answer that it has none."""
    if kept not in vars(vault):
        raise ResourceNotFoundException(f"Backup vault {vault.backup_vault_name} has no {kept.replace('_', ' ')}")
    value = vars(vault)[kept]
    named = {"BackupVaultName": vault.backup_vault_name, "BackupVaultArn": vault.backup_vault_arn}
    return named | ({member: value} if member else value)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
