"""A whole run: what is checked before, the training itself, and what follows it."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from falaj.training.before import check_data, check_job
from falaj.training.errors import TrainingError
from falaj.training.job import Job
from falaj.training.launch import Follower, launch
from falaj.training.metrics import Metrics
from falaj.training.status import line_in_words
from falaj.training.tracked import tracked

INDEX = "JOB_COMPLETION_INDEX"
"""Variable by which Kubernetes tells a pod of an Indexed Job which node of the run it is."""
_SECONDS_BETWEEN_LINES = 1.0


class GateRefusedError(TrainingError):
    """The model may not be served: a check failed, or could not tell."""


def train(job: Job, say: Callable[[str], None], champion: Path | None = None) -> None:
    """Check the job and its data, train, judge the model where there is a gate, and export it where the job says how.

    Of several nodes the first one alone, by its index, does more than train. ``champion``: see `after.judge`.
    """
    check_job(job)
    followers: list[Follower] = [Printer(say)]
    if job.report.metrics_file is not None or job.report.metrics_port is not None:
        metrics = Metrics(job)
        followers.append(metrics.take)
        if metrics.port is not None:
            say(f"metrics on {job.report.metrics_host}:{metrics.port}")
    if os.environ.get(INDEX, "0") != "0":
        launch(job, followers)
        return
    report = check_data(job, say)
    with tracked(job, report) as run:
        launch(job, [*followers, run])
        if job.gate is not None:
            pass_gate(job, say, champion)
        if job.export is not None:
            from falaj.training.after import export_model  # noqa: PLC0415 - it brings torch along

            made = export_model(job)
            run.log.exported(made)
            say(f"exported to {made.location} ({made.digest})")


def pass_gate(job: Job, say: Callable[[str], None], champion: Path | None = None) -> None:
    """Judge the model of the last checkpoint; raise ``GateRefusedError`` where it may not be served."""
    from falaj.training.after import judge  # noqa: PLC0415 - it brings torch along

    outcome, path = judge(job, champion)
    if outcome != "pass":
        raise GateRefusedError(f"the gate's verdict is {outcome}: {path}")
    say(f"the gate's verdict is pass: {path}")


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
