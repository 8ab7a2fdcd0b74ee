"""The bounded wait: each queue has one turn, which goes round the works that have waited beyond all promises."""

from collections.abc import Iterable

from falaj.scheduler.policy import Policy
from falaj.scheduler.work import Standing, Work


def longest_wait(work: Work, policy: Policy) -> float:
    """Return the seconds that the work's tier lets it wait; 0 where nothing is promised."""
    return policy.tier(work.tier).longest_wait_minutes * 60


def overdue(work: Work, now: float, policy: Policy) -> bool:
    """Return whether the work waits longer than its tier promises."""
    return 0 < longest_wait(work, policy) <= work.waited(now)


def holder(works: Iterable[Work], now: float, policy: Policy) -> Work | None:
    """Return the work of one queue that has the turn.

    Who has it keeps it while it runs, so that the turn costs the queue one work's GPUs at most, and while it waits for
    at most ``turn_seconds``: work that fits nowhere would hold up the others. Then it goes to who came first of those
    in line, whatever the tier: who comes later, and be it in thousands, comes behind. Who had it in vain comes anew.
    """
    in_line: list[Work] = []
    for work in works:
        has_it = work.noted.standing is Standing.TURN
        if has_it and (work.runs or now < _had_until(work, policy)):
            return work
        if not work.runs and _in_line(work, now, policy):
            in_line.append(work)
    return min(in_line, key=lambda work: (_came(work, policy), work.uid), default=None)


def _in_line(work: Work, now: float, policy: Policy) -> bool:
    return 0 < policy.turn_after * longest_wait(work, policy) <= work.waited(now)


def _came(work: Work, policy: Policy) -> float:
    return max(work.created + work.ran, _had_until(work, policy))


def _had_until(work: Work, policy: Policy) -> float:
    return 0.0 if work.noted.turn is None else work.noted.turn + policy.turn_seconds
