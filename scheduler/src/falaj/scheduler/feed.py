"""A copy of all objects of a kind, kept by list and watch; only what the rules need of each is kept."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from kubernetes.client.exceptions import ApiException

from falaj.scheduler.connection import JSON, TROUBLE, Connection, Manifest

METADATA = "application/json;as={kind};g=meta.k8s.io;v=v1"
_PAGE = 500
_WATCH = 60
"""Seconds after which the server ends a watch, which is then taken up where it ended."""
_RESYNC = 600.0
"""Seconds after which all is listed again, whatever a watch may have lost."""
_EXPIRED = 410
_PAUSE = 1.0

T = TypeVar("T")

log = logging.getLogger(__name__)


class Feed(Generic[T]):
    """Keeps ``parse(object)`` of each object by its uid; where that is ``None`` the object is of no interest.

    ``changed`` is set with each change; whoever waits for it clears it.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        parse: Callable[[Manifest], T | None],
        changed: threading.Event,
        *,
        metadata: bool = False,
    ) -> None:
        self._connection, self._path, self._parse, self._metadata = connection, path, parse, metadata
        self._lock = threading.Lock()
        self._items: dict[str, T] = {}
        self._changed = changed
        self.heard = 0.0
        """When the server was last heard of, by the monotonic clock; 0 before the first list is whole."""

    def items(self) -> dict[str, T]:
        """Return what there is now."""
        with self._lock:
            return dict(self._items)

    def follow(self, stop: threading.Event) -> None:
        """Keep the copy until told to stop; whatever goes wrong is tried again."""
        while not stop.is_set():
            try:
                version = self._list()
                listed = time.monotonic()
                while not stop.is_set() and time.monotonic() - listed < _RESYNC:
                    version = self._watch(version, stop)
            except ApiException as error:
                if error.status != _EXPIRED:
                    log.warning("%s: %s; trying again", self._path, error.reason)
                    stop.wait(_PAUSE)
            except (*TROUBLE, ValueError) as error:
                log.warning("%s: %s; trying again", self._path, " ".join(str(error).split())[:200])
                stop.wait(_PAUSE)
            except Exception:  # a fault of ours must not end the thread unseen: the feed falls silent, and that is told
                log.exception("%s: a fault; trying again", self._path)
                stop.wait(_PAUSE)

    def _list(self) -> str:
        found: dict[str, T] = {}
        further = ""
        accept = METADATA.format(kind="PartialObjectMetadataList") if self._metadata else JSON
        while True:
            more = {"continue": further} if further else {}
            page: Any = self._connection.get(self._path, accept, limit=_PAGE, **more)
            for each in page["items"] or []:
                self._keep(found, each)
            further = page["metadata"].get("continue", "")
            if not further:
                break
        with self._lock:
            self._items = found
        self.heard = time.monotonic()
        self._changed.set()
        return page["metadata"]["resourceVersion"]

    def _watch(self, version: str, stop: threading.Event) -> str:
        accept = METADATA.format(kind="PartialObjectMetadata") if self._metadata else JSON
        told = self._connection.watch(
            self._path, accept, resourceVersion=version, timeoutSeconds=_WATCH, allowWatchBookmarks="true"
        )
        for event in told:
            thing = event["object"]
            if event["type"] == "ERROR":
                raise ApiException(status=thing.get("code"), reason=thing.get("message"))
            version = thing["metadata"]["resourceVersion"]
            self.heard = time.monotonic()
            if event["type"] != "BOOKMARK":
                with self._lock:
                    self._keep(self._items, thing, gone=event["type"] == "DELETED")
                self._changed.set()
            if stop.is_set():
                break
        self.heard = time.monotonic()
        return version

    def _keep(self, items: dict[str, T], thing: Manifest, *, gone: bool = False) -> None:
        uid: str = thing["metadata"]["uid"]
        parsed = None if gone else self._parse(thing)
        if parsed is None:
            items.pop(uid, None)
        else:
            items[uid] = parsed
