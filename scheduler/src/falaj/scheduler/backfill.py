"""Backfill: work that has room goes before work that has none.

Kueue tries the first work of each queue in a cycle, and about once a second begins again with the first: what is behind
work without room is tried late, or, where a cycle takes that long, never (kueue#9715). Pure, as the rules are.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from falaj.scheduler.placement import Pools, Queue
from falaj.scheduler.policy import Policy
from falaj.scheduler.rooms import fill, free_gpus, half, held_by_queue, known, lent, place
from falaj.scheduler.work import Standing, Work

_AT_ONCE = 2
"""How many works of a queue go first at the same time: Kueue takes them one after the other, and each is a write."""

Waiting = tuple[Work, int, Standing]
"""Work that waits, with the priority and standing that it has by itself."""


def backfilled(
    waiting: Iterable[Waiting], running: Sequence[Work], pools: Pools, now: float, policy: Policy
) -> dict[str, int]:
    """Return the priorities of works that go before others of their queue, by uid.

    They are within its nominal share: what has to borrow goes before nothing.
    """
    lines: dict[str, list[Waiting]] = defaultdict(list)
    for each in waiting:
        if each[0].gpus:
            lines[each[0].queue].append(each)
    lines = {name: line for name, line in lines.items() if any(_late(work, now, policy) for work, _, _ in line)}
    if not policy.backfill or not lines:
        return {}
    rooms = _Rooms([work for work in running if work.gpus], pools)
    found: dict[str, int] = {}
    for name, line in lines.items():
        queue = pools.queues.get(name)
        if queue and _may(queue):
            found |= _of_queue(line, rooms.of(name, queue), now, policy)
    return found


def _may(queue: Queue) -> bool:
    """Return whether it is known what fits into the queue's share, and whether work may go before the first."""
    return len(queue.flavors) == 1 and not queue.strict


def _late(work: Work, now: float, policy: Policy) -> bool:
    return work.waited(now) >= policy.backfill_after_seconds


def _first(work: Work, standing: Standing) -> bool:
    """Return whether nothing goes before work that has no room: by its turn, or while its rescue can come to something.

    A rescue that was tried, and for which Kueue displaces nothing, would keep its queue idle: what it was given to
    displace is on nodes where its pods do not fit.
    """
    untried = work.noted.standing is not Standing.RESCUE
    return standing is Standing.TURN or (standing is Standing.RESCUE and (untried or work.makes_room))


def _of_queue(line: list[Waiting], room: "_Room", now: float, policy: Policy) -> dict[str, int]:
    found: dict[str, int] = {}
    without: int | None = None
    """The priority of the first that has no room."""
    for work, priority, standing in sorted(line, key=lambda each: (-each[1], each[0].created, each[0].uid)):
        if room.take(work):
            if without is not None and len(found) < _AT_ONCE and _late(work, now, policy):
                had = work.priority if work.noted.standing is Standing.BACKFILL else 0
                found[work.uid] = had if without < had < without + policy.step else without + 1
        elif _first(work, standing):
            break
        elif without is None:
            without = priority
    return found


class _Rooms:
    """What each queue has left of its share, and what is free on each node, or can be taken back there."""

    def __init__(self, running: Sequence[Work], pools: Pools) -> None:
        self._running, self._pools = running, known(pools, running)
        self._free = free_gpus(self._pools, running)
        self._held = held_by_queue(running)

    def of(self, name: str, queue: Queue) -> "_Room":
        """Return the room of one queue."""
        room = _Room(queue.nominal - self._held[name], self._pools, name, dict(self._free))
        if queue.takes_back and room.left > 0:
            borrowers = lent(self._pools, name, self._held)
            room.take_back([work for work in self._running if work.queue in borrowers])
        return room


class _Room:
    """The room of one queue, while its works take theirs in their order."""

    def __init__(self, left: int, pools: Pools, queue: str, free: dict[str, int]) -> None:
        self.left, self._nodes, self._free, self._owed = left, pools.of(queue) if left > 0 else [], free, dict(free)
        self._half = half(self._nodes)
        self._vain: set[tuple[int, int]] = set()

    def take_back(self, works: Sequence[Work]) -> None:
        """Count what other queues have borrowed."""
        for name, gpus in (each for work in works for each in work.places):
            if name in self._owed:
                self._owed[name] += gpus

    def take(self, work: Work) -> bool:
        """Keep the work's room for it; say whether there is any.

        Work of whole nodes has to find them free: Kueue takes back by priority and age, which rarely makes a node free.
        """
        shape = (work.gpus, work.pods)
        if not work.pods or work.gpus > self.left or shape in self._vain:
            return False
        rooms = place(work, self._free if work.gpus > self._half * work.pods else self._owed, self._nodes)
        if len(rooms) < work.pods:
            self._vain.add(shape)
            return False
        self.left -= work.gpus
        for each in (self._free, self._owed):
            fill(each, rooms, work)
        return True
