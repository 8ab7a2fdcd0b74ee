"""Packs pods into the nodes of a pool: those that are there, those on their way, and new ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from falaj.scheduler.autoscale_policy import Policy, PoolPolicy
from falaj.scheduler.autoscale_state import Node, Pool


@dataclass
class Room:
    """What is free on one node, which may not be there yet."""

    free: int
    node: Node | None = None
    taken: bool = False
    """Whether a pod was placed here while planning."""
    wanted: bool = False
    """Whether one of them is of a tier that makes pools grow."""

    @property
    def untouched(self) -> bool:
        """Whether nothing is on the node and nothing is planned for it; to wait for one, a tier has to be entitled."""
        return not self.wanted if self.node is None else not self.taken and self.node.pods == 0


@dataclass
class Rooms:
    """The nodes of one pool while a plan is made."""

    pool: Pool
    policy: PoolPolicy
    rooms: list[Room]
    going: frozenset[str]
    """Nodes that are given back already and have not gone yet."""
    size: int
    """Nodes that the pool will have, new ones included."""
    opened: int = 0
    """New nodes."""

    @classmethod
    def of(cls, pool: Pool, own: PoolPolicy, now: float, policy: Policy) -> "Rooms":
        """Return the room that there is before any pod is placed."""
        surplus = max(0, len(pool.nodes) - pool.desired)
        condemned = sorted(
            (node for node in pool.nodes if node.condemned_since is not None and node.pods == 0),
            key=lambda node: node.condemned_since or 0,
        )
        going = frozenset(node.name for node in condemned[:surplus])
        there = [node for node in pool.nodes if usable(node) and node.name not in going]
        rooms = [Room(max(0, node.units - node.used), node) for node in there]
        coming = [node for node in pool.nodes if not node.ready and now - node.made < policy.boot_seconds]
        ahead = max(0, pool.desired - len(pool.nodes))
        rooms += [Room(own.units_per_node) for _ in range(len(coming) + ahead)]
        return cls(pool, own, rooms, going, max(pool.desired, len(pool.nodes) - len(going)))

    @property
    def usd(self) -> float:
        """What the pool will cost per hour."""
        return self.size * self.policy.usd_per_node_hour

    @property
    def usd_per_unit(self) -> float:
        """What one unit costs per hour."""
        return self.policy.usd_per_node_hour / self.policy.units_per_node

    @property
    def untouched(self) -> int:
        """Nodes, there or coming, that nothing is on and nothing is planned for."""
        return sum(room.untouched for room in self.rooms)

    def open(self, nodes: int) -> None:
        """Plan new nodes."""
        self.rooms += [Room(self.policy.units_per_node) for _ in range(nodes)]
        self.size += nodes
        self.opened += nodes

    def place(self, pods: Sequence[int], *, wanted: bool) -> tuple[int, list[int]]:
        """Place pods, largest first, each where it leaves the least free.

        Return how many nodes that are not there yet they use, and the pods for which there is no room.
        """
        left: list[int] = []
        ahead: set[int] = set()
        for units in sorted(pods, reverse=True):
            fitting = [room for room in self.rooms if room.free >= units]
            if not fitting:
                left.append(units)
                continue
            room = min(fitting, key=_preference)
            room.free -= units
            room.taken, room.wanted = True, room.wanted or wanted
            if room.node is None:
                ahead.add(id(room))
        return len(ahead), left

    def nodes_for(self, pods: Sequence[int]) -> int:
        """Return how many new nodes these pods fill, none of which is larger than a node."""
        free: list[int] = []
        for units in sorted(pods, reverse=True):
            fitting = [index for index, room in enumerate(free) if room >= units]
            if fitting:
                free[min(fitting, key=lambda index: free[index])] -= units
            else:
                free.append(self.policy.units_per_node - units)
        return len(free)


def usable(node: Node) -> bool:
    """Tell whether the scheduler places pods here, or would after a pardon; a cordon of others stays theirs."""
    return node.ready and (node.schedulable or node.condemned_since is not None)


def _preference(room: Room) -> tuple[int, bool, bool]:
    condemned = room.node is not None and room.node.condemned_since is not None
    return room.free, room.node is None, condemned
