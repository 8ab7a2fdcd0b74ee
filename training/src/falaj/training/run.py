"""A whole run: what is checked before, the training itself, and what follows it."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from falaj.training.checkpoints import committed
from falaj.training.errors import RefusedError
from falaj.training.job import Job
from falaj.training.launch import Follower, launch
from falaj.training.metrics import Metrics
from falaj.training.status import line_in_words
from falaj.training.stores import open_store
from falaj.training.user import check_entries

_SECONDS_BETWEEN_LINES = 1.0


def check_new(job: Job) -> None:
    """Refuse to begin a job that has checkpoints: they would be gone on with, or written over."""
    if job.parallel.nodes > 1:  # another node may have begun already; there, `run` goes on as `resume` does
        return
    saved = committed(open_store(job.checkpoints.location, job.base), job.name)
    if saved:
        remedy = f"must have none of {job.name}: `falaj-train resume` goes on after step {saved[-1].step}"
        raise RefusedError("checkpoints.location", job.checkpoints.location, remedy)


def train(job: Job, say: Callable[[str], None]) -> None:
    """Check what can be checked without running anything, and train."""
    for error in check_entries(job):
        raise error
    followers: list[Follower] = [Printer(say)]
    if job.report.metrics_file is not None or job.report.metrics_port is not None:
        metrics = Metrics(job)
        followers.append(metrics.take)
        if metrics.port is not None:
            say(f"metrics on {job.report.metrics_host}:{metrics.port}")
    launch(job, followers)


class Printer:
    """Says the lines of a run, of those of progress at most one a second and the last."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._said = -_SECONDS_BETWEEN_LINES
        self._held: Mapping[str, Any] | None = None

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Take a line."""
        if line["event"] == "progress":
            self._held = line
            if self._clock() - self._said >= _SECONDS_BETWEEN_LINES:
                self._release()
            return
        words = _words(line)
        if words:
            self._release()
            self._say(words)

    def _release(self) -> None:
        if self._held is not None:
            self._say(line_in_words(self._held))
            self._held, self._said = None, self._clock()


def _words(line: Mapping[str, Any]) -> str | None:
    of = f" of {line['steps']}" if "steps" in line else ""
    match line["event"]:
        case "begin":
            return f"begins with {line['workers']} worker(s) on {line['device']}"
        case "resume" if line["exact"]:
            return f"goes on after step {line['step']}{of}"
        case "resume":
            return f"goes on after step {line['step']}{of}, shared otherwise: data in its order, random numbers anew"
        case "damaged":
            return f"warning: {line['message']}"
        case "end":
            return f"done: {line['step']} steps in {line['seconds']:.1f} s"
        case _:
            return None


def plain(words: str) -> None:
    """Say something on the terminal."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()
