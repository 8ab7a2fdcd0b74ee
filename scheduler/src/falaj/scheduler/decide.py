"""The rules: which priority each work has, and what its owner is told. Pure: the clock is given, nothing is kept."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from falaj.scheduler import consolidation, explain, promises, turns
from falaj.scheduler.backfill import backfilled
from falaj.scheduler.placement import Pools
from falaj.scheduler.policy import Policy, Tier
from falaj.scheduler.slack import lost, nearness, remaining, rescue_margin, risk_margin, slack
from falaj.scheduler.work import LEAVING, Promise, Standing, Work

# Ninths of a tier's band: deadlines spread over seven, waiting too long is above them, then work that keeps its GPUs
# against both, by its deadline, then, at the top, the rescue.
_DUE, _OVERDUE, _KEEPS, _TOP = 7 / 9, 8 / 9, 17 / 18, 1.0

_ONLY_WAITING = LEAVING | {Standing.RETURNS, Standing.BACKFILL}
"""Standings that are over when work runs."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the owner of work is told, as an event."""

    reason: str
    text: str
    once: str
    """What it is told once for: said again with the same, it is the same event."""
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one work: written to its Workload when it differs from what is there."""

    work: Work
    priority: int
    standing: Standing
    promise: Promise | None
    active: bool
    turn: float | None = None
    explained: int = 0
    notices: tuple[Notice, ...] = ()

    @property
    def wave(self) -> int:
        """When it is to be written: what leaves, what protects work that runs, what is about work that waits, the rest.

        What leaves for the same work leaves in the same look, or in vain. In another order Kueue could displace work
        that runs for work that was raised, in between; and notes about work that runs must not keep work that waits
        from being raised.
        """
        if not self.work.runs or self.active != self.work.active:
            return 0 if self.work.active and self.standing in LEAVING else 2
        return 1 if self.priority > self.work.priority else 3

    @property
    def changes(self) -> bool:
        """Return whether something has to be written; that a promise is kept so far is not, as long as nothing was."""
        work, noted = self.work, self.work.noted
        promise = None if self.promise is Promise.ON_TIME and noted.promise is None else self.promise
        return (self.priority, self.standing, promise, self.active, self.turn, self.explained) != (
            work.priority,
            noted.standing,
            noted.promise,
            work.active,
            noted.turn,
            noted.explained,
        )


def decide(works: Iterable[Work], now: float, policy: Policy, pools: Pools | None = None) -> list[Decision]:
    """Return what has to change, in the order in which it is to be written: wave by wave.

    Without ``pools``, the nodes and who may use them, nothing is moved, and nothing goes before what has no room.
    """
    pools = pools or Pools()
    everything = list(works)
    by_uid = {work.uid: work for work in everything}
    queues: dict[str, list[Work]] = defaultdict(list)
    decisions: list[Decision] = []
    for work in everything:
        if (stopped := _stopped_or_freed(work, now)) is not None:
            decisions.append(stopped)
        elif work.active:
            queues[work.queue].append(promises.void(work, now))
    decisions = [_told(each, by_uid, now, policy) for each in decisions]
    ruled = [each for queue in queues.values() for each in _decide_queue(queue, now, policy)]
    decisions += [_told(each, by_uid, now, policy) for each in _backfilled(ruled, everything, pools, now, policy)]
    if moves := consolidation.plan(everything, pools, now, policy):
        decisions = [_moved(each, moves, now, policy) for each in decisions]
    changed = [decision for decision in decisions if decision.changes]
    return sorted(changed, key=lambda each: (each.wave, -each.priority, each.work.created, each.work.uid))


def _decide_queue(works: list[Work], now: float, policy: Policy) -> list[Decision]:
    turn = turns.holder(works, now, policy)
    given = _given_turn(turn, now, policy) if turn is not None and not turn.runs else None
    tiers: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        tiers[policy.tier(work.tier).name].append(work)
    decisions: list[Decision] = []
    for name, members in tiers.items():
        tier = policy.tier(name)
        waiting = [_waiting(work, tier, now, policy) for work in members if not work.runs and work is not turn]
        running = [_running(work, tier, now, policy) for work in members if work.runs]
        if policy.rescue:
            waiting, running = _rescue(waiting, running, tier, now, policy)
        decisions += _in_order(waiting, policy)
        decisions += _protected(running, waiting, tier, now, policy)
    return [*decisions, given] if given else decisions


def _waiting(work: Work, tier: Tier, now: float, policy: Policy) -> Decision:
    """Return what work that waits has by itself, before it is looked at beside others."""
    left = slack(work, now)
    if turns.overdue(work, now, policy):
        standing, priority = Standing.OVERDUE, tier.at(_OVERDUE)
    elif left is None:
        standing, priority = Standing.OPEN, tier.priority
    elif left < -risk_margin(work, policy):
        standing, priority = Standing.LATE, tier.priority
    else:
        standing, priority = Standing.DUE, tier.at(_DUE * nearness(left, policy))
    if work.noted.standing is Standing.RETURNS and standing in (Standing.OPEN, Standing.DUE):
        standing, had = Standing.RETURNS, work.priority
        priority = had if abs(had - priority) < policy.step else priority
    return _decision(work, priority, standing, now, policy)


def _running(work: Work, tier: Tier, now: float, policy: Policy) -> Decision:
    """Return what work that runs has: what it won its place with, and never less while it runs.

    Kueue writes the base again when a WorkloadPriorityClass is made or changed, so what was decided counts for more.
    Work that can keep its deadline stands above what has none: Kueue displaces the lowest first, within a queue and
    between them.
    """
    decided = work.noted.priority
    within = decided is not None and tier.priority <= decided <= tier.at(_TOP)
    has_turn = work.noted.standing is Standing.TURN
    priority = policy.turn_priority if has_turn else decided if within and decided is not None else work.priority
    if decided is not None and decided > tier.at(_TOP) and not has_turn:  # it went before work of a higher tier
        priority = tier.priority
    kept = 0 if work.words.deadline is None else _kept(work, tier, now, policy)
    if kept - policy.step < priority:
        standing = Standing.OPEN if work.noted.standing in _ONLY_WAITING else work.noted.standing
        return _decision(work, max(priority, tier.priority), standing, now, policy)
    return _decision(work, kept, Standing.KEEPS, now, policy)


def _kept(work: Work, tier: Tier, now: float, policy: Policy) -> int:
    """Return the priority with which work keeps its GPUs in its tier; the nearer a deadline is, the higher."""
    left = slack(work, now)
    near = 0.0 if left is None or left < -risk_margin(work, policy) else nearness(left, policy)
    return tier.at(_KEEPS + near * (_TOP - _KEEPS) * 0.9)


def _rescue(
    waiting: list[Decision], running: list[Decision], tier: Tier, now: float, policy: Policy
) -> tuple[list[Decision], list[Decision]]:
    """Raise work that would miss its deadline over work of its tier that gains nothing by going on.

    Room is made only by work that has more before it than it loses, by such without a deadline first, and by work with
    one that has time enough to wait for a place again. What was rescued is never asked to make room while it runs, so
    that two works cannot displace each other in turn.
    """
    room = sorted(
        (each for each in running if _may_yield(each.work, now, policy)),
        key=lambda each: (
            each.work.words.deadline is not None,
            lost(each.work, now, policy) - remaining(each.work, now),
        ),
    )
    rescued: set[str] = set()
    yielding: set[str] = set()
    for each in sorted(waiting, key=lambda each: slack(each.work, now) or 0.0):
        left = slack(each.work, now)
        if left is None or each.work.words.expected is None or not 0 <= left <= rescue_margin(each.work, policy):
            continue
        chosen = _enough([one for one in room if _can_afford(one.work, each.work, now, policy)], each.work.gpus)
        if chosen:
            rescued.add(each.work.uid)
            yielding |= chosen
            room = [one for one in room if one.work.uid not in chosen]
    if not rescued:
        return waiting, running
    raised = [
        replace(each, priority=tier.at(_TOP), standing=Standing.RESCUE) if each.work.uid in rescued else each
        for each in waiting
    ]
    return raised, [_beside_rescue(each, tier, yields=each.work.uid in yielding) for each in running]


def _may_yield(work: Work, now: float, policy: Policy) -> bool:
    protected = work.noted.standing in (Standing.RESCUE, Standing.TURN)
    return not protected and work.gpus > 0 and remaining(work, now) > lost(work, now, policy)


def _can_afford(runs: Work, waits: Work, now: float, policy: Policy) -> bool:
    """Return whether work that runs may be displaced: its place is not back when the other ends, others wait for it."""
    left = slack(runs, now)
    again = 2 * remaining(waits, now)
    return left is None or left - lost(runs, now, policy) - again > rescue_margin(runs, policy)


def _enough(room: list[Decision], gpus: int) -> set[str]:
    """Return the first works that hold as many GPUs together, or none if all do not."""
    chosen: set[str] = set()
    for each in room:
        if gpus <= 0:
            break
        chosen.add(each.work.uid)
        gpus -= each.work.gpus
    return chosen if gpus <= 0 else set()


def _beside_rescue(each: Decision, tier: Tier, *, yields: bool) -> Decision:
    """Leave a rescue only those to displace that were chosen for it: Kueue displaces whatever is lower."""
    if each.standing in (Standing.RESCUE, Standing.TURN):
        return each
    if yields:
        return replace(each, priority=min(each.priority, tier.at(_KEEPS)))
    return replace(each, priority=tier.at(_TOP), standing=Standing.KEEPS)


def _protected(
    running: list[Decision], waiting: list[Decision], tier: Tier, now: float, policy: Policy
) -> list[Decision]:
    """Let work that runs keep its GPUs against work of its tier, which is first in line and no more."""
    highest = max((each.priority for each in waiting if each.standing is not Standing.RESCUE), default=0)
    return [
        replace(each, priority=_kept(each.work, tier, now, policy), standing=Standing.KEEPS)
        if each.priority < highest
        else each
        for each in running
    ]


def _in_order(waiting: list[Decision], policy: Policy) -> list[Decision]:
    """Keep a priority that hardly changes, unless that would put a later deadline before an earlier one."""
    due = sorted(
        (each for each in waiting if each.standing is Standing.DUE),
        key=lambda each: (each.priority, each.work.created, each.work.uid),
    )
    kept = [each for each in waiting if each.standing is not Standing.DUE]
    floor = 0
    for each in due:  # from the farthest deadline to the nearest
        near = each.work.noted.standing is Standing.DUE and abs(each.work.priority - each.priority) < policy.step
        floor = max(floor, each.work.priority if near else each.priority)
        kept.append(replace(each, priority=floor))
    return kept


def _backfilled(
    decisions: list[Decision], works: Sequence[Work], pools: Pools, now: float, policy: Policy
) -> list[Decision]:
    """Let work that has room go before work that has none."""
    waiting = [(each.work, each.priority, each.standing) for each in decisions if not each.work.runs]
    raised = backfilled(waiting, [work for work in works if work.runs], pools, now, policy)
    return [_before(each, raised[each.work.uid]) if each.work.uid in raised else each for each in decisions]


def _before(decision: Decision, priority: int) -> Decision:
    returns = decision.standing is Standing.RETURNS
    return replace(decision, priority=priority, standing=decision.standing if returns else Standing.BACKFILL)


def _given_turn(work: Work, now: float, policy: Policy) -> Decision:
    has_it = work.noted.standing is Standing.TURN and work.noted.turn is not None
    still = has_it and now - (work.noted.turn or 0) < policy.turn_seconds
    decision = _decision(work, policy.turn_priority, Standing.TURN, now, policy)
    return replace(decision, turn=work.noted.turn if still else now)


def _decision(work: Work, priority: int, standing: Standing, now: float, policy: Policy) -> Decision:
    promise = promises.promise(work, now, policy)
    return Decision(work, priority, standing, promise, work.active, work.noted.turn, work.noted.explained)


def _stopped_or_freed(work: Work, now: float) -> Decision | None:
    """Stop new work whose words are refused; let in again what has been put right, and what was moved and has left."""
    noted = work.noted
    if not work.active and noted.standing in LEAVING:
        then = Standing.RETURNS if noted.standing is Standing.MOVED else Standing.OPEN
        again = Decision(work, work.priority, then, noted.promise, True, noted.turn, noted.explained)
        return None if work.runs else again
    if promises.refusal(work, now):
        active, promise = False, Promise.REFUSED
        goes_on = not work.active or not promises.stops(work, now)
    else:
        active, promise = True, Promise.ON_TIME
        goes_on = work.active or noted.promise is not Promise.REFUSED
    return (
        None if goes_on else Decision(work, work.priority, noted.standing, promise, active, noted.turn, noted.explained)
    )


def _moved(decision: Decision, moves: consolidation.Moves, now: float, policy: Policy) -> Decision:
    """Stop work that is to leave its node; it is let in again when it has."""
    work = decision.work
    taken = work.uid in {each.uid for each in moves.taken}
    if not decision.active or (not taken and work.uid not in {each.uid for each in moves.moved}):
        return decision  # stopped for its words, it stays so
    standing, reason = (Standing.YIELDS, "TakenBack") if taken else (Standing.MOVED, "Moved")
    text = explain.moved(work, moves.waits, now, policy, taken=taken)
    notices = (*decision.notices, Notice(reason, text, f"moved {work.admitted}"))
    return replace(decision, standing=standing, active=False, priority=work.priority, notices=notices)


def _told(decision: Decision, by_uid: Mapping[str, Work], now: float, policy: Policy) -> Decision:
    """Add what the owner is told: each change of standing, each change of the promise, each displacement."""
    work, noted = decision.work, decision.work.noted
    notices: list[Notice] = []
    explained = noted.explained
    if work.eviction and work.eviction.count > noted.explained:
        explained = work.eviction.count
        notices.append(Notice("Preempted", explain.displaced(work, by_uid, now, policy), str(explained), warning=True))
    if decision.promise is not noted.promise and (told := explain.promise(work, decision.promise, now)):
        notices.append(Notice(*told, once=work.deadline_text, warning=True))
    if decision.standing is not noted.standing and decision.standing in explain.RAISED | explain.LOWERED:
        reason = "PriorityRaised" if decision.standing in explain.RAISED else "PriorityLowered"
        text = explain.standing(decision.standing, work, decision.priority, now, policy)
        notices.append(Notice(reason, text, f"{decision.standing} {work.ran} {noted.turn} {work.deadline_text}"))
    return replace(decision, explained=explained, notices=tuple(notices))
