"""Backups: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.cases.storage import EFS, KEY_ARN, companion, varied
from policies.making import Case, make, simple, urn

from falaj.policies.values import UNKNOWN

VAULT = "aws:backup/vault:Vault"
LOCK = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
SELECTION = "aws:backup/selection:Selection"
SWITCH = "aws:efs/backupPolicy:BackupPolicy"
REHEARSAL = "aws:backup/restoreTestingPlan:RestoreTestingPlan"
REHEARSED = "aws:backup/restoreTestingSelection:RestoreTestingSelection"
SAFE = "arn:aws:backup:me-central-1:123456789012:backup-vault:safe"
_LOCKED = {"changeableForDays": 7.0, "minRetentionDays": 35.0}


def locked(**changes: Any) -> list[Any]:
    return [make(VAULT, {"name": "safe"}), companion(LOCK, "backupVaultName", _LOCKED | changes, VAULT)]


def selected(selection: dict[str, Any], tags: Any = None) -> list[Any]:
    system = {"tags": {"backup": "daily"} if tags is None else tags}
    return [make(EFS, system), make(SELECTION, selection, name="selection")]


def tagged(value: Any) -> dict[str, Any]:
    condition = {"stringEquals": [{"key": "aws:ResourceTag/backup", "value": value}]}
    return {
        "resources": ["arn:aws:elasticfilesystem:me-central-1:123456789012:file-system/*"],
        "conditions": [condition],
    }


def rehearsal(**chosen: Any) -> Any:
    """Return a plan that restores by way of trial."""
    return make(REHEARSAL, {"name": "monthly", "recoveryPointSelection": chosen}, name="rehearsal")


CASES = [
    varied("FJ-BAK-001", VAULT, {"kmsKeyArn": KEY_ARN}, "kmsKeyArn", "alias/aws/backup"),
    varied(
        "FJ-BAK-001",
        "aws:backup/logicallyAirGappedVault:LogicallyAirGappedVault",
        {"encryptionKeyArn": KEY_ARN},
        "encryptionKeyArn",
        None,
    ),
    Case("FJ-BAK-002", locked(), locked(changeableForDays=None), locked(minRetentionDays=UNKNOWN)),
    Case(
        "FJ-BAK-002",
        [make(VAULT, {"name": "safe"}), make(LOCK, {"backupVaultName": "safe", **_LOCKED}, name="lock")],
        [make(VAULT, {"name": "safe"}), make(LOCK, {"backupVaultName": "other", **_LOCKED}, name="lock")],
        [make(VAULT, {"name": "safe"}), make(LOCK, {"backupVaultName": UNKNOWN, **_LOCKED}, name="lock")],
    ),
    simple(
        "FJ-BAK-003",
        "aws:backup/plan:Plan",
        {"rules": [{"lifecycle": {"deleteAfter": 35.0}}]},
        {"rules": [{"lifecycle": {"deleteAfter": 35.0}}, {"schedule": "cron(0 1 ? * * *)"}]},
        {"rules": [{"lifecycle": {"deleteAfter": UNKNOWN}}]},
    ),
    Case(
        "FJ-BAK-004",
        [make(EFS, {}), companion(SWITCH, "fileSystemId", {"backupPolicy": {"status": "ENABLED"}}, EFS)],
        [
            make(EFS, {}),
            companion(SWITCH, "fileSystemId", {"backupPolicy": {"status": "DISABLED"}}, EFS),
            make(SELECTION, {"resources": UNKNOWN}, name="selection", resources=urn(EFS, "another")),
        ],
        [make(EFS, {}), companion(SWITCH, "fileSystemId", {"backupPolicy": UNKNOWN}, EFS)],
    ),
    Case("FJ-BAK-004", selected(tagged("daily")), selected(tagged("weekly")), selected(tagged(UNKNOWN))),
    Case(
        "FJ-BAK-004",
        selected({"selectionTags": [{"type": "STRINGEQUALS", "key": "backup", "value": "daily"}]}),
        selected({"selectionTags": [{"type": "STRINGEQUALS", "key": "backup", "value": "weekly"}]}),
        selected({"selectionTags": [{"type": "STRINGEQUALS", "key": UNKNOWN, "value": "daily"}]}),
    ),
    Case(
        "FJ-BAK-004",
        [make(EFS, {}), make(SELECTION, {"resources": UNKNOWN}, name="selection", resources=urn(EFS))],
        [make(EFS, {}), make(SELECTION, {"resources": UNKNOWN}, name="selection", resources=urn(EFS, "another"))],
        [make(EFS, {}), make(SELECTION, {"resources": UNKNOWN}, name="selection")],
    ),
    Case(
        "FJ-BAK-005",
        [rehearsal(), make(REHEARSED, {"restoreTestingPlanName": "monthly"}, name="chosen")],
        [rehearsal(), make(REHEARSED, {"restoreTestingPlanName": "weekly"}, name="chosen")],
        [rehearsal(), make(REHEARSED, {"restoreTestingPlanName": UNKNOWN}, name="chosen")],
    ),
    Case(
        "FJ-BAK-005",
        [make(VAULT, {"arn": SAFE}), rehearsal(includeVaults=[SAFE])],
        [make(VAULT, {"arn": SAFE}), rehearsal(includeVaults=["*"], excludeVaults=[SAFE])],
        [make(VAULT, {"arn": UNKNOWN}), rehearsal(includeVaults=[SAFE])],
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (VAULT, ["kmsKeyArn"], None, {"FJ-BAK-001"}),
    (LOCK, ["changeableForDays"], None, {"FJ-BAK-002"}),
    (LOCK, ["minRetentionDays"], 0, {"FJ-BAK-002"}),
    (LOCK, ["backupVaultName"], "another", {"FJ-BAK-002"}),
    ("aws:backup/plan:Plan", ["rules", 0, "lifecycle"], None, {"FJ-BAK-003"}),
    ("aws:backup/plan:Plan", ["rules", 0, "lifecycle", "deleteAfter"], 1, {"FJ-BAK-003"}),
    (EFS, ["tags", "backup"], "never", {"FJ-BAK-004"}),
]
