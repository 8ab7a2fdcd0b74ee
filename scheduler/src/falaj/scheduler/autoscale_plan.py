"""Decides how large each pool is to be: a pure function of the pools, the work, the time and the policy.

Kueue admits work up to the quota of the pools at their largest, so that admitted work may have no nodes yet. Its pods
are packed into the nodes that are there or on their way; whoever does not fit makes its pool grow, as a whole or not at
all, unless its tier, a bound or a budget says no. Nodes that stay empty are given back. Nothing is ever evicted.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from falaj.scheduler.autoscale_policy import Policy
from falaj.scheduler.autoscale_rooms import Rooms
from falaj.scheduler.autoscale_shrink import shrink
from falaj.scheduler.autoscale_state import Plan, Pool, PoolPlan, Refusal, Wait, Work, counted

MINUTE = 60.0


def plan(pools: Sequence[Pool], works: Sequence[Work], now: float, policy: Policy) -> Plan:
    """Return the size of each pool with its reason, and why work waits or is refused its nodes."""
    rooms = {pool.name: Rooms.of(pool, policy.pools[pool.name], now, policy) for pool in pools}
    told = _Told()
    ledger = _Ledger(policy, rooms, works)
    for work in _in_order(works, policy):
        if work.unplaced and work.pool in rooms:
            _serve(work, rooms[work.pool], ledger, now, told)
    for room in rooms.values():
        while room.untouched < room.policy.spare_nodes and ledger.fits(room, 1):
            room.open(1)
    return Plan({pool.name: _size(pool, rooms[pool.name], now, policy) for pool in pools}, told.waits, told.refusals)


@dataclass
class _Told:
    waits: list[Wait] = field(default_factory=list[Wait])
    refusals: list[Refusal] = field(default_factory=list[Refusal])


def _in_order(works: Iterable[Work], policy: Policy) -> list[Work]:
    """Return the work in the order in which nodes are sought for it: by tier, then by how long it waits."""
    ranks = {tier: rank for rank, tier in enumerate(policy.tiers)}
    return sorted(works, key=lambda work: (ranks.get(work.tier, len(ranks)), work.since, work.key))


def _serve(work: Work, rooms: Rooms, ledger: "_Ledger", now: float, told: _Told) -> None:
    """Find room for a work, in new nodes where there is none and nothing forbids them."""
    largest = max(work.unplaced)
    if largest > rooms.policy.units_per_node:
        remedy = f"must be {largest} or more for a pod of {work.key}; no size of the pool would do"
        told.refusals.append(Refusal(work, f"{work.pool}.units_per_node", rooms.policy.units_per_node, remedy))
        return
    rule = ledger.policy.tier(work.tier)
    coming, left = rooms.place(work.unplaced, wanted=rule.grows)
    ledger.book(work, (sum(work.unplaced) - sum(left)) * rooms.usd_per_unit)
    if not left:
        told.waits.append(Wait(work, "" if coming else "its pods fit on nodes that are there", coming))
        return
    if not rule.grows:
        told.waits.append(Wait(work, f"a pool does not grow for the tier {work.tier or 'of no name'}"))
    elif now < work.since + rule.after_seconds:
        seconds = math.ceil(work.since + rule.after_seconds - now)
        told.waits.append(Wait(work, f"its tier lets the pool grow {seconds} s from now, if nothing else frees nodes"))
    else:
        nodes = rooms.nodes_for(left)
        refusal = ledger.refusal(work, rooms, nodes)
        if refusal:
            told.refusals.append(refusal)
            return
        rooms.open(nodes)
        rooms.place(left, wanted=True)
        ledger.book(work, nodes * rooms.policy.usd_per_node_hour)
        told.waits.append(Wait(work, "", coming + nodes))


class _Ledger:
    """What everything costs per hour, with what is granted while planning.

    A tenant pays by the unit for what its work holds or will hold on nodes that are there, and for the whole of each
    node that is opened for it.
    """

    def __init__(self, policy: Policy, rooms: Mapping[str, Rooms], works: Iterable[Work]) -> None:
        self.policy = policy
        self._rooms = rooms
        self._tenants: defaultdict[str, float] = defaultdict(float)
        self._centres: defaultdict[str, float] = defaultdict(float)
        for work in works:
            if work.pool in rooms:
                self.book(work, work.placed * rooms[work.pool].usd_per_unit)

    def book(self, work: Work, usd: float) -> None:
        """Let the work's tenant and cost centre pay."""
        self._tenants[work.tenant] += usd
        self._centres[work.cost_centre] += usd

    def fits(self, rooms: Rooms, nodes: int) -> bool:
        """Tell whether so many more nodes are within the bounds that hold for all work."""
        return self._shared(rooms, nodes) is None

    def refusal(self, work: Work, rooms: Rooms, nodes: int) -> Refusal | None:
        """Return what forbids so many more nodes on behalf of a work, if anything does."""
        refused = self._shared(rooms, nodes) or self._own(work, nodes * rooms.policy.usd_per_node_hour)
        if not refused:
            return None
        name, value, needed = refused
        return Refusal(work, name, value, f"must be {needed} or more for {work.key}, or other work has to end first")

    def _shared(self, rooms: Rooms, nodes: int) -> tuple[str, object, str] | None:
        pool, size = rooms.policy, rooms.size + nodes
        if size > rooms.pool.max_nodes:
            return f"{pool.name}.max_nodes", rooms.pool.max_nodes, counted(size)
        if size * pool.usd_per_node_hour > pool.usd_per_hour:
            return f"{pool.name}.usd_per_hour", pool.usd_per_hour, _usd(size * pool.usd_per_node_hour)
        whole = sum(each.usd for each in self._rooms.values()) + nodes * pool.usd_per_node_hour
        if whole > self.policy.usd_per_hour:
            return "usd_per_hour", self.policy.usd_per_hour, _usd(whole)
        return None

    def _own(self, work: Work, usd: float) -> tuple[str, object, str] | None:
        for kind, budgets, spent, name in (
            ("tenants", self.policy.tenants, self._tenants, work.tenant),
            ("cost_centres", self.policy.cost_centres, self._centres, work.cost_centre),
        ):
            limit, needed = budgets.get(name, math.inf), spent[name] + usd
            if needed > limit:
                return f"{kind}.{name}", limit, _usd(needed)
        return None


def _usd(amount: float) -> str:
    return f"{amount:.2f} USD per hour"


def _size(pool: Pool, rooms: Rooms, now: float, policy: Policy) -> PoolPlan:
    """Return what becomes of one pool: it grows by at most a step, or gives nodes back, or stays."""
    given_back = shrink(pool, rooms, now, policy)
    if not rooms.opened:
        return given_back
    recent = sum(change.nodes for change in pool.changes if change.nodes > 0 and change.time > now - MINUTE)
    step = max(0, min(rooms.opened, policy.step_nodes - recent))
    later = f", {rooms.opened - step} of them when the minute's step of {policy.step_nodes} allows"
    why = f"{counted(rooms.opened)} more needed{later if step < rooms.opened else ''}"
    return PoolPlan(pool.desired + step, why, (), given_back.pardon, (), given_back.mark, given_back.clear)
