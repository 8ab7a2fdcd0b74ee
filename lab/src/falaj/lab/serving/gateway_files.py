"""Envoy's configuration as files that it watches.

Each takes its predecessor's place whole, in an order that no request notices.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from falaj.lab.serving.gateway_listeners import Paths
from falaj.lab.serving.gateway_translation import Configuration
from falaj.lab.state import Lab, free_port, write_private

GRACE = 10.0
"""Seconds that a cluster stays after the last route to it: Envoy reads routes and clusters each in its own time."""
SETTLE = 0.2
"""Seconds that Envoy has to read new clusters before routes lead to them."""
FIRST_UNPRIVILEGED = 1024


def folder(lab: Lab) -> Path:
    """Return the folder that Envoy reads, with ``lds.json`` and ``cds.json`` in it."""
    return lab.folder("data", "envoy")


class Files:
    """Writes configurations into Envoy's folder, and only what differs from what is there."""

    def __init__(
        self, lab: Lab, clock: Callable[[], float] = time.monotonic, wait: Callable[[float], None] = time.sleep
    ):
        self.folder = folder(lab)
        self._paths = Paths(self.folder)
        self._clock = clock
        self._wait = wait
        self.versions: set[str] = set()
        """The versions of listeners, clusters and routes that were written last: what Envoy says when it took them."""
        self._clusters: dict[str, dict[str, Any]] = {}
        self._leaving: dict[str, float] = {}
        for kind in ("endpoints", "secrets", "routes"):
            lab.folder("data", "envoy", kind)

    def write(self, wanted: Configuration) -> None:
        """Write what is new before what refers to it, and take away what is old when nothing refers to it any more."""
        for kind, resources in (("endpoints", wanted.endpoints), ("secrets", wanted.secrets)):
            self._write_all(kind, resources)
        versions: set[str] = set()
        added = self._write_clusters(wanted, versions)
        if added and self._clusters:
            self._wait(SETTLE)
        self._clusters = {**self._kept(), **wanted.clusters}
        versions |= self._write_all("routes", wanted.routes)
        versions.add(_write(self.folder / "lds.json", wanted.listeners))
        self.versions = versions
        if not self._leaving:
            self._forget(wanted)

    def pending(self) -> float | None:
        """Return in how many seconds ``write`` has something to take away, or None."""
        return max(0.0, min(self._leaving.values()) - self._clock()) if self._leaving else None

    def _write_all(self, kind: str, resources: Mapping[str, Mapping[str, Any]]) -> set[str]:
        return {_write(self._paths.of(kind, name), {name: resource}) for name, resource in resources.items()}

    def _write_clusters(self, wanted: Configuration, versions: set[str]) -> bool:
        """Write the clusters, those that leave among them; say whether one is new."""
        now = self._clock()
        gone = self._clusters.keys() - wanted.clusters.keys()
        self._leaving = {name: self._leaving.get(name, now + GRACE) for name in gone}
        for name in [name for name, until in self._leaving.items() if until <= now]:
            del self._leaving[name]
        versions.add(_write(self.folder / "cds.json", {**self._kept(), **wanted.clusters}))
        return bool(wanted.clusters.keys() - self._clusters.keys())

    def _kept(self) -> dict[str, dict[str, Any]]:
        return {name: self._clusters[name] for name in self._leaving}

    def _forget(self, wanted: Configuration) -> None:
        """Delete files that no listener and no cluster names."""
        for kind, resources in (
            ("endpoints", wanted.endpoints),
            ("secrets", wanted.secrets),
            ("routes", wanted.routes),
        ):
            named = {self._paths.of(kind, name) for name in resources}
            for path in set((self.folder / kind).glob("*.json")) - named:
                path.unlink()


def allocate_ports(lab: Lab, wanted: Mapping[str, int]) -> Mapping[str, int]:
    """Return a port of loopback for each wanted one and keep it: the same where it may be had, else another."""
    path = folder(lab) / "ports.json"
    known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    ports = dict(known)
    for name, port in wanted.items():
        taken = {*ports.values(), *lab.ports().values()}
        if name not in ports:
            ports[name] = free_port(taken, wish=port if port >= FIRST_UNPRIVILEGED else None)
            lab.keep(ports[name])
    if ports != known:
        write_private(path, json.dumps(ports, indent=2))
    return ports


def _write(path: Path, resources: Mapping[str, Mapping[str, Any]]) -> str:
    """Put resources in the place of what the file holds, by renaming, which Envoy waits for; return their version."""
    body = [resources[name] for name in sorted(resources)]
    version = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
    text = json.dumps({"version_info": version, "resources": body}, indent=1)
    if not path.exists() or path.read_text() != text:
        write_private(path, text)
    return version
