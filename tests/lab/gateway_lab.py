"""A lab with the API server, the gateway and Envoy, and plain servers in the place of pods."""

import json
import os
import subprocess
import urllib.request
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from gateway_cases import (
    CLIENT,
    HOST,
    Authority,
    Made,
    backend,
    config_map,
    gateway,
    grpc_route,
    http_route,
    pod,
    service,
    thing,
    tls_secret,
)
from gateway_traffic import Client, Pod, until

from falaj.lab import tools
from falaj.lab.loopback import apply
from falaj.lab.serving import crds
from falaj.lab.serving.gateway_objects import GROUP, KINDS
from falaj.lab.serving.gateway_watch import GatewayApi
from falaj.lab.simulation.api import RefusedError
from falaj.lab.state import Lab

TYPES = ("gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants")


@dataclass
class Serving:
    """A lab that serves: its objects, its pods and its clients."""

    lab: Lab
    api: GatewayApi
    authority: Authority
    folder: Path
    pods: dict[str, Pod]

    def path(self, kind: str, namespace: str | None, name: str = "") -> str:
        own = KINDS[kind] if kind in KINDS else KINDS["Pod"]
        plural = own.plural if kind in KINDS else f"{kind.lower()}s"
        return "/".join(filter(None, (own.api, f"namespaces/{namespace}" if namespace else "", plural, name)))

    def make(self, *made: Made) -> None:
        for each in made:
            self.api.create(self.path(each["kind"], each["metadata"].get("namespace")), each)
            if each["kind"] == "Pod":
                path = self.path("Pod", "vision", each["metadata"]["name"])
                self.api.patch(f"{path}/status", {"status": each["status"]})

    def weigh(self, stable: int, canary: int) -> None:
        """Give the two Services their shares of the requests."""
        rules = http_route(backend("iris", weight=stable), backend("iris-canary", weight=canary))["spec"]["rules"]
        self.api.patch(self.path("HTTPRoute", "vision", "iris"), {"spec": {"rules": rules}})

    def client(self, *names: str, days: float = 1, by: Authority | None = None) -> Client:
        """Return a client with a certificate of these names, or without one where there are none."""
        signed = (by or self.authority).sign(*names, days=days) if names else None
        return Client(self.port(), self.authority.pem, self.folder, signed)

    def port(self) -> int:
        return json.loads((self.lab.root / "data" / "envoy" / "ports.json").read_text())["gateways/serving:443"]

    def conditions(self, kind: str, namespace: str, name: str) -> dict[str, str]:
        """Return the reason of each condition, of a Gateway or of a route with one parent."""
        status = self.api.get(self.path(kind, namespace, name)).get("status", {})
        told = status["parents"][0] if status.get("parents") else status
        return {each["type"]: each["reason"] for each in told.get("conditions", ())}

    def memory(self) -> int:
        """Return the bytes that Envoy holds."""
        return int(json.loads(self.admin("/memory"))["allocated"])

    def admin(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.lab.ports()['envoy']}{path}", timeout=60) as read:
            return read.read().decode()


def define_types(lab: Lab, api: GatewayApi) -> None:
    """Give the API server the types and the gateway's rights, without the other programs that serve."""
    path = tools.ensure(["argo-gateway-api"])["argo-gateway-api"].path
    assert path is not None
    for name in TYPES:
        text = (path.parent / "data" / "config" / "crd" / "standard" / f"{GROUP}_{name}.yaml").read_text()
        apply(lab, crds.named(text), text)

    def served() -> bool:
        versions = [f"/apis/{GROUP}/{version}" for version in ("v1", "v1beta1")]
        with suppress(RefusedError):  # each of them is not found until it is served
            return set(TYPES) <= {each["name"] for version in versions for each in api.get(version)["resources"]}
        return False

    until(served, "the types of the Gateway API")
    for manifest in yaml.safe_load_all((Path(crds.__file__).parent / "rbac.yaml").read_text()):
        apply(lab, manifest)


def fill(serving: Serving) -> None:
    for name in ("gateways", "vision"):
        serving.make(thing("Namespace", name, None))
    # Its controller, which makes it, does not run here.
    serving.make(thing("ServiceAccount", "default", "vision"))
    serving.make(
        tls_secret(serving.authority.sign(HOST, server=True)),
        config_map(serving.authority.pem),
        service("iris"),
        service("iris-canary"),
        gateway(),
        http_route(backend("iris", weight=100), backend("iris-canary", weight=0)),
        grpc_route(backend("iris", 8001)),
        pod("iris-0", "127.77.0.1", app="iris"),
        pod("iris-canary-0", "127.77.0.2", app="iris-canary"),
    )


def serves(serving: Serving) -> bool:
    try:
        return serving.client(CLIENT).ask()[1].get("pod") == "stable"
    except OSError:
        return False


class process(ExitStack):  # noqa: N801 - used as a function
    """Run a program of the lab until the end of the block; what it says is shown when a test fails."""

    def __init__(self, command: list[str]) -> None:
        super().__init__()
        self._command = command

    def __enter__(self) -> "process":
        super().__enter__()
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        running = subprocess.Popen(self._command, env=environment)
        self.callback(running.wait, 20)
        self.callback(running.terminate)
        return self
