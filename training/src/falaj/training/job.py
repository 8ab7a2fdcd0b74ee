"""The job file: everything about a run that is not the user's own code, typed and checked before anything starts."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from falaj.training.checkpoints.section import CheckpointSection
from falaj.training.errors import RefusedError
from falaj.training.export.section import ExportSection
from falaj.training.gate.section import GateSection
from falaj.training.lineage.section import LineageSection, SigningSection, TrackingSection
from falaj.training.refusals import refusals
from falaj.training.section import Section
from falaj.training.sweep.section import SweepSection
from falaj.training.tables import (
    BudgetTable,
    DataTable,
    ModelTable,
    OptimizerTable,
    ParallelTable,
    PrecisionTable,
    ReportTable,
    Schedule,
)

VERSION = 1
"""The version of the job file that this runtime reads."""


class JobFile(Section):
    """The job file as it is written."""

    version: Literal[1]
    """Version of the job file: 1."""
    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9.\-]*[a-z0-9])?$", max_length=63)
    """Name of the job: small letters, digits, dots and dashes."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Where all randomness begins."""
    model: ModelTable
    """What is trained."""
    data: DataTable
    """What it is trained on."""
    parallel: ParallelTable = ParallelTable()
    """On how many workers."""
    precision: PrecisionTable = PrecisionTable()
    """How it is computed."""
    optimizer: OptimizerTable
    """How it learns."""
    budget: BudgetTable
    """When it ends."""
    checkpoints: CheckpointSection
    """Where it is saved, how often, and under which key."""
    report: ReportTable = ReportTable()
    """What it tells."""
    gate: GateSection | None = None
    """What its model must show before it may be served."""
    export: ExportSection | None = None
    """How its model is served."""
    tracking: TrackingSection | None = None
    """Where its runs are kept: in MLflow."""
    lineage: LineageSection | None = None
    """Who is told where its model comes from: by OpenLineage events."""
    signing: SigningSection | None = None
    """With which key its model is signed."""
    sweep: SweepSection | None = None
    """Which values `falaj-train sweep` tries."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        shares = self.parallel.world * self.optimizer.accumulate
        if self.optimizer.batch_size % shares:
            raise ValueError(f"optimizer.batch_size: must be a multiple of {shares}, workers times accumulated parts")
        if self.gate is not None and self.signing is None:
            raise ValueError("signing: must name a key where there is a gate: its verdict is a signed file")
        if self.budget.minutes is not None and self.optimizer.schedule is not Schedule.CONSTANT:
            raise ValueError("optimizer.schedule: must be constant where the budget is in minutes: no step is the last")
        return self


class Job(JobFile):
    """A job: its file's tables, and where it lies."""

    path: Path = Field(exclude=True)
    """The job file."""
    overrides: tuple[str, ...] = Field(default=(), exclude=True)
    """What was said in place of the file, as KEY=VALUE."""

    @property
    def base(self) -> Path:
        """The folder of the job file: relative paths begin here, and the user's package is found here."""
        return self.path.parent

    @cached_property
    def folder(self) -> Path:
        """The folder of the run's own files."""
        return self.base / (self.report.folder or f"runs/{self.name}")


def load_job(path: Path, overrides: Sequence[str] = ()) -> Job:
    """Read a job file, with some of its values said anew as `table.key=VALUE`.

    Raises ``RefusedError`` for the first thing that is wrong with it; `problems` names all.
    """
    job, wrong = _read(path, overrides)
    if job is None:
        raise wrong[0]
    return job


def problems(path: Path, overrides: Sequence[str] = ()) -> list[RefusedError]:
    """Return all that is wrong with a job file."""
    return _read(path, overrides)[1]


def _read(path: Path, overrides: Sequence[str]) -> tuple[Job | None, list[RefusedError]]:
    try:
        with path.open("rb") as file:
            written: dict[str, Any] = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RefusedError(str(path), str(error), "must be TOML") from None
    for each in overrides:
        _override(written, each)
    if written.get("version") != VERSION:
        return None, [RefusedError("version", written.get("version"), f"must be {VERSION}: no other is read here")]
    try:
        # By way of JSON: there, text may be an enum's name and a list a tuple, and still nothing else is guessed.
        JobFile.model_validate_json(_json(written))
        placed = written | {"path": str(path.resolve()), "overrides": list(overrides)}
        return Job.model_validate_json(_json(placed)), []
    except ValidationError as error:
        return None, refusals(error, JobFile)


def _override(written: dict[str, Any], given: str) -> None:
    key, equals, value = given.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names):
        raise RefusedError("--set", given, "must be table.key=VALUE, such as budget.steps=100")
    table: Any = written
    for name in names[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise RefusedError("--set", given, f"must name a key of a table; {name} is none")
    table[names[-1]] = _value(value)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a word without its quotes, which a shell takes away


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, default=str)
