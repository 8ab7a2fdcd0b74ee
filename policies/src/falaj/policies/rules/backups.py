"""Backups: in locked vaults with customer keys, for a term, of every file system, and restored by way of trial."""

from fnmatch import fnmatchcase

from falaj.policies.demands import companions_by, customer_key
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, rule
from falaj.policies.rules.storage import FILE_SYSTEM
from falaj.policies.values import UNKNOWN, Fact, View, all_of, any_of

_VAULT = "aws:backup/vault:Vault"
_LOCK = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
_SELECTION = "aws:backup/selection:Selection"
_TAG = "aws:ResourceTag/"
_REHEARSAL = "aws:backup/restoreTestingPlan:RestoreTestingPlan"
_REHEARSED = "aws:backup/restoreTestingSelection:RestoreTestingSelection"
_SWITCH = "aws:efs/backupPolicy:BackupPolicy"


@rule(
    "FJ-BAK-001",
    "Backup vaults are encrypted with a customer key",
    Severity.HIGH,
    ("A.8.13", "A.8.24"),
    (_VAULT, "aws:backup/logicallyAirGappedVault:LogicallyAirGappedVault"),
    "Set kmsKeyArn (encryptionKeyArn of an air-gapped vault).",
)
def vault_keys(vault: Resource, _: Context) -> Checks:
    """A backup under AWS's own key outlives every revocation."""
    key = vault["kmsKeyArn" if vault.type == _VAULT else "encryptionKeyArn"]
    yield must(customer_key(key), "the vault is not encrypted with a customer key")


@rule(
    "FJ-BAK-002",
    "Backup vaults are locked",
    Severity.HIGH,
    ("A.8.13", "A.5.33", "A.5.28"),
    (_VAULT,),
    "Declare a VaultLockConfiguration with changeableForDays (compliance mode) and minRetentionDays.",
    reads=(_LOCK,),
)
def vault_locks(vault: Resource, context: Context) -> Checks:
    """Without a term to change it an administrator can lift the lock for ever."""
    found = companions_by("name", vault, context, (_LOCK,), "backupVaultName")
    locked = any_of(
        refers & lock["changeableForDays"].is_set() & lock["minRetentionDays"].test(lambda days: float(days) > 0)
        for lock, refers in found
    )
    yield must(locked, "backups in the vault can be deleted before their term")


@rule(
    "FJ-BAK-003",
    "Backups are kept for a term",
    Severity.MEDIUM,
    ("A.8.13", "A.8.10", "CE-3"),
    ("aws:backup/plan:Plan",),
    "Set lifecycle.deleteAfter on every rule of the plan, to no less than the shortest term that you may lose data in.",
    settings={
        "leastDays": Setting(
            {"type": "integer", "minimum": 1, "description": "Days for which a backup is kept at least"}, 7
        )
    },
)
def plan_terms(plan: Resource, context: Context) -> Checks:
    """Left out, a backup is kept, and paid for, for ever."""
    least = context.settings["leastDays"]
    yield must(plan["rules"].is_set(), "the plan backs nothing up")
    for part in plan["rules"].each():
        kept = part["lifecycle"]["deleteAfter"]
        yield must(kept.test(lambda days: float(days) >= least), "backups have no term, or too short a one")


@rule(
    "FJ-BAK-004",
    "File systems are backed up",
    Severity.MEDIUM,
    ("A.8.13", "A.5.30"),
    (FILE_SYSTEM,),
    "Declare a BackupPolicy with status ENABLED, or a selection of a backup plan that takes the file system in.",
    reads=(_SWITCH, _SELECTION),
)
def file_systems(system: Resource, context: Context) -> Checks:
    """EFS's own switch, or a plan that selects by ARN and tags; a stack without plans may be taken in by another's."""
    selections = list(context.graph.of((_SELECTION,)))
    switches = context.graph.companions(system, (_SWITCH,), "fileSystemId")
    switched = (refers & switch["backupPolicy"]["status"].equals("ENABLED") for switch, refers in switches)
    selected = (_selects(selection, system) for selection in selections)
    elsewhere = Fact(False if selections else None, "tags")
    yield must(any_of((*switched, *selected, elsewhere)), "no backup plan takes the file system in")


@rule(
    "FJ-BAK-005",
    "Restores are rehearsed, from every vault",
    Severity.MEDIUM,
    ("A.5.30", "A.8.13"),
    (_REHEARSAL, _VAULT),
    "Declare a RestoreTestingSelection for the plan, and take in each vault (or *) by includeVaults.",
    reads=(_REHEARSAL, _REHEARSED),
)
def rehearsals(resource: Resource, context: Context) -> Checks:
    """A copy that nobody has restored is a hope; without such plans, another stack or people may rehearse."""
    graph = context.graph
    if resource.type == _REHEARSAL:
        found = companions_by("name", resource, context, (_REHEARSED,), "restoreTestingPlanName")
        yield must(any_of(refers for _, refers in found), "the plan restores nothing")
    elif plans := list(graph.of((_REHEARSAL,))):
        yield must(any_of(_takes_in(plan, resource) for plan in plans), "no plan restores from the vault")


def _takes_in(plan: Resource, vault: Resource) -> Fact:
    """Return whether a plan of rehearsals takes a vault in."""
    chosen = plan["recoveryPointSelection"]

    def among(key: str) -> Fact:
        return any_of(_names(plan, pattern, vault) for pattern in chosen[key].each())

    return among("includeVaults") & ~among("excludeVaults")


def _names(plan: Resource, pattern: View, vault: Resource) -> Fact:
    """Return whether an ARN, or ``*`` for all, names the vault; before it is known, where it comes from tells."""
    if pattern.value is UNKNOWN:
        origins = plan.links.get("recoveryPointSelection")
        return Fact(None if not origins or vault.urn in origins else False, pattern.path)
    arn = vault["arn"].value
    return pattern.equals("*") | pattern.equals(arn if isinstance(arn, str) else UNKNOWN)


def _selects(selection: Resource, system: Resource) -> Fact:
    """Return whether a selection takes a file system in: by one of its tags, or by ARN and all conditions."""
    by_tag = any_of(
        _tagged(system, tag["key"], tag["value"], "stringEquals") for tag in selection["selectionTags"].each()
    )
    conditions = all_of(
        _holds(operator, condition, system)
        for group in selection["conditions"].each()
        for operator, listed in group.entries()
        for condition in listed.each()
    )
    by_arn = any_of(_covers(selection, pattern, system) for pattern in selection["resources"].each())
    excluded = any_of(_covers(selection, pattern, system) for pattern in selection["notResources"].each())
    return by_tag | (by_arn & conditions & ~excluded)


def _covers(selection: Resource, pattern: View, system: Resource) -> Fact:
    """Return whether an ARN with wildcards is the file system's, or that of every file system."""
    text, arn = pattern.value, system["arn"].value
    if not isinstance(text, str):
        origins = selection.links.get(pattern.path.partition("[")[0])
        return Fact(system.urn in origins if origins else None, pattern.path)
    if text == "*" or text.endswith(":file-system/*"):
        return Fact(True, pattern.path)
    if isinstance(arn, str):
        return Fact(fnmatchcase(arn, text), pattern.path)
    return Fact(None if ":file-system/" in text else False, pattern.path)


def _holds(operator: str, condition: View, system: Resource) -> Fact:
    """Return whether a condition on one of the resource's tags holds; one of another kind is undecided."""
    key = condition["key"]
    if not isinstance(key.value, str) or not key.value.startswith(_TAG):
        return Fact(None, condition.path)
    tagged = _tagged(system, key.replaced(key.value.removeprefix(_TAG)), condition["value"], operator)
    return ~tagged if "Not" in operator else tagged


def _tagged(system: Resource, key: View, value: View, operator: str) -> Fact:
    """Return whether the resource has a tag of this key and value; a provider's default tags count."""
    wanted = value.value
    if not isinstance(key.value, str) or not isinstance(wanted, str):
        return Fact(None, key.path)
    matches = fnmatchcase if operator.endswith("Likes") else str.__eq__
    holders = (system["tags"], system["tagsAll"], system.provider["defaultTags"]["tags"])
    return any_of((holder[key.value].test(lambda text: matches(str(text), wanted)) for holder in holders), value.path)


RULES: tuple[Rule, ...] = (vault_keys, vault_locks, plan_terms, file_systems, rehearsals)
