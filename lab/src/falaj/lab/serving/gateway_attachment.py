"""Which listeners a route attaches to, by the rules of the Gateway API, and why not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from falaj.lab.serving.gateway_objects import GROUP, Manifest, Objects, key_of, selects
from falaj.lab.serving.gateway_references import Refusal

ROUTES = ("HTTPRoute", "GRPCRoute")


@dataclass(frozen=True)
class Attachment:
    """One listener of a Gateway that a route is served on."""

    gateway: tuple[str, str]
    listener: str
    hostnames: Sequence[str]
    """The names that both speak for; ``*`` for every name."""


def attachments(objects: Objects, route: Manifest, parent: Manifest) -> list[Attachment] | Refusal | None:
    """Return where one of a route's parents serves it, why it does not, or None where the parent is another's."""
    gateway = _gateway(objects, route, parent)
    if gateway is None:
        return None
    named = [
        listener
        for listener in gateway["spec"]["listeners"]
        if parent.get("sectionName", listener["name"]) == listener["name"]
        and parent.get("port", listener["port"]) == listener["port"]
    ]
    if not named:
        return Refusal("NoMatchingParent", "the Gateway has no listener of that name and port")
    allowing = [listener for listener in named if _allows(objects, gateway, listener, route)]
    if not allowing:
        return Refusal("NotAllowedByListeners", "no listener takes routes of this kind from this namespace")
    found = [
        Attachment(key_of(gateway), listener["name"], shared)
        for listener in allowing
        if (shared := common_hostnames(listener.get("hostname", ""), route["spec"].get("hostnames", ())))
    ]
    return found or Refusal("NoMatchingListenerHostname", "no listener serves a hostname of the route")


def allowed_kinds(listener: Manifest) -> list[str]:
    """Return the kinds of routes that a listener takes."""
    asked = listener.get("allowedRoutes", {}).get("kinds") or [{"kind": kind} for kind in ROUTES]
    return [each["kind"] for each in asked if each.get("group", GROUP) == GROUP and each["kind"] in ROUTES]


def common_hostnames(listener: str, route: Iterable[str]) -> list[str]:
    """Return the hostnames that a listener (empty: any) and a route (none: any) share, each the narrower of the two."""
    asked = list(route) or ["*"]
    shared = (_narrower(listener or "*", hostname) for hostname in asked)
    return list(dict.fromkeys(each for each in shared if each))


def _narrower(one: str, other: str) -> str | None:
    if _covers(one, other):
        return other
    return one if _covers(other, one) else None


def _covers(wide: str, narrow: str) -> bool:
    """Say whether each name that the narrow hostname stands for is one of the wide one's."""
    if wide in {"*", narrow}:
        return True
    return wide.startswith("*.") and narrow.endswith(wide[1:])


def _gateway(objects: Objects, route: Manifest, parent: Manifest) -> Manifest | None:
    if (parent.get("group", GROUP), parent.get("kind", "Gateway")) != (GROUP, "Gateway"):
        return None
    wanted = (parent.get("namespace", route["metadata"]["namespace"]), parent["name"])
    return next((gateway for gateway in objects.gateways() if key_of(gateway) == wanted), None)


def _allows(objects: Objects, gateway: Manifest, listener: Manifest, route: Manifest) -> bool:
    if route["kind"] not in allowed_kinds(listener):
        return False
    namespace = route["metadata"]["namespace"]
    namespaces = listener.get("allowedRoutes", {}).get("namespaces", {})
    match namespaces.get("from", "Same"):
        case "All":
            return True
        case "Same":
            return namespace == gateway["metadata"]["namespace"]
        case "Selector":
            found = objects.get("Namespace", "", namespace)
            labels = found["metadata"].get("labels", {}) if found else {}
            return found is not None and selects(namespaces.get("selector", {}), labels)
        case _:
            return False
