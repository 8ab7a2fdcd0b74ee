"""Processes that the lab started, known by number and start time: the number alone may have passed on to a stranger."""

import contextlib
from collections.abc import Mapping
from typing import Any

import psutil

Record = Mapping[str, Any]
"""How a process is kept in a file: ``pid`` and ``created``, beside whatever else is said of it."""

SAME = 2.0
"""Seconds by which two readings of one process's start time may differ when the clock is set meanwhile."""


def record(pid: int) -> dict[str, Any]:
    """Return how to find a process again; without a start time when it is gone already."""
    with contextlib.suppress(psutil.Error):
        return {"pid": pid, "created": psutil.Process(pid).create_time()}
    return {"pid": pid, "created": 0.0}


def find(record: Record) -> psutil.Process | None:
    """Return the process of a record, or None when it has ended; one that only waits to be reaped has ended."""
    if not record.get("pid"):
        return None
    try:
        process = psutil.Process(record["pid"])
        same = abs(process.create_time() - record["created"]) < SAME
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def end(process: psutil.Process, patience: float) -> None:
    """Stop a process: asked first, killed when it has not ended after ``patience`` seconds."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        if not wait(process, patience):
            process.kill()
            wait(process, patience)


def wait(process: psutil.Process, patience: float) -> bool:
    """Wait for the end of a process that may not be a child; say whether it came."""
    try:
        process.wait(patience)
    except psutil.TimeoutExpired:
        # A process whose parent does not reap it stays in the table, but has ended.
        return find(record(process.pid)) is None
    return True
