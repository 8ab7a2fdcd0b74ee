"""APIs: over TLS 1.2, with known callers, logged, and without the data in the log."""

import re

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import Fact, any_of

_DOMAIN = "aws:apigateway/domainName:DomainName"
_HTTP_DOMAIN = "aws:apigatewayv2/domainName:DomainName"
_METHOD = "aws:apigateway/method:Method"
_ROUTE = "aws:apigatewayv2/route:Route"
_API = "aws:apigatewayv2/api:Api"
# Browsers ask these before they send what identifies a caller.
_PREFLIGHT = re.compile(r"OPTIONS( .*)?")


@rule(
    "FJ-API-001",
    "APIs are reached over TLS 1.2 or newer",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    (_DOMAIN, _HTTP_DOMAIN),
    "Set securityPolicy to TLS_1_2, or to one of the policies of TLS 1.3.",
)
def tls(domain: Resource, _: Context) -> Checks:
    """AWS's default is TLS 1.2."""
    parts = [domain.properties] if domain.type == _DOMAIN else list(domain["domainNameConfiguration"].each())
    for part in parts:
        old = part["securityPolicy"].test(lambda name: not re.search(r"TLS_?1[_.]?[23]", str(name)))
        yield never(old, "an old TLS is good enough")


@rule(
    "FJ-API-002",
    "APIs log who called",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    ("aws:apigateway/stage:Stage", "aws:apigatewayv2/stage:Stage"),
    "Set accessLogSettings.destinationArn.",
)
def access_logs(stage: Resource, _: Context) -> Checks:
    """Nothing else tells who asked for what."""
    yield must(stage["accessLogSettings"]["destinationArn"].is_set(), "calls are not logged")


@rule(
    "FJ-API-003",
    "APIs know their callers",
    Severity.HIGH,
    ("A.8.5", "A.8.3", "ZT-6"),
    (_METHOD, _ROUTE),
    "Set authorization (authorizationType of a route) to AWS_IAM, JWT, CUSTOM or COGNITO_USER_POOLS.",
    reads=(_API,),
)
def callers(method: Resource, context: Context) -> Checks:
    """A key of an API identifies a plan, not a caller. Over a WebSocket the caller is known when it connects."""
    if method.type == _METHOD:
        preflight = method["httpMethod"].test(lambda verb: bool(_PREFLIGHT.fullmatch(str(verb))))
        known = method["authorization"].is_set() & ~method["authorization"].equals("NONE")
    else:
        preflight = method["routeKey"].test(lambda key: bool(_PREFLIGHT.fullmatch(str(key))))
        connected = _is_socket(method, context) & ~method["routeKey"].equals("$connect")
        known = (method["authorizationType"].is_set() & ~method["authorizationType"].equals("NONE")) | connected
    yield must(preflight | known, "anyone may call")


def _is_socket(route: Resource, context: Context) -> Fact:
    """Return whether a route is one of an API over WebSockets."""
    origins = route.links.get("apiId", frozenset())
    return any_of(
        (Fact(api.urn in origins) | route["apiId"].equals(api["id"].value)) & api["protocolType"].equals("WEBSOCKET")
        for api in context.graph.of((_API,))
    )


@rule(
    "FJ-API-004",
    "Logs of APIs hold no data",
    Severity.HIGH,
    ("A.8.12", "A.8.11"),
    ("aws:apigateway/methodSettings:MethodSettings", "aws:apigatewayv2/stage:Stage"),
    "Leave dataTraceEnabled false.",
)
def payloads(settings: Resource, _: Context) -> Checks:
    """It writes whole requests and answers, tokens included."""
    for name in ("settings", "defaultRouteSettings", "routeSettings"):
        for part in settings[name].each():
            yield never(part["dataTraceEnabled"].is_true(), "requests and answers go to the log whole")


@rule(
    "FJ-API-005",
    "Caches of APIs are encrypted",
    Severity.MEDIUM,
    ("A.8.24",),
    ("aws:apigateway/methodSettings:MethodSettings",),
    "Set settings.cacheDataEncrypted where settings.cachingEnabled is set.",
)
def caches(settings: Resource, _: Context) -> Checks:
    """A cache holds answers in the clear by default."""
    part = settings["settings"]
    yield never(part["cachingEnabled"].is_true() & ~part["cacheDataEncrypted"].is_true(), "the cache is in the clear")


RULES: tuple[Rule, ...] = (tls, access_logs, callers, payloads, caches)
