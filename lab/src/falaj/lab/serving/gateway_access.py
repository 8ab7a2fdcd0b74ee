"""Who may call a route: the names in a client's certificate that the route's annotation lists, and nobody else."""

from typing import Any

from falaj.lab.serving.gateway_objects import Manifest

CLIENTS = "falaj.dev/clients"
"""The annotation of a route: URI or DNS names of certificates, with commas between; ``*`` is every certificate."""
FILTER = "envoy.filters.http.rbac"
_RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3"
_BY_CERTIFICATE = "type.googleapis.com/envoy.extensions.rbac.principals.mtls_authenticated.v3.Config"


def guard() -> dict[str, Any]:
    """Return the filter that refuses with 403 whatever no route lets through."""
    return {"name": FILTER, "typed_config": {"@type": f"{_RBAC}.RBAC", "rules": {"action": "ALLOW", "policies": {}}}}


def admission(route: Manifest, *, certified: bool) -> dict[str, Any]:
    """Return whom a route lets through the guard; ``certified``: the listener demands certificates.

    Where it demands none, a route that names clients lets nobody through, since nobody is known there.
    """
    named = clients(route)
    if not certified:
        return everyone() if named is None else {}
    principals = [_certificate(name) for name in named or ()]
    return _override(principals) if principals else {}


def everyone() -> dict[str, Any]:
    """Return the admission of all who reach the listener."""
    return _override([{"any": True}])


def clients(route: Manifest) -> list[str] | None:
    """Return the names that a route's annotation lists; None without the annotation."""
    told = route["metadata"].get("annotations", {}).get(CLIENTS)
    return None if told is None else [name for each in told.split(",") if (name := each.strip())]


def _override(principals: list[dict[str, Any]]) -> dict[str, Any]:
    policy = {"permissions": [{"any": True}], "principals": principals}
    rules = {"action": "ALLOW", "policies": {"clients": policy}}
    return {FILTER: {"@type": f"{_RBAC}.RBACPerRoute", "rbac": {"rules": rules}}}


def _certificate(name: str) -> dict[str, Any]:
    """Return a client as its certificate names it: exactly, and only a name of that kind."""
    if name == "*":
        wanted: dict[str, Any] = {"any_validated_client_certificate": True}
    else:
        kind = "URI" if "://" in name else "DNS"
        wanted = {"san_matcher": {"san_type": kind, "matcher": {"exact": name}}}
    return {
        "custom": {
            "name": "envoy.rbac.principals.mtls_authenticated",
            "typed_config": {"@type": _BY_CERTIFICATE} | wanted,
        }
    }
