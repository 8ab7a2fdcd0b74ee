"""Slack: the time to the deadline less the work that remains; and how near that is."""

import math

from falaj.scheduler.policy import Policy
from falaj.scheduler.work import Work


def remaining(work: Work, now: float) -> float:
    """Return the seconds of work that remain.

    Measured progress counts where there is any; work that waits without it has all before it, since what it did before
    it was displaced is lost. Work that runs has done what time it has run since then.
    """
    words = work.words
    if words.expected is None:
        return 0.0
    left = words.expected * (1 - (words.progress or 0.0))
    if work.admitted is None:
        return left
    since = work.admitted if words.measured is None else max(work.admitted, words.measured)
    return max(0.0, left - (now - since))


def slack(work: Work, now: float) -> float | None:
    """Return how long the work could stand still and keep its deadline; ``None`` without a deadline."""
    deadline = work.words.deadline
    return None if deadline is None else deadline - now - remaining(work, now)


def lost(work: Work, now: float, policy: Policy) -> float:
    """Return the seconds of work that would have to be done again if the work were displaced now."""
    if work.admitted is None:
        return 0.0
    ran = max(0.0, now - work.admitted)
    saves = work.words.checkpoint or (None if work.words.progress is None else policy.checkpoint_seconds)
    return ran if saves is None else min(ran, saves)


def risk_margin(work: Work, policy: Policy) -> float:
    """Return the slack below which a deadline is at risk: estimates are seldom better than a tenth."""
    return max(policy.risk_seconds, (work.words.expected or 0.0) / 10)


def rescue_margin(work: Work, policy: Policy) -> float:
    """Return the slack below which others make room: earlier than at risk, since making room takes its time."""
    return max(policy.rescue_seconds, (work.words.expected or 0.0) / 4)


def nearness(slack_seconds: float, policy: Policy) -> float:
    """Return 1 where there is no slack and 0 where there is more than the horizon, in between by the logarithm.

    So the same share of slack less is the same step up, whether hours are left or minutes.
    """
    horizon = policy.horizon_hours * 3600
    near = 1 - math.log1p(max(slack_seconds, 0.0) / policy.near_seconds) / math.log1p(horizon / policy.near_seconds)
    return min(1.0, max(0.0, near))
