"""The objects that the lab's gateway serves, kept up to date by watching, and its states written back."""

import ssl
import threading
from collections.abc import Callable
from typing import Any

from falaj.lab.serving.gateway_objects import KINDS, Kind, Manifest, Objects, key_of
from falaj.lab.simulation.api import Api, OnObject, RefusedError
from falaj.lab.state import Lab

AGAIN = 0.5
"""Seconds until a list that was refused is asked for again."""


class GatewayApi(Api):
    """Speaks with the lab's API server as one of the lab's identities."""

    def __init__(self, lab: Lab, identity: str):
        super().__init__(lab)
        pki = lab.root / "pki"
        self._context = ssl.create_default_context(cafile=pki / "ca.crt")
        self._context.load_cert_chain(pki / f"{identity}.crt", pki / f"{identity}.key")

    def follow(self, kind: Kind, replace: Callable[[list[Manifest]], None], change: OnObject) -> None:
        """Hand over all objects of a kind, then each change, for ever; after a gap all again: some may be gone."""
        never = threading.Event()
        version = ""
        while True:
            try:
                if not version:
                    listed = self.get(kind.path, **kind.query)
                    replace(listed["items"])
                    version = listed["metadata"]["resourceVersion"]
                version = self._stream(kind.path, {**kind.query, "resourceVersion": version}, change, never)
            except (OSError, ValueError, RefusedError):
                version = ""
                never.wait(AGAIN)


class Watched:
    """The newest objects of all kinds."""

    def __init__(self, api: GatewayApi) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._kinds: dict[str, dict[tuple[str, str], Manifest]] = {}
        self.changed = threading.Event()

    def start(self) -> None:
        """Begin to watch; threads that end with the process."""
        for name in KINDS:
            threading.Thread(target=self._follow, args=(name,), daemon=True, name=name).start()

    def objects(self) -> Objects | None:
        """Return all objects; None as long as a kind was never listed: half of them would read as removals."""
        with self._lock:
            if len(self._kinds) < len(KINDS):
                return None
            return Objects({name: list(found.values()) for name, found in self._kinds.items()})

    def _follow(self, name: str) -> None:
        def replace(items: list[Manifest]) -> None:
            # What stands in a list does not say its kind.
            with self._lock:
                self._kinds[name] = {key_of(item): {**item, "kind": name} for item in items}
            self.changed.set()

        def change(happened: str, item: dict[str, Any]) -> None:
            with self._lock:
                if happened == "DELETED":
                    self._kinds[name].pop(key_of(item), None)
                else:
                    self._kinds[name][key_of(item)] = item
            self.changed.set()

        self._api.follow(KINDS[name], replace, change)
