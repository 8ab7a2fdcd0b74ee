"""Stores: where files lie under names, in a local folder or in S3; a file is there whole or not at all."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from falaj.training.errors import RefusedError

__all__ = ["Store", "check_name", "open_store"]


class Store(Protocol):
    """Files under names with slashes."""

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Return a writer of the file; when its ``with`` ends without an error, the file is durable and visible.

        Before, and after an error, the name holds what it held. Raises ``OSError`` where the store is full or out of
        reach, then or while writing.
        """
        ...

    def create(self, name: str, data: bytes) -> None:
        """Write a file that must not be there yet, whole and durable; of several writers at once one alone succeeds.

        Raises ``FileExistsError`` for the others, and ``OSError`` as `write` does.
        """
        ...

    def read(self, name: str) -> BinaryIO:
        """Return a reader that can seek; raise ``FileNotFoundError`` where there is no such file."""
        ...

    def names(self, prefix: str = "") -> Sequence[str]:
        """Return the names of all whole files that begin with ``prefix``, sorted."""
        ...

    def begun(self, prefix: str = "") -> Sequence[str]:
        """Return names of what was begun below ``prefix`` and is not whole; only their folders mean something."""
        ...

    def size(self, name: str) -> int:
        """Return a file's size in bytes; raise ``FileNotFoundError`` where there is none."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        ...

    def discard(self, folder: str) -> None:
        """Remove all below a folder, also what was begun there and never became whole."""
        ...


def open_store(location: str, base: Path, *, region: str | None = None) -> Store:
    """Return the store at ``s3://BUCKET/PREFIX`` or at a path, which is relative to ``base``.

    A folder is made when the first file is written. Where ``region`` is given, no bucket elsewhere is written to.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        from falaj.training.stores.local import LocalStore  # noqa: PLC0415 - it imports this module

        return LocalStore(base / location)
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise RefusedError("location", location, "must be a path or s3://BUCKET/PREFIX")
    from falaj.training.stores.s3 import S3Store  # noqa: PLC0415 - boto3 takes a third of a second

    return S3Store(bucket, prefix.strip("/"), region)


def check_name(name: str) -> str:
    """Return a name that stays inside its store; refuse any other."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or str(path) != name or ".." in path.parts:
        raise RefusedError("name", name, "must be a relative name without .. and empty parts")
    return name
