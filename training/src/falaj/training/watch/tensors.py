"""The tensors of Triton's inference protocol over HTTP, in JSON and in binary: whoever sent them is not trusted.

https://github.com/kserve/open-inference-protocol and Triton's extension for binary tensors.
"""

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from falaj.training.watch.columns import Array

MOST_TENSORS, MOST_DIMENSIONS = 64, 16
NUMBERS = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""Types of elements, and what numpy calls them."""
TEXT = "BYTES"


class UnreadableError(ValueError):
    """A message that is not in the protocol, or that holds what cannot be read here. It says why in one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Tensor:
    """A tensor, and its type by the protocol's name."""

    datatype: str
    array: Array


@dataclass(frozen=True)
class Message:
    """A request or an answer."""

    tensors: Mapping[str, Tensor]
    """Its inputs or outputs, by name."""
    parameters: Mapping[str, Any]
    """What else was asked; of an answer, what else was told."""
    version: str | None
    """Of an answer: the version that computed it."""

    @property
    def arrays(self) -> dict[str, Array]:
        """The tensors without their types."""
        return {name: tensor.array for name, tensor in self.tensors.items()}


def parsed(body: bytes, json_length: int | None, part: str) -> Message:
    """Read a message of which ``part``, ``inputs`` or ``outputs``, is wanted.

    ``json_length`` is how many of its bytes are JSON, as `Inference-Header-Content-Length` says; None: all.
    Raises `UnreadableError`, and nothing else, for whatever it cannot read.
    """
    end = len(body) if json_length is None else json_length
    if not 0 < end <= len(body):
        raise UnreadableError("protocol")
    try:
        told = json.loads(body[:end])
    except (ValueError, RecursionError):
        raise UnreadableError("json") from None
    if not isinstance(told, dict) or not isinstance(told.get(part), list) or len(told[part]) > MOST_TENSORS:
        raise UnreadableError("protocol")
    parameters, version = told.get("parameters", {}), told.get("model_version")
    if not isinstance(parameters, dict) or not isinstance(version, str | None):
        raise UnreadableError("protocol")
    try:
        tensors = dict(_tensors(told[part], memoryview(body)[end:]))
    except (TypeError, KeyError, ValueError, OverflowError, RecursionError, struct.error) as error:
        raise error if isinstance(error, UnreadableError) else UnreadableError("tensor") from None
    if len(tensors) != len(told[part]):
        raise UnreadableError("protocol")
    return Message(tensors, parameters, version)


def encoded(tensors: Mapping[str, Tensor]) -> tuple[bytes, int]:
    """Return a request for all outputs in binary, and how many of its bytes are JSON."""
    parts = {name: _bytes(tensor) for name, tensor in tensors.items()}
    inputs = [
        {
            "name": name,
            "datatype": tensor.datatype,
            "shape": list(tensor.array.shape),
            "parameters": {"binary_data_size": len(parts[name])},
        }
        for name, tensor in tensors.items()
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    return b"".join([head, *parts.values()]), len(head)


def _tensors(told: list[Any], binary: memoryview) -> Iterator[tuple[str, Tensor]]:
    for each in told:
        shape, datatype, parameters = each["shape"], each["datatype"], each.get("parameters", {})
        if not isinstance(parameters, dict):
            raise UnreadableError("tensor")
        if "shared_memory_region" in parameters:
            raise UnreadableError("shared-memory")
        if datatype not in NUMBERS and datatype != TEXT:
            raise UnreadableError("datatype")
        _check_shape(shape)
        size = parameters.get("binary_data_size")
        if size is None:
            array = _from_json(each["data"], datatype)
        else:
            if not isinstance(size, int) or not 0 <= size <= len(binary):
                raise UnreadableError("tensor")
            array, binary = _from_binary(binary[:size], datatype), binary[size:]
        if not isinstance(each["name"], str) or array.size != math.prod(shape):
            raise UnreadableError("tensor")
        yield each["name"], Tensor(datatype, array.reshape(shape))
    if len(binary):
        raise UnreadableError("tensor")


def _check_shape(shape: Any) -> None:
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS:
        raise UnreadableError("tensor")
    if not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise UnreadableError("tensor")


def _from_json(data: Any, datatype: str) -> Array:
    values = _flat(data)
    kind = NUMBERS.get(datatype)
    if kind is None:
        if not all(isinstance(value, str) for value in values):
            raise UnreadableError("tensor")
        return _objects([value.encode("utf-8", "surrogatepass") for value in values])
    # Of what numpy would take for numbers, such as null and "1", the server takes none.
    allowed = {"?": (bool,), "<f2": (int, float), "<f4": (int, float), "<f8": (int, float)}.get(kind, (int,))
    if not all(type(value) in allowed for value in values):
        raise UnreadableError("tensor")
    with np.errstate(over="ignore"):
        return np.array(values, dtype=kind)


def _flat(data: Any) -> list[Any]:
    """Return the elements of lists in lists; how deep they are, the JSON parser has bounded."""
    if not isinstance(data, list):
        raise UnreadableError("tensor")
    while any(isinstance(each, list) for each in data):
        data = [inner for each in data for inner in (each if isinstance(each, list) else [each])]
    return data


def _from_binary(raw: memoryview, datatype: str) -> Array:
    if datatype != TEXT:
        return np.frombuffer(raw, dtype=NUMBERS[datatype])
    found: list[bytes] = []
    while len(raw):
        (length,) = struct.unpack_from("<I", raw)
        if length > len(raw) - 4:
            raise UnreadableError("tensor")
        found.append(bytes(raw[4 : 4 + length]))
        raw = raw[4 + length :]
    return _objects(found)


def _objects(values: list[bytes]) -> Array:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def _bytes(tensor: Tensor) -> bytes:
    if tensor.datatype != TEXT:
        return np.ascontiguousarray(tensor.array, dtype=NUMBERS[tensor.datatype]).tobytes()
    return b"".join(struct.pack("<I", len(value)) + value for value in tensor.array.reshape(-1))
