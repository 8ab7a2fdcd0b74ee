"""The tiers of work: which number each has, whom it may displace, and what is promised to it."""

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from falaj.components.errors import ConfigError

TIER_LABEL = "kueue.x-k8s.io/priority-class"
"""The label by which work names its tier."""


class Tier(StrEnum):
    """The SLA class of work."""

    INTERACTIVE = "interactive"
    """A person waits: notebooks, debugging, short trials."""
    PRODUCTION = "production"
    """Serving, and runs that others depend on."""
    BATCH = "batch"
    """Training and processing that is waited for in hours."""
    SCAVENGER = "scavenger"
    """Runs on what is left over, and is displaced by any other."""


@dataclass(frozen=True)
class TierRules:
    """What a tier may do and what is promised to it."""

    tier: Tier
    title: str
    priority: int
    """Priority of work that nothing has raised: the base of the tier's band."""
    band: int
    """How far a scheduler may raise work and leave it in its tier."""
    preempts: tuple[Tier, ...]
    """Other tiers whose work it may displace, within the same tenant's queue."""
    longest_wait_minutes: int
    """Minutes that work of a tenant within its share waits at most, as promised."""
    why: Mapping[str, str]
    """The reason of each figure, by its name."""

    @property
    def highest(self) -> int:
        """The highest priority within the tier."""
        return self.priority + self.band


@functools.cache
def tiers() -> Mapping[Tier, TierRules]:
    """Return the rules by tier, as ``tiers.toml`` has them: the lowest priority first."""
    text = resources.files("falaj.components").joinpath("tiers.toml").read_text()
    rules = [_rules(Tier(name), values) for name, values in tomllib.loads(text).items()]
    return {each.tier: each for each in sorted(rules, key=lambda each: each.priority)}


def rules_of_tier(tier: Tier) -> TierRules:
    """Return the rules of a tier."""
    return tiers()[tier]


def check_tiers(field: str, names: Sequence[str]) -> list[Tier]:
    """Return the tiers by name, at least one, refusing one that does not exist or is named twice."""
    for name in names:
        if name not in set(Tier):
            raise ConfigError(field, name, f"must be among the tiers {', '.join(tiers())}")
    if not names or len(set(names)) != len(names):
        raise ConfigError(field, list(names), "must name at least one tier, and each once")
    return [Tier(name) for name in names]


def _rules(tier: Tier, values: Mapping[str, object]) -> TierRules:
    """Return a tier's rules from its table; a name that is missing or unknown is an error of ours."""
    listed = values["preempts"]
    assert isinstance(listed, list)
    given = dict(values) | {"preempts": tuple(Tier(name) for name in listed)}
    return TierRules(tier=tier, **given)  # pyright: ignore[reportArgumentType] - a test compares every type
