"""Checks of examples that are no table: shapes, types, NaN and infinities, labels, and their digest."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falaj.training.validation.examples import look_at
from falaj.training.validation.section import DataChecks

IMAGE = {"shape": [2, 2], "dtype": "float32"}
LABEL = {"shape": [], "dtype": "int64", "minimum": 0, "maximum": 9}


def example(label: int = 3, fill: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    return np.full((2, 2), fill, dtype=np.float32), np.array(label)


def checks(others: str = "refuse", **tensors: dict[str, Any]) -> DataChecks:
    return DataChecks.model_validate({"tensors": tensors, "others": others})


PAIR = checks(**{"0": IMAGE, "1": LABEL})


def refused(data: Any, asked: DataChecks = PAIR) -> dict[tuple[str, str], tuple[int | None, tuple[int, ...]]]:
    found = look_at(data, asked).findings
    return {(each.check, each.subject): (each.count, each.rows) for each in found if each.outcome == "fail"}


def test_examples_that_are_as_asked_pass() -> None:
    assert refused([example(label) for label in range(10)]) == {}


@pytest.mark.parametrize(
    ("bad", "check", "part"),
    [
        (example(label=10), "maximum", "1"),
        (example(label=-1), "minimum", "1"),
        (example(fill=np.nan), "finite", "0"),
        (example(fill=np.inf), "finite", "0"),
        ((np.zeros((2, 3), dtype=np.float32), np.array(1)), "shape", "0"),
        ((np.zeros((2, 2)), np.array(1)), "dtype", "0"),
        ((np.zeros((2, 2), dtype=np.float32),), "missing", "1"),
        ((object(), np.array(1)), "type", "0"),
        ((*example(), np.array(1)), "parts", ""),
    ],
)
def test_bad_examples_are_refused_and_named(bad: Any, check: str, part: str) -> None:
    assert refused([example(), example(), bad, example()]) == {(check, part): (1, (2,))}


def test_all_bad_examples_are_counted_and_the_first_are_named() -> None:
    assert refused([example(99)] * 40) == {("maximum", "1"): (40, (0, 1, 2, 3, 4))}


def test_mappings_lone_tensors_and_data_sets_with_positions_are_looked_at() -> None:
    class Positions:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, position: int) -> dict[str, Any]:
            return {"x": np.float32(position)}

    def lone() -> Iterator[np.ndarray]:
        yield from np.zeros((4, 7))

    assert look_at(Positions(), checks(x={"shape": []})).count == 3
    assert refused(Positions(), checks(x={"maximum": 1})) == {("maximum", "x"): (1, (2,))}
    assert refused(lone(), checks(**{"0": {"shape": [-1]}})) == {}
    assert refused(lone(), checks(**{"0": {"shape": [-1, 1]}})) == {("shape", "0"): (4, (0, 1, 2, 3))}


def test_what_is_not_asked_is_not_refused() -> None:
    data = [{"x": np.array([np.nan]), "text": "a"}]

    assert refused(data, checks(others="allow", x={"finite": False})) == {}
    assert refused(data, checks(x={"finite": False}, text={})) == {}
    assert refused(data, checks(x={"finite": False}, text={"maximum": 3})) == {("type", "text"): (1, (0,))}


def test_tensors_of_torch_are_looked_at_too() -> None:
    torch = pytest.importorskip("torch")
    data = [(torch.full((2, 2), float(n)), torch.tensor(n)) for n in range(4)]

    assert refused(data) == {}
    half = [(torch.tensor([1.0, float("nan")], dtype=torch.bfloat16, requires_grad=True),)]
    assert refused(half, checks(**{"0": {}})) == {("finite", "0"): (1, (0,))}
    as_numpy = [(tensor.numpy(), label.numpy()) for tensor, label in data]
    assert look_at(data, PAIR).digest == look_at(as_numpy, PAIR).digest


def test_examples_with_parts_that_have_no_digest_have_none() -> None:
    assert look_at([(*example(), object())], checks(others="allow", **{"0": IMAGE})).digest is None


def test_what_is_watched_is_the_number_or_the_mean() -> None:
    numbers = look_at([example(1, 0.5), example(7, 1.5)], PAIR).numbers

    assert numbers["0"].tolist() == [0.5, 1.5]
    assert numbers["1"].tolist() == [1, 7]


PARTS = st.one_of(
    st.lists(st.integers(0, 3), max_size=3).map(lambda values: np.array(values, dtype=np.int64)),
    st.lists(st.integers(0, 3), max_size=3).map(lambda values: np.array(values, dtype=np.float32)),
    st.text(max_size=2),
)
DATA = st.lists(st.lists(PARTS, max_size=3).map(tuple), max_size=4)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@settings(max_examples=200)
@given(one=DATA, other=DATA)
def test_only_the_same_examples_have_the_same_digest(one: Any, other: Any) -> None:
    asked = checks(others="allow", **{"0": {}})

    assert (look_at(one, asked).digest == look_at(other, asked).digest) == same(one, other)
