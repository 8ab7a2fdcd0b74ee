"""What a run writes down: lines of JSON in its folder, from which everybody else knows how it goes."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = "progress.jsonl"
"""The run's lines, in its folder."""
ERRORS = "errors.jsonl"
"""What its workers failed with, in the same folder."""


def append(folder: Path, file: str, event: str, **values: Any) -> None:
    """Write one line; a number that is unknown is left out. Lines of several processes do not get into each other."""
    known = {name: value for name, value in values.items() if value is not None}
    line = json.dumps({"event": event, "time": round(time.time(), 3), **known}, default=str) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read(folder: Path, file: str = FILE) -> list[dict[str, Any]]:
    """Return the lines that are there, in their order; a line that a crash has torn is left out."""
    return list(Reader(folder, file, whole=True))


class Reader:
    """Follows the lines of a run: each iteration gives those that came since."""

    def __init__(self, folder: Path, file: str = FILE, *, whole: bool = False) -> None:
        self._path = folder / file
        self._at = 0 if whole or not self._path.exists() else self._path.stat().st_size
        self._rest = b""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Give the lines that are new."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = self._rest + file.read()
            self._at = file.tell()
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue
