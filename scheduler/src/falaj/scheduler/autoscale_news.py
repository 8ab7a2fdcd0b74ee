"""What is new to whom: turns plans into events that are worth a person's time, and into the time that scaling took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from falaj.scheduler.autoscale_events import ARRIVED, REFUSED, RENEWED, WAITS, Tell
from falaj.scheduler.autoscale_metrics import Metrics
from falaj.scheduler.autoscale_state import Plan, Work, counted
from falaj.scheduler.words import duration

QUIET = 30.0
"""Seconds for which nothing is told of work whose pods fit on what is there: the scheduler is about to place them."""


@dataclass
class _Known:
    """What was told of one work in one pool."""

    seen: float
    asked: float | None = None
    kind: tuple[str, str] = ("", "")
    told: float = 0


class News:
    """Remembers what was told. It may be lost: then things are told once more."""

    def __init__(self, tell: Tell, metrics: Metrics) -> None:
        self._tell = tell
        self._metrics = metrics
        self._known: dict[tuple[str, str], _Known] = {}

    def spread(self, plan: Plan, works: Sequence[Work], now: float) -> None:
        """Tell what the plan means for each work, and of work that has its nodes now."""
        waiting = {(work.uid, work.pool) for work in works if work.unplaced}
        self._arrived({(work.uid, work.pool): work for work in works if not work.unplaced and work.placed}, now)
        self._known = {key: known for key, known in self._known.items() if key in waiting}
        for wait in plan.waits:
            known = self._of(wait.work, now)
            if wait.nodes:
                known.asked = now if known.asked is None else known.asked
                ago = duration(now - known.asked)
                text = f"waits for {counted(wait.nodes)} of pool {wait.work.pool}, asked {ago} ago"
                self._say(wait.work, WAITS, text, str(wait.nodes), now)
            elif now - known.seen >= QUIET or "grow" in wait.why:
                text = f"waits in pool {wait.work.pool}: {wait.why}"
                self._say(wait.work, WAITS, text, wait.why.translate(_NO_DIGITS), now)
        for refusal in plan.refusals:
            if self._say(refusal.work, REFUSED, f"gets no nodes: {refusal}", str(refusal), now):
                self._metrics.refused(refusal)

    def _arrived(self, placed: Mapping[tuple[str, str], Work], now: float) -> None:
        for key, known in self._known.items():
            if known.asked is not None and (work := placed.get(key)):
                self._metrics.scaled(work, now - work.since)
                took = duration(now - work.since)
                self._tell(work, ARRIVED, f"has its nodes of pool {work.pool}, {took} after it was admitted")

    def _say(self, work: Work, reason: str, text: str, kind: str, now: float) -> bool:
        """Tell what is new, or was told a while ago; return whether it is new."""
        known = self._of(work, now)
        new = known.kind != (reason, kind)
        if new or now - known.told >= RENEWED:
            self._tell(work, reason, text)
            known.kind, known.told = (reason, kind), now
        return new

    def _of(self, work: Work, now: float) -> _Known:
        return self._known.setdefault((work.uid, work.pool), _Known(now))


_NO_DIGITS = str.maketrans("", "", "0123456789")
