"""What Envoy Gateway has to be told beside the routes: who may call, what is repeated, and how much at a time.

Written after ``gateway.envoyproxy.io/v1alpha1`` of Envoy Gateway 1.9, the first that can tell clients by certificates:
its rules know Envoy's attributes of a connection.
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import dns_label
from falaj.components.errors import ConfigError
from falaj.components.rollout_strategies import grpc_route

API = "gateway.envoyproxy.io/v1alpha1"
CLUSTER = "(httproute/{namespace}/{route}|grpcroute/{namespace}/{route}-grpc)/{part}"
"""What its Envoys call a share of a route's requests, as a regular expression."""
APART = "falaj-service"
"""Header that tells a pod by which Service it was reached; a share that has its own filter has figures of its own."""

_RULE_LENGTH = 4096
_SEVERAL = {"maxConnections": 1024, "maxPendingRequests": 1024, "maxParallelRequests": 1024}
"""At a time, of one Service: as many as the lab's gateway takes."""


class EnvoyGateway(TypedDict):
    """That the gateway is one of Envoy Gateway, 1.9 or newer."""

    namespace: NotRequired[str]
    """Namespace of its Envoys, which alone reach the pods. Default: ``envoy-gateway-system``."""


def check_envoy_gateway(name: str, args: Mapping[str, Any]) -> str | None:
    """Return the namespace of the Envoys, if the gateway is one of Envoy Gateway."""
    if "envoy_gateway" not in args:
        return None
    field, given = f"{name}.envoy_gateway", args["envoy_gateway"]
    if "gateway" not in args:
        raise ConfigError(field, given, "must be left out unless gateway is given")
    for number, rule in enumerate(client_rules(args.get("client_names", []))):
        if len(rule["cel"]) > _RULE_LENGTH:
            remedy = f"must be fewer: a rule of Envoy Gateway has at most {_RULE_LENGTH} characters"
            raise ConfigError(f"{name}.client_names", f"rule {number} of {len(rule['cel'])} characters", remedy)
    return dns_label(f"{field}.namespace", given.get("namespace", "envoy-gateway-system"))


def make_policies(
    name: str,
    service: str,
    *,
    clients: Sequence[str],
    idempotent: bool,
    largest_request: int | None,
    metadata: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
) -> None:
    """Make the policies of both routes: who may call, and what happens to requests on their way to the pods."""
    routes = {"http": ("HTTPRoute", service), "grpc": ("GRPCRoute", grpc_route(service))}
    targets = {short: _target(*route) for short, route in routes.items()}
    k8s.apiextensions.CustomResource(
        f"{name}-clients",
        api_version=API,
        kind="SecurityPolicy",
        metadata={**metadata},
        spec=security_spec(list(targets.values()), clients),
        opts=opts,
    )
    for short, (_, route) in routes.items():
        k8s.apiextensions.CustomResource(
            f"{name}-{short}-traffic",
            api_version=API,
            kind="BackendTrafficPolicy",
            metadata={**metadata, "name": route},
            spec=traffic_spec(targets[short], idempotent, largest_request if short == "http" else None),
            opts=opts,
        )


def security_spec(targets: list[dict[str, str]], clients: Sequence[str]) -> dict[str, Any]:
    """Return who may call: clients by their certificates' names, and nobody else."""
    return {"targetRefs": targets, "authorization": {"defaultAction": "Deny", "rules": client_rules(clients)}}


def client_rules(clients: Sequence[str]) -> list[dict[str, Any]]:
    """Return a rule for each kind of name; one that a certificate lacks matches nothing.

    Envoy tells a rule the first name of each kind alone, so that a certificate's further names let nobody in.
    """
    kinds = {
        "uri": [each for each in clients if "://" in each],
        "dns": [each for each in clients if "://" not in each],
    }
    return [
        {
            "name": f"clients-by-{kind}",
            "action": "Allow",
            "cel": f"connection.mtls && connection.{kind}_san_peer_certificate in {json.dumps(names)}",
        }
        for kind, names in kinds.items()
        if names
    ]


def traffic_spec(target: dict[str, str], idempotent: bool, largest_request: int | None) -> dict[str, Any]:
    """Return what happens to requests: those that no pod has seen go to another one, and only those unless it is said.

    What a request may be at most is known of HTTP alone: it is held until it is whole, which a stream never is.
    """
    triggers = ["connect-failure", "refused-stream", "reset-before-request", *(["reset"] if idempotent else [])]
    spec: dict[str, Any] = {
        "targetRefs": [target],
        "retry": {
            "numRetries": 3,
            "retryOn": {"triggers": triggers},
            "perRetry": {"backOff": {"baseInterval": "25ms", "maxInterval": "250ms"}},
        },
        "circuitBreaker": dict(_SEVERAL),
        "timeout": {"http": {"requestTimeout": "60s"}},
    }
    if largest_request is not None:
        spec["requestBuffer"] = {"limit": str(largest_request)}
    return spec


def _target(kind: str, route: str) -> dict[str, str]:
    return {"group": "gateway.networking.k8s.io", "kind": kind, "name": route}
