"""What the autoscaler of GPU pools is told: pools, tiers, budgets and pace, checked before anything is made."""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pulumi

from falaj.components.checks import bounded, dns_label
from falaj.components.errors import ConfigError
from falaj.components.refs import PoolRef, pick
from falaj.components.tiers import Tier


class GiveBack(StrEnum):
    """How a pool gives nodes back."""

    TERMINATE = "terminate"
    """The empty instance is named to EC2 Auto Scaling, so that no other goes in its place."""
    RESIZE = "resize"
    """The desired size is lowered, and the group chooses: on AWS its oldest node, whatever runs there. For a lab."""


class AutoscaledPool(TypedDict):
    """A pool that is sized by the work."""

    pool: pulumi.Input[PoolRef]
    """The pool: ``ref`` of a ``GpuNodePool``."""
    gpus_per_node: int
    """Units of the pool's resource on one node, 1 to 1024: GPUs, or with MIG their parts."""
    usd_per_node_hour: float
    """What a node costs in an hour, in US dollars, as you pay it."""
    usd_per_hour: NotRequired[float]
    """Most that the pool may cost in an hour. Default: its largest size decides."""
    spare_nodes: NotRequired[int]
    """Empty nodes kept ready. Default: 0."""
    flavor: NotRequired[str]
    """What ``GpuQueues`` calls the pool. Default: the pool's name."""


class TierGrowth(TypedDict):
    """Whether waiting work of a tier makes pools grow."""

    grows: bool
    """Whether it does."""
    after_seconds: NotRequired[float]
    """How long it waits first for nodes that are there. Default: 0."""


def autoscaler_rules(name: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the autoscaler is told besides cluster and pools; what is left out has its own default there."""
    rules: dict[str, Any] = {
        "idle_seconds": bounded(f"{name}.idle_seconds", args.get("idle_seconds", 600), 30, 86400, "seconds"),
        "cooldown_seconds": bounded(f"{name}.cooldown_seconds", args.get("cooldown_seconds", 120), 0, 86400, "seconds"),
        "step_nodes": bounded(f"{name}.step_nodes", args.get("step_nodes", 20), 1, 1000, "nodes"),
        "shrink": GiveBack(args.get("give_back", GiveBack.TERMINATE)).value,
    }
    for tier, rule in args.get("tiers", {}).items():
        if tier not in set(Tier):
            raise ConfigError(f"{name}.tiers", tier, f"must be among the tiers {', '.join(Tier)}")
        after = _amount(f"{name}.tiers.{tier}.after_seconds", rule.get("after_seconds", 0))
        rules.setdefault("tiers", {})[tier] = {"grows": bool(rule["grows"]), "after_seconds": after}
    if "usd_per_hour" in args:
        rules["usd_per_hour"] = _amount(f"{name}.usd_per_hour", args["usd_per_hour"])
    for said, told in (("tenant_budgets", "tenants"), ("cost_centre_budgets", "cost_centres")):
        budgets: Mapping[str, float] = args.get(said, {})
        if budgets:
            rules[told] = {whose: _amount(f"{name}.{said}.{whose}", usd) for whose, usd in budgets.items()}
    return rules


def known_pools(name: str, pools: Sequence[AutoscaledPool]) -> pulumi.Output[dict[str, Any]]:
    """Return what the autoscaler is told of the pools, by name, refusing what cannot be at once or when it is known."""
    if not pools:
        raise ConfigError(f"{name}.pools", [], "must name at least one pool")
    own = [_pool(f"{name}.pools[{number}]", each) for number, each in enumerate(pools)]
    if all(isinstance(each["pool"], Mapping) for each in pools):
        names = [each["pool"]["pool_name"] for each in pools if isinstance(each["pool"], Mapping)]
        _check_names(name, [each for each in names if isinstance(each, str)])
    told = [pulumi.Output.all(*(pick(each["pool"], part) for part in _PARTS)) for each in pools]

    def known(refs: list[list[Any]]) -> dict[str, Any]:
        _check_names(name, [ref[0] for ref in refs])
        return {
            ref[0]: _whole(f"{name}.pools[{number}]", ref, rules)
            for number, (ref, rules) in enumerate(zip(refs, own, strict=True))
        }

    return pulumi.Output.all(*told).apply(known)


_PARTS = ("pool_name", "resource", "max_gpus")


def _pool(field: str, given: AutoscaledPool) -> dict[str, Any]:
    rules: dict[str, Any] = {
        "units_per_node": bounded(f"{field}.gpus_per_node", given["gpus_per_node"], 1, 1024),
        "usd_per_node_hour": _amount(f"{field}.usd_per_node_hour", given["usd_per_node_hour"]),
        "spare_nodes": bounded(f"{field}.spare_nodes", given.get("spare_nodes", 0), 0, 1000, "nodes"),
    }
    if "usd_per_hour" in given:
        rules["usd_per_hour"] = _amount(f"{field}.usd_per_hour", given["usd_per_hour"])
    if "flavor" in given:
        rules["flavor"] = dns_label(f"{field}.flavor", given["flavor"])
    pool = given["pool"]
    if isinstance(pool, Mapping) and isinstance(pool["max_gpus"], int | float):
        _check_whole(field, rules["units_per_node"], int(pool["max_gpus"]))
    return rules


def _whole(field: str, ref: Sequence[Any], rules: Mapping[str, Any]) -> dict[str, Any]:
    _, resource, most = ref
    _check_whole(field, rules["units_per_node"], int(most))
    return {**rules, "resource": resource}


def _check_whole(field: str, units: int, most: int) -> None:
    """Refuse a number per node of which the pool's largest size is no multiple: one of them is not what nodes have."""
    if most % units:
        raise ConfigError(f"{field}.gpus_per_node", units, f"must divide the {most} that the pool has at its largest")


def _check_names(name: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise ConfigError(f"{name}.pools", list(names), "must name each pool once")


def _amount(field: str, value: float) -> float:
    if isinstance(value, bool) or not 0 <= value < math.inf:
        raise ConfigError(field, value, "must be a number, 0 or more")
    return float(value)
