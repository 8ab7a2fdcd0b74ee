"""The profile of a data set: how many rows fall into each bin of each column. Small, and enough to see drift by.

It keeps no rows, but quantiles and frequent values, which are of the data: it is as confidential as the data is.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from falaj.training.errors import RefusedError
from falaj.training.lineage.digests import bytes_digest

Floats = NDArray[np.float64]

MOST_LABELS = 50
"""Of how many values a column of words keeps counts; all others are counted together."""
RARE = 5
"""A value that fewer rows have is not kept: it may be of one person. (The usual smallest cell of published tables.)"""


class ColumnProfile(BaseModel):
    """The bins of one column and how many rows are in each."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    kind: Literal["numbers", "words"]
    edges: tuple[float, ...] = ()
    """Of numbers: where bins end, rising; a bin holds its lower edge. The first and the last bin have no end."""
    labels: tuple[str, ...] = ()
    """Of words: the values that have a bin of their own; the bin after them holds all others."""
    counts: tuple[int, ...]
    """Rows in each bin; the last one is of rows without a value."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.counts) != len(self.edges) + len(self.labels) + 2 or any(count < 0 for count in self.counts):
            raise ValueError("counts must be one more than bins, and not negative")
        if any(right <= left for left, right in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must rise")
        return self


class Profile(BaseModel):
    """What the last accepted data of a job was like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    job: str
    """The job whose data it was."""
    data_digest: str
    """Digest of the data."""
    classification: str
    """Of the data, and so of this profile."""
    at: datetime
    """When the data was accepted."""
    rows: int = Field(ge=0)
    columns: dict[str, ColumnProfile]

    def encoded(self) -> bytes:
        """Return the profile as JSON with its own digest, which tells damage (not who wrote it)."""
        content = self.model_dump(mode="json")
        return json.dumps({**content, "digest": _digest(content)}, indent=1, allow_nan=False).encode()


def decoded(content: bytes) -> Profile:
    """Read a profile back; raise `RefusedError` for one that is damaged."""
    try:
        read = json.loads(content)
        digest = read.pop("digest")
        profile = Profile.model_validate(read)
    except (ValueError, KeyError, AttributeError, TypeError, ValidationError, RecursionError):
        raise _damaged() from None
    if digest != _digest(profile.model_dump(mode="json")):
        raise _damaged()
    return profile


def of_numbers(values: Floats, bins: int) -> ColumnProfile:
    """Return the profile of a column of numbers, in bins of equal share; NaN is no value.

    A value that fills more than a bin gets one of its own, so that constant columns, zeros among amounts and numbers
    that are really codes are told apart value by value.
    """
    finite = values[np.isfinite(values)]
    edges: list[float] = []
    if finite.size:
        # Of values that are there, not between them: interpolation overflows between huge ones.
        cuts = np.quantile(finite, np.arange(1, bins) / bins, method="inverted_cdf")
        points, times = np.unique(cuts, return_counts=True)
        with np.errstate(over="ignore"):  # nothing comes after the largest number; that edge is left out
            after = np.nextafter(points[times > 1], np.inf)
        edges = [float(edge) for edge in np.unique(np.concatenate([points, after])) if np.isfinite(edge)]
    return ColumnProfile(kind="numbers", edges=tuple(edges), counts=tuple(_count_numbers(values, edges)))


def of_words(values: Sequence[str | None]) -> ColumnProfile:
    """Return the profile of a column of words; None is no value."""
    counted = Counter(value for value in values if value is not None)
    frequent = sorted((label for label, count in counted.items() if count >= RARE), key=lambda at: (-counted[at], at))
    labels = tuple(frequent[:MOST_LABELS])
    return ColumnProfile(kind="words", labels=labels, counts=tuple(_count_words(values, labels)))


def counted_like(reference: ColumnProfile, values: Floats | Sequence[str | None]) -> list[int] | None:
    """Return how many of ``values`` fall into each bin of ``reference``; None where they are of another kind."""
    if isinstance(values, np.ndarray) != (reference.kind == "numbers"):
        return None
    if isinstance(values, np.ndarray):
        return _count_numbers(values, reference.edges)
    return _count_words(values, reference.labels)


def _count_numbers(values: Floats, edges: Sequence[float]) -> list[int]:
    there = values[~np.isnan(values)]
    bins = np.searchsorted(np.asarray(edges, dtype=np.float64), there, side="right")
    return [*np.bincount(bins, minlength=len(edges) + 1).tolist(), values.size - there.size]


def _count_words(values: Iterable[str | None], labels: Sequence[str]) -> list[int]:
    counted = Counter(values)
    missing = counted.pop(None, 0)
    known = [counted.pop(label, 0) for label in labels]
    return [*known, counted.total(), missing]


def _digest(content: dict[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return bytes_digest(canonical.encode())


def _damaged() -> RefusedError:
    return RefusedError("profile", "a damaged one", "must be as it was written: restore it or remove it")
