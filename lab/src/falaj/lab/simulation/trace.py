"""The trace: which job comes when, how big and how long it is; written and read as JSON, one job a line."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from falaj.lab.errors import LabError

GPUS_PER_POD = 8
"""A pod is on one node: a job of more GPUs has several pods, each with a whole node."""


@dataclass(frozen=True)
class TraceJob:
    """One job; all times are seconds of simulated time, from the beginning of the trace."""

    name: str
    tenant: str
    tier: str
    arrival: float
    seconds: float
    """How long it runs when it has all its GPUs."""
    gpus: int
    deadline: float | None = None

    @property
    def pods(self) -> int:
        """How many pods it has."""
        return max(1, math.ceil(self.gpus / GPUS_PER_POD))

    @property
    def gpus_per_pod(self) -> int:
        """GPUs of each pod; all pods of a job are alike."""
        return math.ceil(self.gpus / self.pods)

    @property
    def all_gpus(self) -> int:
        """GPUs that it takes."""
        return self.pods * self.gpus_per_pod


def write(path: Path, jobs: Iterable[TraceJob]) -> None:
    """Write a trace."""
    path.write_text("".join(json.dumps(asdict(job)) + "\n" for job in jobs))


def read(path: Path) -> list[TraceJob]:
    """Read a trace that was written here; a line that is none is named."""
    known = {field.name for field in fields(TraceJob)}
    jobs: list[TraceJob] = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            content = json.loads(line)
            if unknown := set(content) - known:
                raise TypeError(f"{', '.join(sorted(unknown))} is no field of a job")
            job = TraceJob(**content)
            if job.gpus < 1 or job.seconds <= 0 or job.arrival < 0:
                raise ValueError("gpus, seconds and arrival have to be above 0")
        except (ValueError, TypeError, AttributeError) as error:
            raise LabError(f"{path}:{number}: {error}; write one JSON object a line, as trace.jsonl has them") from None
        jobs.append(job)
    return ordered(jobs)


def ordered(jobs: Sequence[TraceJob]) -> list[TraceJob]:
    """Return jobs in the order of their arrival."""
    return sorted(jobs, key=lambda job: (job.arrival, job.name))


def window(jobs: Sequence[TraceJob], gpus: int, load: float) -> float:
    """Return the seconds in which work of so many GPU seconds comes with this load."""
    return sum(job.seconds * job.all_gpus for job in jobs) / (load * gpus)
