"""The manifest: what a checkpoint consists of. It is sealed like the rest, and written last."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

from falaj.training.errors import TrainingError

VERSION = 1


@dataclass(frozen=True)
class ShardFile:
    """One worker's file."""

    bytes: int
    """Its size."""
    digest: str
    """SHA-256 of its header and of its segments' tags, which authenticate all of it."""
    header: str
    """Its first 40 bytes in hexadecimal: the sealed stream that begins so, and no other, belongs here."""


@dataclass(frozen=True)
class Piece:
    """Where a value, or a part of a tensor, lies."""

    file: str
    at: int
    """Offset in the file's clear bytes."""
    bytes: int
    offsets: list[int] = field(default_factory=list[int])
    """Of a tensor's part: where in the tensor it begins."""
    sizes: list[int] = field(default_factory=list[int])
    """Of a tensor's part: its extent."""


@dataclass(frozen=True)
class SavedTensor:
    """A tensor and its parts."""

    dtype: str
    shape: list[int]
    pieces: list[Piece]


@dataclass(frozen=True)
class Manifest:
    """A checkpoint's table of contents."""

    saved_at: str
    """ISO 8601, UTC."""
    workers: int
    files: Mapping[str, ShardFile]
    tensors: Mapping[str, SavedTensor]
    values: Mapping[str, Piece]

    def to_json(self) -> bytes:
        """Return the manifest as bytes."""
        return json.dumps({"version": VERSION, **asdict(self)}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        """Return the manifest that ``to_json`` wrote; raise ``TrainingError`` for one of another version."""
        told: dict[str, Any] = json.loads(data)
        if told["version"] != VERSION:
            raise TrainingError(f"manifests of version {told['version']} cannot be read, only of version {VERSION}")
        return cls(
            saved_at=told["saved_at"],
            workers=told["workers"],
            files={name: ShardFile(**file) for name, file in told["files"].items()},
            tensors={
                name: SavedTensor(tensor["dtype"], tensor["shape"], [Piece(**piece) for piece in tensor["pieces"]])
                for name, tensor in told["tensors"].items()
            },
            values={name: Piece(**piece) for name, piece in told["values"].items()},
        )

    def metadata(self) -> Metadata:
        """Return what torch's planner asks: which tensors and values there are, in which parts."""
        found: dict[str, TensorStorageMetadata | BytesStorageMetadata] = {
            name: BytesStorageMetadata() for name in self.values
        }
        for name, tensor in self.tensors.items():
            chunks = [
                ChunkStorageMetadata(torch.Size(piece.offsets), torch.Size(piece.sizes)) for piece in tensor.pieces
            ]
            properties = TensorProperties(dtype=dtype_of(tensor.dtype))
            found[name] = TensorStorageMetadata(properties, torch.Size(tensor.shape), chunks)
        return Metadata(found)

    def pieces(self) -> Mapping[MetadataIndex, Piece]:
        """Return where each part lies, by the index that torch's planner gives it."""
        found = {MetadataIndex(name): piece for name, piece in self.values.items()}
        for name, tensor in self.tensors.items():
            found.update({MetadataIndex(name, torch.Size(piece.offsets)): piece for piece in tensor.pieces})
        return found


def dtype_of(name: str) -> torch.dtype:
    """Return a tensor's type by its name, for example ``bfloat16``; raise ``ValueError`` where torch has none."""
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"torch knows no type {name!r}")
    return dtype
