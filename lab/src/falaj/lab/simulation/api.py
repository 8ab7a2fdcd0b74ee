"""The lab's Kubernetes API for the simulation: plain JSON over kept connections, and watches that never end.

The official client turns each object into classes, which costs more than all else here with ten thousand jobs.
"""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from falaj.lab.errors import LabError
from falaj.lab.state import Lab

Manifest = dict[str, Any]
CONFLICT, TOO_MANY = 409, 429
UNKNOWN_HERE = b"is forbidden: User "
"""What an API server says that has just been started again, and has not read yet who may do what.

Admission refuses with the same status and other words.
"""
MERGE, STEPS = "application/merge-patch+json", "application/json-patch+json"
Body = Manifest | list[Manifest]
"""An object, a change that is merged into one, or the steps of a change (RFC 6902)."""
OnObject = Callable[[str, Manifest], None]
"""Takes what happened (``ADDED``, ``MODIFIED``, ``DELETED``) and to which object."""
_TROUBLE = (OSError, http.client.HTTPException)


class RefusedError(LabError):
    """The API server did not do what it was asked to."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class Api:
    """Speaks with a lab's API server as the person's own identity; each thread has a connection of its own."""

    def __init__(self, lab: Lab):
        pki = lab.root / "pki"
        self._context = ssl.create_default_context(cafile=pki / "ca.crt")
        self._context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._port = lab.ports()["kube-apiserver"]
        self._own = threading.local()

    def create(self, path: str, manifest: Manifest) -> Manifest:
        """Make an object; one that is there already is left as it is."""
        return self.call("POST", path, manifest, ignore=(CONFLICT,))

    def patch(self, path: str, change: Body, *, ignore: tuple[int, ...] = ()) -> Manifest:
        """Merge a change into an object, or go its steps."""
        return self.call("PATCH", path, change, ignore=ignore)

    def delete(self, path: str, body: Manifest | None = None) -> None:
        """Delete an object that may be gone already."""
        self.call("DELETE", path, body, ignore=(404, CONFLICT))

    def get(self, path: str, **query: str) -> Manifest:
        """Read an object or a list."""
        return self.call("GET", f"{path}?{urlencode(query)}" if query else path)

    def call(self, method: str, path: str, body: Body | None = None, ignore: tuple[int, ...] = ()) -> Manifest:
        """Send a request; wait and send it again when the server has too much to do, or was started again."""
        told = ""
        for attempt in range(8):
            try:
                status, answer = self._send(method, path, body)
            except _TROUBLE as error:
                told = str(error) or type(error).__name__
                self._own.connection = None
            else:
                if status < 400:
                    return json.loads(answer)
                if status in ignore:
                    return {}
                told = f"{method} {path}: {status}: {answer.decode(errors='replace')[:500]}"
                if status != TOO_MANY and status < 500 and UNKNOWN_HERE not in answer:
                    raise RefusedError(status, told)
            time.sleep(min(0.1 * 2**attempt, 5))
        raise RefusedError(
            0, f"the API server does not answer as it should: {told}; see `falaj-lab logs kube-apiserver`"
        )

    def _send(self, method: str, path: str, body: Body | None) -> tuple[int, bytes]:
        connection = getattr(self._own, "connection", None) or self._connect(timeout=30)
        self._own.connection = connection
        kind = "application/json"
        if method == "PATCH":
            kind = STEPS if isinstance(body, list) else MERGE
        headers = {"Content-Type": kind, "Accept": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        return response.status, response.read()

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=timeout, context=self._context)

    def watch(self, path: str, on_object: OnObject, stop: threading.Event, **query: str) -> None:
        """Hand over every object that is there and every change, until stopped; after a gap all that is there again."""
        version = ""
        while not stop.is_set():
            try:
                if not version:
                    listed = self.get(path, **query)
                    for item in listed["items"]:
                        on_object("ADDED", item)
                    version = listed["metadata"]["resourceVersion"]
                version = self._stream(path, {**query, "resourceVersion": version}, on_object, stop)
            except (*_TROUBLE, RefusedError):
                version = ""
                stop.wait(0.5)

    def _stream(self, path: str, query: Mapping[str, str], on_object: OnObject, stop: threading.Event) -> str:
        """Read one watch to its end; return from where to go on, or nothing when all has to be listed again."""
        connection, version = self._connect(timeout=60), query["resourceVersion"]
        try:
            asked = {**query, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": "50"}
            connection.request("GET", f"{path}?{urlencode(asked)}")
            response = connection.getresponse()
            if response.status != http.client.OK:
                return ""
            while not stop.is_set() and (line := response.readline()):
                change: Mapping[str, Any] = json.loads(line)
                if change["type"] == "ERROR":
                    return ""
                version = change["object"]["metadata"]["resourceVersion"]
                if change["type"] != "BOOKMARK":
                    on_object(change["type"], change["object"])
        finally:
            connection.close()
        return version
