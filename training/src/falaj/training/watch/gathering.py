"""A reference from examples, batch by batch, in bounded memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from falaj.training.validation.profile import ColumnProfile, of_numbers, of_words
from falaj.training.watch.columns import Array, columns_of, rows_of
from falaj.training.watch.reference import LEAST, Reference, TensorReference

MOST_ROWS = 20_000
"""Examples that bins are made of; of more, so many are drawn."""
BINS = 10


@dataclass(frozen=True)
class View:
    """How a tensor is watched."""

    each: int
    """Columns for its numbers; 0 for mean and spread."""
    largest: bool = False
    """Whether it is watched which number is the largest."""


@dataclass
class Gathering:
    """Examples that come in batches; a fair draw of them is kept."""

    inputs: Mapping[str, View]
    """The inputs, by name."""
    outputs: Mapping[str, View]
    """The outputs, by name."""
    seed: int = 0
    """Of the draw."""
    examples: int = 0
    """How many there were."""
    _lots: list[NDArray[np.float64]] = field(default_factory=list[NDArray[np.float64]])
    _kept: dict[str, list[Array]] = field(default_factory=dict[str, list[Array]])

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def add(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Add a batch; raise `UnlikeError` where a tensor is not as its view says."""
        count = rows_of({**inputs, **outputs})
        for views, tensors in ((self.inputs, inputs), (self.outputs, outputs)):
            for name, view in views.items():
                columns = columns_of(name, tensors[name], each=view.each, largest=view.largest)
                for column, values in columns.items():
                    made = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
                    self._kept.setdefault(column, []).append(made)
        self._lots.append(self._random.random(count))
        self.examples += count
        if sum(map(len, self._lots)) > 2 * MOST_ROWS:
            self._draw()

    def reference(self, data_digest: str | None) -> Reference | None:
        """Return the reference; None where there were too few examples for one."""
        if self.examples < LEAST:
            return None
        self._draw()
        return Reference(
            data_digest=data_digest,
            examples=self.examples,
            inputs={name: self._tensor(name, view) for name, view in self.inputs.items()},
            outputs={name: self._tensor(name, view) for name, view in self.outputs.items()},
        )

    def _tensor(self, name: str, view: View) -> TensorReference:
        # The names of its columns, whatever they are: those of an example that is empty.
        own = columns_of(name, np.zeros((0, view.each)), each=view.each, largest=view.largest)
        return TensorReference(
            each=view.each, largest=view.largest, columns={column: _profile(self._kept[column][0]) for column in own}
        )

    def _draw(self) -> None:
        """Keep the examples with the smallest lots: of all that were there, each had the same chance."""
        lots = np.concatenate(self._lots)
        chosen: Any = slice(None)
        if lots.size > MOST_ROWS:
            chosen = np.sort(np.argpartition(lots, MOST_ROWS)[:MOST_ROWS])
        self._lots = [lots[chosen]]
        self._kept = {name: [np.concatenate(parts)[chosen]] for name, parts in self._kept.items()}


def _profile(values: Array) -> ColumnProfile:
    return of_words(values.tolist()) if values.dtype == object else of_numbers(values, BINS)
