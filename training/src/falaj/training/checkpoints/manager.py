"""Checkpoints of a training job, as its workers save and restore them."""

import logging
import threading
import warnings
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.stateful import Stateful

from falaj.training.checkpoints.listing import MANIFEST, Saved, check_job, committed, leftovers
from falaj.training.checkpoints.planners import LoadPlanner, SavePlanner
from falaj.training.checkpoints.reader import SealedStorage, open_saved
from falaj.training.checkpoints.section import CheckpointSection
from falaj.training.checkpoints.workers import Workers, error_of, outcomes_of
from falaj.training.checkpoints.writer import SealingWriter
from falaj.training.errors import RefusedError, TrainingError
from falaj.training.sealing import DamagedError, open_keys
from falaj.training.stores import open_store

logger = logging.getLogger(__name__)


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint was passed over, since it is not as it was written."""


class Checkpoints:
    """Saves and restores the state of a job; made, used and closed on every worker alike.

    Make it after ``init_process_group``, or with no process group for a single worker. One job writes at a time: what
    another left unfinished below the same name is removed with the first save.
    Tensors that are no ``DTensor``, and plain values, are to be the same on all workers; what is a worker's own needs a
    name of its own.
    Raises ``RefusedError`` for a store, a key or a name that is not acceptable.
    """

    def __init__(self, section: CheckpointSection, job: str, *, base: Path) -> None:
        self._store = open_store(section.location, base, region=section.region)
        self._keys = open_keys(section.key, base=base, region=section.region)
        self._section, self._job = section, check_job(job)
        # The group is this object's alone: saving beside training on the default group deadlocks with gloo and DDP.
        self._workers = Workers(new_group(section.timeout_seconds) if dist.is_initialized() else None)
        if self._workers.group is None:  # a single worker is what is meant
            warnings.filterwarnings("ignore", "torch.distributed is disabled")
        # Not whether there is a GPU: to pin memory for a job on the processor would take up room on one beside it.
        cuda = torch.cuda.is_initialized()
        # Memory of the copy is used again for every save. Only one is under way at a time, so that this is safe.
        self._stager = DefaultStager(StagingOptions(cuda, False, False, cuda))
        self._saving: _Saving | None = None
        self._damaged: set[Saved] = set()
        self._swept = False

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Save the state that all workers have after ``step``.

        Waits for the save before, and raises what that failed with. Where the section says so, this returns as soon as
        the state is copied; otherwise when the checkpoint is durable. Raises ``TrainingError`` where it was not saved:
        then the checkpoints before it are as they were.
        """
        self.wait()
        resolved = {
            name: settled(value.state_dict() if isinstance(value, Stateful) else value) for name, value in state.items()
        }
        if not self._section.asynchronous:
            self._write(step, resolved)
            return
        staged = cast(dict[str, Any], self._stager.stage(resolved))
        self._saving = _Saving(lambda: self._write(step, staged))

    def wait(self) -> None:
        """Wait until the last save is durable; raise ``TrainingError`` where it was not saved."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def steps(self) -> list[int]:
        """Return the steps of all committed checkpoints, newest last."""
        return [saved.step for saved in committed(self._store, self._job)]

    def restore(self, state: MutableMapping[str, Any], *, optional: Collection[str] = ()) -> int | None:
        """Put the newest good checkpoint into ``state``, in place, and return its step; None if there is none.

        Tensors are loaded on the number of workers that there is now, whatever saved them. ``optional`` names parts of
        the state (``"random.3"``) that stay as they are where the checkpoint has none; all others it must have.
        A checkpoint that is damaged is passed over with a ``DamagedCheckpointWarning`` that says why. Raises
        ``RefusedError`` for the wrong key and for a state that the checkpoint does not fit, ``TrainingError`` where all
        are damaged or the store or the key's service does not answer; then ``state`` is of no use.
        """
        self.wait()
        candidates = self._workers.first(lambda: committed(self._store, self._job))
        for saved in reversed(candidates):
            try:
                self._load(saved, state, optional)
            except DamagedError as error:
                self._damaged.add(saved)
                said = f"the checkpoint of step {saved.step} is damaged and passed over: {error}"
                warnings.warn(said, DamagedCheckpointWarning, stacklevel=2)
            else:
                return saved.step
        if candidates:
            raise TrainingError(f"none of the {len(candidates)} checkpoints of {self._job} is whole")
        return None

    def close(self) -> None:
        """Wait until the last save is durable, and let go of the workers' group and of memory."""
        try:
            self.wait()
        finally:
            self._stager.close()
            if self._workers.group is not None:
                dist.destroy_process_group(self._workers.group)
                self._workers = Workers(None)

    def _write(self, step: int, state: dict[str, Any]) -> None:
        writer = SealingWriter(self._store, self._keys, self._job, step)
        group, failed = self._workers.group, f"the checkpoint of step {step} was not saved"
        try:
            self._sweep()
            save(state, storage_writer=writer, planner=SavePlanner(), process_group=group, no_dist=group is None)
        except CheckpointException as error:
            self._remove(lambda: [writer.attempt] if writer.attempt else [])
            raise TrainingError(f"{failed}: {error_of(outcomes_of(error))}") from error
        except RuntimeError as error:  # of the workers' group
            raise TrainingError(f"{failed}: a worker did not answer: {error}") from error
        self._retire()

    def _load(self, saved: Saved, state: MutableMapping[str, Any], optional: Collection[str]) -> None:
        opened = self._workers.together(lambda: open_saved(self._store, self._keys, self._job, saved))
        reader, group = SealedStorage(self._store, self._job, opened), self._workers.group
        loaded = dict(state)
        try:
            load(
                loaded,
                storage_reader=reader,
                planner=LoadPlanner(optional),
                process_group=group,
                no_dist=group is None,
            )
        except CheckpointException as error:
            for failure, _ in error.failures.values():
                if isinstance(failure, ValueError | RuntimeError) and not isinstance(failure, TrainingError):
                    raise RefusedError("state", f"step {saved.step}", f"must fit the checkpoint: {failure}") from error
            raise error_of(outcomes_of(error)) from error
        for name, value in loaded.items():
            if not isinstance(value, Stateful):
                state[name] = value

    def _sweep(self) -> None:
        """Remove what a crash left, once, before its room is needed."""
        if not self._swept:
            self._remove(lambda: leftovers(self._store, self._job))
        self._swept = True

    def _retire(self) -> None:
        """Keep the newest good checkpoints; remove older ones, and damaged ones with those of their age."""
        self._remove(lambda: retired(committed(self._store, self._job), self._damaged, self._section.keep))

    def _remove(self, find: Callable[[], Sequence[Saved]]) -> None:
        """Remove attempts, each one's manifest first: what is left half removed is no checkpoint any more."""
        if self._workers.rank != 0:
            return
        try:
            for saved in find():
                self._store.delete(saved.path(self._job, MANIFEST))
                self._store.discard(f"{self._job}/{saved.folder}")
        except OSError as error:  # a checkpoint is saved or not by then
            logger.warning("files of old checkpoints of %s were not removed: %s", self._job, error)


def retired(whole: Sequence[Saved], damaged: Collection[Saved], keep: int) -> Sequence[Saved]:
    """Return those of ``whole``, which is sorted, that are older than the newest ``keep`` good ones."""
    kept = [saved for saved in whole if saved not in damaged][-keep:]
    return [saved for saved in whole if kept and saved < kept[0]]


def settled(value: Any) -> Any:
    """Return a state whose tensors lie in memory as they are: torch's stager forgets lazy conjugations."""
    if isinstance(value, torch.Tensor):
        return value.resolve_conj().resolve_neg() if value.is_conj() or value.is_neg() else value
    if isinstance(value, dict):
        return {key: settled(item) for key, item in cast(dict[Any, Any], value).items()}
    return [settled(item) for item in cast(list[Any], value)] if isinstance(value, list) else value


def new_group(timeout_seconds: int) -> dist.ProcessGroup:
    """Return a group of all workers that talks beside the one of training."""
    return cast(dist.ProcessGroup, dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout_seconds)))


class _Saving:
    """A save that is under way in a thread, which does not keep a process that fails from ending."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do, self._error = do, None
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    def result(self) -> None:
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._do()
        except BaseException as error:  # it belongs to the thread that waits
            self._error = error
