"""Telling somebody of drift, so that a model is trained again: one CloudEvent by HTTPS for each crossing.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import http.client
import ipaddress
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from falaj.training.errors import RefusedError, TrainingError

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
CROSSED = "dev.falaj.drift.crossed"
"""The type of the events."""
SECONDS = 10.0
"""Within which it has to answer."""


class UntoldError(TrainingError):
    """The webhook did not take an event."""


@dataclass(frozen=True)
class Webhook:
    """An address that takes events."""

    url: str
    """https, or http to this machine alone: nobody on the way is to read or to forge it."""
    token: Path | None = None
    """A file with a bearer token; it is read each time, since tokens change."""

    def __post_init__(self) -> None:
        check_url(self.url)

    @property
    def host(self) -> str:
        """Who is told, without a path that may be a secret."""
        return str(self._parts.hostname)

    def tell(self, event: Mapping[str, Any]) -> int:
        """Send an event and return the status; raise `UntoldError` where it was not taken. Redirects are not taken."""
        try:
            headers = {"Content-Type": CONTENT_TYPE, **self._authorization()}
            connection = self._connect()
            try:
                target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
                connection.request("POST", target, json.dumps(event, sort_keys=True).encode(), headers)
                status = connection.getresponse().status
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UntoldError(f"{self.host} cannot be told: {type(error).__name__}") from None
        if not 200 <= status < 300:
            raise UntoldError(f"{self.host} did not take the event: status {status}")
        return status

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)

    def _authorization(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token.read_text().strip()}"}

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self.host, self._parts.port
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, port or 80, timeout=SECONDS)
        return http.client.HTTPSConnection(host, port or 443, timeout=SECONDS, context=ssl.create_default_context())


def check_url(url: str) -> None:
    """Refuse an address over which somebody else could read or forge what is told, and one that holds a password."""
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise RefusedError("--webhook", url[:60], "must be a URL") from None
    if parts.username or parts.password:
        raise RefusedError("--webhook", parts.hostname, "must not hold a password: give a token by --webhook-token")
    if not known or not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(str(parts.hostname)))):
        raise RefusedError("--webhook", url[:60], "must be a URL of https, or of http on this machine's loopback")
    if any(not 32 < ord(sign) < 127 for sign in url):
        raise RefusedError("--webhook", url[:60], "must be a URL of printable ASCII characters")


def cloud_event(identity: str, *, source: str, subject: str, when: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a CloudEvent; ``identity`` is the same each time that it is sent, so that a receiver acts once."""
    return {
        "specversion": "1.0",
        "id": identity,
        "source": source,
        "type": CROSSED,
        "subject": subject,
        "time": when,
        "datacontenttype": "application/json",
        "data": dict(data),
    }


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
