"""Whole nodes for work that waits for them: small work that can afford it moves into room between other work.

Kueue places work where it leaves the least free and never moves it, so that what ends leaves GPUs free one or two on a
node, which work of whole nodes cannot use. As KAI Scheduler's action of the same name, this moves nothing that does not
find a place elsewhere at once. Pure, as the rules are.
"""

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from falaj.scheduler.placement import Node, Pools, Queue
from falaj.scheduler.policy import Policy
from falaj.scheduler.rooms import fill, free_gpus, half, held_by_queue, known, lent, place
from falaj.scheduler.slack import lost, remaining, rescue_margin, slack
from falaj.scheduler.work import LEAVING, Standing, Work

_WORTH = 4
"""How many times as many GPU seconds the work that waits has before it as moving others takes of them."""


@dataclass(frozen=True)
class Moves:
    """What is to move, and for whom."""

    waits: Work
    moved: tuple[Work, ...]
    taken: tuple[Work, ...] = ()
    """What does not find a place elsewhere, and has borrowed what the work that waits has a right to."""


def plan(works: Sequence[Work], pools: Pools, now: float, policy: Policy) -> Moves | None:
    """Return the moves for the first work in line that they help; none while what was moved last is under way."""
    waiting = [work for work in works if _waits(work, now, policy)]
    if not policy.consolidate or not waiting or any(_under_way(work, now, policy) for work in works):
        return None
    running = [work for work in works if work.runs and work.gpus]
    rooms = _Rooms(running, known(pools, running), now, policy)
    for work in sorted(waiting, key=lambda work: (-work.priority, work.created, work.uid)):
        if rooms.misses_nodes(work) and not rooms.take(work):
            moves = rooms.made_for(work) or (rooms.made_for(work, taking=True) if rooms.owed(work) else None)
            if moves:
                return moves
    return None


def _waits(work: Work, now: float, policy: Policy) -> bool:
    waits = work.active and not work.runs and work.waited(now) >= policy.consolidate_after_seconds
    return waits and work.pods > 0 and work.words.expected is not None


def _under_way(work: Work, now: float, policy: Policy) -> bool:
    """Return whether work leaves its node, or is to find its place; who is not back in time has lost it to others."""
    if work.noted.standing in LEAVING:
        return True
    late = work.without is not None and now - work.without >= policy.consolidate_seconds
    return work.noted.standing is Standing.RETURNS and not work.runs and not late


class _Rooms:
    """What is free on each node, while moves are planned."""

    def __init__(self, running: Sequence[Work], pools: Pools, now: float, policy: Policy) -> None:
        self._running, self._pools, self._now, self._policy = running, pools, now, policy
        self._held = held_by_queue(running)
        self._nodes = functools.cache(pools.of)
        self._half = functools.cache(self._half_a_node)
        self._vain: set[object] = set()
        """Kinds of work for which nothing can be done: with less free, nothing can be done for their like either."""
        self._free = free_gpus(pools, running)

    def misses_nodes(self, work: Work) -> bool:
        """Return whether the work waits for nodes: by Kueue's word, which is late where other work is before it.

        What is owed whole nodes needs no word, unless Kueue is making room for it by itself.
        """
        if work.no_nodes or work.makes_room or not self.owed(work):
            return work.no_nodes
        return work.gpus > work.pods * self._half(work.queue)

    def _half_a_node(self, queue: str) -> float:
        return half(self._nodes(queue))

    def take(self, work: Work) -> bool:
        """Keep free what the work finds as it is; say whether that is enough."""
        shape = self._shape(work)
        rooms = [] if shape in self._vain else place(work, self._free, self._nodes(work.queue))
        if len(rooms) < work.pods:
            self._vain.add(shape)
            return False
        fill(self._free, rooms, work)
        return True

    def owed(self, work: Work) -> bool:
        """Return whether the work's queue would have no more than its own with it, and takes back what it has lent.

        Of a queue with GPUs of several flavors that is not judged: what is owed might be of another.
        """
        queue = self._pools.queues.get(work.queue)
        if queue is None or not queue.takes_back or len(queue.flavors) != 1:
            return False
        return self._held[work.queue] + work.gpus <= queue.nominal

    def made_for(self, waits: Work, *, taking: bool = False) -> Moves | None:
        """Return what has to leave so that each pod finds a node; nothing if that cannot be, or costs too much.

        With ``taking``, what finds no other place gives its own up, where its queue has borrowed as much.
        """
        shape = (*self._shape(waits), self._policy.tier(waits.tier).priority, taking)
        if shape in self._vain:
            return None
        moves = self._moves(waits, taking=taking)
        if moves is None:
            self._vain.add(shape)
            return None
        worth = waits.gpus * remaining(waits, self._now) >= _WORTH * sum(map(self._cost, moves.moved))
        return moves if worth else None

    def _shape(self, work: Work) -> tuple[object, ...]:
        """Return what the work's room depends on."""
        queue = self._pools.queues.get(work.queue, Queue(frozenset()))
        return queue.cohort, queue.flavors, work.pods, work.gpus

    def _moves(self, waits: Work, *, taking: bool) -> Moves | None:
        nodes = self._nodes(waits.queue)
        if not taking and sum(self._free.values()) < waits.gpus:
            return None  # whoever leaves would not find a place
        there = place(waits, self._free, nodes)
        free, kept, missing = dict(self._free), set(there), waits.pods - len(there)
        movable = {work.uid for work in self._running if _may_move(work, waits, self._now, self._policy)}
        beyond = lent(self._pools, waits.queue, self._held) if taking else {}
        moved: list[Work] = []
        taken: list[Work] = []
        received: set[str] = set()
        for name, chosen in self._offers(waits.gpus // waits.pods, nodes, movable, beyond):
            if not missing or name in received:
                continue
            left = self._without(chosen, free, movable, kept={*kept, name}, beyond=beyond)
            if left is None:
                continue
            after, gives = left
            received |= {room for room in after if after[room] < free[room]}
            kept.add(name)
            free, missing = after, missing - 1
            taken += gives
            moved += [work for work in chosen if work not in gives]
            for work in gives:
                beyond[work.queue] -= work.gpus
        return None if missing else Moves(waits, tuple(moved), tuple(taken))

    def _offers(
        self, gpus: int, nodes: Sequence[Node], movable: Set[str], beyond: Mapping[str, int]
    ) -> list[tuple[str, list[Work]]]:
        """Return the nodes on which a pod would find room, and who would have to leave each; the cheapest first."""
        leave: defaultdict[str, list[Work]] = defaultdict(list)
        for work in self._running:
            if work.uid in movable or _may_be_taken(work, beyond):
                leave[work.places[0][0]].append(work)
        offers: list[tuple[str, list[Work]]] = []
        for node in nodes:
            short = gpus - self._free[node.name]
            if short > 0 and node.gpus >= gpus and (chosen := self._fewest(leave[node.name], short)):
                offers.append((node.name, chosen))
        return sorted(offers, key=lambda offer: (sum(map(self._cost, offer[1])), offer[0]))

    def _without(
        self,
        leaving: Sequence[Work],
        free: dict[str, int],
        movable: Set[str],
        *,
        kept: Set[str],
        beyond: Mapping[str, int],
    ) -> tuple[dict[str, int], list[Work]] | None:
        """Return what is free once they have left for other nodes than those kept, and who has no place any more.

        Nothing if one of them may not leave without a place, and there is none.
        """
        after, borrowed = dict(free), dict(beyond)
        gives: list[Work] = []
        for work in sorted(leaving, key=lambda work: (-work.gpus, work.uid)):
            others = [node for node in self._nodes(work.queue) if node.name not in kept]
            rooms = place(work, after, others) if work.uid in movable else []
            if len(rooms) == work.pods:
                fill(after, rooms, work)
            elif _may_be_taken(work, borrowed):
                borrowed[work.queue] -= work.gpus
                gives.append(work)
            else:
                return None
        return after, gives

    def _fewest(self, works: Sequence[Work], gpus: int) -> list[Work]:
        """Return works that hold as many GPUs, those that it costs least to move; none if all do not."""
        chosen: list[Work] = []
        for work in sorted(works, key=lambda work: (self._cost(work) / work.gpus, work.uid)):
            if gpus > 0:
                chosen.append(work)
                gpus -= work.gpus
        if gpus > 0:
            return []
        for work in sorted(chosen, key=self._cost, reverse=True):
            if gpus + work.gpus <= 0:
                chosen.remove(work)
                gpus += work.gpus
        return chosen

    def _cost(self, work: Work) -> float:
        """Return the GPU seconds that a move takes."""
        return work.gpus * (lost(work, self._now, self._policy) + self._policy.consolidate_seconds)


def _may_move(work: Work, waits: Work, now: float, policy: Policy) -> bool:
    """Return whether work may be moved for another: it is on one node, of no higher tier, and keeps what it promises.

    Work that has just come to where it is stays, so that nothing moves again and again.
    """
    if work.admitted is None or not _may_leave(work):
        return False
    if policy.tier(work.tier).priority > policy.tier(waits.tier).priority:
        return False
    if now - work.admitted < policy.consolidate_rest_seconds:
        return False
    undone = lost(work, now, policy) + policy.consolidate_seconds
    left = slack(work, now)
    return remaining(work, now) > undone and (left is None or left - undone > rescue_margin(work, policy))


def _may_be_taken(work: Work, beyond: Mapping[str, int]) -> bool:
    """Return whether the work's queue has borrowed as much, so that Kueue would take it back as well."""
    return _may_leave(work) and work.gpus <= beyond.get(work.queue, 0)


def _may_leave(work: Work) -> bool:
    """Return whether the work is on one node, with all that it has, and has neither the turn nor a rescue."""
    held = work.noted.standing in (Standing.RESCUE, Standing.TURN)
    return not held and work.pods > 0 and [gpus for _, gpus in work.places] == [work.gpus]
