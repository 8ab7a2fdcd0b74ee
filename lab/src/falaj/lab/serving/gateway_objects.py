"""What the lab's gateway reads from the API server, and how its objects are looked up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]

GROUP = "gateway.networking.k8s.io"
CONTROLLER = "falaj.dev/lab-gateway"
"""The controller's name in a GatewayClass, and in the states that it writes."""


@dataclass(frozen=True)
class Kind:
    """One kind of object that is watched."""

    api: str
    plural: str
    query: Mapping[str, str]

    @property
    def path(self) -> str:
        """Return where all objects of the kind are listed."""
        return f"{self.api}/{self.plural}"

    def status_path(self, manifest: Manifest) -> str:
        """Return where the state of one object is written."""
        metadata = manifest["metadata"]
        place = f"namespaces/{metadata['namespace']}/" if "namespace" in metadata else ""
        return f"{self.api}/{place}{self.plural}/{metadata['name']}/status"


KINDS: Mapping[str, Kind] = {
    "GatewayClass": Kind(f"/apis/{GROUP}/v1", "gatewayclasses", {}),
    "Gateway": Kind(f"/apis/{GROUP}/v1", "gateways", {}),
    "HTTPRoute": Kind(f"/apis/{GROUP}/v1", "httproutes", {}),
    "GRPCRoute": Kind(f"/apis/{GROUP}/v1", "grpcroutes", {}),
    "ReferenceGrant": Kind(f"/apis/{GROUP}/v1beta1", "referencegrants", {}),
    "Namespace": Kind("/api/v1", "namespaces", {}),
    "Service": Kind("/api/v1", "services", {}),
    "Secret": Kind("/api/v1", "secrets", {}),
    "ConfigMap": Kind("/api/v1", "configmaps", {}),
    "Pod": Kind("/api/v1", "pods", {}),
}


class Objects:
    """All objects at one moment."""

    def __init__(self, by_kind: Mapping[str, Iterable[Manifest]]) -> None:
        self._kinds = {kind: {key_of(manifest): manifest for manifest in by_kind.get(kind, ())} for kind in KINDS}

    def all(self, kind: str) -> list[Manifest]:
        """Return a kind's objects, the oldest first, as the Gateway API settles what two of them claim."""

        def age(manifest: Manifest) -> tuple[str, tuple[str, str]]:
            return manifest["metadata"].get("creationTimestamp", ""), key_of(manifest)

        return sorted(self._kinds[kind].values(), key=age)

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return one object, or None; a kind without namespaces has the namespace ``""``."""
        return self._kinds[kind].get((namespace, name))

    def gateways(self) -> list[Manifest]:
        """Return the Gateways whose class names this controller."""
        classes = {each["metadata"]["name"] for each in self.all("GatewayClass") if is_ours(each)}
        return [gateway for gateway in self.all("Gateway") if gateway["spec"]["gatewayClassName"] in classes]


def key_of(manifest: Manifest) -> tuple[str, str]:
    """Return an object's namespace and name."""
    metadata = manifest["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def is_ours(gateway_class: Manifest) -> bool:
    """Say whether a GatewayClass is left to this controller."""
    return gateway_class["spec"]["controllerName"] == CONTROLLER


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Say whether a label selector, with ``matchLabels`` and ``matchExpressions``, selects these labels."""
    wanted = selector.get("matchLabels", {}).items()
    return all(labels.get(name) == value for name, value in wanted) and all(
        _holds(each, labels.get(each["key"])) for each in selector.get("matchExpressions", ())
    )


def _holds(expression: Manifest, value: str | None) -> bool:
    values = expression.get("values", ())
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
