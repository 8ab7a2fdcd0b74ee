"""The job file's table of a sweep."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from falaj.training.section import Section

Scalar = bool | int | float | str
Dotted = Annotated[str, Field(pattern=r"^[a-z_]+(\.\w+)+$")]

FIXED = ("sweep.", "checkpoints.", "report.", "parallel.", "gate.", "export.", "tracking.", "lineage.", "signing.")
"""Tables of which a trial has nothing of its own to try."""


class Parameter(Section):
    """The values that one key of the job file may take: a range from `low` to `high`, or `choices`."""

    low: int | float | None = None
    """The lowest value; whole numbers alone where both ends are whole."""
    high: int | float | None = None
    """The highest value, which is tried too."""
    log: bool = False
    """Whether small values are as likely to be tried as large ones, by order of magnitude."""
    choices: tuple[Scalar, ...] = ()
    """The values, in place of a range."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("choices: must stand alone, without low, high and log")
            return self
        if self.low is None or self.high is None:
            raise ValueError("must have low and high, or choices")
        if not self.low < self.high:
            raise ValueError(f"high: must be above low, {self.low}")
        if self.log and self.low <= 0:
            raise ValueError("low: must be above 0 where log is true")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Direction(StrEnum):
    """Which of two values is the better one."""

    MINIMIZE = "minimize"
    """The smaller."""
    MAXIMIZE = "maximize"
    """The larger."""


class Measured(StrEnum):
    """Where the metric of a trial is taken from."""

    VALIDATION = "validation"
    """The validation data, when the trial has ended."""
    TRAINING = "training"
    """The last line of progress, which tells how well the training data is known."""


class Sampler(StrEnum):
    """How the next values are chosen."""

    TPE = "tpe"
    """Near those that did well (tree-structured Parzen estimator)."""
    RANDOM = "random"
    """By chance."""


class Pruner(StrEnum):
    """Which trials are not worth their end."""

    MEDIAN = "median"
    """Those that are worse at a step than half of the trials were there."""
    HALVING = "halving"
    """All but the best quarter, again and again (successive halving)."""
    NONE = "none"
    """None."""


class SweepSection(Section):
    """What is tried, how the best is known, and who works on it."""

    parameters: dict[Dotted, Parameter] = Field(min_length=1)
    """The keys of the job file that are tried, such as `"optimizer.learning_rate"`, and their values."""
    metric: str = "loss"
    """`loss`, or another entry of what `model.score` returns."""
    direction: Direction = Direction.MINIMIZE
    """`minimize` or `maximize`."""
    measured: Measured = Measured.VALIDATION
    """`validation` or `training`; while a trial runs, pruning goes by its training in any case."""
    trials: int = Field(ge=1, le=100_000)
    """Trials that there are to be, pruned ones included."""
    workers: int = Field(default=1, ge=1, le=1000)
    """Trials at the same time."""
    retries: int = Field(default=2, ge=0, le=100)
    """How often a trial is tried again whose worker was killed."""
    sampler: Sampler = Sampler.TPE
    """`tpe` or `random`; random values begin at the job's seed."""
    pruner: Pruner = Pruner.MEDIAN
    """`median`, `halving` or `none`."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps before which no trial is pruned."""
    every_steps: int = Field(default=10, ge=1)
    """Steps from one look of the pruner to the next."""
    folder: str | None = None
    """Folder of the sweep's files, relative to the job file.  Left out: `sweeps/NAME`."""
    storage: str | None = None
    """Where workers share their trials: `journal:PATH`, a `postgresql://` URL, `sqlite:///PATH` for one worker, or
    `file:PATH`, a file that holds the URL.  Left out: a journal in the folder, for workers of one machine."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.parameters:
            if name.startswith(FIXED):
                raise ValueError(f"parameters: must leave {name} alone: it is the same for all trials")
        check_storage(self.storage or "", self.workers)
        return self


def check_storage(storage: str, workers: int) -> None:
    """Refuse a storage that is none, or that workers cannot share."""
    if storage.startswith("sqlite:") and workers > 1:
        remedy = "a journal or PostgreSQL for more than one worker: SQLite locks them out of each other's trials"
        raise ValueError(f"storage: must be {remedy}")
    if storage and not storage.startswith(("journal:", "postgresql:", "postgresql+", "sqlite:", "file:")):
        raise ValueError("storage: must begin with journal:, postgresql://, sqlite:/// or file:")
