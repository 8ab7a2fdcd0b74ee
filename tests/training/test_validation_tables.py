"""Checks of tables: every kind of bad data is refused, all at once, with counts and rows and no values."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from falaj.training.validation.section import DataChecks
from falaj.training.validation.table import check_table


def checks(others: str = "refuse", **columns: dict[str, Any]) -> DataChecks:
    return DataChecks.model_validate({"columns": columns, "others": others})


def refused(frame: pd.DataFrame, asked: DataChecks) -> dict[tuple[str, str], tuple[int | None, tuple[int, ...]]]:
    found = check_table(frame, asked)
    return {(each.check, each.subject): (each.count, each.rows) for each in found if each.outcome == "fail"}


def test_data_that_is_as_asked_passes_every_check() -> None:
    frame = pd.DataFrame(
        {
            "age": [1, 99, 40],
            "income": [1.5, np.nan, 0.0],
            "sex": ["f", "m", "f"],
            "member": [True, False, True],
            "seen": pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"]),
        }
    )
    asked = checks(
        age={"type": "integer", "minimum": 0, "maximum": 120, "unique": True},
        income={"type": "float", "nullable": True, "minimum": 0},
        sex={"type": "string", "among": ["f", "m"]},
        member={"type": "boolean"},
        seen={"type": "datetime", "minimum": datetime(2019, 1, 1)},
    )

    assert {each.outcome for each in check_table(frame, asked)} == {"pass"}


@pytest.mark.parametrize(
    ("values", "asked", "check", "rows"),
    [
        ([3, -1, 4, -2], {"type": "integer", "minimum": 0}, "minimum", (1, 3)),
        ([3, 101, 4], {"type": "integer", "maximum": 100}, "maximum", (1,)),
        ([0.5, np.nan, 1.5], {"type": "float"}, "null", (1,)),
        ([0.5, np.inf, -np.inf], {"type": "float"}, "finite", (1, 2)),
        ([1.0, 2.5, np.nan], {"type": "integer", "nullable": True}, "type", (1,)),
        (["1", "2", "two", "4"], {"type": "integer"}, "type", (2,)),
        (["1", "2"], {"type": "integer"}, "type", (0, 1)),
        ([True, False], {"type": "integer"}, "type", (0, 1)),
        ([1, 0], {"type": "boolean"}, "type", (0, 1)),
        ([1 + 2j], {"type": "float"}, "type", (0,)),
        (["a", "b", "c", None], {"type": "string", "among": ["a", "c"], "nullable": True}, "among", (1,)),
        (["a", None], {"type": "string"}, "null", (1,)),
        ([7, 8, 7, 9], {"type": "integer", "unique": True}, "unique", (0, 2)),
        (["2020-01-01"], {"type": "datetime"}, "type", (0,)),
        (pd.to_datetime(["2020", "2018"]), {"type": "datetime", "minimum": datetime(2019, 1, 1)}, "minimum", (1,)),
        (pd.Series(["a", 5, b"c"], dtype=object), {"type": "string"}, "type", (1, 2)),
        (pd.Series([1, None, 3], dtype="Int64"), {"type": "integer"}, "null", (1,)),
        (pd.Series([1, None, 30], dtype="Int64"), {"type": "integer", "nullable": True, "maximum": 9}, "maximum", (2,)),
        ([True, False], {"type": "boolean", "among": [True]}, "among", (1,)),
        ([2, 1], {"type": "integer", "among": [2, True]}, "among", (1,)),
    ],
)  # fmt: skip
def test_bad_values_are_refused_and_their_rows_are_named(
    values: Any, asked: Any, check: str, rows: tuple[int, ...]
) -> None:
    found = refused(pd.DataFrame({"x": values}), checks(x=asked))

    assert found == {(check, "x"): (len(rows), rows)}


def test_all_failures_are_told_at_once() -> None:
    frame = pd.DataFrame({"a": [1, -1], "b": ["x", None], "d": [1, 1]})
    asked = checks(
        a={"type": "integer", "minimum": 0},
        b={"type": "string"},
        c={"type": "float"},
        d={"type": "integer", "unique": True},
    )

    assert set(refused(frame, asked)) == {("minimum", "a"), ("null", "b"), ("column", "c"), ("unique", "d")}


def test_only_the_first_rows_are_named_and_all_are_counted() -> None:
    frame = pd.DataFrame({"a": [-1] * 1000})

    assert refused(frame, checks(a={"type": "integer", "minimum": 0})) == {("minimum", "a"): (1000, (0, 1, 2, 3, 4))}


def test_rows_are_counted_in_order_whatever_the_index_is() -> None:
    frame = pd.DataFrame({"a": [5, -1, 5]}, index=["x", "x", "y"])

    assert refused(frame, checks(a={"type": "integer", "minimum": 0})) == {("minimum", "a"): (1, (1,))}


def test_columns_that_are_not_named_are_refused_unless_they_are_allowed() -> None:
    frame = pd.DataFrame({"a": [1], "Khalid 784-1990": [2]})
    column = {"type": "integer"}

    found = [each for each in check_table(frame, checks(a=column)) if each.outcome != "pass"]
    assert [(each.check, each.outcome) for each in found] == [("columns", "fail")]
    assert "Khalid" not in found[0].said, "in a table without a header, names are values"
    assert refused(frame, checks(others="allow", a=column)) == {}


def test_two_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])

    assert set(refused(frame, checks(a={"type": "integer"}))) == {("column", "a")}


def test_a_check_that_cannot_be_made_is_undetermined() -> None:
    aware = pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])})
    asked = checks(a={"type": "datetime", "minimum": datetime(2019, 1, 1, tzinfo=UTC)})

    assert [each.check for each in check_table(aware, asked) if each.outcome == "undetermined"] == ["minimum"]


def test_no_value_of_the_data_is_ever_said() -> None:
    secret = "784-1990-1234567-1"
    frame = pd.DataFrame({"a": [secret, secret], "b": [secret, None], "c": [99887766, 99887766]})
    asked = checks(
        a={"type": "string", "unique": True, "among": ["x"]},
        b={"type": "float"},
        c={"type": "integer", "maximum": 5, "unique": True},
    )

    said = " ".join(each.line() for each in check_table(frame, asked))
    assert secret not in said
    assert "99887766" not in said


CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.integers()))


@settings(max_examples=60)
@given(
    values=st.lists(CELLS, max_size=12),
    type_=st.sampled_from(["integer", "float", "boolean", "string", "datetime"]),
    nullable=st.booleans(),
    unique=st.booleans(),
)
def test_whatever_the_data_is_there_is_an_answer_and_never_a_crash(
    values: list[Any], type_: str, nullable: bool, unique: bool
) -> None:
    bounds = {"minimum": 0, "maximum": 9} if type_ in ("integer", "float") else {}
    asked = checks(x={"type": type_, "nullable": nullable, "unique": unique, **bounds})
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})

    found = {each.check: each.outcome for each in check_table(frame, asked)}

    missing = int(frame["x"].isna().sum())
    if missing and not nullable:
        assert found["null"] != "pass"
    if any(isinstance(value, bytes | list) for value in values):
        assert found["type"] != "pass"


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({}, ()),
        ({"columns": {"a": {"type": "integer", "minimun": 1}}}, ("columns", "a", "minimun")),
        ({"columns": {"a": {"type": "text"}}}, ("columns", "a", "type")),
        ({"columns": {"a": {"type": "integer", "minimum": 2, "maximum": 1}}}, ("columns", "a")),
        ({"columns": {"a": {"type": "string", "minimum": 2}}}, ("columns", "a")),
        ({"columns": {"a": {"type": "integer"}}, "drift": {"accepted": "p", "columns": ["b"]}}, ()),
        ({"columns": {"a": {"type": "integer"}}, "drift": {"accepted": "p", "told_above": 0.3}}, ("drift",)),
        ({"tensors": {"a": {}}, "table": "a.csv"}, ()),
    ],
)
def test_checks_that_cannot_be_meant_are_refused(written: dict[str, Any], field: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refusal:
        DataChecks.model_validate(written)
    assert refusal.value.errors()[0]["loc"] == field
