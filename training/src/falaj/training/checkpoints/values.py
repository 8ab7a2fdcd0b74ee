"""Plain values as JSON: what they were comes back, and nothing else can come back.

Numbers, text, booleans and None are themselves. What JSON has no word for is a list whose first item says what it is:
``["bytes", BASE64]``, ``["tuple", ...]``, ``["list", ...]``, ``["dict", [KEY, VALUE], ...]``, ``["float", "nan"]``.
"""

import base64
import json
import math
from typing import Any, cast

from falaj.training.errors import TrainingError


def to_json(value: object) -> bytes:
    """Return a plain value as bytes; raise ``TrainingError`` for any other."""
    return json.dumps(plain(value), allow_nan=False).encode()


def from_json(data: bytes) -> object:
    """Return the value that ``to_json`` was given."""
    return value_of(json.loads(data))


def plain(value: object) -> object:
    """Return a value in words of JSON."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else ["float", repr(value)]
    if isinstance(value, bytes | bytearray):
        return ["bytes", base64.b64encode(value).decode()]
    if isinstance(value, dict):
        return ["dict", *([plain(key), plain(item)] for key, item in cast(dict[object, object], value).items())]
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, *(plain(item) for item in cast(list[object], value))]
    known = "numbers, text, bytes, None and lists, tuples and dicts of them"
    raise TrainingError(f"a {type(value).__name__} cannot be saved in a checkpoint: only tensors, {known} can")


def value_of(word: Any) -> object:
    """Return the value that ``plain`` made a word of."""
    if not isinstance(word, list):
        return word
    kind, *items = cast(list[Any], word)
    match kind:
        case "bytes":
            return base64.b64decode(items[0])
        case "float":
            return float(items[0])
        case "dict":
            return {value_of(key): value_of(item) for key, item in items}
        case "list":
            return [value_of(item) for item in items]
        case "tuple":
            return tuple(value_of(item) for item in items)
        case _:
            raise ValueError(f"no value is of kind {kind!r}")
