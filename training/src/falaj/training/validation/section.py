"""The table ``[data.checks]`` of a job file: what the data must be before anything is trained on it."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from falaj.training.section import Section

Classification = Literal["public", "internal", "confidential", "restricted"]
"""How much harm it does when the data is seen, from none to most."""

Scalar = bool | int | float | str
Bound = int | float | datetime

_MEASURED = ("integer", "float", "datetime")


class Column(Section):
    """One column of a table (``[data.checks.columns.NAME]``)."""

    model_config = ConfigDict(allow_inf_nan=False)

    type: Literal["integer", "float", "boolean", "string", "datetime"]
    """What its values are; whole floats count as integers, for a column with nulls has no other way to say them."""
    nullable: bool = False
    """Whether values may be missing (NaN is missing too)."""
    minimum: Bound | None = None
    """The smallest value that is allowed."""
    maximum: Bound | None = None
    """The largest value that is allowed."""
    among: Annotated[tuple[Scalar, ...], Field(strict=False)] = ()
    """The only values that are allowed; empty: all."""
    unique: bool = False
    """Whether no value may come twice."""
    infinite: bool = False
    """Whether infinities are allowed."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if bounds and self.type not in _MEASURED:
            raise ValueError("type: must be integer, float or datetime for a minimum or maximum")
        if any(isinstance(bound, datetime) != (self.type == "datetime") for bound in bounds):
            raise ValueError("type: must be datetime for bounds that are dates, and integer or float for numbers")
        _ordered(self.minimum, self.maximum)
        return self


class TensorPart(Section):
    """One part of every example that is no table's row (``[data.checks.tensors.NAME]``).

    The name is the key where examples are mappings, and the position (``"0"``, ``"1"``) where they are tuples; a lone
    tensor is part ``"0"``.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    shape: Annotated[tuple[int, ...], Field(strict=False)] | None = None
    """The shape of one example's part; -1 stands for any length. ``[]`` is a single number."""
    dtype: str | None = None
    """The name of the type of its numbers, for example ``float32`` or ``int64``."""
    finite: bool = True
    """Whether NaN and infinities are refused."""
    minimum: int | float | None = None
    """The smallest number that is allowed, for example 0 for a label."""
    maximum: int | float | None = None
    """The largest number that is allowed, for example one less than the number of classes."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _ordered(self.minimum, self.maximum)
        return self


class DriftChecks(Section):
    """How far data may be from the data that was accepted last (``[data.checks.drift]``).

    What is compared is the share of rows in each bin, by the population stability index (see `drift`).
    """

    model_config = ConfigDict(allow_inf_nan=False)

    accepted: str
    """Where the profile of the last accepted data is kept: a folder or ``s3://bucket/prefix``. It holds quantiles and
    frequent values of the data, so it belongs where data of that classification belongs."""
    method: Literal["psi"] = "psi"
    """The measure that the two thresholds are in."""
    told_above: float = Field(default=0.1, ge=0)
    """An index above which the report says that the column moved."""
    refused_above: float = Field(default=0.25, gt=0)
    """An index above which the data is refused, where chance does not explain it."""
    confidence: float = Field(default=0.99, gt=0.5, lt=1)
    """How sure it must be, over all columns together, that a refused index is no chance."""
    bins: int = Field(default=10, ge=2, le=100)
    """Into how many bins of equal share a column of numbers is divided."""
    columns: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The columns or parts that are watched; empty: all but dates and columns of unique values."""
    accept_first: str | None = None
    """The digest (``sha256:…``) of the one data set that is accepted with nothing to compare it with, or for columns
    that the last one did not have. The report of a refusal says it."""
    accept_undetermined: bool = False
    """Whether data is accepted that is too little to tell drift from chance."""
    follow: bool = True
    """Whether every accepted data set becomes the next one's reference. If not, the first one stays, and slow drift
    is seen too."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.told_above > self.refused_above:
            raise ValueError(f"told_above: must be at most refused_above, {self.refused_above:g}")
        return self


class DataChecks(Section):
    """What the data of a job must be (``[data.checks]``); a job whose data is anything else does not train."""

    columns: dict[str, Column] = Field(default_factory=dict[str, Column])
    """The columns of tabular data, by name."""
    tensors: dict[str, TensorPart] = Field(default_factory=dict[str, TensorPart])
    """The parts of examples that are tensors, by name."""
    table: str | None = None
    """The file at the data's location that holds the table, if it is one: ``.csv`` or ``.jsonl``.
    Otherwise the columns are those of what the user's data function returns."""
    others: Literal["refuse", "allow"] = "refuse"
    """What becomes of data with columns or parts that are not named here."""
    least_rows: int = Field(default=1, ge=1)
    """Fewer rows or examples than this are refused."""
    classifications: Annotated[tuple[Classification, ...], Field(strict=False)] = ()
    """The classifications that this job may train on; empty: the job's own and everything below it."""
    home_region: str | None = None
    """The only region that data and job may be in; left out: the one that the job names for its data."""
    tag: str | None = None
    """Where the data's tag lies: the path of a ``dataset.json``, or ``bucket`` for the tags of the S3 bucket that the
    data is in. Default: ``dataset.json`` at the data's location."""
    drift: DriftChecks | None = None
    """How far the data may be from the last accepted data; left out: not asked."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.columns and not self.tensors:
            raise ValueError("must name columns or tensors of the data, for checks that ask nothing pass everything")
        if self.table is not None and not self.columns:
            raise ValueError("columns: must name those of the table")
        for name in self.drift.columns if self.drift else ():
            column = self.columns.get(name)
            if (column is None and name not in self.tensors) or (column and column.type == "datetime"):
                raise ValueError(f"drift.columns: must be columns or tensors of these checks, and no dates: {name}")
        return self


def _ordered(minimum: Bound | None, maximum: Bound | None) -> None:
    if minimum is None or maximum is None:
        return
    try:
        wrong = minimum > maximum  # pyright: ignore[reportOperatorIssue] - what cannot be compared is refused below
    except TypeError:
        raise ValueError("minimum: must have an offset from UTC exactly where maximum has one") from None
    if wrong:
        raise ValueError(f"minimum: must be at most maximum, {maximum}")
