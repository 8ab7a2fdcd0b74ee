"""The objects that the lab's gateway serves, kept up to date by watching, and its states written back."""

import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
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
    """The newest objects of all kinds; of pods those of some nodes, since what KWOK's nodes have has no address."""

    def __init__(self, api: GatewayApi, nodes: Iterable[str]) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._watches = [(name, kind) for name, kind in KINDS.items() if name != "Pod"]
        self._watches += [
            ("Pod", replace(KINDS["Pod"], query={"fieldSelector": f"spec.nodeName={node}"})) for node in nodes
        ]
        self._found: dict[int, dict[tuple[str, str], Manifest]] = {}
        """What each of the watches has found so far."""
        self.changed = threading.Event()

    def start(self) -> None:
        """Begin to watch; threads that end with the process."""
        for number, (name, _) in enumerate(self._watches):
            threading.Thread(target=self._follow, args=(number,), daemon=True, name=name).start()

    def objects(self) -> Objects | None:
        """Return all objects; None as long as a kind was never listed: half of them would read as removals."""
        with self._lock:
            if len(self._found) < len(self._watches):
                return None
            by_kind: dict[str, list[Manifest]] = {}
            for number, (name, _) in enumerate(self._watches):
                by_kind.setdefault(name, []).extend(self._found[number].values())
            return Objects(by_kind)

    def _follow(self, number: int) -> None:
        name, kind = self._watches[number]

        def replace_all(items: list[Manifest]) -> None:
            # What stands in a list does not say its kind.
            with self._lock:
                self._found[number] = {key_of(item): {**item, "kind": name} for item in items}
            self.changed.set()

        def change(happened: str, item: dict[str, Any]) -> None:
            with self._lock:
                if happened == "DELETED":
                    self._found[number].pop(key_of(item), None)
                else:
                    self._found[number][key_of(item)] = item
            self.changed.set()

        self._api.follow(kind, replace_all, change)
