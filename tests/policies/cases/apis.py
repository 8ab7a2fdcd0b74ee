"""APIs: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.cases.storage import varied
from policies.making import Case, make, simple, urn

from falaj.policies.values import UNKNOWN

METHOD = "aws:apigateway/method:Method"
ROUTE = "aws:apigatewayv2/route:Route"
API = "aws:apigatewayv2/api:Api"
SETTINGS = "aws:apigateway/methodSettings:MethodSettings"
STAGE = "aws:apigatewayv2/stage:Stage"


def route(key: Any, protocol: Any, **changes: Any) -> list[Any]:
    properties = {"apiId": UNKNOWN, "routeKey": key, **changes}
    api = make(API, {"protocolType": protocol}, name="api")
    return [make(ROUTE, properties, apiId=urn(API, "api")), api]


CASES = [
    varied(
        "FJ-API-001", "aws:apigateway/domainName:DomainName", {"securityPolicy": "TLS_1_2"}, "securityPolicy", "TLS_1_0"
    ),
    varied(
        "FJ-API-001",
        "aws:apigatewayv2/domainName:DomainName",
        {"domainNameConfiguration.securityPolicy": "SecurityPolicy_TLS13_1_3_2025_09"},
        "domainNameConfiguration.securityPolicy",
        "TLS_1_0",
    ),
    *(
        varied(
            "FJ-API-002",
            type_,
            {"accessLogSettings.destinationArn": "arn"},
            "accessLogSettings.destinationArn",
            None,
        )
        for type_ in ("aws:apigateway/stage:Stage", STAGE)
    ),
    varied("FJ-API-003", METHOD, {"httpMethod": "GET", "authorization": "AWS_IAM"}, "authorization", "NONE"),
    varied("FJ-API-003", METHOD, {"httpMethod": "OPTIONS", "authorization": "NONE"}, "httpMethod", "POST"),
    Case(
        "FJ-API-003",
        route("GET /models", "HTTP", authorizationType="JWT"),
        route("GET /models", "HTTP"),
        route("GET /models", "HTTP", authorizationType=UNKNOWN),
    ),
    Case(
        "FJ-API-003",
        route("$default", "WEBSOCKET"),
        route("$connect", "WEBSOCKET"),
        route("$default", UNKNOWN),
    ),
    varied("FJ-API-004", SETTINGS, {"settings.dataTraceEnabled": False}, "settings.dataTraceEnabled", True),
    varied(
        "FJ-API-004",
        STAGE,
        {"defaultRouteSettings.dataTraceEnabled": False},
        "defaultRouteSettings.dataTraceEnabled",
        True,
    ),
    simple(
        "FJ-API-005",
        SETTINGS,
        {"settings": {"cachingEnabled": True, "cacheDataEncrypted": True}},
        {"settings": {"cachingEnabled": True}},
        {"settings": {"cachingEnabled": UNKNOWN}},
    ),
]
