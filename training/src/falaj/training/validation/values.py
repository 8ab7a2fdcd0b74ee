"""What single values of a table's columns are; every function answers value by value, so that rows can be named."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types as kinds

from falaj.training.validation.section import Column

Series = Any  # pandas is only partly typed

_PYTHON = {
    "integer": (int, np.integer),
    "float": (int, float, np.integer, np.floating),
    "boolean": (bool, np.bool_),
    "string": (str,),
}


def numbers(series: Series) -> Series:
    """Return a column as floats, NaN where a value is none."""
    if kinds.is_numeric_dtype(series.dtype) and not kinds.is_complex_dtype(series.dtype):
        return series.astype("float64")
    return series.map(_number).astype("float64")


def is_type(series: Series, type_: str) -> Series:
    """Return which values are of a column's type."""
    dtype = series.dtype
    if kinds.is_object_dtype(dtype) or isinstance(dtype, pd.CategoricalDtype):
        return _each(series, lambda value: _is_python(value, type_))
    if type_ in ("integer", "float"):
        return _is_number(series, type_)
    known = {
        "datetime": kinds.is_datetime64_any_dtype,
        "string": kinds.is_string_dtype,
        "boolean": kinds.is_bool_dtype,
    }
    return pd.Series(known[type_](dtype), index=series.index)


def _is_number(series: Series, type_: str) -> Series:
    dtype = series.dtype
    if kinds.is_string_dtype(dtype):
        # A column of numbers is read as text where one of them cannot be: that one is to be named, not all.
        is_number = numbers(series).notna()
        return is_number if not is_number.all() else ~is_number
    if kinds.is_bool_dtype(dtype) or not kinds.is_numeric_dtype(dtype) or kinds.is_complex_dtype(dtype):
        return pd.Series(False, index=series.index)
    if type_ == "integer" and kinds.is_float_dtype(dtype):
        return series.astype("float64").mod(1).eq(0)
    return pd.Series(True, index=series.index)


def _is_python(value: object, type_: str) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return type_ == "boolean"
    if type_ == "datetime":
        return isinstance(value, datetime)
    if type_ == "integer" and isinstance(value, (float, np.floating)):
        return float(value).is_integer()
    return isinstance(value, _PYTHON[type_])


def is_within(series: Series, column: Column, low: Any = None, high: Any = None) -> Series:
    """Return which values are not below ``low`` and not above ``high``, of which one is given."""
    values = series if column.type == "datetime" else _exact(series)
    # What is no number at all has failed the check of its type; it is not counted twice.
    inside = values.isna()
    return inside | (values >= low if high is None else values <= high)


def _exact(series: Series) -> Series:
    """Return numbers to be compared: integers as such, for floats round the largest of them."""
    return series if kinds.is_numeric_dtype(series.dtype) else numbers(series)


def is_among(series: Series, allowed: tuple[Any, ...]) -> Series:
    """Return which values are among those that are allowed; True is not 1."""
    booleans = {value for value in allowed if isinstance(value, bool)}
    rest = {value for value in allowed if not isinstance(value, bool)}
    if kinds.is_bool_dtype(series.dtype):
        return series.isin(booleans)
    if not kinds.is_object_dtype(series.dtype):
        return series.isin(rest)
    return _each(series, lambda value: value in (booleans if isinstance(value, bool) else rest))


def _each(series: Series, question: Callable[[Any], bool]) -> Series:
    return pd.Series([question(value) for value in series], index=series.index, dtype=bool)


def _number(value: object) -> float:
    try:
        return float(value)  # pyright: ignore[reportArgumentType] - what is no number is what is looked for
    except (TypeError, ValueError):
        return float("nan")
    except OverflowError:
        return float("inf")
