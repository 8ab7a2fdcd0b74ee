"""Sentences: why work has its priority, how it stands with its deadline, why it was displaced."""

import re
from collections.abc import Mapping

from falaj.scheduler.policy import Policy
from falaj.scheduler.promises import refusal
from falaj.scheduler.slack import lost, remaining, slack
from falaj.scheduler.turns import longest_wait
from falaj.scheduler.words import duration, moment
from falaj.scheduler.work import Promise, Standing, Work

RAISED = frozenset({Standing.OVERDUE, Standing.RESCUE, Standing.TURN})
LOWERED = frozenset({Standing.LATE})
"""Standings whose beginning the owner is told; the others change nothing that a person would ask about."""

_KUEUE = re.compile(r"\(UID: (?P<uid>[^,]+), JobUID: [^)]+\) due to (?P<why>[^;]+)")
_REASONS = {
    "prioritization in the ClusterQueue": "priority",
    "reclamation within the cohort": "reclaimed",
    "Fair Sharing within the cohort": "fair-sharing",
    "reclamation within the cohort while borrowing": "reclaimed-while-borrowing",
}


def standing(now_is: Standing, work: Work, priority: int, now: float, policy: Policy) -> str:
    """Say why work has its priority."""
    promised = duration(longest_wait(work, policy))
    waited = duration(work.waited(now))
    left = slack(work, now) or 0.0
    because = {
        Standing.OPEN: "no deadline raises it",
        Standing.DUE: f"its deadline leaves {_slack(left)}",
        Standing.LATE: f"its deadline cannot be kept any more ({_slack(left)}), so it gives way to work whose can",
        Standing.OVERDUE: f"it has waited {waited}, and its tier promises {promised} at most",
        Standing.KEEPS: "it keeps its GPUs against work of its own tier that is first in line",
        Standing.BACKFILL: "it has room within its queue's share, and work before it in the queue has none",
        Standing.RESCUE: f"it would miss its deadline ({_slack(left)}), and work of its tier can afford to make room",
        Standing.MOVED: "it has made room for work of whole nodes, and is let in again as soon as it has left",
        Standing.YIELDS: "it has given back what its queue had borrowed, and is let in again as soon as it has left",
        Standing.RETURNS: "it has made room for work of whole nodes, and waits for its place between other work",
        Standing.TURN: f"it has waited {waited}, longest of its queue beyond all promises, and has the queue's turn",
    }[now_is]
    return f"Priority {priority} in tier {policy.tier(work.tier).name}: {because}."


def promise(work: Work, state: Promise | None, now: float) -> tuple[str, str] | None:
    """Return the event, reason and sentence, for what has become of a deadline; none where all is well."""
    if state is Promise.REFUSED:
        refused = refusal(work, now)
        return ("DeadlineRefused", f"Refused: {refused}.") if refused else None
    deadline = work.words.deadline
    if deadline is None:
        return None
    if state is Promise.MISSED:
        return "DeadlineMissed", f"The deadline {moment(deadline)} has passed; {_left(work, now)}."
    if state is Promise.AT_RISK:
        place = "It runs" if work.runs else f"It waits in queue {work.queue} at priority {work.priority}"
        return "DeadlineAtRisk", f"{_ahead(deadline, now)}; {_left(work, now)}. {place}."
    return None


def told_of(work: Work, now: float) -> str | None:
    """Say how it stands with a deadline, if there is one."""
    state = work.noted.promise
    if told := promise(work, state, now):
        return told[1]
    deadline = work.words.deadline
    return f"{_ahead(deadline, now)} ({state or 'not judged yet'}); {_left(work, now)}." if deadline else None


def _ahead(deadline: float, now: float) -> str:
    return (
        f"The deadline {moment(deadline)} {'is in' if deadline > now else 'passed before'} {duration(deadline - now)}"
    )


def displaced(work: Work, by_uid: Mapping[str, Work], now: float, policy: Policy) -> str:
    """Say by whom and why the work was displaced and what it has lost.

    Other work is named to its own namespace only: a tenant is not told what another runs.
    """
    assert work.eviction
    found = _KUEUE.search(work.eviction.message)
    other = by_uid.get(found["uid"]) if found else None
    if other is None:
        whom = "other work"
    elif other.namespace == work.namespace:
        whom = f"{other.owner.kind} {other.owner.name} (tier {other.tier or 'none'}, priority {other.priority})"
    else:
        whom = "work of another team"
    why = {
        "priority": f"it counts for more in the queue {work.queue}: {_claim(other, now, policy)}",
        "reclaimed": "that team takes back GPUs that it had lent",
        "fair-sharing": "that team has less of its share than this one",
        "reclaimed-while-borrowing": "that team takes back GPUs, and counts for more",
        "other": "Kueue gives no reason that is known here",
    }[displaced_because(work)]
    return f"Displaced by {whom}, because {why}. {_lost(work)}, and waits again at priority {work.priority}."


def moved(work: Work, waits: Work, now: float, policy: Policy, *, taken: bool) -> str:
    """Say why work leaves its node, and what that costs it; other work is named to its own namespace only."""
    whom = f"{waits.owner.kind} {waits.owner.name}" if waits.namespace == work.namespace else "work of another team"
    undone = duration(lost(work, now, policy))
    there = ", ".join(name for name, _ in work.places)
    then = (
        "that team takes back GPUs that it had lent, and no others would make a node free; it waits for a place again"
        if taken
        else "it begins again where other work leaves room for it"
    )
    return f"It leaves {there}, so that {whom} finds whole nodes: {then}. It does {undone} of work again."


def displaced_because(work: Work) -> str:
    """Return the reason of the displacement as a word for a metric."""
    found = _KUEUE.search(work.eviction.message) if work.eviction else None
    return _REASONS.get(found["why"].strip(), "other") if found else "other"


def _claim(other: Work | None, now: float, policy: Policy) -> str:
    if other is None:
        return "it has gone since"
    return standing(other.noted.standing, other, other.priority, now, policy).split(": ", 1)[1].removesuffix(".")


def _lost(work: Work) -> str:
    if work.words.progress is not None:
        return f"It goes on from {work.words.progress:.0%}, which is saved"
    return f"It begins anew after {duration(work.ran)} in all, since no saved progress is known"


def _left(work: Work, now: float) -> str:
    if work.words.expected is None:
        return "how much work remains is not known"
    measured = "as measured" if work.words.progress is not None else "by the expected time"
    return f"{duration(remaining(work, now))} of work remain, {measured}"


def _slack(seconds: float) -> str:
    return f"{duration(seconds)} of slack" if seconds >= 0 else f"{duration(seconds)} too little"
