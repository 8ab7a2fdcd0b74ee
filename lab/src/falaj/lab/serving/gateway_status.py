"""What the lab's gateway says of the objects that it serves, as conditions of the Gateway API."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from falaj.lab.serving.gateway_objects import CONTROLLER, GROUP, KINDS, Manifest
from falaj.lab.serving.gateway_references import Refusal

REFERENCES = {
    "InvalidCertificateRef",
    "InvalidCACertificateRef",
    "InvalidCACertificateKind",
    "RefNotPermitted",
}
"""Reasons that are said of a listener's references, not of the listener itself."""


@dataclass(frozen=True)
class State:
    """What is to be written into one object's status."""

    path: str
    """Where its status is written."""
    manifest: Manifest
    wanted: Mapping[str, Any]


@dataclass(frozen=True)
class ListenerState:
    """How one listener of a Gateway is."""

    name: str
    kinds: Sequence[str]
    routes: int
    refusal: Refusal | None


@dataclass(frozen=True)
class ParentState:
    """How a route is on one of its parents."""

    parent: Manifest
    refusal: Refusal | None
    unresolved: Refusal | None


def class_state(gateway_class: Manifest) -> State:
    """Return the state of a GatewayClass of this controller."""
    conditions = [_condition(gateway_class, "Accepted", None, "the lab's gateway serves it")]
    return State(KINDS["GatewayClass"].status_path(gateway_class), gateway_class, {"conditions": conditions})


def gateway_state(gateway: Manifest, listeners: Sequence[ListenerState], loopback: Mapping[int, int]) -> State:
    """Return the state of a Gateway; ``loopback`` has the port on 127.0.0.1 in the place of each that it serves."""
    refused = next((each.refusal for each in listeners if each.refusal), None)
    invalid = Refusal("ListenersNotValid", refused.message) if refused else None
    unserved = None if loopback else Refusal("Invalid", "no listener can be served")
    where = ", ".join(f"port {port} is 127.0.0.1:{own}" for port, own in loopback.items())
    wanted = {
        # A status has no place for a port; this type of address is the lab's own.
        "addresses": [
            *([{"type": "IPAddress", "value": "127.0.0.1"}] if loopback else []),
            *({"type": f"falaj.dev/port-{port}", "value": f"127.0.0.1:{own}"} for port, own in loopback.items()),
        ],
        "conditions": [
            # With one listener that is valid, a Gateway is accepted; the reason says that not all are.
            _condition(gateway, "Accepted", None if loopback else invalid, "all listeners are served", partly=invalid),
            _condition(gateway, "Programmed", unserved, where),
        ],
        "listeners": [_listener(gateway, each) for each in listeners],
    }
    return State(KINDS["Gateway"].status_path(gateway), gateway, wanted)


def not_taken(state: State) -> State:
    """Return the state of a Gateway, or of anything else, while Envoy has not taken what was written for it."""
    if state.manifest["kind"] != "Gateway":
        return state

    def pending(_: tuple[Any, ...], condition: Mapping[str, Any]) -> Mapping[str, Any]:
        if (condition["type"], condition["status"]) != ("Programmed", "True"):
            return condition
        why = "Envoy has not taken the configuration; see `falaj-lab logs envoy`"
        return {**condition, "status": "False", "reason": "Pending", "message": why}

    return replace(state, wanted=_with_conditions(state.wanted, pending))


def route_state(path: str, route: Manifest, parents: Sequence[ParentState]) -> State:
    """Return the state of a route; what other controllers say of their own Gateways stays."""
    others = [each for each in _parents(route) if each["controllerName"] != CONTROLLER]
    own = [
        {
            "parentRef": each.parent,
            "controllerName": CONTROLLER,
            "conditions": [
                _condition(route, "Accepted", each.refusal, "the route is served"),
                _condition(route, "ResolvedRefs", each.unresolved, "all backends are there"),
            ],
        }
        for each in parents
    ]
    return State(path, route, {"parents": [*others, *own]})


def due(state: State, now: str) -> Mapping[str, Any] | None:
    """Return the status to write, or None where the object says all of it already; times of change are kept."""
    known = state.manifest.get("status", {})
    earlier = _conditions(known)

    def timed(place: tuple[Any, ...], condition: Mapping[str, Any]) -> Mapping[str, Any]:
        before = earlier.get((*place, condition["type"]), {})
        same = before.get("status") == condition["status"]
        since = before.get("lastTransitionTime", now) if same else now
        return {**condition, "lastTransitionTime": condition.get("lastTransitionTime", since)}

    wanted = _with_conditions(state.wanted, timed)
    return None if {name: known.get(name, []) for name in wanted} == wanted else wanted


def _listener(gateway: Manifest, state: ListenerState) -> dict[str, Any]:
    refusal = state.refusal
    reference = refusal if refusal and refusal.reason in REFERENCES else None
    itself = refusal if refusal and not reference else None
    unserved = Refusal("Invalid", refusal.message) if refusal else None
    return {
        "name": state.name,
        "attachedRoutes": state.routes,
        "supportedKinds": [{"group": GROUP, "kind": kind} for kind in state.kinds],
        "conditions": [
            _condition(gateway, "Accepted", itself, "the listener is served"),
            _condition(gateway, "ResolvedRefs", reference, "all certificates are there"),
            _condition(gateway, "Programmed", unserved, "the listener is in Envoy's configuration"),
        ],
    }


def _condition(
    manifest: Manifest, kind: str, refusal: Refusal | None, good: str, partly: Refusal | None = None
) -> dict[str, Any]:
    told = refusal or partly
    return {
        "type": kind,
        "status": "False" if refusal else "True",
        "reason": told.reason if told else kind,
        "message": told.message if told else good,
        "observedGeneration": manifest["metadata"].get("generation", 0),
    }


def _parents(route: Manifest) -> Sequence[Manifest]:
    return route.get("status", {}).get("parents", ())


def _conditions(status: Mapping[str, Any]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """Return a status' conditions by where they stand and their type."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}

    def note(place: tuple[Any, ...], condition: Mapping[str, Any]) -> Mapping[str, Any]:
        found[(*place, condition["type"])] = condition
        return condition

    _with_conditions(status, note)
    return found


def _with_conditions(
    status: Mapping[str, Any], change: Callable[[tuple[Any, ...], Mapping[str, Any]], Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a status with each condition as ``change`` returns it, told where it stands."""
    made = dict(status)
    if "conditions" in status:
        made["conditions"] = [change((), each) for each in status["conditions"]]
    if "listeners" in status:
        made["listeners"] = [
            {**each, "conditions": [change((each["name"],), one) for one in each["conditions"]]}
            for each in status["listeners"]
        ]
    if "parents" in status:
        made["parents"] = [
            {**each, "conditions": [change(_place(each), one) for one in each["conditions"]]}
            for each in status["parents"]
        ]
    return made


def _place(parent: Manifest) -> tuple[Any, ...]:
    return (parent["controllerName"], *sorted((name, str(value)) for name, value in parent["parentRef"].items()))
