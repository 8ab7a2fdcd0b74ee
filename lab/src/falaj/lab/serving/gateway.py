"""The lab's gateway: Envoy's configuration from the Gateway API. ``python -m falaj.lab.serving.gateway STATE_FOLDER``.

In a cluster Envoy Gateway does this translation, and its pods run Envoy. Here one Envoy of the lab serves all Gateways
of the class ``falaj-lab`` on loopback, from the files that this process keeps up to date; what Envoy Gateway configures
by its own policies (limits, who may call) is built in or stands in annotations of the routes (docs/lab-gateway.md).

The file ``run/lab-gateway.ready`` appears when the first configuration is written.
"""

import signal
import sys
import threading
import time
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from types import FrameType

from falaj.lab.errors import LabError
from falaj.lab.loopback import ask
from falaj.lab.serving import nodes
from falaj.lab.serving.gateway_files import Files, allocate_ports
from falaj.lab.serving.gateway_objects import CONTROLLER, GROUP, KINDS, Objects
from falaj.lab.serving.gateway_status import State, due, not_taken
from falaj.lab.serving.gateway_translation import configuration, wanted_ports
from falaj.lab.serving.gateway_watch import GatewayApi, Watched
from falaj.lab.simulation.api import RefusedError
from falaj.lab.state import Lab, write_private

CLASS = "falaj-lab"
"""The GatewayClass of the lab's gateway; made where it is not there."""
TAKEN_WITHIN = 1.0
"""Seconds that Envoy has to read its files before their objects are said not to be served."""
TOGETHER = 0.03
"""Seconds for which changes are gathered before they are translated."""
READY = "lab-gateway.ready"
IDENTITY = "lab-gateway"
"""Whose certificate is used; its rights stand in rbac.yaml beside this module."""
_GONE, _CONFLICT = 404, 409


class Gateway:
    """Brings Envoy's files, and the states of what they serve, into line with the objects."""

    def __init__(self, lab: Lab, api: GatewayApi):
        self._lab = lab
        self._api = api
        self._files = Files(lab)
        self._ready = lab.folder("run") / READY
        self._ready.unlink(missing_ok=True)
        self._taken = False

    def run(self, watched: Watched, stop: threading.Event) -> None:
        """Translate at each change until stopped."""
        while not stop.is_set():
            watched.changed.wait(self._files.pending() or 1.0)
            if not watched.changed.is_set() and self._files.pending() is None and self._taken:
                continue
            stop.wait(TOGETHER)
            watched.changed.clear()
            objects = watched.objects()
            if objects is not None:
                self.serve(objects)

    def serve(self, objects: Objects) -> None:
        """Write the configuration of these objects, see whether Envoy takes it, and say what became of them."""
        ports = allocate_ports(self._lab, wanted_ports(objects))
        made = configuration(objects, ports, self._files.folder)
        self._files.write(made)
        if not self._ready.exists():
            write_private(self._ready, f"{time.time()}\n")
            _log(f"serving {len(made.listeners)} ports, {len(made.routes)} listeners and {len(made.clusters)} services")
        self._taken = taken(self._lab, self._files.versions)
        for state in made.states:
            self._tell(state if self._taken else not_taken(state))

    def _tell(self, state: State) -> None:
        """Write one object's state; one that changed or went meanwhile is met at its next change."""
        status = due(state, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        if status is None:
            return
        version = {"resourceVersion": state.manifest["metadata"]["resourceVersion"]}
        try:
            self._api.patch(state.path, {"metadata": version, "status": dict(status)}, ignore=(_GONE, _CONFLICT))
        except RefusedError as error:
            _log(f"cannot write {state.path}: {error}")


def taken(lab: Lab, versions: set[str]) -> bool:
    """Say whether Envoy works with these versions of its files: what it refuses, it tells nobody but its log."""
    until = time.monotonic() + TAKEN_WITHIN
    while True:
        try:
            _, answer = ask(lab, "envoy", "GET", "/stats?type=TextReadouts", authority=None)
        except (OSError, HTTPException):
            return False
        if all(version in answer.decode() for version in versions):
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.05)


def gateway_class() -> dict[str, object]:
    """Return the lab's GatewayClass."""
    spec = {"controllerName": CONTROLLER, "description": "The lab's own Envoy, on loopback"}
    return {"apiVersion": f"{GROUP}/v1", "kind": "GatewayClass", "metadata": {"name": CLASS}, "spec": spec}


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    if len(sys.argv) != 2 or not Lab.at(sys.argv[1]).exists():
        sys.exit("lab-gateway: name the folder of a lab, for example `python -m falaj.lab.serving.gateway .lab`")
    lab, stop = Lab.at(Path(sys.argv[1])), threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    api = GatewayApi(lab, IDENTITY)
    gateway, watched = Gateway(lab, api), Watched(api, nodes.names(lab))
    try:
        api.create(KINDS["GatewayClass"].path, gateway_class())
    except LabError as error:
        sys.exit(
            f"lab-gateway: cannot make the GatewayClass {CLASS}: {error}; are the Gateway API's definitions there?"
        )
    watched.start()
    gateway.run(watched, stop)


def _log(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
