"""How deadlines and waiting become priorities: the bands of the tiers and the numbers of the rules."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from falaj.scheduler.errors import RefusedError

_INT32 = 2**31 - 1
_SWITCHES = ("rescue", "backfill", "consolidate")


@dataclass(frozen=True)
class Tier:
    """The band of priorities of one tier, and how long its work may wait."""

    name: str
    priority: int
    """Priority of work that nothing has raised: the base of the band."""
    band: int
    """How far work may be raised and still be of its tier."""
    longest_wait_minutes: float
    """Minutes that work is to wait at most; 0 promises nothing, and such work is not raised for its waiting."""

    def at(self, share: float) -> int:
        """Return the priority that lies at a share of the band."""
        return self.priority + int(self.band * share)

    def faster(self, factor: float) -> "Tier":
        """Return the tier for a cluster in which time passes so many times faster."""
        return replace(self, longest_wait_minutes=self.longest_wait_minutes / factor)


_DEFAULT_TIERS = (
    Tier("scavenger", 0, 900, 2880),
    Tier("batch", 1000, 900, 720),
    Tier("interactive", 2000, 900, 10),
    Tier("production", 3000, 900, 5),
)


@dataclass(frozen=True)
class Policy:
    """The numbers of the rules; docs/scheduling.md has the formulas."""

    tiers: Mapping[str, Tier] = field(default_factory=lambda: {tier.name: tier for tier in _DEFAULT_TIERS})
    """The tiers by name."""
    step: int = 25
    """Smallest change of a priority that is worth a write, unless the order would be wrong without it."""
    horizon_hours: float = 168
    """Slack from which on a deadline raises nothing."""
    near_seconds: float = 60
    """Slack at which nearness begins to level off."""
    risk_seconds: float = 60
    """Least slack below which a deadline is at risk; a tenth of the expected time where that is more."""
    checkpoint_seconds: float = 600
    """What being displaced undoes at most, of work that measures its progress and does not say how often it saves."""
    rescue: bool = True
    """Whether work about to miss its deadline may displace work of its own tier that can afford it."""
    rescue_seconds: float = 600
    """Slack below which it may; a quarter of the expected time where that is more."""
    turn_after: float = 2
    """After how many of its tier's longest waits work gets in line for the turn of its queue."""
    turn_seconds: float = 900
    """How long the turn waits for one work to be admitted before it goes to the next."""
    backfill: bool = True
    """Whether work that has room within its queue's share goes before work that has none."""
    backfill_after_seconds: float = 10
    """How long work waits before it does."""
    consolidate: bool = True
    """Whether small work moves, so that work of whole nodes finds them."""
    consolidate_after_seconds: float = 60
    """How long work waits for nodes before other work moves for it."""
    consolidate_rest_seconds: float = 1800
    """How long work has been where it is before it moves."""
    consolidate_seconds: float = 120
    """What a move takes beside the work that it undoes: to stop, to wait for a place, to start."""

    @property
    def turn_priority(self) -> int:
        """The priority of the work that has the turn: above every band."""
        return max(tier.priority + tier.band for tier in self.tiers.values()) + 100

    def tier(self, name: str) -> Tier:
        """Return the tier, or for one that is not known the lowest: who says nothing displaces nobody."""
        return self.tiers.get(name) or min(self.tiers.values(), key=lambda tier: tier.priority)

    def faster(self, factor: float) -> "Policy":
        """Return the policy for a cluster in which time passes so many times faster: all its times are divided."""
        names = (
            "near_seconds",
            "risk_seconds",
            "checkpoint_seconds",
            "rescue_seconds",
            "turn_seconds",
            "backfill_after_seconds",
            "consolidate_after_seconds",
            "consolidate_rest_seconds",
            "consolidate_seconds",
            "horizon_hours",
        )
        tiers = {name: tier.faster(factor) for name, tier in self.tiers.items()}
        return replace(self, tiers=tiers, **{name: getattr(self, name) / factor for name in names})


def load_policy(path: Path | None) -> Policy:
    """Read a policy from YAML or JSON; what it leaves out has its default."""
    if path is None:
        return Policy()
    try:
        given = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise RefusedError(str(path), str(error).splitlines()[0], "must be YAML or JSON") from None
    return read_policy(given or {})


def read_policy(given: Any) -> Policy:
    """Make a policy of plain values, refusing names that there are not and bands that meet."""
    known = {each.name for each in fields(Policy)}
    if not isinstance(given, Mapping):
        raise RefusedError("policy", given, "must be names with values")
    if unknown := sorted(set(given) - known):
        raise RefusedError("policy", unknown, f"may only have {', '.join(sorted(known))}")
    values = dict(given)
    if "tiers" in values:
        values["tiers"] = _tiers(values["tiers"])
    for name, value in values.items():
        if name not in ("tiers", *_SWITCHES) and (not _is_number(value) or value <= 0):
            raise RefusedError(f"policy.{name}", value, "must be a number above 0")
    for name in _SWITCHES:
        if not isinstance(values.get(name, True), bool):
            raise RefusedError(f"policy.{name}", values[name], "must be true or false")
    return Policy(**values)


def _tiers(given: object) -> Mapping[str, Tier]:
    if not isinstance(given, Mapping) or not given:
        raise RefusedError("policy.tiers", given, "must be tiers by name, at least one")
    tiers = [_tier(str(name), values) for name, values in given.items()]
    tiers.sort(key=lambda tier: tier.priority)
    for lower, upper in itertools.pairwise(tiers):
        if lower.priority + lower.band >= upper.priority:
            remedy = f"must end below {upper.priority}, where {upper.name} begins"
            raise RefusedError(f"policy.tiers.{lower.name}.band", lower.band, remedy)
    return {tier.name: tier for tier in tiers}


def _tier(name: str, given: object) -> Tier:
    names = ("priority", "band", "longest_wait_minutes")
    if not isinstance(given, Mapping) or set(given) != set(names):
        raise RefusedError(f"policy.tiers.{name}", given, f"must have {', '.join(names)} and nothing else")
    for each in names:
        value = given[each]
        whole = isinstance(value, int) or each == "longest_wait_minutes"
        if not _is_number(value) or not whole or not 0 <= value < _INT32 // 2:
            raise RefusedError(f"policy.tiers.{name}.{each}", value, "must be a number from 0 on, and whole")
    if given["band"] < 9:
        raise RefusedError(f"policy.tiers.{name}.band", given["band"], "must be 9 at least: it is divided in ninths")
    return Tier(name, given["priority"], given["band"], float(given["longest_wait_minutes"]))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
