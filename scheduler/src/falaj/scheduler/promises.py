"""What a deadline is worth: whether work is accepted with it, and how it stands with it."""

from dataclasses import replace

from falaj.scheduler.errors import RefusedError
from falaj.scheduler.policy import Policy
from falaj.scheduler.slack import remaining, risk_margin, slack
from falaj.scheduler.words import Words, check_deadline_ahead
from falaj.scheduler.work import Promise, Work

_NEW = 60.0
"""Seconds in which work that Kueue was quicker to start than we to read counts as new."""


def refusal(work: Work, now: float) -> RefusedError | None:
    """Return why the words on the work are refused, if they are.

    Whether a deadline was in the past is judged by when the work was made, so that it does not depend on when somebody
    looked; for work that was refused before, by now, so that it can be put right.
    """
    words = work.words
    if words.refused or words.deadline is None:
        return words.refused
    if work.noted.promise in (None, Promise.REFUSED):
        since = now if work.noted.promise is Promise.REFUSED else work.created
        try:
            check_deadline_ahead(work.deadline_text, words.deadline, since)
        except RefusedError as refused:
            return refused
    return None


def void(work: Work, now: float) -> Work:
    """Return the work without its words where they are refused, so that it goes on as work without any."""
    refused = refusal(work, now)
    return replace(work, words=Words(refused=refused)) if refused else work


def stops(work: Work, now: float) -> bool:
    """Return whether refused work is stopped: work that has run for long is not, for a word that came later."""
    return work.noted.promise is None and (not work.runs or now - work.created < _NEW)


def promise(work: Work, now: float, policy: Policy) -> Promise | None:
    """Return how it stands with the deadline; back from at risk only with slack to spare, so that it is told once."""
    left = slack(work, now)
    deadline = work.words.deadline
    if work.words.refused:
        return Promise.REFUSED
    if left is None or deadline is None:
        return None
    if now > deadline:
        return Promise.MISSED
    margin = risk_margin(work, policy)
    if work.noted.promise is Promise.AT_RISK:
        margin *= 2
    if work.runs:
        # What remains is a forecast here; once it takes longer than was said, there is only the deadline to go by.
        forecast_fails = left < (margin if work.noted.promise is Promise.AT_RISK else 0)
        at_risk = forecast_fails or (remaining(work, now) <= 0 and deadline - now < margin)
    else:
        at_risk = left < margin
    return Promise.AT_RISK if at_risk else Promise.ON_TIME
