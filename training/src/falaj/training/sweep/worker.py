"""Workers of a sweep: each takes one trial after the other, and is replaced when it dies."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.trial import TrialState

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.job import Job
from falaj.training.launch import StoppedError
from falaj.training.process import PARENT
from falaj.training.sweep.study import SURPLUS, WHY, WORKER, Sweep
from falaj.training.sweep.trial import FailedTrialError, train_trial

Objective = Callable[[Sweep, optuna.Trial], float]
_LOOK_SECONDS = 0.2


class _SurplusError(Exception):
    """The trial is one too many."""


def work(sweep: Sweep, say: Callable[[str], None], objective: Objective = train_trial) -> None:
    """Take trials until none is left that nobody has begun."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with sweep.worker() as name:

        def measured(trial: optuna.Trial) -> float:
            trial.set_user_attr(WORKER, name)
            if sweep.is_surplus(trial.number):
                trial.set_user_attr(SURPLUS, True)
                raise _SurplusError
            try:
                return objective(sweep, trial)
            except FailedTrialError as error:
                trial.set_user_attr(WHY, " ".join(str(error).split()))
                raise

        sweep.fail_orphans()
        while sweep.left():
            try:
                sweep.study.optimize(measured, n_trials=1, catch=(FailedTrialError, _SurplusError))
            except StoppedError:
                sweep.again(_last_of(sweep, name))
                raise
            last = _last_of(sweep, name)
            if not last.user_attrs.get(SURPLUS):
                say(_in_words(last))
            sweep.fail_orphans()


def supervise(sweep: Sweep, job: Job, say: Callable[[str], None]) -> None:
    """Have the sweep's workers work until all trials have ended; a worker that was killed is replaced.

    Raises ``RefusedError`` where a worker refused what it was told, ``TrainingError`` where they die again and again.
    """
    sweep.fail_orphans()
    workers: list[subprocess.Popen[bytes]] = []
    deaths, patience = 0, sweep.section.workers * (sweep.section.retries + 1)
    try:
        # Another sweep's workers may be at it too: theirs are waited for, and taken over where they die.
        while workers or (not sweep.done() and deaths <= patience):
            while len(workers) < min(sweep.section.workers, sweep.left()) and deaths <= patience:
                workers.append(_start(job, sweep.folder))
            time.sleep(_LOOK_SECONDS)
            if not workers:
                sweep.fail_orphans()
            for worker in [each for each in workers if each.poll() is not None]:
                workers.remove(worker)
                if worker.returncode == 2:
                    raise RefusedError("sweep", str(sweep.folder / "workers.log"), "must be as the worker's log says")
                if worker.returncode:
                    deaths += 1
                    say(f"a worker ended with {worker.returncode}; its trial is tried again")
                    sweep.fail_orphans()
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()
    if not sweep.done():
        raise TrainingError(f"{deaths} workers died; see {sweep.folder / 'workers.log'}")


def _start(job: Job, folder: Path) -> "subprocess.Popen[bytes]":
    sets = [part for each in job.overrides for part in ("--set", each)]
    command = [sys.executable, "-m", "falaj.training.cli", "sweep", str(job.path), "--worker", *sets]
    with (folder / "workers.log").open("ab") as log:
        # Its own session: Ctrl-C is for the sweep, which passes it on once.
        return subprocess.Popen(
            command,
            env=dict(os.environ) | {PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _last_of(sweep: Sweep, name: str) -> optuna.trial.FrozenTrial:
    return next(each for each in reversed(sweep.study.get_trials()) if each.user_attrs.get(WORKER) == name)


def _in_words(trial: optuna.trial.FrozenTrial) -> str:
    values = ", ".join(f"{name}={value}" for name, value in trial.params.items())
    match trial.state:
        case TrialState.COMPLETE:
            return f"trial {trial.number}: {trial.value:.6g} with {values}"
        case TrialState.PRUNED:
            return f"trial {trial.number}: pruned after step {trial.last_step} with {values}"
        case _:
            return f"trial {trial.number}: failed with {values}: {trial.user_attrs.get(WHY, 'its worker was killed')}"
