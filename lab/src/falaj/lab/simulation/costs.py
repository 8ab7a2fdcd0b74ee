"""What the control plane itself takes: processor time and memory of each of its processes."""

import contextlib
import os
import threading
from dataclasses import dataclass

import psutil

from falaj.lab import control
from falaj.lab.state import Lab

EVERY = 1.0
"""Real seconds between two looks at the memory."""


@dataclass
class Cost:
    """What one process, with those that it started, has taken since it was first looked at."""

    process: psutil.Process
    before: float
    seconds: float = 0.0
    peak: int = 0


class Costs:
    """Looks at the processes of a lab, of a controller and at this one, until it is stopped."""

    def __init__(self, lab: Lab, more: dict[str, int]):
        pids = {view.name: view.pid for view in control.views(lab) if view.pid}
        processes = {name: psutil.Process(pid) for name, pid in {**pids, "simulate": os.getpid(), **more}.items()}
        self._costs = {name: Cost(process, spent(process)) for name, process in processes.items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def stop(self) -> dict[str, dict[str, float]]:
        """Stop looking, and return CPU seconds and the highest resident memory in MiB, by process."""
        self._stop.set()
        self._thread.join()
        self._look()
        return {
            name: {"cpu_seconds": round(cost.seconds, 1), "peak_mib": round(cost.peak / 2**20, 1)}
            for name, cost in self._costs.items()
        }

    def _look_on(self) -> None:
        while not self._stop.wait(EVERY):
            self._look()

    def _look(self) -> None:
        for cost in self._costs.values():
            with contextlib.suppress(psutil.Error):  # it has ended: what was seen last stays
                cost.seconds = spent(cost.process) - cost.before
                cost.peak = max(cost.peak, cost.process.memory_info().rss)


def spent(process: psutil.Process) -> float:
    """Return the processor seconds of a process, and of those that it has waited for."""
    times = process.cpu_times()
    return times.user + times.system
