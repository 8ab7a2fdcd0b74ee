"""The storage that torch.distributed.checkpoint reads from; see the writer for the format and its reasons."""

import io
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import LoadItemType, LoadPlan, LoadPlanner, ReadItem
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

from falaj.training.checkpoints.listing import MANIFEST, Saved
from falaj.training.checkpoints.manifest import Manifest, Piece, dtype_of
from falaj.training.checkpoints.raw import memory_of
from falaj.training.sealing import DamagedError, DataKey, KeySource, SealedReader, unseal
from falaj.training.stores import Store


@dataclass(frozen=True)
class Opened:
    """A committed checkpoint whose manifest was authenticated."""

    saved: Saved
    key: DataKey
    manifest: Manifest


def open_saved(store: Store, keys: KeySource, job: str, saved: Saved) -> Opened:
    """Return a checkpoint's authenticated manifest and its data key.

    Raises ``DamagedError`` where it is not as it was written, ``RefusedError`` where the key is not the right one.
    """
    path = saved.path(job, MANIFEST)
    try:
        with store.read(path) as file:
            envelope = file.read()
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing") from None
    key, body = unseal(envelope, keys, saved.context(job), path, path)
    return Opened(saved, key, Manifest.from_json(body))


class SealedStorage(StorageReader):
    """Reads the parts that this worker needs of an opened checkpoint, and authenticates every segment that it reads."""

    def __init__(self, store: Store, job: str, opened: Opened) -> None:
        self._store, self._job, self._opened = store, job, opened
        self._pieces = opened.manifest.pieces()

    def reset(self, checkpoint_id: Any = None) -> None:
        """Do nothing: a reader reads one checkpoint."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: Any) -> bool:
        """Say that checkpoints are never chosen by a name of torch's."""
        return False

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Return what the manifest says."""
        return self._opened.manifest.metadata()

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the manifest was read before."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Return the plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Return the plans as they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Read this worker's parts, file by file, from each file's beginning to its end."""
        found = [(self._pieces[item.storage_index], item) for item in plan.items]
        streams: dict[str, SealedReader] = {}
        with ExitStack() as stack:
            for piece, item in sorted(found, key=lambda pair: (pair[0].file, pair[0].at)):
                if piece.file not in streams:
                    streams[piece.file] = self._open(piece.file, stack)
                stream = streams[piece.file]
                stream.seek(piece.at)
                if item.type == LoadItemType.BYTE_IO:
                    planner.load_bytes(item, io.BytesIO(stream.read(piece.bytes)))
                else:
                    self._read_tensor(stream, piece, item, planner)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _open(self, file: str, stack: ExitStack) -> SealedReader:
        path = self._opened.saved.path(self._job, file)
        told = self._opened.manifest.files[file]
        try:
            size = self._store.size(path)
            raw = stack.enter_context(self._store.read(path))
        except FileNotFoundError:
            raise DamagedError(f"{path} is missing") from None
        if size != told.bytes:
            raise DamagedError(f"{path} has {size} bytes, not the {told.bytes} that were written")
        header = bytes.fromhex(told.header)
        return SealedReader(raw, size, self._opened.key.key, path.encode(), name=path, header=header)

    def _read_tensor(self, stream: SealedReader, piece: Piece, item: ReadItem, planner: LoadPlanner) -> None:
        dtype = dtype_of(self._opened.manifest.tensors[item.storage_index.fqn].dtype)
        target = planner.resolve_tensor(item).detach()
        whole = list(item.lengths) == piece.sizes
        memory = memory_of(target) if whole and target.dtype == dtype else None
        if memory is not None:
            stream.readinto(memory)
        else:
            part = torch.empty(piece.sizes, dtype=dtype)
            stream.readinto(memory_of(part) or b"")
            for dimension, (start, length) in enumerate(zip(item.storage_offsets, item.lengths, strict=True)):
                part = part.narrow(dimension, start, length)
            target.copy_(part)
        planner.commit_tensor(item, target)
