"""Decides which nodes a pool gives back: empty ones alone, in two steps, so that no pod is met on its way there.

First a node is cordoned; when it is still empty at a later look, it goes. A node that work needs meanwhile is pardoned.
"""

import re
from collections.abc import Sequence

from falaj.scheduler.autoscale_policy import Policy, Shrink
from falaj.scheduler.autoscale_rooms import Rooms
from falaj.scheduler.autoscale_state import Node, Pool, PoolPlan, counted

MINUTE = 60.0


def shrink(pool: Pool, rooms: Rooms, now: float, policy: Policy) -> PoolPlan:
    """Return what the pool gives back now, and the marks by which the next look knows how long a node was empty."""
    staying = [node for node in pool.nodes if node.name not in rooms.going]
    mark = [node.name for node in staying if node.pods == 0 and node.empty_since is None]
    clear = [node.name for node in staying if node.pods and node.empty_since is not None]
    few = 0 if _rests(pool, rooms, now, policy) else _surplus(pool, rooms, now, policy)
    # Nodes that nobody waits for and that have no machine yet are the first to be given up: they cost nothing.
    unmade = sum(room.node is None and room.untouched for room in rooms.rooms)
    cancelled = max(0, min(few, unmade, pool.desired - max(pool.machines, len(pool.nodes))))
    chosen = _chosen(rooms, now, policy)[: few - cancelled]
    condemned = [node for node in staying if node.condemned_since is not None]
    take = [node.name for node in chosen if _settled(node, now, policy)]
    return PoolPlan(
        size=pool.desired - cancelled - len(take),
        why=_why(cancelled, take, policy),
        condemn=[node.name for node in chosen if node.condemned_since is None],
        pardon=[node.name for node in condemned if node.name not in {each.name for each in chosen}],
        take=take,
        mark=mark,
        clear=clear,
    )


def _rests(pool: Pool, rooms: Rooms, now: float, policy: Policy) -> bool:
    """Tell whether the pool grows or grew a moment ago: what was just asked for is not given back at once."""
    grown = any(change.nodes > 0 and now - change.time < policy.cooldown_seconds for change in pool.changes)
    return grown or rooms.opened > 0


def _surplus(pool: Pool, rooms: Rooms, now: float, policy: Policy) -> int:
    """Return how many nodes may go now: beyond the spare ones, above the least size, within the minute's step."""
    gone = -sum(change.nodes for change in pool.changes if change.nodes < 0 and now - change.time < MINUTE)
    over = rooms.untouched - rooms.policy.spare_nodes
    return max(0, min(over, pool.desired - pool.min_nodes, policy.step_nodes - gone))


def _chosen(rooms: Rooms, now: float, policy: Policy) -> Sequence[Node]:
    """Return the nodes that have been empty for long, in the order in which they go."""
    empty = [room.node for room in rooms.rooms if room.node and room.untouched]
    idle = [node for node in empty if node.empty_since is not None and now - node.empty_since >= policy.idle_seconds]
    if policy.shrink is Shrink.TERMINATE:
        return sorted(idle, key=lambda node: (node.condemned_since is None, node.empty_since, node.name))
    # Whoever runs the group takes an empty node of its own choice, the last by number: so none of them may be in use.
    last_first = sorted(empty, key=_number, reverse=True)
    busy = next((index for index, node in enumerate(last_first) if node not in idle), len(last_first))
    return last_first[:busy]


def _settled(node: Node, now: float, policy: Policy) -> bool:
    return node.condemned_since is not None and now - node.condemned_since >= policy.settle_seconds


def _number(node: Node) -> tuple[int, str]:
    found = re.search(r"\d+$", node.name)
    return int(found[0]) if found else -1, node.name


def _why(cancelled: int, take: Sequence[str], policy: Policy) -> str:
    said = [f"{counted(cancelled)} on the way that nobody waits for any more"] if cancelled else []
    said += [f"{counted(len(take))} empty for {policy.idle_seconds:g} s or longer"] if take else []
    return " and ".join(said) or "as large as needed"
