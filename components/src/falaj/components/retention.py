"""How long a store keeps what it holds: by its kind, its classification and the regime."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pulumi_aws as aws

from falaj.components.checks import bounded
from falaj.components.classification import Classification, reaches
from falaj.components.errors import ConfigError
from falaj.components.regime import RegimeRules, at_least

_LONGEST = 36500
_MODEL_LOCK_DAYS = 365
_SCRATCH_DAYS = 7
_TIERS = (("STANDARD_IA", 30, 30), ("GLACIER_IR", 90, 90), ("DEEP_ARCHIVE", 365, 180))
"""Colder storage classes, the age at which records move there, and the days that each is paid for at least.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
"""


class StoreKind(StrEnum):
    """What a store is for."""

    DATASET = "dataset"
    """Data that is worked with: versioned, old versions kept for a time."""
    MODEL_ARTIFACTS = "model-artifacts"
    """Models and what proves where they came from: versioned, each version locked for a time."""
    LOGS = "logs"
    """Records: written once, locked for as long as the regime asks, then colder and gone."""
    SCRATCH = "scratch"
    """What can be made again: gone after days, without history."""


class LockMode(StrEnum):
    """How firmly S3 locks a version of an object."""

    COMPLIANCE = "COMPLIANCE"
    """Nobody deletes it before its time, the account's root user included."""
    GOVERNANCE = "GOVERNANCE"
    """Only who may bypass the lock deletes it before its time."""


@dataclass(frozen=True)
class Retention:
    """What a store keeps, and for how many days."""

    kind: StoreKind
    noncurrent_days: int
    """Days that a replaced or deleted object can be brought back."""
    expire_days: int | None = None
    """Days after which objects expire; none means never."""
    lock_mode: LockMode | None = None
    """How each new version is locked; none means not at all."""
    lock_days: int = 0
    """Days that each new version is kept from deletion."""
    undeletable: bool = False
    """Whether the bucket's policy alone keeps objects from deletion, for want of locks."""
    intelligent_tiering: bool = False
    """Whether S3 moves objects between access tiers by their use."""


def check_kind(field: str, kind: str, classification: Classification, rules: RegimeRules) -> StoreKind:
    """Return the kind, refusing an unknown one and one that may not hold data of this classification."""
    if kind not in set(StoreKind):
        raise ConfigError(field, kind, f"must be one of {', '.join(StoreKind)}")
    if kind == StoreKind.SCRATCH and not reaches(rules.scratch_to, classification):
        remedy = (
            f"must not be scratch for {classification.value} data, as {rules.name} allows scratch up to "
            f"{rules.scratch_to.value}: choose dataset, or classify the data"
        )
        raise ConfigError(field, kind, remedy)
    return StoreKind(kind)


def retention_of(
    name: str,
    args: Mapping[str, Any],
    kind: StoreKind,
    classification: Classification,
    rules: RegimeRules,
    *,
    lockable: bool = True,
) -> Retention:
    """Return how long the store ``name`` keeps what it holds, refusing what is too short or contradicts itself."""
    locks = _lock_days(f"{name}.lock_days", args.get("lock_days"), kind, rules.record_days[classification], rules.name)
    mode = LockMode.COMPLIANCE if reaches(classification, rules.lock_from) else LockMode.GOVERNANCE
    tiering = bool(args.get("intelligent_tiering", False))
    if tiering and kind in (StoreKind.LOGS, StoreKind.SCRATCH):
        raise ConfigError(
            f"{name}.intelligent_tiering", True, f"must be false for {kind.value}, which has its own rules"
        )
    return Retention(
        kind=kind,
        noncurrent_days=_noncurrent_days(f"{name}.noncurrent_days", args.get("noncurrent_days"), kind),
        expire_days=_expire_days(f"{name}.expire_days", args.get("expire_days"), kind, locks),
        lock_mode=mode if locks and lockable else None,
        lock_days=locks,
        undeletable=bool(locks) and not lockable,
        intelligent_tiering=tiering,
    )


def lifecycle_rules(retention: Retention) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    """Return the rules: old versions and abandoned uploads go, objects where a term is given; records get colder."""
    rules: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
        {
            "id": "forget-old-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": retention.noncurrent_days},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        }
    ]
    if retention.expire_days:
        expiration: aws.s3.BucketLifecycleConfigurationRuleExpirationArgsDict = {"days": retention.expire_days}
        rules.append({"id": "expire", "status": "Enabled", "filter": {"prefix": ""}, "expiration": expiration})
    moves = _moves(retention)
    if moves:
        rules.append({"id": "move", "status": "Enabled", "filter": {"prefix": ""}, "transitions": moves})
    return rules


def _moves(retention: Retention) -> list[aws.s3.BucketLifecycleConfigurationRuleTransitionArgsDict]:
    """Return which storage classes objects move to; none that would be paid for longer than it is used."""
    if retention.intelligent_tiering:
        return [{"days": 0, "storage_class": "INTELLIGENT_TIERING"}]
    if retention.kind is not StoreKind.LOGS:
        return []
    last = retention.expire_days or _LONGEST
    return [{"days": days, "storage_class": tier} for tier, days, least in _TIERS if days + least <= last]


def _lock_days(field: str, days: float | None, kind: StoreKind, record_days: int, regime_name: str) -> int:
    """Return the days of the lock, 0 for a kind that has none."""
    if kind in (StoreKind.DATASET, StoreKind.SCRATCH):
        if days is not None:
            remedy = f"must be left out for {kind.value}: what is to be locked belongs in model-artifacts or logs"
            raise ConfigError(field, days, remedy)
        return 0
    if kind is StoreKind.LOGS:
        given = bounded(field, record_days if days is None else days, 1, _LONGEST, "days")
        return at_least(field, given, record_days, regime_name)
    return bounded(field, _MODEL_LOCK_DAYS if days is None else days, 1, _LONGEST, "days")


def _noncurrent_days(field: str, days: float | None, kind: StoreKind) -> int:
    if kind is StoreKind.SCRATCH:
        if days is not None and days != 1:
            raise ConfigError(field, days, "must be 1 or left out for scratch, which keeps no history")
        return 1
    return bounded(field, 90 if days is None else days, 1, 3650, "days")


def _expire_days(field: str, days: float | None, kind: StoreKind, lock_days: int) -> int | None:
    """Return the days after which objects expire; what is locked cannot go before its lock ends."""
    if kind is StoreKind.SCRATCH:
        return bounded(field, _SCRATCH_DAYS if days is None else days, 1, 30, "days")
    if days is None:
        return lock_days if kind is StoreKind.LOGS else None
    given = bounded(field, days, 1, _LONGEST, "days")
    if given < lock_days:
        raise ConfigError(field, given, f"must be at least {lock_days} days, as long as objects are locked")
    return given
