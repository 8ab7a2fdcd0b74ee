"""Tensors as columns that can be counted: the same from the examples of a training and from requests.

A tensor of few numbers has a column for each of them; of a larger one, such as a picture, the mean and the spread are
watched. Of an output of scores it is also watched which one is the largest: that is the prediction.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from falaj.training.validation.profile import Floats

Array = NDArray[Any]
Columns = dict[str, Floats | Sequence[str | None]]
"""Numbers with NaN, or words with None, where there is no value; by name, of equal length."""

MOST_EACH = 64
"""Numbers of one example that have a column each; of a tensor with more, mean and spread are watched."""
LONGEST_WORD = 200
"""Characters of a text that tell it from others."""


class UnlikeError(ValueError):
    """A tensor is not of the kind that the reference has under its name."""


def each_of(shape: Sequence[int | str]) -> int:
    """Return how many columns there are for the numbers of one example of a shape; 0 where they are summed up."""
    if not all(isinstance(size, int) for size in shape):
        return 0
    count = math.prod(size for size in shape if isinstance(size, int))
    return count if 1 <= count <= MOST_EACH else 0


def columns_of(name: str, tensor: Array, *, each: int, largest: bool) -> Columns:
    """Return the columns of a tensor whose first dimension is the batch.

    ``each`` is the number of columns as `each_of` has it, ``largest`` asks for the place of the largest number too.
    Raises `UnlikeError` for a tensor of another size, and for a text where its mean would be wanted.
    """
    if not tensor.ndim:
        raise UnlikeError("it has no batch")
    rows = tensor.reshape(tensor.shape[0], math.prod(tensor.shape[1:]))
    if each and rows.shape[1] != each:
        raise UnlikeError(f"it has {rows.shape[1]} numbers in place of {each}")
    if rows.dtype.kind not in "biuf":
        return _words(name, rows, each)
    numbers = rows.astype(np.float64)
    found: Columns = {}
    if each:
        found |= {_column(name, place, each): numbers[:, place] for place in range(each)}
    else:
        found |= _summary(name, numbers)
    if largest:
        found[f"{name}.largest"] = _largest(numbers)
    return found


def rows_of(tensors: Mapping[str, Array]) -> int:
    """Return how many examples tensors hold; raise `UnlikeError` where they do not agree."""
    sizes = {tensor.shape[0] if tensor.ndim else 0 for tensor in tensors.values()}
    if len(sizes) != 1 or 0 in sizes:
        raise UnlikeError("its tensors are not of one number of examples")
    return sizes.pop()


def _column(name: str, place: int, each: int) -> str:
    return name if each == 1 else f"{name}[{place}]"


def _words(name: str, rows: Array, each: int) -> Columns:
    if not each:
        raise UnlikeError("it is no tensor of numbers")
    return {_column(name, place, each): [_word(value) for value in rows[:, place]] for place in range(each)}


def _word(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text[:LONGEST_WORD]


def _summary(name: str, numbers: Floats) -> Columns:
    """Return mean and spread of each example; NaN for one without numbers, or with one that is not finite."""
    if not numbers.shape[1]:
        nothing = np.full(numbers.shape[0], np.nan)
        return {f"{name}.mean": nothing, f"{name}.spread": nothing}
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = numbers.mean(axis=1), numbers.std(axis=1)
    return {f"{name}.mean": mean, f"{name}.spread": spread}


def _largest(numbers: Floats) -> list[str | None]:
    """Return the place of the largest number of each example, as a word; None where one of them is none."""
    if not numbers.shape[1]:
        return [None] * numbers.shape[0]
    unknown: Array = np.asarray(np.isnan(numbers).any(axis=1))
    places: Array = np.where(np.isnan(numbers), -np.inf, numbers).argmax(axis=1)
    return [None if nothing else str(place) for place, nothing in zip(places, unknown, strict=True)]
