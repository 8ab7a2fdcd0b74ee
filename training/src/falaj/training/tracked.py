"""A run as others see it: its facts are gathered, and what it says is handed on to MLflow and OpenLineage."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from falaj.training.job import Job
from falaj.training.launch import StoppedError
from falaj.training.lineage.facts import EnergyFacts, Facts, data_facts, gather
from falaj.training.lineage.run_log import RunLog
from falaj.training.validation.report import Report

FACTS = "facts.json"
"""The facts of the run, in its folder; a run that is resumed keeps its name."""
_SECONDS_BETWEEN_SIGNS = 120.0


class _Stopped(BaseException):
    """A run that was asked to stop did not fail: the log tells the two apart by their kind."""


@contextmanager
def tracked(job: Job, report: Report | None) -> Generator["Follower"]:
    """Keep the facts and the log of a run, which ends as the context does."""
    path = job.folder / FACTS
    before = Facts.model_validate_json(path.read_text()).run if path.exists() else None
    facts = _facts(job, report, before)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(facts.model_dump_json(indent=2) + "\n")
    log = RunLog(
        facts,
        job.folder,
        base=job.base,
        tracking=job.tracking,
        lineage=job.lineage,
        settings=job.model_dump(mode="json"),
        resumed=before is not None,
    )
    try:
        with log:
            try:
                yield Follower(log)
            except StoppedError as error:
                raise _Stopped from error
    except _Stopped as stopped:
        assert stopped.__cause__ is not None
        raise stopped.__cause__ from None


class Follower:
    """Hands the lines of a run on to its log."""

    def __init__(self, log: RunLog) -> None:
        self.log = log
        """The log."""
        self._signed = time.monotonic()

    def __call__(self, line: Mapping[str, Any]) -> None:
        """Take a line."""
        if line["event"] != "progress":
            return
        names = ("loss", "learning_rate", "samples_per_second", "mfu", "memory_bytes", "power_watts")
        values = {name: line[name] for name in names if name in line} | line.get("metrics", {})
        self.log.metrics(line["step"], values)
        if "energy_joules" in line:
            self.log.energy(EnergyFacts(joules=line["energy_joules"], method="NVML"))
        if time.monotonic() - self._signed >= _SECONDS_BETWEEN_SIGNS:
            self._signed = time.monotonic()
            self.log.progress(line["step"])


def _facts(job: Job, report: Report | None, run: str | None) -> Facts:
    data = data_facts(
        "train",
        job.data.location,
        base=job.base,
        digest=report.data_digest if report else None,
        classification=(report.classification if report else None) or job.data.classification,
        region=(report.region if report else None) or job.data.region,
        owner=report.owner if report else None,
    )
    sets = job.overrides
    return gather(job.name, job.path, seed=job.seed, code=job.base, data=[data], overrides=sets, run=run)
