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

    def read(self, name: str) -> BinaryIO:
        """Return a reader of the file."""
        # Readers of checkpoints ask for whole segments: a buffer of Python's would only copy them again.
        return (self.root / check_name(name)).open("rb", buffering=0)  # type: ignore[return-value]

    def names(self, prefix: str = "") -> Sequence[str]:
        """Return the names that begin with ``prefix``."""
        start = self.root / prefix.rpartition("/")[0]
        found = (path for path in start.rglob("*") if not path.name.startswith(UNFINISHED) and path.is_file())
        return sorted(name for path in found if (name := path.relative_to(self.root).as_posix()).startswith(prefix))

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
