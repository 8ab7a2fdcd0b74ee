"""What requests of the last while were like: counts in the reference's bins, and nothing of the requests themselves."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from falaj.training.validation.drift import Shift, holm, outcome_of, shift
from falaj.training.validation.outcome import Outcome
from falaj.training.validation.profile import ColumnProfile, counted_like
from falaj.training.watch.columns import Array, UnlikeError
from falaj.training.watch.reference import Reference, TensorReference, columns_like

Kind = Literal["input", "prediction"]
SLICES = 12
"""Parts of a window; each that is past falls out of it as a whole."""
_Counts = dict[tuple[Kind, str], NDArray[np.int64]]


@dataclass(frozen=True)
class Judgement:
    """By what an index is judged."""

    bound: float = 0.25
    """An index above it is drift."""
    confidence: float = 0.9999
    """How sure it must be, over all columns together, that it is no chance; high, since it is asked again and again."""
    least_rows: int = 200
    """Examples below which nothing is told."""


@dataclass(frozen=True)
class Measured:
    """How one column stands."""

    kind: Kind
    column: str
    rows: int
    """Examples in the window."""
    moved: Shift | None
    """How far it is from the reference; None where there are too few examples to tell."""
    outcome: Outcome
    """``pass``: within the bound. ``fail``: drift. ``undetermined``: it cannot be told."""
    beyond_chance: bool
    """Whether chance is ruled out, however small the index is."""


@dataclass
class Window:
    """The examples of the last ``seconds``, as counts."""

    reference: Reference
    seconds: float
    clock: Callable[[], float] = time.monotonic
    _slices: deque[tuple[float, _Counts]] = field(default_factory=deque[tuple[float, _Counts]])

    def add(self, kind: Kind, tensors: Mapping[str, Array]) -> int:
        """Count the examples of a request's inputs or of an answer's outputs, and return how many they are.

        Raises `UnlikeError`, and counts nothing, where they are not of the kind that the reference has.
        """
        known = self.reference.inputs if kind == "input" else self.reference.outputs
        count, columns = columns_like(known, tensors)
        profiles = _profiles(known)
        found: _Counts = {}
        for name, values in columns.items():
            counts = counted_like(profiles[name], values)
            if counts is None:
                raise UnlikeError("it has text in place of numbers, or numbers in place of text")
            found[kind, name] = np.array(counts, dtype=np.int64)
        current = self._current()
        for key, counts in found.items():
            current[key] = current[key] + counts if key in current else counts
        return count

    def measured(self, judgement: Judgement) -> list[Measured]:
        """Return how each column stands; predictions among them."""
        self._forget()
        found: list[tuple[Kind, str, int, Shift | None]] = []
        for kind, known in self._kinds():
            for name, profile in _profiles(known).items():
                counts = self._sum(kind, name, len(profile.counts))
                rows = sum(counts)
                moved = shift(profile, counts) if rows >= judgement.least_rows else None
                found.append((kind, name, rows, moved))
        sure = iter(holm([moved.p for *_, moved in found if moved is not None]))
        return [
            Measured(kind, name, rows, None, "undetermined", beyond_chance=False)
            if moved is None
            else _judged(kind, name, rows, (moved, next(sure)), judgement)
            for kind, name, rows, moved in found
        ]

    def _kinds(self) -> Sequence[tuple[Kind, Mapping[str, TensorReference]]]:
        return ("input", self.reference.inputs), ("prediction", self.reference.outputs)

    def _current(self) -> _Counts:
        self._forget()
        now = self.clock()
        if not self._slices or now - self._slices[-1][0] >= self.seconds / SLICES:
            self._slices.append((now, {}))
        return self._slices[-1][1]

    def _forget(self) -> None:
        begin = self.clock() - self.seconds
        while self._slices and self._slices[0][0] <= begin:
            self._slices.popleft()

    def _sum(self, kind: Kind, name: str, bins: int) -> list[int]:
        whole = np.zeros(bins, dtype=np.int64)
        for _, counts in self._slices:
            if (kind, name) in counts:
                whole += counts[kind, name]
        return whole.tolist()


def _judged(kind: Kind, name: str, rows: int, moved: tuple[Shift, float], judgement: Judgement) -> Measured:
    shifted, p = moved
    outcome = outcome_of(shifted, p, bound=judgement.bound, confidence=judgement.confidence)
    return Measured(kind, name, rows, shifted, outcome, beyond_chance=p <= 1 - judgement.confidence)


def _profiles(known: Mapping[str, TensorReference]) -> dict[str, ColumnProfile]:
    return {name: profile for tensor in known.values() for name, profile in tensor.columns.items()}
