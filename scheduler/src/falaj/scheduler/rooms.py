"""Which GPUs are free on which nodes, and where the pods of work find room among them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from falaj.scheduler.placement import Node, Pools
from falaj.scheduler.work import Work


def known(pools: Pools, running: Sequence[Work]) -> Pools:
    """Return the pools without nodes of which it is not known what is free: Kueue has not said where some work is."""
    return pools.without(name for work in running if not work.places for name in work.flavors)


def held_by_queue(running: Sequence[Work]) -> Counter[str]:
    """Return the GPUs that each queue has."""
    held = Counter[str]()
    for work in running:
        held[work.queue] += work.gpus
    return held


def lent(pools: Pools, queue: str, held: Mapping[str, int]) -> dict[str, int]:
    """Return what other queues of a queue's cohort have beyond their own, of the same flavors."""
    own = pools.queues[queue]
    return {
        name: held[name] - other.nominal
        for name, other in pools.queues.items()
        if name != queue and (other.cohort, other.flavors) == (own.cohort, own.flavors) and held[name] > other.nominal
    }


def free_gpus(pools: Pools, running: Sequence[Work]) -> dict[str, int]:
    """Return the GPUs of each node that nobody has."""
    free = {node.name: node.gpus for node in pools.nodes}
    for name, gpus in (each for work in running for each in work.places):
        if name in free:
            free[name] -= gpus
    return free


def place(work: Work, free: dict[str, int], nodes: Sequence[Node]) -> list[str]:
    """Return the nodes of as many of the work's pods as find room, each where it leaves the least free."""
    each = work.gpus // work.pods
    left = [(free[node.name], node.name) for node in nodes if free[node.name] >= each]
    rooms: list[str] = []
    while left and len(rooms) < work.pods:
        least = min(left)
        rooms.append(least[1])
        left.remove(least)
        if least[0] >= 2 * each:
            left.append((least[0] - each, least[1]))
    return rooms


def fill(free: dict[str, int], rooms: Sequence[str], work: Work) -> None:
    """Take the GPUs of the work's pods from what is free."""
    for name in rooms:
        free[name] -= work.gpus // work.pods


def half(nodes: Sequence[Node]) -> float:
    """Return half the GPUs of the largest node: a pod of more hardly finds room beside others."""
    return max((node.gpus for node in nodes), default=0) / 2
