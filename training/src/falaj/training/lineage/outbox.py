"""An outbox: what is to be told to a server lies in a file first, and leaves it once the server has it.

A run appends a line and goes on; whether the server is there is no concern of it. Whoever delivers (one process at a
time) sends lines in their order and notes how far it came, so that a crash of either loses nothing: at worst a line
is sent twice, which the receivers can take. What a server refuses for good is put aside beside the outbox.
"""

import errno
import fcntl
import json
import logging
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

Record = Mapping[str, Any]
LARGEST_READ = 4 * 2**20
"""Bytes of records that are held in memory at once."""

_log = logging.getLogger(__name__)


class RejectedError(Exception):
    """The receiver will never take these records, whenever they are sent."""


@dataclass(frozen=True)
class Outbox:
    """The outbox in one file; ``FILE.sent`` says how much of it has left, ``FILE.rejected`` keeps what was refused."""

    path: Path

    def append(self, record: Record) -> None:
        """Add a record: one line, whole or not at all for whoever reads it. Raises `OSError` where the disk is full."""
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        while True:
            with self._opened() as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file.fileno()).st_nlink == 0:
                    continue  # it was delivered and removed between opening and locking
                _write(file.fileno(), line)
                return

    @property
    def waiting(self) -> int:
        """Bytes that have not been delivered."""
        return max(0, self._size() - self._position())

    def deliver(self, send: Callable[[Sequence[Record]], None], *, at_once: int = 500) -> None:
        """Send what waits, up to ``at_once`` records a call, and remove the file once nothing does.

        ``send`` raises whatever it likes where the receiver is away: the records stay, and the error is passed on. It
        raises `RejectedError` where the receiver refused them for good: then they are sent one by one, and those that
        are refused even alone are put aside. Another process that is delivering has precedence: nothing happens.
        """
        with self._alone() as alone:
            if not alone:
                return
            while batch := list(self._next(at_once)):
                self._send([record for record, _ in batch if record is not None], send)
                self._note(batch[-1][1])
            self._clear()

    def _opened(self) -> BinaryIO:
        try:
            return self.path.open("ab+")
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.open("ab+")

    def _send(self, records: Sequence[Record], send: Callable[[Sequence[Record]], None]) -> None:
        if not records:
            return
        try:
            send(records)
        except RejectedError as error:
            if len(records) > 1:
                for record in records:
                    self._send([record], send)
                return
            _log.warning("%s: a record was refused and put aside: %s", self.path.name, error)
            with self.path.with_name(f"{self.path.name}.rejected").open("a") as aside:
                aside.write(json.dumps({"reason": str(error), "record": records[0]}) + "\n")

    def _next(self, most: int) -> Iterator[tuple[Record | None, int]]:
        """Go through the next records and the positions behind them; a line torn by a crash is none."""
        position = self._position()
        try:
            with self.path.open("rb") as file:
                file.seek(position)
                content = file.read(LARGEST_READ)
                if b"\n" not in content:  # one enormous record
                    content += file.readline()
        except FileNotFoundError:
            return
        for line in content.splitlines(keepends=True)[:most]:
            if not line.endswith(b"\n"):
                return
            position += len(line)
            yield _record(line), position

    def _clear(self) -> None:
        """Remove the file if all of it has left; whoever appends meanwhile waits for the lock and makes a new one."""
        try:
            with self.path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file.fileno()).st_size == self._position():
                    self._note(0)
                    self.path.unlink()
        except FileNotFoundError:
            return

    @contextmanager
    def _alone(self) -> Generator[bool]:
        if not self.path.exists():
            yield False
            return
        with self._sent.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @property
    def _sent(self) -> Path:
        return self.path.with_name(f"{self.path.name}.sent")

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def _position(self) -> int:
        try:
            return int(self._sent.read_text() or 0)
        except FileNotFoundError:
            return 0

    def _note(self, position: int) -> None:
        with self._sent.open("r+") as file:
            file.write(f"{position:020}")


def _write(descriptor: int, line: bytes) -> None:
    """Write a line at the end, behind one that a crash has torn; take it back where the disk takes only a part."""
    size = os.fstat(descriptor).st_size
    whole = line if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n" else b"\n" + line
    if os.write(descriptor, whole) != len(whole):
        os.ftruncate(descriptor, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _record(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    return record if isinstance(record, dict) else None
