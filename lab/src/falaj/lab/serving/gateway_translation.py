"""From the objects of the Gateway API to Envoy's configuration and the objects' states, without touching anything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from falaj.lab.serving.gateway_attachment import ROUTES, Attachment, allowed_kinds, attachments
from falaj.lab.serving.gateway_endpoints import cluster, load_assignment
from falaj.lab.serving.gateway_listeners import (
    Paths,
    ServedListener,
    certificate_secret,
    clients_secret,
    listener,
)
from falaj.lab.serving.gateway_objects import KINDS, Manifest, Objects, is_ours, key_of
from falaj.lab.serving.gateway_references import Backend, KeyPair, Refusal, authority, backend, key_pair
from falaj.lab.serving.gateway_routes import OnListener, references, route_configuration, unsupported
from falaj.lab.serving.gateway_status import (
    ListenerState,
    ParentState,
    State,
    class_state,
    gateway_state,
    route_state,
)


@dataclass
class Configuration:
    """What Envoy reads, by the names of the resources, and what is said of the objects."""

    listeners: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    clusters: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    routes: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    states: list[State] = field(default_factory=list[State])


def wanted_ports(objects: Objects) -> dict[str, int]:
    """Return the ports that Gateways ask for, by ``<namespace>/<gateway>:<port>``."""
    return {
        port_name(gateway, each["port"]): each["port"]
        for gateway in objects.gateways()
        for each in gateway["spec"]["listeners"]
    }


def port_name(gateway: Manifest, port: int) -> str:
    """Return the name of one port of a Gateway, which is that of its listener in Envoy."""
    return f"{'/'.join(key_of(gateway))}:{port}"


def configuration(objects: Objects, ports: Mapping[str, int], folder: Path) -> Configuration:
    """Translate all objects; ``ports`` are those of loopback in the place of the wanted ones, ``folder`` is Envoy's."""
    made, paths = Configuration(), Paths(folder)
    attached, route_states = _attach(objects)
    made.states += [class_state(each) for each in objects.all("GatewayClass") if is_ours(each)]
    for gateway in objects.gateways():
        listeners = [(spec, attached.get((key_of(gateway), spec["name"]), [])) for spec in gateway["spec"]["listeners"]]
        _serve(objects, gateway, listeners, _Into(made, ports, paths))
        for route in (each.route for _, on in listeners for each in on):
            for found in (backend(objects, route, reference) for reference in references(route)):
                if isinstance(found, Backend):
                    made.clusters[found.cluster] = cluster(found, paths.of("endpoints", found.cluster))
                    made.endpoints[found.cluster] = load_assignment(objects, found)
    made.states += route_states
    return made


Attached = dict[tuple[tuple[str, str], str], list[OnListener]]
"""The routes on each listener, by the Gateway's key and the listener's name."""


@dataclass(frozen=True)
class _Into:
    """Where what is translated goes, and what it has to know of its place."""

    made: Configuration
    ports: Mapping[str, int]
    paths: Paths


def _attach(objects: Objects) -> tuple[Attached, list[State]]:
    """Find every route's listeners, and what is said of the route."""
    attached: Attached = {}
    states: list[State] = []
    for route in (route for kind in ROUTES for route in objects.all(kind)):
        parents: list[ParentState] = []
        resolved = next(_unresolved(objects, route), None)
        for parent in route["spec"].get("parentRefs", ()):
            found = attachments(objects, route, parent)
            if found is None:
                continue
            told = unsupported(route)
            refusal = found if isinstance(found, Refusal) else Refusal("UnsupportedValue", told) if told else None
            parents.append(ParentState(parent, refusal, resolved))
            for each in () if isinstance(found, Refusal) else found:
                _add(attached, each, route)
        states.append(route_state(KINDS[route["kind"]].status_path(route), route, parents))
    return attached, states


def _add(attached: Attached, attachment: Attachment, route: Manifest) -> None:
    """Note a route on a listener once, whichever of its parents leads there."""
    on = attached.setdefault((attachment.gateway, attachment.listener), [])
    if all(other.route is not route for other in on):
        on.append(OnListener(route, attachment.hostnames))


def _unresolved(objects: Objects, route: Manifest) -> Iterator[Refusal]:
    """Yield what of a route's references leads nowhere."""
    found = (backend(objects, route, each) for each in references(route))
    return (each for each in found if isinstance(each, Refusal))


def _serve(
    objects: Objects, gateway: Manifest, listeners: Sequence[tuple[Manifest, list[OnListener]]], into: _Into
) -> None:
    """Add one Gateway's listeners and routes."""
    made = into.made
    states: list[ListenerState] = []
    by_port: dict[int, list[ServedListener]] = {}
    for spec, on in listeners:
        served = _served(objects, gateway, spec)
        refusal = served if isinstance(served, Refusal) else None
        states.append(ListenerState(spec["name"], allowed_kinds(spec), len(on), refusal))
        if isinstance(served, Refusal):
            continue
        by_port.setdefault(spec["port"], []).append(served)
        made.secrets |= {pair.name: certificate_secret(pair) for pair in served.certificates}
        if served.authorities is not None:
            made.secrets[served.clients] = clients_secret(served)
        made.routes[served.name] = route_configuration(
            served.name,
            on,
            lambda route, reference: backend(objects, route, reference),
            certified=served.authorities is not None,
        )
    for port, together in by_port.items():
        name = port_name(gateway, port)
        made.listeners[name] = listener(name, into.ports[name], together, into.paths)
    loopback = {port: into.ports[port_name(gateway, port)] for port in sorted(by_port)}
    made.states.append(gateway_state(gateway, states, loopback))


def _served(objects: Objects, gateway: Manifest, spec: Manifest) -> ServedListener | Refusal:
    """Return a Gateway's listener as it is served, or why it is not: half of what was asked for is nothing here."""
    tls = spec.get("tls", {})
    if spec["protocol"] != "HTTPS":
        return Refusal("UnsupportedProtocol", f"this gateway speaks HTTPS alone, not {spec['protocol']}")
    if tls.get("mode", "Terminate") != "Terminate":
        return Refusal("UnsupportedValue", "TLS ends at this gateway; it is not passed through")
    if not tls.get("certificateRefs"):
        return Refusal("InvalidCertificateRef", "there is no certificate")
    pairs: list[KeyPair] = []
    for reference in tls["certificateRefs"]:
        pair = key_pair(objects, gateway, reference)
        if isinstance(pair, Refusal):
            return pair
        pairs.append(pair)
    authorities = _authorities(objects, gateway, spec["port"])
    if isinstance(authorities, Refusal):
        return authorities
    name = f"{'/'.join(key_of(gateway))}/{spec['name']}"
    return ServedListener(name, spec.get("hostname", ""), pairs, authorities)


def _authorities(objects: Objects, gateway: Manifest, port: int) -> str | Refusal | None:
    """Return who signs the certificates of a port's clients, PEM; None where none are demanded."""
    frontend = gateway["spec"].get("tls", {}).get("frontend", {})
    own = next((each["tls"] for each in frontend.get("perPort", ()) if each["port"] == port), None)
    validation = (frontend.get("default", {}) if own is None else own).get("validation")
    if validation is None:
        return None
    if validation.get("mode", "AllowValidOnly") != "AllowValidOnly":
        return Refusal("UnsupportedValue", "clients without a valid certificate are not let in: use AllowValidOnly")
    found = [authority(objects, gateway, each) for each in validation["caCertificateRefs"]]
    refused = next((each for each in found if isinstance(each, Refusal)), None)
    return refused or "\n".join(each for each in found if isinstance(each, str))
