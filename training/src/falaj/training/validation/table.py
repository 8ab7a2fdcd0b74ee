"""Checks of tables by Pandera: all failures at once, as counts and rows; no value ever gets into a message."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa

from falaj.training.validation.report import Finding
from falaj.training.validation.section import Column, DataChecks
from falaj.training.validation.values import is_among, is_type, is_within, numbers

SHOWN = 5
"""Of how many rows that fail a check the report gives the numbers."""

_SAID = {
    "type": "are not of type {0.type}",
    "null": "are missing",
    "minimum": "are below {0.minimum}",
    "maximum": "are above {0.maximum}",
    "among": "are none of the {1} allowed values",
    "unique": "come more than once",
    "finite": "are infinite",
}


def check_table(frame: pd.DataFrame, checks: DataChecks) -> list[Finding]:
    """Return what the columns of ``frame`` are, one finding for each check of each column.

    Rows are counted from 0, in the frame's order, whatever its index is.
    """
    frame = frame.set_axis(pd.RangeIndex(len(frame)), axis=0)
    names = list(frame.columns)
    twice = {name for name in checks.columns if names.count(name) > 1}
    present = {name: column for name, column in checks.columns.items() if name in names and name not in twice}
    failed = _failures(frame.loc[:, list(present)], present)
    found = [*_others(names, checks)]
    for name, column in checks.columns.items():
        if name in twice:
            found.append(Finding("column", name, "fail", "there are several columns of this name"))
        elif name not in present:
            found.append(Finding("column", name, "fail", "the column is missing"))
        else:
            found.extend(_judged(name, column, failed.get(name, {}), len(frame)))
    return found


def _others(names: list[Any], checks: DataChecks) -> Iterator[Finding]:
    places = [str(place) for place, name in enumerate(names) if name not in checks.columns]
    if checks.others == "refuse":
        # Not their names: in a table without a header these are the values of its first row.
        said = f"{len(places)} columns are not named by the checks, at position {', '.join(places[:SHOWN])}"
        yield Finding("columns", "", "fail" if places else "pass", said if places else "all are named by the checks")


def _failures(frame: pd.DataFrame, columns: Mapping[str, Column]) -> dict[str, dict[str, list[int] | None]]:
    """Return by column and check the rows that fail, or None where the check itself could not be made."""
    schema = pa.DataFrameSchema({name: _pandera(column) for name, column in columns.items()})
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return {}
    found: dict[str, dict[str, list[int] | None]] = {}
    for (column, check), rows in cases.groupby(["column", "check"], sort=False)["index"]:
        kind = "null" if check == "not_nullable" else str(check)
        found.setdefault(str(column), {})[kind] = None if rows.isna().any() else sorted(int(row) for row in rows)
    return found


def _pandera(column: Column) -> Any:
    """Return Pandera's column. Types are checked value by value, which names the rows; its own dtypes do not."""
    checks = [pa.Check(partial(is_type, type_=column.type), error="type")]
    if column.minimum is not None:
        checks.append(pa.Check(partial(is_within, column=column, low=column.minimum), error="minimum"))
    if column.maximum is not None:
        checks.append(pa.Check(partial(is_within, column=column, high=column.maximum), error="maximum"))
    if column.among:
        checks.append(pa.Check(partial(is_among, allowed=column.among), error="among"))
    if column.type == "float" and not column.infinite:
        checks.append(pa.Check(_is_finite, error="finite"))
    if column.unique:
        checks.append(pa.Check(_is_alone, error="unique"))
    return pa.Column(None, checks=checks, nullable=column.nullable)


def _judged(name: str, column: Column, failed: Mapping[str, list[int] | None], rows: int) -> Iterator[Finding]:
    asked = {
        "type": True,
        "null": not column.nullable,
        "minimum": column.minimum is not None,
        "maximum": column.maximum is not None,
        "among": bool(column.among),
        "unique": column.unique,
        "finite": column.type == "float" and not column.infinite,
    }
    for check in (check for check, is_asked in asked.items() if is_asked):
        if check not in failed:
            yield Finding(check, name, "pass", "", count=0, of=rows)
            continue
        wrong = failed[check]
        if wrong is None:
            yield Finding(check, name, "undetermined", "the check cannot be made on this column", of=rows)
        else:
            said = _SAID[check].format(column, len(column.among))
            yield Finding(check, name, "fail", f"values {said}", len(wrong), rows, tuple(wrong[:SHOWN]))
    if failed.keys() - asked.keys():
        yield Finding("column", name, "undetermined", "the column fails a check in a way that is not known", of=rows)


def _is_finite(series: Any) -> Any:
    return ~np.isinf(numbers(series))


def _is_alone(series: Any) -> Any:
    return ~series.duplicated(keep=False)
