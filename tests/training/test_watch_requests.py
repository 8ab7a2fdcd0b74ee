"""Requests as they come from a mirror: read whatever they are, in bounded memory, and never answered."""

import asyncio
import json
import struct
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training.watch_world import MODEL, asked, drawn, said

from falaj.training.watch.server import CONNECTIONS, HEAD, Page, Server
from falaj.training.watch.tensors import NUMBERS, Tensor, UnreadableError, encoded, parsed

DEADLINE = 60
PATH = f"/v2/models/{MODEL}/infer"
VALID = asked(drawn(1, 3))


def told(body: bytes, length: int | None = None) -> str:
    with pytest.raises(UnreadableError) as found:
        parsed(body, length, "inputs")
    return found.value.reason


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_of_every_type_are_read_from_json_and_from_binary(datatype: str) -> None:
    values = np.array([[0, 1], [1, 0]], dtype=NUMBERS[datatype])
    body, length = encoded({"x": Tensor(datatype, values)})
    told_in_json = {"name": "x", "datatype": datatype, "shape": [2, 2], "data": values.tolist()}
    for message in (
        parsed(body, length, "inputs"),
        parsed(json.dumps({"inputs": [told_in_json]}).encode(), None, "inputs"),
    ):
        assert message.tensors["x"].array.dtype == values.dtype
        assert (message.tensors["x"].array == values).all()


def test_texts_are_read_from_json_and_from_binary() -> None:
    words = np.array([b"Muscat", "Ṣuḥār".encode(), b""], dtype=object)
    body, length = encoded({"place": Tensor("BYTES", words)})
    told_in_json = {"name": "place", "datatype": "BYTES", "shape": [3], "data": ["Muscat", "Ṣuḥār", ""]}
    for message in (
        parsed(body, length, "inputs"),
        parsed(json.dumps({"inputs": [told_in_json]}).encode(), None, "inputs"),
    ):
        assert message.tensors["place"].array.tolist() == words.tolist()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"datatype": "BF16"}, "datatype"),
        ({"datatype": 3}, "datatype"),
        ({"shape": [3, 3]}, "tensor"),
        ({"shape": [-3, -2]}, "tensor"),
        ({"shape": [True, 6]}, "tensor"),
        ({"shape": [1] * 17 + [6]}, "tensor"),
        ({"shape": [0, 10**30]}, "tensor"),
        ({"data": [1, 2, None, 4, 5, 6]}, "tensor"),
        ({"data": ["1", "2", "3", "4", "5", "6"]}, "tensor"),
        ({"data": [10**400] * 6}, "tensor"),
        ({"datatype": "UINT8", "data": [256] * 6}, "tensor"),
        ({"datatype": "INT64", "data": [1.5] * 6}, "tensor"),
        ({"datatype": "BOOL", "data": [1] * 6}, "tensor"),
        ({"name": None}, "tensor"),
        ({"parameters": {"shared_memory_region": "r"}}, "shared-memory"),
        ({"parameters": {"binary_data_size": 24}}, "tensor"),
        ({"parameters": {"binary_data_size": -1}}, "tensor"),
        ({"parameters": None}, "tensor"),
    ],
)
def test_what_the_server_would_not_take_is_not_counted(change: dict[str, object], reason: str) -> None:
    assert told(json.dumps({"inputs": [said("x", drawn(1, 3)) | change]}).encode()) == reason


@pytest.mark.parametrize(
    ("body", "length", "reason"),
    [
        (b"", None, "protocol"),
        (b"[]", None, "protocol"),
        (b"{", None, "json"),
        (b"\xff", None, "json"),
        (b"[" * 100_000, None, "json"),
        (b'{"inputs": {}}', None, "protocol"),
        (b'{"inputs": [1]}', None, "tensor"),
        (b'{"inputs": [], "parameters": []}', None, "protocol"),
        (json.dumps({"inputs": [{**said("x", drawn(1, 1)), "parameters": []}]}).encode(), None, "tensor"),
        (VALID, len(VALID) + 1, "protocol"),
        (VALID, 0, "protocol"),
        (VALID + b"rest", len(VALID), "tensor"),
        (json.dumps({"inputs": [said("x", drawn(1, 1))] * 2}).encode(), None, "protocol"),
        (json.dumps({"inputs": [said(f"x{n}", drawn(1, 1)) for n in range(65)]}).encode(), None, "protocol"),
    ],
)
def test_what_is_no_message_is_told_by_a_word(body: bytes, length: int | None, reason: str) -> None:
    assert told(body, length) == reason


def test_a_text_that_is_longer_than_its_bytes_is_refused() -> None:
    head = json.dumps(
        {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}}]}
    ).encode()
    assert told(head + struct.pack("<I", 1 << 31) + b"ab", len(head)) == "tensor"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
tensor = st.fixed_dictionaries(
    {
        "name": st.just("features") | anything,
        "datatype": st.sampled_from([*NUMBERS, "BYTES"]) | anything,
        "shape": st.lists(st.integers(-1, 3), max_size=3) | anything,
        "data": st.lists(st.integers(-300, 300) | st.floats() | st.text(max_size=3), max_size=9) | anything,
    },
    optional={"parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-2, 40) | anything}) | anything},
)


@settings(max_examples=300)
@given(st.lists(tensor | anything, max_size=3) | anything, st.binary(max_size=40), st.integers(-3, 3))
def test_no_message_does_anything_but_be_read_or_be_told_by_a_word(inputs, binary, off) -> None:
    head = json.dumps({"inputs": inputs}).encode()
    for length in (None, len(head) + off):
        try:
            message = parsed(head + binary, length, "inputs")
        except UnreadableError as error:
            assert error.reason in {"json", "protocol", "tensor", "datatype", "shared-memory"}
        else:
            assert sum(each.size for each in message.arrays.values()) <= len(head) + len(binary)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 300) | st.none())
def test_no_bytes_do_either(body: bytes, length: int | None) -> None:
    try:
        parsed(body, length, "inputs")
    except UnreadableError as error:
        assert error.reason


class Taken:
    """What a server took and dropped, and how it answered."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.callers: list[str | None] = []
        self.dropped: Counter[str] = Counter()

    def ask(self, *parts: bytes, largest: int = 1 << 20, end: bool = True) -> bytes:
        """Send bytes on one connection and return all that is answered until the other side, or this one, ends."""

        async def run() -> bytes:
            server = await self._start(largest)
            async with server:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                if end:
                    writer.write_eof()
                answered = b""
                # What the other side has not read when it closes becomes a reset, behind its answer.
                with suppress(ConnectionError):
                    while part := await reader.read(HEAD):
                        answered += part
                writer.close()
                return answered

        return asyncio.run(asyncio.wait_for(run(), DEADLINE))

    async def _start(self, largest: int) -> asyncio.Server:
        def take(received) -> None:
            self.bodies.append(received.body)
            self.callers.append(received.caller)

        def drop(reason: str) -> None:
            self.dropped[reason] += 1

        pages = {"/metrics": Page("text/plain", lambda: b"figures\n")}
        server = Server(MODEL, take, drop, largest=largest, pages=pages)
        return await asyncio.start_server(server.connected, "127.0.0.1", 0, limit=HEAD)


def post(body: bytes, path: str = PATH, **headers: str) -> bytes:
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{named}\r\n".encode() + body


def chunked(*chunks: bytes) -> bytes:
    parts = b"".join(f"{len(each):x};more=1\r\n".encode() + each + b"\r\n" for each in chunks)
    return f"POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + parts + b"0\r\nTrailer: x\r\n\r\n"


def test_a_mirrored_request_is_taken_and_its_answer_says_nothing() -> None:
    taken = Taken()
    answers = taken.ask(post(VALID, X_Forwarded_Client_Cert="URI=spiffe://vision/web"), chunked(VALID[:50], VALID[50:]))
    assert answers.count(b"HTTP/1.1 202 Accepted\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n") == 2
    assert len(answers) == 2 * len(b"HTTP/1.1 202 Accepted\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n")
    assert taken.bodies == [VALID, VALID]
    assert taken.callers == ["URI=spiffe://vision/web", None]
    assert not taken.dropped


def test_a_version_s_path_is_the_model_s_and_others_are_not() -> None:
    taken = Taken()
    taken.ask(
        post(VALID, f"/v2/models/{MODEL}/versions/3/infer"),
        post(VALID, "/v2/models/another/infer"),
        post(b"", f"/v2/models/{MODEL}/ready"),
    )
    assert taken.bodies == [VALID]
    assert taken.dropped == {"model": 1}


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (post(b"a" * 1025), b"413", "too-large"),
        (chunked(*[b"a" * 100] * 11), b"413", "too-large"),
        (b"POST / HTTP/1.1\r\nX: " + b"a" * HEAD * 2 + b"\r\n\r\n", b"431", "headers"),
        (b"nonsense\r\n\r\n", b"400", "http"),
        (b"POST / HTTP/1.0\r\n\r\n", b"400", "http"),
        (b"POST / HTTP/1.1\r\nno colon\r\n\r\n", b"400", "http"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400", "http"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", b"400", "http"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", b"400", "http"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"400", "http"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"400", "http"),
    ],
)
def test_what_is_too_large_or_no_http_is_refused_and_the_connection_closed(sent, status, reason) -> None:
    taken = Taken()
    answer = taken.ask(sent, largest=1024, end=False)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in answer
    assert taken.dropped == {reason: 1}
    assert taken.bodies == []


def test_a_request_that_was_begun_and_left_is_counted() -> None:
    taken = Taken()
    assert taken.ask(post(VALID)[:-10]) == b""
    assert taken.dropped == {"incomplete": 1}


def test_a_compressed_body_is_not_opened() -> None:
    taken = Taken()
    taken.ask(post(VALID, Content_Encoding="gzip"))
    assert (taken.bodies, taken.dropped) == ([], {"protocol": 1})


def test_pages_are_shown_and_nothing_else() -> None:
    answers = Taken().ask(b"GET /metrics HTTP/1.1\r\n\r\n", b"GET /other HTTP/1.1\r\n\r\n")
    assert b"200 OK" in answers
    assert b"figures\n" in answers
    assert b"404 Not Found" in answers


def test_connections_beyond_the_limit_are_closed() -> None:
    taken = Taken()

    async def run() -> bytes:
        async with await taken._start(1024) as server:
            port = server.sockets[0].getsockname()[1]
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
            for reader, writer in held:
                writer.write(post(b""))
                await reader.readuntil(b"\r\n\r\n")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            found = await reader.read()
            for _, each in (*held, (reader, writer)):
                each.close()
            return found

    assert asyncio.run(asyncio.wait_for(run(), DEADLINE)) == b""
    assert taken.dropped == {"connections": 1}


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=60) | st.sampled_from([post(VALID)[:40], b"\r\n\r\n", b"0\r\n"]), max_size=6))
def test_the_server_outlives_whatever_it_is_sent(parts) -> None:
    taken = Taken()
    taken.ask(*parts)
    taken.ask(post(VALID))
    assert taken.bodies[-1] == VALID
