"""Which checkpoints there are, by their names alone.

    JOB/step-000000000030-0018f3a2b4c5d6e7-1a2b3c4d/rank-00000.sealed
    JOB/step-000000000030-0018f3a2b4c5d6e7-1a2b3c4d/manifest

Every attempt to save has a folder of its own, named by its step, its time in nanoseconds and chance, so that nothing is
ever written over. The manifest is written last: a folder without one is what a crash left.
"""

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from falaj.training.errors import RefusedError
from falaj.training.stores import Store

MANIFEST = "manifest"
FOLDER = re.compile(r"step-(\d{12})-[0-9a-f]{16}-[0-9a-f]{8}")
JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, order=True)
class Saved:
    """One attempt to save a checkpoint; they sort from the oldest to the newest."""

    step: int
    """Training step at which it was saved."""
    folder: str
    """Its folder in the store, below the job's."""

    def path(self, job: str, file: str) -> str:
        """Return the name in the store of one of its files."""
        return f"{job}/{self.folder}/{file}"

    def context(self, job: str) -> dict[str, str]:
        """Return what its data key is for."""
        return {"job": job, "purpose": "checkpoint", "step": str(self.step)}


def new_attempt(step: int) -> Saved:
    """Return a new attempt, which sorts after all earlier ones of its step."""
    return Saved(step, f"step-{step:012d}-{time.time_ns():016x}-{secrets.token_hex(4)}")


def committed(store: Store, job: str) -> Sequence[Saved]:
    """Return the job's committed checkpoints, newest last."""
    return sorted(saved for saved, file in found(job, store.names(f"{check_job(job)}/")) if file == MANIFEST)


def leftovers(store: Store, job: str) -> Sequence[Saved]:
    """Return the attempts that never became a checkpoint, or are not one any more."""
    names = [*store.names(f"{check_job(job)}/"), *store.begun(f"{job}/")]
    return sorted({saved for saved, _ in found(job, names)} - set(committed(store, job)))


def found(job: str, names: Sequence[str]) -> Iterator[tuple[Saved, str]]:
    """Yield the attempts and files that the names of a job's folder tell of."""
    for name in names:
        folder, _, file = name[len(job) + 1 :].partition("/")
        if match := FOLDER.fullmatch(folder):
            yield Saved(int(match[1]), folder), file


def check_job(job: str) -> str:
    """Return a job's name that can be a folder's; refuse any other."""
    if not JOB.fullmatch(job):
        raise RefusedError("name", job, "must be letters, digits, dots, dashes and underscores")
    return job
