"""A store in a local folder, or one that is mounted: files appear by rename, after their bytes are on the disk."""

import os
import secrets
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from falaj.training.stores import check_name

UNFINISHED = ".unfinished-"


class LocalStore:
    """Files below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def write(self, name: str) -> Generator[BinaryIO]:
        """Write a file that only its owner can read; it appears when it is whole and on the disk."""
        path = self.root / check_name(name)
        make_folder(path.parent)
        beside = path.with_name(UNFINISHED + secrets.token_hex(8))
        try:
            with open(beside, "xb", opener=private) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
        flush_folder(path.parent)

    def create(self, name: str, data: bytes) -> None:
        """Write a file that must not be there yet: a link fails where its name is taken, and is never half a file."""
        path = self.root / check_name(name)
        make_folder(path.parent)
        beside = path.with_name(UNFINISHED + secrets.token_hex(8))
        try:
            with open(beside, "xb", opener=private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(beside, path)
        finally:
            with suppress(OSError):
                beside.unlink()
        flush_folder(path.parent)

    def read(self, name: str) -> BinaryIO:
        """Return a reader of the file."""
        # Readers of checkpoints ask for whole segments: a buffer of Python's would only copy them again.
        return (self.root / check_name(name)).open("rb", buffering=0)  # type: ignore[return-value]

    def names(self, prefix: str = "") -> Sequence[str]:
        """Return the names that begin with ``prefix``."""
        return [name for name in self._all(prefix) if not unfinished(name)]

    def begun(self, prefix: str = "") -> Sequence[str]:
        """Return what is being written below ``prefix``, or was when its process ended."""
        return [name for name in self._all(prefix) if unfinished(name)]

    def size(self, name: str) -> int:
        """Return a file's size in bytes."""
        return (self.root / check_name(name)).stat().st_size

    def delete(self, name: str) -> None:
        """Remove a file, for good before this returns."""
        path = self.root / check_name(name)
        with suppress(FileNotFoundError):
            path.unlink()
            flush_folder(path.parent)

    def discard(self, folder: str) -> None:
        """Remove a folder and all that is in it."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.root / check_name(folder))

    def _all(self, prefix: str) -> Sequence[str]:
        start = self.root / prefix.rpartition("/")[0]
        files = (Path(folder) / name for folder, _, names in os.walk(start) for name in names)
        return sorted(name for path in files if (name := path.relative_to(self.root).as_posix()).startswith(prefix))


def unfinished(name: str) -> bool:
    """Say whether a name is that of a file which is not whole."""
    return name.rpartition("/")[2].startswith(UNFINISHED)


def make_folder(folder: Path) -> None:
    """Make a folder, and all above it that are missing, so that they outlive a loss of power."""
    if not folder.is_dir():
        make_folder(folder.parent)
        with suppress(FileExistsError):  # another rank made it meanwhile
            folder.mkdir(mode=0o700)
        flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Put the names of a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private(path: str, flags: int) -> int:
    """Open a file for its owner alone."""
    return os.open(path, flags, 0o600)
