"""The storage that torch.distributed.checkpoint writes to: a sealed file for each worker, then the manifest.

Torch's own storage writes tensors by ``torch.save`` and its table of contents by ``pickle``, in clear, and loads both
by ``pickle.load``: whoever can write to the store would run code in the training job. To authenticate ``.metadata``
before torch unpickles it would close that only as long as no key is ever lost. So nothing here is pickled: tensors
are their raw bytes, as in safetensors; values and the table of contents are JSON; and both are sealed, so that they are
also authentic. Torch keeps what it is good at, planning who writes and reads what.

In order: worker 0 has a data key made and names the attempt; every worker unwraps the key, writes its file and waits
until it is durable; worker 0 writes the manifest. Before that last write there is no checkpoint, after it there is a
whole one. The data key travels between workers in its wrapped form only.
"""

import datetime
import io
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex, TensorStorageMetadata
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.futures import Future

from falaj.training.checkpoints.listing import MANIFEST, Saved, new_attempt
from falaj.training.checkpoints.manifest import Manifest, Piece, SavedTensor, ShardFile
from falaj.training.checkpoints.raw import raw_bytes
from falaj.training.errors import RefusedError, TrainingError
from falaj.training.sealing import DataKey, KeySource, SealedWriter, new_data_key, seal
from falaj.training.stores import Store


@dataclass(frozen=True)
class Assignment:
    """What worker 0 tells each worker: the attempt, the wrapped data key, and the worker's own file."""

    attempt: Saved
    wrapped: bytes
    file: str


@dataclass(frozen=True)
class Written:
    """What a worker tells of one item: where it lies, and in which file."""

    piece: Piece
    file: ShardFile


class SealingWriter(StorageWriter):
    """Writes one checkpoint of ``job`` at ``step``."""

    def __init__(self, store: Store, keys: KeySource, job: str, step: int) -> None:
        self._store, self._keys, self._job, self._step = store, keys, job, step
        self._key: DataKey | None = None
        self.attempt: Saved | None = None
        """On worker 0, once it is named."""

    def reset(self, checkpoint_id: Any = None) -> None:
        """Do nothing: a writer writes one checkpoint."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Do nothing: folders are made as they are needed."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Say that checkpoints are never chosen by a name of torch's."""
        return False

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Return the plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Name the attempt, have its data key made, and tell both to all workers."""
        attempt = self.attempt = new_attempt(self._step)
        with travelling():
            self._key = new_data_key(self._keys, attempt.context(self._job))
        return [
            replace(plan, storage_data=Assignment(attempt, self._key.wrapped, f"rank-{rank:05d}.sealed"))
            for rank, plan in enumerate(plans)
        ]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write this worker's file, and return when it is durable."""
        told: Assignment = plan.storage_data
        done: Future[list[WriteResult]] = Future()
        with travelling():
            done.set_result(self._write_file(told, plan, planner) if plan.items else [])
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write the manifest, which makes the files a checkpoint."""
        assert self.attempt is not None and self._key is not None
        path = self.attempt.path(self._job, MANIFEST)
        with travelling(), self._store.write(path) as file:
            file.write(seal(manifest_of(metadata, results).to_json(), self._key, path))

    def _write_file(self, told: Assignment, plan: SavePlan, planner: SavePlanner) -> list[WriteResult]:
        path = told.attempt.path(self._job, told.file)
        places: list[tuple[int, int]] = []
        with self._store.write(path) as file, SealedWriter(file, self._data_key(told), path.encode()) as stream:
            for item in plan.items:
                data = planner.resolve_data(item)
                at = stream.tell()
                stream.write(data.getbuffer() if isinstance(data, io.BytesIO) else raw_bytes(data))
                places.append((at, stream.tell() - at))
        whole = ShardFile(stream.size, stream.digest, stream.header.hex())
        return [
            WriteResult(item.index, length, Written(Piece(told.file, at, length), whole))
            for item, (at, length) in zip(plan.items, places, strict=True)
        ]

    def _data_key(self, told: Assignment) -> bytes:
        if self._key is not None:
            return self._key.key
        return self._keys.unwrap(told.wrapped, told.attempt.context(self._job))


@contextmanager
def travelling() -> Generator[None]:
    """Raise refusals as errors that torch can send to the other workers: it makes them again from their message."""
    try:
        yield
    except RefusedError as error:
        raise TrainingError(str(error)) from error


def manifest_of(metadata: Metadata, results: Sequence[Sequence[WriteResult]]) -> Manifest:
    """Return the manifest of what all workers wrote."""
    written: list[tuple[WriteResult, Written]] = [(result, result.storage_data) for part in results for result in part]
    where = {result.index: told.piece for result, told in written}
    tensors: dict[str, SavedTensor] = {}
    for name, told in metadata.state_dict_metadata.items():
        if isinstance(told, TensorStorageMetadata):
            pieces = [
                replace(piece, offsets=list(chunk.offsets), sizes=list(chunk.sizes))
                for chunk in told.chunks
                for piece in [where[MetadataIndex(name, chunk.offsets)]]
            ]
            tensors[name] = SavedTensor(str(told.properties.dtype).removeprefix("torch."), list(told.size), pieces)
    return Manifest(
        saved_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        workers=len(results),
        files={told.piece.file: told.file for _, told in written},
        tensors=tensors,
        values={result.index.fqn: told.piece for result, told in written if result.index.fqn not in tensors},
    )
