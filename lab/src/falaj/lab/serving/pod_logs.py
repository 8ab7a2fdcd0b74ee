"""What containers say: one file each, of a bounded size, and the files of pods that are gone only for a while."""

import os
import shutil
from pathlib import Path
from typing import BinaryIO

from falaj.lab.state import append_private

SIZE = 10 << 20
"""Bytes after which a log becomes its one older log."""
KEPT = 200
"""How many files are kept at most, older ones included."""
_TAIL = 2048


def path_of(folder: Path, namespace: str, pod: str, container: str) -> Path:
    """Return where the output of a container is."""
    return folder / f"{namespace}_{pod}_{container}.log"


def opened(path: Path) -> BinaryIO:
    """Open a log to write at its end."""
    return append_private(path)


def tail(path: Path) -> str:
    """Return the end of a log."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode(errors="replace")


def tidy(folder: Path) -> None:
    """Bound the size of each log and the number of all: a program writes on, at the end of a file made empty."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > SIZE:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
    by_age = sorted(folder.glob("*.log*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for log in by_age[KEPT:]:
        log.unlink(missing_ok=True)
