"""The prediction for a request that was mirrored: the service that answers clients is asked once more."""

import http.client
import ssl
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from falaj.training.errors import RefusedError
from falaj.training.watch.tensors import Message, UnreadableError, encoded, parsed

SECONDS = 10.0
"""Within which the service has to answer."""
LARGEST_ANSWER = 4 << 20
"""Bytes of an answer; a larger one is not read."""
JSON_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a message are JSON, where there are others."""
_STATEFUL = ("sequence_id", "sequence_start", "sequence_end")


class Asks(Protocol):
    """Gets predictions."""

    def ask(self, request: Message) -> Message:
        """Return the service's answer; raise `UnreadableError` with the reason where there is none."""
        ...


@dataclass
class Service:
    """The service that answers clients, at an address within the cluster."""

    url: str
    """Its address, ``http://NAME.NAMESPACE.svc:8000``."""
    model: str
    """The model's name."""
    _connection: http.client.HTTPConnection | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise RefusedError("--ask", self.url, "must be an address such as http://detector.vision.svc:8000")
        self._parts = parts

    def ask(self, request: Message) -> Message:
        """Ask for all outputs; a request of a sequence is not repeated, since the model would count it twice."""
        if any(name in request.parameters for name in _STATEFUL):
            raise UnreadableError("sequence")
        body, length = encoded(request.tensors)
        try:
            return self._sent(body, length)
        except (OSError, http.client.HTTPException):
            self.close()
            raise UnreadableError("unreachable") from None

    def close(self) -> None:
        """Let the connection go; the next question makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sent(self, body: bytes, length: int) -> Message:
        if self._connection is None:
            self._connection = self._connect()
        headers = {"Content-Type": "application/octet-stream", JSON_LENGTH: str(length)}
        self._connection.request("POST", f"/v2/models/{self.model}/infer", body, headers)
        answer = self._connection.getresponse()
        said = answer.read(LARGEST_ANSWER + 1)
        if len(said) > LARGEST_ANSWER:
            self.close()
            raise UnreadableError("too-large")
        if answer.status != http.client.OK:
            raise UnreadableError("refused")
        json_length = answer.headers.get(JSON_LENGTH)
        if json_length is not None and not json_length.isdecimal():
            raise UnreadableError("protocol")
        return parsed(said, None if json_length is None else int(json_length), "outputs")

    def _connect(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port or 80, timeout=SECONDS)
        return http.client.HTTPSConnection(host, port or 443, timeout=SECONDS, context=ssl.create_default_context())
