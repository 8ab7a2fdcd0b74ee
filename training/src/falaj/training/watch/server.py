"""The server that takes mirrored requests: it reads them in bounded memory and time, and answers with nothing.

What a gateway mirrors has its answer thrown away, so each request is answered 202 as soon as it was read, and 413 or
400 where it was not; then the connection is closed, since nobody knows where the next request begins.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from falaj.training.watch.asking import JSON_LENGTH
from falaj.training.watch.watcher import Received

HEAD = 32 << 10
"""Bytes of a request's first line and headers."""
SECONDS = 10.0
"""Within which a whole request has to come, once it has begun; and an answer has to be taken."""
IDLE_SECONDS = 300.0
"""After which a connection without a request is closed."""
CONNECTIONS = 64
"""Connections at once; further ones are closed."""
CALLER = "x-forwarded-client-cert"
"""The header in which the gateway tells whose certificate it saw."""
_PATH = re.compile(r"/v2/models/([^/?]+)(?:/versions/\d+)?/infer")


class _BadRequestError(Exception):
    """A request that is not read further."""

    def __init__(self, reason: str, status: str = "400 Bad Request") -> None:
        super().__init__(reason)
        self.reason, self.status = reason, status


@dataclass(frozen=True)
class Page:
    """What is answered to a GET."""

    kind: str
    """Its media type."""
    body: Callable[[], bytes]


class Server:
    """Takes requests for one model, unless there is nothing that takes them, and shows pages."""

    def __init__(
        self,
        model: str,
        take: Callable[[Received], None] | None,
        drop: Callable[[str], None],
        *,
        largest: int,
        pages: Mapping[str, Page],
    ) -> None:
        self._model, self._take, self._drop, self._largest, self._pages = model, take, drop, largest, pages
        self._connections = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; given to `asyncio.start_server` with a limit of `HEAD`."""
        self._connections += 1
        try:
            if self._connections > CONNECTIONS:
                self._drop("connections")
                return
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # whoever asked has gone, or takes too long
        finally:
            self._connections -= 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether another may follow."""
        async with asyncio.timeout(IDLE_SECONDS):
            first = await reader.readexactly(1)
        try:
            async with asyncio.timeout(SECONDS):
                head = first + await reader.readuntil(b"\r\n\r\n")
                method, path, headers = _head(head)
                if method == "GET":
                    return await self._show(writer, path)
                await self._infer(reader, writer, path, headers)
        except asyncio.LimitOverrunError:
            await self._refuse(writer, _BadRequestError("headers", "431 Request Header Fields Too Large"))
            return False
        except _BadRequestError as error:
            await self._refuse(writer, error)
            return False
        except (asyncio.IncompleteReadError, TimeoutError):
            self._drop("incomplete")
            raise
        return True

    async def _infer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, headers: Mapping[str, str]
    ) -> None:
        body = await _body(reader, headers, self._largest)
        found = _PATH.fullmatch(path)
        length = headers.get(JSON_LENGTH.lower())
        # What else clients ask, such as whether the model is ready, is mirrored too, and is no sample.
        if self._take is None:
            await _answer(writer, "404 Not Found")
            return
        if found is not None and found[1] == self._model:
            if "content-encoding" in headers or (length is not None and not re.fullmatch(r"\d{1,9}", length)):
                self._drop("protocol")
            else:
                self._take(Received(body, None if length is None else int(length), headers.get(CALLER)))
        elif found is not None:
            self._drop("model")
        await _answer(writer, "202 Accepted")

    async def _show(self, writer: asyncio.StreamWriter, path: str) -> bool:
        page = self._pages.get(path.partition("?")[0])
        if page is None:
            await _answer(writer, "404 Not Found")
        else:
            await _answer(writer, "200 OK", page.body(), page.kind)
        return True

    async def _refuse(self, writer: asyncio.StreamWriter, error: _BadRequestError) -> None:
        self._drop(error.reason)
        await _answer(writer, error.status, more="Connection: close\r\n")


def _head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Return method, path and headers; those that stand several times are joined."""
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] != "HTTP/1.1":
        raise _BadRequestError("http")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[!-9;-~]+", name):
            raise _BadRequestError("http")
        key = name.lower()
        headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
    return words[0], words[1], headers


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str], largest: int) -> bytes:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if length is not None and coding is not None:
        raise _BadRequestError("http")
    if coding is not None:
        if coding.lower() != "chunked":
            raise _BadRequestError("http")
        return await _chunks(reader, largest)
    if length is None:
        return b""
    if not re.fullmatch(r"\d{1,15}", length):
        raise _BadRequestError("http")
    if int(length) > largest:
        raise _BadRequestError("too-large", "413 Content Too Large")
    return await reader.readexactly(int(length))


async def _chunks(reader: asyncio.StreamReader, largest: int) -> bytes:
    body = bytearray()
    while True:
        found = re.fullmatch(rb"([0-9a-fA-F]{1,8})(?:;[^\r\n]*)?\r\n", await reader.readuntil(b"\r\n"))
        if found is None:
            raise _BadRequestError("http")
        size = int(found[1], 16)
        if size == 0:
            break
        if len(body) + size > largest:
            raise _BadRequestError("too-large", "413 Content Too Large")
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise _BadRequestError("http")
    trailers = 0
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        trailers += len(line)
        if trailers > HEAD:
            raise _BadRequestError("http")
    return bytes(body)


async def _answer(
    writer: asyncio.StreamWriter, status: str, body: bytes = b"", kind: str = "text/plain", more: str = ""
) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
