"""Digests of files and folders, as ``sha256:`` and hexadecimal."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

DIGEST = r"^sha256:[0-9a-f]{64}$"
"""What every digest looks like."""


def bytes_digest(content: bytes) -> str:
    """Return the digest of ``content``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def file_digest(path: Path) -> str:
    """Return the digest of a file's content; raise `OSError` where it cannot be read."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def tree_digest(folder: Path, files: Iterable[Path] | None = None) -> str:
    """Return one digest over the names and contents of a folder's files: all of them, or ``files`` alone.

    Two folders have the same digest exactly when they hold the same files below the same names; times, modes and the
    name of the folder itself do not count.
    """
    whole = hashlib.sha256()
    for path in sorted(every_file(folder) if files is None else files, key=lambda path: path.as_posix()):
        name = path.relative_to(folder).as_posix()
        whole.update(f"{file_digest(path)} {len(name.encode())} {name}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def content_digest(path: Path) -> str:
    """Return the digest of a file or of a folder; raise `OSError` where it is neither."""
    return tree_digest(path) if path.is_dir() else file_digest(path)


def every_file(folder: Path) -> list[Path]:
    """Return every file below a folder, at any depth."""
    return [path for path in folder.rglob("*") if path.is_file()]
