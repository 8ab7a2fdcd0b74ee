"""Gateways: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, make, simple

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

GATEWAY_API = "kubernetes:gateway.networking.k8s.io"
VERSIONS = ("v1", "v1beta1")
GATEWAYS = [f"{GATEWAY_API}/{version}:Gateway" for version in VERSIONS]
GRANTS = [f"{GATEWAY_API}/{version}:ReferenceGrant" for version in VERSIONS]
ROUTES = [f"{GATEWAY_API}/{version}:HTTPRoute" for version in VERSIONS]
CALLS = f"{GATEWAY_API}/v1:GRPCRoute"


def gateway(protocol: Any, **listener: Any) -> dict[str, Any]:
    """Return a gateway with one listener that has a certificate."""
    tls = {"certificateRefs": [{"name": "it"}]}
    return {"spec": {"listeners": [{"name": "one", "port": 443, "protocol": protocol, "tls": tls} | listener]}}


def routes(allowed: Any) -> dict[str, Any]:
    """Return a gateway that takes routes of some namespaces."""
    return gateway("HTTPS", allowedRoutes={"namespaces": allowed})


def grant(**target: Any) -> dict[str, Any]:
    """Return what lets another namespace use a secret."""
    return {"spec": {"to": [{"group": "", "kind": "Secret"} | target]}}


def plain(type_: str = GATEWAYS[0], **listener: Any) -> Resource:
    """Return a gateway that listens in plain text."""
    metadata = {"name": "edge", "namespace": "web"}
    return make(
        type_,
        {"metadata": metadata, "spec": {"listeners": [{"name": "plain", "port": 80, "protocol": "HTTP", **listener}]}},
    )


def route(scheme: Any = "https", type_: str = ROUTES[0], name: str = "route", **parent: Any) -> Resource:
    """Return a route of a gateway's that leads to a scheme."""
    led = {"type": "RequestRedirect", "requestRedirect": {"scheme": scheme, "statusCode": 301}}
    spec = {"parentRefs": [{"name": "edge"} | parent], "rules": [{"filters": [led]}]}
    return make(type_, {"metadata": {"name": name, "namespace": "web"}, "spec": spec}, name=name)


CASES: list[Case] = [
    *(simple("FJ-GTW-001", type_, gateway("HTTPS"), gateway("HTTP"), gateway(UNKNOWN)) for type_ in GATEWAYS),
    *(
        simple(
            "FJ-GTW-001",
            type_,
            gateway("TLS", tls={"mode": "Passthrough"}),
            gateway("TLS", tls={"mode": "Terminate"}),
            gateway("TLS", tls={"mode": UNKNOWN}),
        )
        for type_ in GATEWAYS
    ),
    *(
        simple("FJ-GTW-002", type_, routes({"from": "Same"}), routes({"from": "All"}), routes({"from": UNKNOWN}))
        for type_ in GATEWAYS
    ),
    simple(
        "FJ-GTW-002",
        GATEWAYS[0],
        routes({"from": "Selector", "selector": {"matchLabels": {"team": "one"}}}),
        routes({"from": "Selector", "selector": {}}),
        routes({"from": "Selector", "selector": UNKNOWN}),
    ),
    *(simple("FJ-GTW-003", type_, grant(name="it"), grant(), grant(name=UNKNOWN)) for type_ in GRANTS),
    *(
        Case("FJ-GTW-001", [plain(type_), route()], [plain(type_)], [plain(type_), route(UNKNOWN)])
        for type_ in GATEWAYS
    ),
    *(
        Case(
            "FJ-GTW-001",
            [plain(), route(type_=type_)],
            [plain(), route("http", type_)],
            [plain(), route(type_=type_, sectionName=UNKNOWN)],
        )
        for type_ in ROUTES
    ),
]
