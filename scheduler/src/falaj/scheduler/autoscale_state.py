"""What the autoscaler sees: pools with their nodes, and work with what of it has no node yet."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """One node of a pool. Times are seconds since the epoch."""

    name: str
    units: int
    """Units of the pool's resource that pods may ask for."""
    used: int = 0
    """Units that pods on it hold."""
    pods: int = 0
    """Pods that would have to leave with it."""
    ready: bool = True
    schedulable: bool = True
    made: float = 0
    empty_since: float | None = None
    """Since when it is known to be empty, as its mark says."""
    condemned_since: float | None = None
    """Since when this autoscaler keeps work off it, to give it back."""


@dataclass(frozen=True)
class Change:
    """One change of a pool's size."""

    time: float
    nodes: int
    """More nodes, or with a minus, fewer."""


@dataclass(frozen=True)
class Pool:
    """One pool as it is."""

    name: str
    min_nodes: int
    max_nodes: int
    desired: int
    nodes: Sequence[Node] = ()
    machines: int = 0
    """Machines that exist; those that are starting are no nodes yet."""
    changes: Sequence[Change] = ()
    """Changes that this autoscaler made in the last minutes."""


@dataclass(frozen=True)
class Work:
    """One Kueue Workload in one pool."""

    namespace: str
    name: str
    pool: str
    tenant: str
    tier: str
    since: float
    """Since when it waits for nodes only: admitted, or held back by nothing but a topology without nodes."""
    cost_centre: str = ""
    uid: str = ""
    unplaced: Sequence[int] = ()
    """Units of each pod that has no node."""
    placed: int = 0
    """Units that its other pods hold."""

    @property
    def key(self) -> str:
        """Namespace and name, as people write them."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Wait:
    """Why a work has no nodes, when nobody refused them."""

    work: Work
    why: str
    nodes: int = 0
    """Nodes that are asked for on its behalf, or on their way."""


@dataclass(frozen=True)
class Refusal:
    """A growth that is refused: which bound, what it is, and what would be accepted."""

    work: Work
    field: str
    value: object
    remedy: str

    def __str__(self) -> str:
        """Say it in one sentence."""
        return f"{self.field} {self.remedy} (is {self.value})"


@dataclass(frozen=True)
class PoolPlan:
    """What is to be done with one pool."""

    size: int
    """Nodes that it is to have."""
    why: str
    condemn: Sequence[str] = ()
    """Empty nodes to cordon."""
    pardon: Sequence[str] = ()
    """Cordoned ones that are wanted again."""
    take: Sequence[str] = ()
    """Cordoned ones that stayed empty, to be given back now."""
    mark: Sequence[str] = ()
    """Nodes that are empty as of now."""
    clear: Sequence[str] = ()
    """Nodes whose mark says empty and that are not."""


def counted(nodes: int) -> str:
    """Return a number of nodes in words."""
    return f"{nodes} node{'' if nodes == 1 else 's'}"


@dataclass(frozen=True)
class Plan:
    """What is to be done with all pools, and what is to be told to whom."""

    pools: dict[str, PoolPlan]
    waits: Sequence[Wait] = ()
    refusals: Sequence[Refusal] = ()
