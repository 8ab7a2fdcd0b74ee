"""Gateways: over TLS, with plain text for nothing but the way to it, and for routes of named namespaces."""

from falaj.policies.model import Checks, Context, Graph, Resource, Rule, Severity, must, never, rule
from falaj.policies.namespaced import namespace_of, same
from falaj.policies.values import Fact, View, all_of, any_of

_GROUP = "gateway.networking.k8s.io"
_VERSIONS = ("v1", "v1beta1")
_GATEWAYS = tuple(f"kubernetes:{_GROUP}/{version}:Gateway" for version in _VERSIONS)
_GRANTS = tuple(f"kubernetes:{_GROUP}/{version}:ReferenceGrant" for version in _VERSIONS)
_ROUTES = tuple(f"kubernetes:{_GROUP}/{version}:HTTPRoute" for version in _VERSIONS)
# These too attach to listeners of HTTP, and know no way to TLS.
_CALLS = (f"kubernetes:{_GROUP}/v1:GRPCRoute",)


@rule(
    "FJ-GTW-001",
    "Gateways listen over TLS only",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    _GATEWAYS,
    "Set the listener's protocol to HTTPS or TLS, with certificateRefs where it ends; on HTTP attach nothing but an "
    "HTTPRoute that redirects to the scheme https.",
    reads=(*_ROUTES, *_CALLS),
)
def listens(gateway: Resource, context: Context) -> Checks:
    """Terminate is the mode where none is given, and needs a certificate."""
    for listener in gateway["spec"]["listeners"].each():
        protocol = listener["protocol"]
        led = protocol.equals("HTTP").and_then(lambda: _only_redirects(gateway, listener, context.graph))  # noqa: B023 - asked at once
        yield must(led | protocol.among(("HTTPS", "TLS")), "is in plain text")
        tls = listener["tls"]
        certified = tls["certificateRefs"].is_set() | tls["options"].is_set()
        yield must(led | tls["mode"].equals("Passthrough") | certified, "has no certificate")


def _only_redirects(gateway: Resource, listener: View, graph: Graph) -> Fact:
    """Return whether all routes of the listener lead to HTTPS, and there is one.

    Of namespaces that the listener takes routes from beside its own, no stack knows all.
    """
    routes = [(_attaches(route, gateway, listener), _redirects(route)) for route in graph.of((*_ROUTES, *_CALLS))]
    taken = listener["allowedRoutes"]["namespaces"]["from"]
    own = ~taken.is_set() | taken.among(("Same", "None"))
    closed = Fact(None, taken.path) if taken.value == "Selector" else own
    some = any_of((attaches & redirects for attaches, redirects in routes), listener.path)
    return some & all_of((~attaches | redirects for attaches, redirects in routes), listener.path) & closed


def _attaches(route: Resource, gateway: Resource, listener: View) -> Fact:
    """Return whether one of the route's parents is this listener, or the whole gateway."""

    def is_parent(parent: View) -> Fact:
        place = parent["namespace"]
        beside = same(namespace_of(route) if place.value is None else place, namespace_of(gateway))
        kind = ~parent["kind"].is_set() | parent["kind"].equals("Gateway")
        named = same(parent["name"], gateway["metadata"]["name"])
        section = ~parent["sectionName"].is_set() | same(parent["sectionName"], listener["name"])
        port = ~parent["port"].is_set() | same(parent["port"], listener["port"])
        return kind & beside & named & section & port

    return any_of((is_parent(parent) for parent in route["spec"]["parentRefs"].each()), "spec.parentRefs")


def _redirects(route: Resource) -> Fact:
    """Return whether the route leads each request to the scheme https; one without rules leads none."""
    if route.type in _CALLS:
        return Fact(False, "spec")
    rules = route["spec"]["rules"]
    led = (
        any_of(
            each["type"].equals("RequestRedirect") & each["requestRedirect"]["scheme"].equals("https")
            for each in part["filters"].each()
        )
        for part in rules.each()
    )
    return rules.is_set() & all_of(led, rules.path)


@rule(
    "FJ-GTW-002",
    "Gateways take routes from named namespaces",
    Severity.MEDIUM,
    ("A.8.22", "A.5.15", "ZT-6"),
    _GATEWAYS,
    "Set allowedRoutes.namespaces.from to Same or Selector.",
)
def takes_routes(gateway: Resource, _: Context) -> Checks:
    """With All, any tenant may answer for the gateway's hosts."""
    for listener in gateway["spec"]["listeners"].each():
        allowed = listener["allowedRoutes"]["namespaces"]
        yield never(allowed["from"].equals("All"), "routes of every namespace are taken")
        everything = ~allowed["selector"]["matchLabels"].is_set() & ~allowed["selector"]["matchExpressions"].is_set()
        yield never(allowed["from"].equals("Selector") & everything, "routes of every namespace are taken")


@rule(
    "FJ-GTW-003",
    "References across namespaces name their object",
    Severity.MEDIUM,
    ("A.8.3", "A.8.22", "ZT-6"),
    _GRANTS,
    "Name the object in each entry of to.",
)
def references(grant: Resource, _: Context) -> Checks:
    """Without a name every object of the kind may be used, secrets with private keys among them."""
    for target in grant["spec"]["to"].each():
        yield must(target["name"].is_set(), "every object of the kind is granted")


RULES: tuple[Rule, ...] = (listens, takes_routes, references)
