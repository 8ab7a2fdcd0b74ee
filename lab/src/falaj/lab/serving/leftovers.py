"""Processes that outlive the one that started them: found by their session, and ended.

The guard needs nothing else, so that this module imports little.
"""

import contextlib
import json
import os
from pathlib import Path

import psutil

from falaj.lab.processes import SAME, Record


def end_recorded(folder: Path) -> int:
    """End all that the records in a folder name, and forget them; return how many processes that were."""
    ended = 0
    for path in folder.iterdir():
        if path.name.isdecimal():
            with contextlib.suppress(FileNotFoundError):  # the guard of an earlier kubelet is at it as well
                ended += end_members(json.loads(path.read_text()))
                path.unlink()
    return ended


def end_members(session: Record) -> int:
    """Kill every process of a session, also those that are started meanwhile; return how many there were."""
    ended = 0
    while found := members(session):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=1)
        ended += len(found)
    return ended


def members(session: Record) -> list[psutil.Process]:
    """Return the living processes of a session; one that is younger than its first process, or it is another's."""
    found: list[psutil.Process] = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == session["pid"]:
                process = psutil.Process(pid)
                older = process.create_time() < session["created"] - SAME
                if not older and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
    return found
