"""What the autoscaler is told: which pools it sizes, which tiers make them grow, what they may cost, how fast."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from falaj.scheduler.errors import RefusedError


class Shrink(StrEnum):
    """How a pool gives nodes back."""

    TERMINATE = "terminate"
    """The empty instance is named to EC2 Auto Scaling, which ends it and lowers the desired size by one."""
    RESIZE = "resize"
    """The desired size is lowered, and whoever runs the group chooses: the lab takes the emptiest node."""


@dataclass(frozen=True)
class TierRule:
    """Whether waiting work of a tier makes a pool grow, and how long it waits first for what is there."""

    grows: bool
    after_seconds: float = 0


DEFAULT_TIERS: Mapping[str, TierRule] = {
    "production": TierRule(grows=True),
    "interactive": TierRule(grows=True),
    # Work that is waited for in hours first gets what other work gives back.
    "batch": TierRule(grows=True, after_seconds=300),
    "scavenger": TierRule(grows=False),
}
"""The tiers, the one that is served first at the beginning."""
NO_TIER = "scavenger"
"""What work without a tier is: who says nothing buys nothing."""


@dataclass(frozen=True)
class PoolPolicy:
    """One pool: a node group, what its nodes carry and cost, and its bounds."""

    name: str
    resource: str
    """Extended resource of its nodes, for example ``nvidia.com/gpu`` or ``nvidia.com/mig-1g.18gb``."""
    units_per_node: int
    """Units of ``resource`` on one node."""
    usd_per_node_hour: float
    node_group: str = ""
    """Name of the EKS node group. Default: the pool's name."""
    flavor: str = ""
    """Name of Kueue's ResourceFlavor. Default: the pool's name."""
    usd_per_hour: float = math.inf
    """Most that the pool may cost. Default: its largest size decides."""
    spare_nodes: int = 0
    """Empty nodes kept ready."""


@dataclass(frozen=True)
class Policy:
    """Everything that the autoscaler is told."""

    cluster: str
    """Name of the EKS cluster."""
    pools: Mapping[str, PoolPolicy]
    tiers: Mapping[str, TierRule] = field(default_factory=lambda: DEFAULT_TIERS)
    usd_per_hour: float = math.inf
    """Most that all pools together may cost."""
    tenants: Mapping[str, float] = field(default_factory=dict[str, float])
    """Most US dollars per hour that work of a tenant may make the pools cost, by tenant."""
    cost_centres: Mapping[str, float] = field(default_factory=dict[str, float])
    """The same by cost centre, whose tenants share it."""
    idle_seconds: float = 600
    """How long a node is empty before it is given back."""
    cooldown_seconds: float = 120
    """How long after a pool grew it is not made smaller."""
    step_nodes: int = 20
    """Most nodes that a pool gains, and most that it loses, within a minute."""
    settle_seconds: float = 5
    """How long a cordoned node has to stay empty before it goes: the scheduler may have just chosen it."""
    boot_seconds: float = 900
    """How long a node may take to become ready before it no longer counts as room."""
    shrink: Shrink = Shrink.TERMINATE

    def tier(self, name: str) -> TierRule:
        """Return the rule of a tier; one that nobody named buys nothing."""
        return self.tiers.get(name, TierRule(grows=False))


def read_policy(path: Path) -> Policy:
    """Read a policy from a JSON file, refusing what is missing, unknown or out of bounds."""
    try:
        given = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RefusedError("policy", str(path), f"must be a readable JSON file: {error}") from error
    return parse_policy(given)


def parse_policy(given: Any) -> Policy:
    """Return the policy that a parsed JSON document says."""
    members = _members("policy", given, Policy, {"cluster", "pools"})
    if not isinstance(members["pools"], dict) or not members["pools"]:
        raise RefusedError("policy.pools", members["pools"], "must hold at least one pool, by name")
    members["pools"] = {name: _pool(name, pool) for name, pool in members["pools"].items()}
    members["tiers"] = {**DEFAULT_TIERS, **{name: _tier(name, rule) for name, rule in _object(members, "tiers")}}
    for budget in ("tenants", "cost_centres"):
        members[budget] = {name: _amount(f"policy.{budget}.{name}", usd) for name, usd in _object(members, budget)}
    for name in ("idle_seconds", "cooldown_seconds", "settle_seconds", "boot_seconds", "usd_per_hour"):
        if name in members:
            members[name] = _amount(f"policy.{name}", members[name])
    if "step_nodes" in members:
        members["step_nodes"] = _count("policy.step_nodes", members["step_nodes"], least=1)
    if "shrink" in members:
        if members["shrink"] not in set(Shrink):
            raise RefusedError("policy.shrink", members["shrink"], f"must be one of {', '.join(Shrink)}")
        members["shrink"] = Shrink(members["shrink"])
    return Policy(**members)


def _pool(name: str, given: Any) -> PoolPolicy:
    at = f"policy.pools.{name}"
    members = _members(at, given, PoolPolicy, {"resource", "units_per_node", "usd_per_node_hour"}, {"name"})
    members["units_per_node"] = _count(f"{at}.units_per_node", members["units_per_node"], least=1)
    members["spare_nodes"] = _count(f"{at}.spare_nodes", members.get("spare_nodes", 0), least=0)
    for amount in ("usd_per_node_hour", "usd_per_hour"):
        if amount in members:
            members[amount] = _amount(f"{at}.{amount}", members[amount])
    members |= {"name": name}
    members |= {"node_group": members.get("node_group") or name, "flavor": members.get("flavor") or name}
    return PoolPolicy(**members)


def _tier(name: str, given: Any) -> TierRule:
    at = f"policy.tiers.{name}"
    members = _members(at, given, TierRule, {"grows"})
    if not isinstance(members["grows"], bool):
        raise RefusedError(f"{at}.grows", members["grows"], "must be true or false")
    return TierRule(members["grows"], _amount(f"{at}.after_seconds", members.get("after_seconds", 0)))


def _members(
    at: str, given: Any, kind: type[Any], required: set[str], implied: set[str] | None = None
) -> dict[str, Any]:
    """Return the members of an object, refusing missing ones and such as nobody reads."""
    known = {each.name for each in fields(kind)} - (implied or set())
    if not isinstance(given, dict):
        raise RefusedError(at, given, f"must be an object with {', '.join(sorted(required))}")
    members: dict[str, Any] = dict(given)
    if missing := sorted(required - members.keys()):
        raise RefusedError(at, sorted(members), f"must say {', '.join(missing)}")
    if unknown := sorted(members.keys() - known):
        raise RefusedError(at, unknown, f"may say {', '.join(sorted(known))} only")
    return members


def _object(members: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    given = members.get(name, {})
    if not isinstance(given, dict):
        raise RefusedError(f"policy.{name}", given, "must be an object, by name")
    return list(given.items())


def _amount(at: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise RefusedError(at, value, "must be a number, 0 or more")
    return float(value)


def _count(at: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RefusedError(at, value, f"must be a whole number, {least} or more")
    return value
