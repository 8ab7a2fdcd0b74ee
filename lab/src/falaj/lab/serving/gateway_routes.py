"""Envoy's routes from HTTPRoutes and GRPCRoutes: matches by precedence, weights, mirrors, headers, timeouts."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falaj.lab.serving import gateway_access
from falaj.lab.serving import gateway_limits as limits
from falaj.lab.serving.gateway_objects import Manifest, key_of
from falaj.lab.serving.gateway_references import Backend, Refusal

ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
IDEMPOTENT = "falaj.dev/idempotent"
"""The annotation of a route whose requests may be done twice: ``true`` has Envoy repeat what a pod took with it."""
_NOWHERE = "refused"
"""A cluster that never exists: its share of the requests is answered with 500."""
_UNSEEN = "connect-failure,refused-stream,reset-before-request"
_PARTS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}

Resolve = Callable[[Manifest, Manifest], Backend | Refusal]
"""Finds what a route, the first, refers to with a backendRef, the second."""


class UnsupportedError(ValueError):
    """A route asks for something that this gateway does not do."""


@dataclass(frozen=True)
class OnListener:
    """A route and the hostnames that a listener serves of it."""

    route: Manifest
    hostnames: Sequence[str]


def route_configuration(
    name: str, attached: Iterable[OnListener], resolve: Resolve, *, certified: bool
) -> dict[str, Any]:
    """Return the routes of one listener; ``certified``: it demands certificates of clients.

    A hostname's entries stand in the order of precedence of the Gateway API, with gRPC's before the others: they match
    gRPC alone.
    """
    by_host: dict[str, list[tuple[Any, dict[str, Any]]]] = {"*": []}
    for each in attached:
        entries = list(_entries(each.route, resolve, certified=certified))
        for hostname in each.hostnames:
            by_host.setdefault(hostname, []).extend(entries)
    hosts = [
        {"name": host, "domains": [host], "routes": [*(entry for _, entry in sorted(found, key=_first)), _unknown()]}
        for host, found in sorted(by_host.items())
    ]
    # Clusters come by a file of their own, perhaps a moment later.
    return {"@type": ROUTES, "name": name, "virtual_hosts": hosts, "validate_clusters": False}


def unsupported(route: Manifest) -> str | None:
    """Return what a route asks for that this gateway does not do, or None."""
    try:
        for rule in route["spec"].get("rules", ()):
            _rule(route, rule, lambda _, reference: Refusal("", reference["name"]))
            for match in rule.get("matches") or [{}]:
                _match(route, match)
    except UnsupportedError as error:
        return str(error)
    return None


def references(route: Manifest) -> Iterator[Manifest]:
    """Yield every reference of a route to a backend, those that get copies only among them."""
    for rule in route["spec"].get("rules", ()):
        yield from rule.get("backendRefs", ())
        for each in rule.get("filters", ()):
            if "requestMirror" in each:
                yield each["requestMirror"]["backendRef"]


def _first(entry: tuple[Any, dict[str, Any]]) -> Any:
    return entry[0]


def _unknown() -> dict[str, Any]:
    """Return the answer to a request that nothing matches; it tells nothing, so that everyone may have it."""
    return {
        "match": {"prefix": "/"},
        "direct_response": {"status": 404},
        "typed_per_filter_config": gateway_access.everyone(),
    }


def _entries(route: Manifest, resolve: Resolve, *, certified: bool) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield a route's entries, each with what it is sorted by."""
    admission = gateway_access.admission(route, certified=certified)
    age = (route["metadata"].get("creationTimestamp", ""), key_of(route))
    # Left out, what it matches could reach another rule.
    refused = {"direct_response": {"status": 500}} if unsupported(route) else None
    for number, rule in enumerate(route["spec"].get("rules", ())):
        action = refused or _rule(route, rule, resolve)
        for place, each in enumerate(rule.get("matches") or [{}]):
            try:
                precedence, match = _match(route, each)
            except UnsupportedError:
                continue  # nobody can say what it would match
            key = (route["kind"] != "GRPCRoute", *precedence, age, number, place)
            yield key, {"match": match, **action, "typed_per_filter_config": admission}


def _match(route: Manifest, match: Manifest) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a match as Envoy has it, and its precedence: exact before long before short, and the narrower first."""
    headers, queries = match.get("headers", ()), match.get("queryParams", ())
    asked: dict[str, Any] = {"headers": [_exact(each) for each in headers]}
    if route["kind"] == "GRPCRoute":
        method = match.get("method", {})
        (order, length), path = _call(method)
        asked["grpc"] = {}
    else:
        method = match.get("method")
        (order, length), path = _path(match.get("path", {}))
        asked["query_parameters"] = [_exact(each) for each in queries]
        if method:
            asked["headers"].append({"name": ":method", "string_match": {"exact": method}})
    return (order, -length, not method, -len(headers), -len(queries)), {**path, **asked}


def _path(path: Manifest) -> tuple[tuple[int, int], dict[str, Any]]:
    value = path.get("value", "/")
    match path.get("type", "PathPrefix"):
        case "Exact":
            return (0, len(value)), {"path": value}
        case "PathPrefix":
            bare = value.rstrip("/")
            return (1, len(bare)), {"path_separated_prefix": bare} if bare else {"prefix": "/"}
        case other:
            raise UnsupportedError(f"a path is matched exactly or by its prefix, not by {other}")


def _call(method: Manifest) -> tuple[tuple[int, int], dict[str, Any]]:
    if method.get("type", "Exact") != "Exact":
        raise UnsupportedError(f"a method is matched exactly, not by {method['type']}")
    service, name = method.get("service", ""), method.get("method", "")
    if service and name:
        return (0, len(service)), {"path": f"/{service}/{name}"}
    if service:
        return (1, len(service)), {"prefix": f"/{service}/"}
    if name:
        return (2, len(name)), {"safe_regex": {"regex": f"/[^/]+/{re.escape(name)}"}}
    return (3, 0), {"prefix": "/"}


def _exact(condition: Manifest) -> dict[str, Any]:
    if condition.get("type", "Exact") != "Exact":
        # One pattern that Envoy cannot read would have it refuse the routes of everyone on the listener.
        raise UnsupportedError(f"{condition['name']} is matched exactly, not by {condition['type']}")
    return {"name": condition["name"], "string_match": {"exact": condition["value"]}}


def _rule(route: Manifest, rule: Manifest, resolve: Resolve) -> dict[str, Any]:
    """Return what happens to the requests of one rule."""
    mirrors = [each["requestMirror"] for each in rule.get("filters", ()) if each["type"] == "RequestMirror"]
    changes = _header_changes([each for each in rule.get("filters", ()) if each["type"] != "RequestMirror"])
    shares = [_share(route, each, resolve) for each in rule.get("backendRefs", ())]
    if not sum(share["weight"] for share in shares):
        return {"direct_response": {"status": 500}, **changes}
    request, attempt = (_seconds(rule.get("timeouts", {}).get(name)) for name in ("request", "backendRequest"))
    timeout = limits.ANSWER if request is None else request
    action: dict[str, Any] = {
        "weighted_clusters": {"clusters": shares},
        "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
        "timeout": f"{timeout:g}s",
        # A model may think as long as the route lets it.
        "idle_timeout": f"{max(limits.STREAM_IDLE, timeout):g}s",
        "retry_policy": _retries(route, attempt),
        "request_mirror_policies": [_mirror(route, each, resolve) for each in mirrors],
    }
    return {"route": action, "request_body_buffer_limit": limits.RETRY_BYTES, **changes}


def _share(route: Manifest, reference: Manifest, resolve: Resolve) -> dict[str, Any]:
    found = resolve(route, reference)
    name = found.cluster if isinstance(found, Backend) else _NOWHERE
    return {"name": name, "weight": reference.get("weight", 1), **_header_changes(reference.get("filters", ()))}


def _mirror(route: Manifest, mirror: Manifest, resolve: Resolve) -> dict[str, Any]:
    found = resolve(route, mirror["backendRef"])
    fraction = mirror.get("fraction", {"numerator": mirror.get("percent", 100)})
    millionths = round(1_000_000 * fraction["numerator"] / fraction.get("denominator", 100))
    share = {"default_value": {"numerator": millionths, "denominator": "MILLION"}}
    name = found.cluster if isinstance(found, Backend) else _NOWHERE
    return {"cluster": name, "runtime_fraction": share, "disable_shadow_host_suffix_append": True}


def _retries(route: Manifest, attempt: float | None) -> dict[str, Any]:
    """Return which failures have a request given to another pod: those that no pod has seen, unless it may be twice."""
    twice = route["metadata"].get("annotations", {}).get(IDEMPOTENT) == "true"
    return {
        "retry_on": f"{_UNSEEN},reset" if twice else _UNSEEN,
        "num_retries": limits.RETRIES,
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": limits.RETRY_PICKS,
        **({"per_try_timeout": f"{attempt:g}s"} if attempt else {}),
    }


def _header_changes(filters: Sequence[Manifest]) -> dict[str, Any]:
    """Return the changes of headers that a rule or a share asks for."""
    changes: dict[str, Any] = {}
    for each in filters:
        side = {"RequestHeaderModifier": "request", "ResponseHeaderModifier": "response"}.get(each["type"])
        if side is None:
            raise UnsupportedError(f"the filter {each['type']} is none of this gateway's, or not there")
        asked = each[f"{side}HeaderModifier"]
        added = [(header, "OVERWRITE_IF_EXISTS_OR_ADD") for header in asked.get("set", ())]
        added += [(header, "APPEND_IF_EXISTS_OR_ADD") for header in asked.get("add", ())]
        removed = list(asked.get("remove", ()))
        if "host" in {name.lower() for name in (*removed, *(header["name"] for header, _ in added))}:
            raise UnsupportedError("the header Host cannot be changed")
        changes[f"{side}_headers_to_add"] = [_header(header, action) for header, action in added]
        changes[f"{side}_headers_to_remove"] = removed
    return changes


def _header(header: Mapping[str, str], action: str) -> dict[str, Any]:
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in header["value"]):
        # Envoy would refuse the routes of everyone on the listener for it.
        raise UnsupportedError(f"the header {header['name']} is given a value with control characters")
    # Envoy would read a percent sign as the begin of a variable.
    return {"header": {"key": header["name"], "value": header["value"].replace("%", "%%")}, "append_action": action}


def _seconds(duration: str | None) -> float | None:
    """Return a duration of the Gateway API, as ``1m30s``, in seconds."""
    if duration is None:
        return None
    return sum(int(number) * _PARTS[unit] for number, unit in re.findall(r"(\d+)(ms|h|m|s)", duration))
