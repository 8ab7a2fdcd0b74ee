"""Tables of a job's data as frames: read from a file, or made of what the user's function returns."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from pandas.api import types as kinds

from falaj.training.errors import RefusedError
from falaj.training.stores import Store
from falaj.training.validation.examples import walk
from falaj.training.validation.section import Column
from falaj.training.validation.values import numbers

KINDS = "must be a DataFrame, have one as its attribute frame, or give mappings: the checks name columns"


def read_table(store: Store, name: str, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Read a ``.csv`` file with a header, or a ``.jsonl`` file of one object a line.

    Text stays text and dates are read where ``columns`` says so. Raises `RefusedError` for another kind of file, or
    for what cannot be read as one.
    """
    text: Any = {column: "str" for column, asked in columns.items() if asked.type == "string"}
    try:
        with store.read(name) as file:
            if name.endswith(".csv"):
                frame = pd.read_csv(file, dtype=text, low_memory=False)
            elif name.endswith(".jsonl"):
                lines: Any = io.BufferedReader(cast("Any", file))  # a store's reader has no buffer of its own
                frame = pd.DataFrame([json.loads(line) for line in lines if line.strip()])
            else:
                raise RefusedError("data.checks.table", name, "must end with .csv or .jsonl")
    except FileNotFoundError:
        raise RefusedError("data.checks.table", name, "must be a file at data.location") from None
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, RefusedError):
            raise
        # Not what the parser says: it quotes the file.
        raise RefusedError("data.checks.table", name, "must be a whole and well-formed table in UTF-8") from None
    for column, asked in columns.items():
        if asked.type == "datetime" and column in frame.columns:
            frame[column] = _dates(frame[column])
    return frame


def frame_of(data: Any) -> pd.DataFrame:
    """Return the table of what the user's function returned; refuse what is none."""
    held = data if isinstance(data, pd.DataFrame) else getattr(data, "frame", None)
    if isinstance(held, pd.DataFrame):
        return held
    rows: list[dict[str, Any]] = []
    for example in walk(data):
        if not isinstance(example, Mapping):
            raise RefusedError("data.entry", type(example).__name__, KINDS)
        rows.append({str(name): _plain(value) for name, value in example.items()})  # pyright: ignore[reportUnknownVariableType]
    return pd.DataFrame(rows)


def digest_of(frame: pd.DataFrame) -> str:
    """Return ``sha256:…`` of a frame's names, types and values, row by row in its order; its index does not count."""
    digest = hashlib.sha256(f"{len(frame)}".encode())
    for place, name in enumerate(frame.columns):
        series = frame.iloc[:, place]
        digest.update(f"{name!r}{series.dtype}".encode("utf-8", "surrogatepass"))
        values = np.asarray(series)
        if values.dtype.kind in "biufcmM":
            digest.update(np.ascontiguousarray(values).tobytes())
            continue
        for value in values:
            said = repr(value).encode("utf-8", "surrogatepass")
            digest.update(f"{len(said)}:".encode() + said)
    return f"sha256:{digest.hexdigest()}"


def watched(frame: pd.DataFrame, columns: Mapping[str, Column], named: Sequence[str]) -> dict[str, Any]:
    """Return the columns to be watched for drift: those that are named, or all but dates and unique ones."""
    found: dict[str, Any] = {}
    for name, column in columns.items():
        asked = name in named if named else column.type != "datetime" and not column.unique
        if not asked or list(frame.columns).count(name) != 1:
            continue
        series = frame[name]
        if column.type in ("integer", "float") and not column.among:
            found[name] = numbers(series).to_numpy(dtype=np.float64)
        else:
            found[name] = [
                None if missing else _word(value) for value, missing in zip(series, series.isna(), strict=True)
            ]
    return found


def _word(value: Any) -> str:
    # A column of codes with a missing one is of floats, one without is of integers: they are the same codes.
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _plain(value: Any) -> Any:
    """Return the number inside a tensor of one number."""
    return value.item() if hasattr(value, "detach") and value.numel() == 1 else value


def _dates(series: Any) -> Any:
    if kinds.is_datetime64_any_dtype(series.dtype):
        return series
    try:
        return pd.to_datetime(series)
    except (ValueError, TypeError, OverflowError):
        return series  # the check of its type says so
