"""Requests that no client should send: those known to be deadly, and those that Hypothesis makes up."""

import gzip
import json
import socket
import ssl
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import grpc
from gateway_traffic import Client
from hypothesis import strategies as st
from served_world import NAME, SERVED_AS, SERVED_BY_GRPC_AS

from falaj.lab.serving import gateway_limits as limits

PATH = f"/v2/models/{NAME}/infer"
CALLS = "/inference.GRPCInferenceService"
LENGTH = "Inference-Header-Content-Length"
FLOATS = struct.pack("<2f", 1.0, 4.0)
SIZES = (0, 1, 2, 3, -1, -5, 10**5, 10**9, 2**31, 2**61, 2**62, 2**62 + 2, 2**63 - 1, 2**63, 2**64, 10**30)
"""Dimensions, some of which overflow what counts bytes in 64 bits: four times 2**62 is none at all."""


def asked(**changes: Any) -> bytes:
    """Return a good request, as JSON, with changes of its tensor."""
    tensor = {"name": "given", "datatype": "FP32", "shape": [2], "data": [1.0, 4.0], **changes}
    return json.dumps({"inputs": [tensor]}).encode()


def _overflowing() -> tuple[bytes, dict[str, str]]:
    """Return a tensor of 2**62 numbers of four bytes, which are none in 64 bits, and no bytes."""
    tensor = {"name": "given", "datatype": "FP32", "shape": [2**31, 2**31], "parameters": {"binary_data_size": 0}}
    told = json.dumps({"inputs": [tensor]}).encode()
    return told, {LENGTH: str(len(told))}


DEADLY: Mapping[str, tuple[bytes, dict[str, str], int, str]] = {
    "vast": (asked(shape=[10**9, 10**9]), {}, 400, "shape must be of at most"),
    "large": (asked(shape=[10**9]), {}, 400, "data must have as many elements as shape says"),
    "overflowing": (*_overflowing(), 400, "shape must be of at most"),
    "nested-lists": (b'{"x":' + b"[" * 1_000_000, {}, 400, "must be nested at most 64 deep"),
    "nested-objects": (b'{"x":' * 1_000_000, {}, 400, "must be nested at most 64 deep"),
    "compressed": (gzip.compress(bytes(64 << 20)), {"Content-Encoding": "gzip"}, 415, "must not be compressed"),
    "shared-memory": (asked(parameters={"shared_memory_region": "x"}), {}, 400, "shared memory"),
    "oversize": (b"x" * (limits.REQUEST_BYTES + 1), {}, 413, "content length too large"),
}
"""Requests that kill Triton 2.51, or have it take gigabytes, or are not for clients; how each is refused, and why."""


def post(client: Client, body: bytes | Iterable[bytes], path: str = PATH, **headers: str) -> tuple[int, bytes]:
    """Send one request of HTTP on a connection of its own and return the status, and what was said."""
    with client.connected() as connection:
        # Refused before all of it was sent, it has an answer nevertheless.
        with suppress(ConnectionError, ssl.SSLEOFError):
            connection.request("POST", path, body, {"Host": SERVED_AS, **headers})
        response = connection.getresponse()
        return response.status, response.read()


def call(channel: grpc.Channel, message: bytes, method: str = "ModelInfer") -> tuple[grpc.StatusCode, str]:
    """Make one call of gRPC with a message, whatever it is, and return how it ended."""
    try:
        channel.unary_unary(f"{CALLS}/{method}")(message, timeout=60)
    except grpc.RpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


def calling(client: Client) -> Any:
    """Return a channel to the model, as a context."""
    return client.channel(SERVED_BY_GRPC_AS)


_JUNK = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.sampled_from(SIZES), st.floats(), st.text(max_size=8)),
        st.sampled_from(["FP32", "INT8", "UINT64", "BYTES", "BOOL", "FP16", "given", "product"]),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_SHAPES = st.lists(st.sampled_from(SIZES), max_size=4)
_PLACES: tuple[tuple[str | int, ...], ...] = (
    *(("id",), ("inputs",), ("outputs",), ("parameters",), ("inputs", 0), ("outputs", 0)),
    *(("inputs", 0, name) for name in ("name", "datatype", "shape", "data", "parameters")),
    ("inputs", 0, "parameters", "binary_data_size"),
    ("inputs", 0, "parameters", "shared_memory_region"),
    ("outputs", 0, "name"),
    ("outputs", 0, "parameters", "classification"),
    *(("parameters", name) for name in ("priority", "timeout", "sequence_id", "sequence_start", "binary_data_output")),
)


@st.composite
def http_requests(draw: Any) -> tuple[bytes, dict[str, str]]:
    """Return a request with up to three faults in its JSON, perhaps one in its bytes, perhaps a length that lies."""
    request: Any = json.loads(asked())
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        place = draw(st.sampled_from(_PLACES))
        _put(request, place, draw(_SHAPES | _JUNK if place[-1] == "shape" else _JUNK))
    if binary := draw(st.booleans()):
        request["inputs"] = [_binary(each, draw) for each in _listed(request.get("inputs"))]
    body = _spoilt(draw, json.dumps(request).encode())
    lies = st.sampled_from(["0", "-1", "1", "7", "x", "1e9", "99999999999999999999", str(len(body) + 1)])
    if not binary and draw(st.booleans()):
        return body, {}
    length = draw(st.one_of(st.just(str(len(body))), st.just(str(len(body))), st.none(), lies))
    tail = draw(st.sampled_from([FLOATS, FLOATS, b"", FLOATS[:3], FLOATS * 5]))
    return body + tail, {} if length is None else {LENGTH: length}


@st.composite
def grpc_messages(draw: Any) -> bytes:
    """Return a request whose tensors do not fit together, perhaps cut off or with a wrong byte, or any bytes."""
    shape = draw(st.just([2]) | _SHAPES)
    contents = draw(st.sampled_from([None, None, field(6, FLOATS), field(6, FLOATS[:3]), field(3, b"\x01\x04"), b""]))
    several = st.lists(st.sampled_from([b"", FLOATS, FLOATS[:3], FLOATS * 100]), max_size=3)
    raw = draw(several if contents is None else st.just([]) | several)
    told = {
        "name": draw(st.sampled_from([b"given", b"given", b"given", b"taken", b"", b"\xff\xfe"])),
        "datatype": draw(st.sampled_from([b"FP32", b"FP32", b"FP32", b"BYTES", b"INT64", b"FP99", b""])),
    }
    message = message_of(shape, raw, contents, **told)
    return draw(st.one_of(st.just(_spoilt(draw, message)), st.just(_spoilt(draw, message)), st.binary(max_size=64)))


def message_of(
    shape: Iterable[int], raw: Iterable[bytes] = (FLOATS,), contents: bytes | None = None, **told: bytes
) -> bytes:
    """Return a `ModelInferRequest` for the model with one input."""
    packed = b"".join(varint(size) for size in shape)
    tensor = field(1, told.get("name", b"given")) + field(2, told.get("datatype", b"FP32")) + field(3, packed)
    tensor += b"" if contents is None else field(5, contents)
    return field(1, NAME.encode()) + field(5, tensor) + b"".join(field(7, each) for each in raw)


def field(number: int, content: bytes) -> bytes:
    """Return a field of protobuf's wire format that is bytes, a text or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Return a number of protobuf's wire format, of 64 bits."""
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _put(request: Any, place: tuple[str | int, ...], value: Any) -> None:
    """Put a value where a place leads, if an earlier one has left a way to it."""
    for name in place[:-1]:
        if isinstance(request, dict) and isinstance(name, str):
            request = request.setdefault(name, [{}] if name == "outputs" else {})
        elif isinstance(request, list) and request:
            request = request[0]
        else:
            return
    if isinstance(request, dict):
        request[str(place[-1])] = value
    elif isinstance(request, list):
        request[:1] = [value]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _binary(tensor: Any, draw: Any) -> Any:
    """Return a tensor whose data follows the JSON, as many bytes as it says, or not."""
    if not isinstance(tensor, dict):
        return tensor
    size = draw(st.sampled_from([8, 8, 8, 0, 3, 9, 2**40, -1, 2**63, "8"]))
    return {**{name: each for name, each in tensor.items() if name != "data"}, "parameters": {"binary_data_size": size}}


def _spoilt(draw: Any, content: bytes) -> bytes:
    """Return the bytes as they are, cut off, with a wrong byte, or with some more."""
    place = draw(st.integers(0, max(0, len(content) - 1)))
    more = st.sampled_from([b"\xff\xfe", b"[" * 200, b'{"a":' * 200, b"\x00", b'"\\ud800"', b"1e999", b"}"])
    return draw(
        st.one_of(
            st.just(content),
            st.just(content),
            st.just(content),
            st.just(content[:place]),
            st.builds(lambda wrong: content[:place] + bytes([wrong]) + content[place + 1 :], st.integers(0, 255)),
            st.builds(lambda inserted: content[:place] + inserted + content[place:], more),
        )
    )


def closed(connection: socket.socket) -> bool:
    """Say whether the other end has closed a connection, or closes it before the connection's own timeout."""
    try:
        while connection.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
