"""Processes in the place of containers: each leads a session of its own, and its session ends with it.

The kernel ends a container's first process with the kubelet. What that process had started itself would live on:
the guard, a process beside the kubelet, ends it by the records that are kept here.
"""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from falaj.lab.processes import Record, record
from falaj.lab.serving.leftovers import end_members
from falaj.lab.state import write_private
from falaj.lab.supervisor import die_with_me

PATIENCE = 5.0
"""Seconds that the guard has to end when the kubelet does."""


@dataclass(frozen=True)
class Session:
    """A program that was started, with all that it starts."""

    process: Process
    record: Record
    path: Path
    """Where the guard finds the record."""

    async def ended(self) -> int:
        """Wait for the end of the first process, end what it left behind, and return its exit code as a shell does."""
        code = await self.process.wait()
        await asyncio.to_thread(end_members, self.record)
        self.path.unlink(missing_ok=True)
        return code if code >= 0 else 128 - code

    def signal(self, number: int) -> None:
        """Send a signal to the first process, if it has not ended.

        Not by ``send_signal``, which first looks whether it has ended, and so takes away the exit code that asyncio
        is waiting for: the process would seem to have ended with 255 (CPython gh-87744).
        """
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class Sessions:
    """Starts sessions, and keeps the records of those that live in a folder."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._guard: Process | None = None

    async def start(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, output: IO[bytes] | int
    ) -> Session:
        """Start a program with exactly this environment; raises OSError when there is no such program."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=die_with_me(),
        )
        session = Session(process, record(process.pid), self._folder / str(process.pid))
        write_private(session.path, json.dumps(session.record))
        return session

    async def guard(self) -> None:
        """Keep the guard running: it learns of the kubelet's end by the end of its input."""
        while True:
            self._guard = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", "falaj.lab.serving.guard", str(self._folder)),
                stdin=PIPE,
                start_new_session=True,
            )
            await self._guard.wait()
            await asyncio.sleep(1)

    async def close(self) -> None:
        """Have the guard end."""
        if self._guard and self._guard.stdin and self._guard.returncode is None:
            self._guard.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._guard.wait(), PATIENCE)
