"""What the workers of a sweep share: its trials, which of them count, and what becomes of those whose worker died."""

import fcntl
import os
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.job import Job
from falaj.training.sweep.section import Direction, Pruner, Sampler, SweepSection, check_storage

WORKER, SURPLUS, WHY = "worker", "surplus", "why"
"""Attributes of a trial: who works on it, that it was one too many, and why it failed."""
_HEARTBEAT_SECONDS, _GRACE_SECONDS = 30, 120
_UNNAMED_SECONDS = 60.0


class Sweep:
    """A sweep as one of its workers sees it."""

    def __init__(self, job: Job, section: SweepSection) -> None:
        self.job, self.section = job, section
        self.folder = job.base / (section.folder or f"sweeps/{job.name}")
        """Where the sweep's files are."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._alive = self.folder / "workers"
        self._alive.mkdir(exist_ok=True)
        self._again = RetryHeartbeatStaleTrialCallback(max_retry=section.retries)
        self._storage = self._open()
        self._local = isinstance(self._storage, JournalStorage)
        self.study = optuna.create_study(
            study_name=job.name,
            storage=self._storage,
            sampler=self._sampler(),
            pruner=_pruner(section),
            direction=section.direction.value,
            load_if_exists=True,
        )
        """Optuna's study."""
        if self.study.direction.name.lower() != section.direction:
            remedy = f"must stay what it was when the sweep began, {self.study.direction.name.lower()}"
            raise RefusedError("sweep.direction", section.direction.value, remedy)

    @property
    def minimizes(self) -> bool:
        """Whether the smaller value is the better one."""
        return self.section.direction is Direction.MINIMIZE

    def trials(self) -> list[FrozenTrial]:
        """Return the trials that count: without those that were one too many, and those that were tried again."""
        found = self.study.get_trials(deepcopy=False)
        again = {number for each in found for number in each.system_attrs.get("retry_history", [])}
        return [each for each in found if each.number not in again and not each.user_attrs.get(SURPLUS)]

    def left(self) -> int:
        """Return how many trials nobody has begun."""
        begun = [each for each in self.trials() if each.state is not TrialState.WAITING]
        return max(0, self.section.trials - len(begun))

    def is_surplus(self, number: int) -> bool:
        """Return whether a trial is one too many, as it happens when several workers begin their last one at once."""
        return sum(each.number < number for each in self.trials()) >= self.section.trials

    def done(self) -> bool:
        """Return whether all trials have ended."""
        return sum(each.state.is_finished() for each in self.trials()) >= self.section.trials

    @contextmanager
    def worker(self) -> Generator[str]:
        """Be a worker, by a name that others see to be alive as long as this process is."""
        name = uuid.uuid4().hex[:12]
        path = self._alive / name
        with path.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            try:
                yield name
            finally:
                path.unlink(missing_ok=True)

    def fail_orphans(self) -> int:
        """Take for failed the trials whose workers are dead, have them tried again, and return how many there were.

        Where the storage is a database, workers may be on other machines: there their heartbeats tell.
        """
        if not self._local:
            optuna.storages.fail_stale_trials(self.study)
            return 0
        orphans = [each for each in self.study.get_trials(deepcopy=True) if self._is_orphan(each)]
        return sum(self._fail(each) for each in orphans)

    def again(self, trial: FrozenTrial) -> None:
        """Have a failed trial tried again, as often as the section allows."""
        # The new trial gets a copy of what is known of this one, and nobody works on it yet.
        trial.user_attrs.pop(WORKER, None)
        self._again(self.study, trial)

    def _fail(self, trial: FrozenTrial) -> bool:
        try:
            # The storage alone can end a trial that another process began; it tells who of several was first.
            identity = trial._trial_id  # pyright: ignore[reportPrivateUsage] - it has no other name
            taken = self._storage.set_trial_state_values(identity, TrialState.FAIL)
        except (RuntimeError, optuna.exceptions.UpdateFinishedTrialError):
            return False
        if taken:
            self.again(trial)
        return taken

    def _is_orphan(self, trial: FrozenTrial) -> bool:
        if trial.state is not TrialState.RUNNING:
            return False
        name = trial.user_attrs.get(WORKER)
        if name is None:
            began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
            return time.time() - began > _UNNAMED_SECONDS
        return not _is_held(self._alive / name)

    def _open(self) -> BaseStorage:
        where = self.section.storage or f"journal:{self.folder / 'journal.log'}"
        if where.startswith("file:"):
            where = self._from_file(self.job.base / where.removeprefix("file:"))
        if where.startswith("journal:"):
            path = self.job.base / where.removeprefix("journal:")
            path.parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(str(path)))
        try:
            return RDBStorage(
                where,
                heartbeat_interval=_HEARTBEAT_SECONDS,
                grace_period=_GRACE_SECONDS,
                heartbeat_stale_trial_callback=self._again,
            )
        except ImportError as error:
            remedy = "must have its driver installed, such as psycopg2-binary"
            raise RefusedError("sweep.storage", where.partition("://")[0], remedy) from error
        except optuna.exceptions.StorageInternalError as error:
            raise TrainingError("the sweep's database does not answer") from error

    def _from_file(self, path: Path) -> str:
        try:
            url = path.read_text().strip()
            check_storage(url, self.section.workers)
        except (OSError, ValueError) as error:
            remedy = f"must be a file with the URL of a storage that the workers can share: {error}"
            raise RefusedError("sweep.storage", f"file:{path}", remedy) from None
        return url

    def _sampler(self) -> optuna.samplers.BaseSampler:
        # Workers with the same random numbers would all try the same values.
        seed = self.job.seed if self.section.workers == 1 else int.from_bytes(os.urandom(4), "big")
        if self.section.sampler is Sampler.RANDOM:
            return optuna.samplers.RandomSampler(seed)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=self.section.workers > 1)


def _pruner(section: SweepSection) -> optuna.pruners.BasePruner:
    if section.pruner is Pruner.MEDIAN:
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=section.warmup_steps)
    if section.pruner is Pruner.HALVING:
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, section.warmup_steps))
    return optuna.pruners.NopPruner()


def _is_held(path: Path) -> bool:
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
