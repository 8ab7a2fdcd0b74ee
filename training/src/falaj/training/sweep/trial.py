"""One trial: the job with other values and a folder of its own, trained, watched and measured."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import optuna

from falaj.training.before import check_job
from falaj.training.errors import RefusedError, TrainingError
from falaj.training.job import Job, load_job
from falaj.training.launch import launch
from falaj.training.process import PARENT
from falaj.training.sweep.section import Measured, Parameter, Scalar, SweepSection
from falaj.training.sweep.study import Sweep

MEASURE_SECONDS = 6 * 3600
"""Seconds after which a measurement that has not ended is given up."""


class FailedTrialError(TrainingError):
    """A trial failed by itself: its values are no good, and the sweep goes on without it."""


def train_trial(sweep: Sweep, trial: optuna.Trial) -> float:
    """Train with the values that the trial suggests; return what the sweep is about.

    Raises ``optuna.TrialPruned`` where others do better, ``FailedTrialError`` where it failed.
    """
    values = {name: suggest(trial, name, each) for name, each in sweep.section.parameters.items()}
    job = trial_job(sweep, trial.number, values)
    check_job(job)
    watch = Watch(sweep.section, trial)
    try:
        launch(job, [watch])
        if sweep.section.measured is Measured.VALIDATION:
            return measured(job, sweep.section.metric)
    except RefusedError:
        raise
    except TrainingError as error:
        if type(error) is not TrainingError:
            raise
        raise FailedTrialError(str(error)) from error
    if watch.last is None:
        raise RefusedError("sweep.metric", sweep.section.metric, "must be loss or an entry of what model.score returns")
    return watch.last


def suggest(trial: optuna.Trial, name: str, parameter: Parameter) -> Scalar:
    """Return a value for a key of the job file."""
    if parameter.choices:
        chosen = trial.suggest_categorical(name, parameter.choices)
        assert chosen is not None
        return chosen
    assert parameter.low is not None and parameter.high is not None
    if parameter.whole:
        return trial.suggest_int(name, int(parameter.low), int(parameter.high), log=parameter.log)
    return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)


def trial_job(sweep: Sweep, number: int, values: Mapping[str, Scalar]) -> Job:
    """Return a trial's job: the sweep's, with its values, its own name and its own folder."""
    name = f"{sweep.job.name}-{number:04}"
    sets = dict(values) | {"name": name, "report.folder": str(sweep.folder / "trials" / f"{number:04}")}
    sets |= {"report.every_steps": sweep.section.every_steps}
    # JSON's texts, numbers and truths are TOML's as well.
    said = (f"{key}={json.dumps(value)}" for key, value in sets.items())
    return load_job(sweep.job.path, [*sweep.job.overrides, *said])


class Watch:
    """Follows a trial's lines, reports them, and ends the trial when it is pruned."""

    def __init__(self, section: SweepSection, trial: optuna.Trial) -> None:
        self._section, self._trial = section, trial
        self._reported = -1
        self.last: float | None = None
        """The metric in the last line of progress."""

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Take a line."""
        if line["event"] != "progress":
            return
        metric = self._section.metric
        value = line["loss"] if metric == "loss" else line.get("metrics", {}).get(metric)
        if value is None:
            return
        self.last, step = float(value), int(line["step"])
        # Steps that a restart repeats were reported before; others are no step at which trials are compared.
        if step <= self._reported or step % self._section.every_steps:
            return
        self._reported = step
        self._trial.report(self.last, step)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def measured(job: Job, metric: str) -> float:
    """Return the metric of the job's last checkpoint on the validation data, from a process that goes afterwards."""
    told = subprocess.run(
        [sys.executable, "-m", "falaj.training.sweep.measure", str(job.path), *job.overrides],
        env=dict(os.environ) | {PARENT: str(os.getpid())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MEASURE_SECONDS,
        check=False,
    )
    if told.returncode:
        last = told.stderr.strip().splitlines()[-1:] or [f"exit code {told.returncode}"]
        raise TrainingError(f"the model could not be measured: {last[0]}")
    means: Mapping[str, float | None] = json.loads(told.stdout.splitlines()[-1])
    if metric not in means:
        raise RefusedError("sweep.metric", metric, f"must be among {', '.join(means)}")
    found = means[metric]
    if found is None:
        raise TrainingError(f"{metric} is no finite number on the validation data")
    return found
