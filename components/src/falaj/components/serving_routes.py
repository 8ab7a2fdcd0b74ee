"""How requests come to a service: by routes of a gateway that knows each client, or from named pods beside it.

Written after ``gateway.networking.k8s.io/v1``. Who may call is an annotation: the lab's gateway holds clients to it by
their certificates; Envoy Gateway is told the same by a policy of its own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import dns_label
from falaj.components.errors import ConfigError
from falaj.components.rollout_strategies import Strategy, grpc_route, shadow_service
from falaj.components.serving_envoy_gateway import APART, check_envoy_gateway
from falaj.components.tenant_network import NAMESPACE_NAME
from falaj.components.triton_pod import GRPC, HTTP, METRICS

CLIENTS = "falaj.dev/clients"
"""Annotation of a route: subject alternative names, separated by commas, of the certificates of those who may call."""
IDEMPOTENT = "falaj.dev/idempotent"
"""Annotation of a route whose requests may be done twice: one that a dying pod took with it is given to another."""
ROUTE_API = "gateway.networking.k8s.io/v1"
PREVIEW = "falaj-preview"
"""Header of requests that are to see the new version before it has any others."""

_GATEWAY = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?/[a-z]([a-z0-9-]*[a-z0-9])?")
_NAME = re.compile(r"(spiffe://)?[a-zA-Z0-9][\w./-]*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


@dataclass(frozen=True)
class Access:
    """Who may call, and by which way."""

    pods: Mapping[str, str] | None
    """Labels of the tenant's pods that call without a gateway."""
    gateway: tuple[str, str] | None
    """Namespace and name of the gateway."""
    clients: Sequence[str]
    hosts: Sequence[str]
    grpc_hosts: Sequence[str]
    idempotent: bool
    """Whether a request may be done twice."""
    envoys: str | None = None
    """Namespace of Envoy Gateway's Envoys, if it is the gateway."""


def check_access(name: str, args: Mapping[str, Any], service: str) -> Access:
    """Return who may call, refusing what would let anybody, or nobody."""
    behind = ("client_names", "hostnames", "grpc_hostnames", "idempotent", "envoy_gateway")
    if "gateway" not in args:
        for each in behind:
            if each in args:
                raise ConfigError(f"{name}.{each}", args[each], "must be left out unless gateway is given")
        pods = args.get("clients", {"triton-client": service})
        if not pods:
            raise ConfigError(f"{name}.clients", pods, "must name at least one label, else every pod could call")
        return Access(dict(pods), None, (), (), (), idempotent=False)
    if "clients" in args:
        remedy = "must be left out behind a gateway, through which pods call too"
        raise ConfigError(f"{name}.clients", args["clients"], remedy)
    if not _GATEWAY.fullmatch(args["gateway"]):
        raise ConfigError(f"{name}.gateway", args["gateway"], "must be a gateway as NAMESPACE/NAME")
    namespace, _, gateway = str(args["gateway"]).partition("/")
    clients = list(args.get("client_names", []))
    if not clients:
        remedy = "must name at least one client by its certificate's name: none is allowed unnamed"
        raise ConfigError(f"{name}.client_names", clients, remedy)
    for each in clients:
        if not _NAME.fullmatch(each):
            remedy = "must be names of certificates without wildcards, such as web.vision.svc or spiffe://vision/web"
            raise ConfigError(f"{name}.client_names", each, remedy)
    hosts, grpc_hosts = (check_hosts(f"{name}.{each}", args.get(each, [])) for each in ("hostnames", "grpc_hostnames"))
    if both := set(hosts) & set(grpc_hosts):
        remedy = "must differ from hostnames: a listener takes one kind of route for each name"
        raise ConfigError(f"{name}.grpc_hostnames", sorted(both), remedy)
    at = (dns_label(f"{name}.gateway", namespace), gateway)
    return Access(
        None,
        at,
        clients,
        hosts,
        grpc_hosts,
        idempotent=bool(args.get("idempotent", False)),
        envoys=check_envoy_gateway(name, args),
    )


def check_hosts(field: str, hosts: Sequence[str]) -> list[str]:
    """Return host names, refusing wildcards, under which one service would answer for others."""
    for each in hosts:
        if not _HOST.fullmatch(each):
            raise ConfigError(field, each, "must be host names such as detector.vision.svc, without wildcards")
    return list(hosts)


def ingress_rules(access: Access, metrics_namespace: str) -> list[k8s.networking.v1.NetworkPolicyIngressRuleArgsDict]:
    """Return who may connect: the gateway's namespace or the tenant's own clients, and who scrapes the metrics."""
    caller: k8s.networking.v1.NetworkPolicyPeerArgsDict
    if access.gateway is not None:
        caller = {"namespace_selector": {"match_labels": {NAMESPACE_NAME: access.envoys or access.gateway[0]}}}
    else:
        caller = {"pod_selector": {"match_labels": dict(access.pods or {})}}
    return [
        {"from_": [caller], "ports": [{"protocol": "TCP", "port": port} for port in (HTTP, GRPC)]},
        {
            "from_": [{"namespace_selector": {"match_labels": {NAMESPACE_NAME: metrics_namespace}}}],
            "ports": [{"protocol": "TCP", "port": METRICS}],
        },
    ]


def egress_rules(ways: Iterable[tuple[str, int]]) -> list[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]:
    """Return which address ranges pods may call, and at which port each."""
    return [{"to": [{"ip_block": {"cidr": cidr}}], "ports": [{"protocol": "TCP", "port": port}]} for cidr, port in ways]


def host_names(
    access: Access, service: str, namespace: pulumi.Output[str]
) -> tuple[pulumi.Output[list[str]], pulumi.Output[list[str]]]:
    """Return the names under which the gateway has the service, over HTTP and over gRPC.

    Unsaid, they are those for which the tenant may have certificates of Vault, ``<name>.<tenant>.svc``.
    """

    def named(given: Sequence[str], host: str) -> pulumi.Output[list[str]]:
        return (
            pulumi.Output.from_input(list(given)) if given else namespace.apply(lambda known: [f"{host}.{known}.svc"])
        )

    return named(access.hosts, service), named(access.grpc_hosts, grpc_route(service))


def make_routes(
    name: str,
    service: str,
    access: Access,
    strategy: Strategy | None,
    *,
    metadata: Mapping[str, Any],
    hosts: tuple[pulumi.Output[list[str]], pulumi.Output[list[str]]],
    copied: Sequence[dict[str, Any]] = (),
    opts: pulumi.ResourceOptions,
) -> None:
    """Attach an HTTPRoute and a GRPCRoute to the gateway; ``copied`` are the former's filters for further copies."""
    assert access.gateway is not None
    namespace, gateway = access.gateway
    words = {
        CLIENTS: ",".join(access.clients),
        # Argo owns the rules once it has set weights. What changes in them here still wins, with the weights of a
        # service at rest, and Argo sets its own again the next time it looks.
        "pulumi.com/patchForce": "true",
        **({IDEMPOTENT: "true"} if access.idempotent else {}),
    }
    parents = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace, "name": gateway}]
    weights = pulumi.ResourceOptions(ignore_changes=["spec.rules[*].backendRefs[*].weight"] if strategy else None)
    for kind, route, port, names in (
        ("HTTPRoute", service, HTTP, hosts[0]),
        ("GRPCRoute", grpc_route(service), GRPC, hosts[1]),
    ):
        k8s.apiextensions.CustomResource(
            f"{name}-{'grpc' if port == GRPC else 'http'}-route",
            api_version=ROUTE_API,
            kind=kind,
            metadata={**metadata, "name": route, "annotations": words},
            spec={
                "parentRefs": parents,
                "hostnames": names,
                "rules": route_rules(service, strategy, port, copied if port == HTTP else ()),
            },
            opts=pulumi.ResourceOptions.merge(opts, weights),
        )


def route_rules(
    service: str, strategy: Strategy | None, port: int, copied: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return where requests go: to the service, and to a new version by weight, by mirror or by header.

    ``copied`` are filters for further copies of what is not meant for a preview.
    """
    http = [{"path": {"type": "PathPrefix", "value": "/v2"}}]
    rule: dict[str, Any] = {"matches": http} if port == HTTP else {}
    if copied:
        rule["filters"] = list(copied)
    if strategy is None:
        return [rule | {"backendRefs": [_backend(service, port)]}]
    new = strategy.second_service(service)
    if strategy.kind == "blue_green":
        header = {"headers": [{"type": "Exact", "name": PREVIEW, "value": "true"}]}
        previewed = [each | header for each in http] if port == HTTP else [header]
        return [
            {"matches": previewed, "backendRefs": [_backend(new, port)]},
            rule | {"backendRefs": [_backend(service, port)]},
        ]
    if strategy.kind == "shadow":
        mirror = {"backendRef": _backend(shadow_service(service), port), "percent": strategy.mirror}
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": mirror}, *copied]
    apart = strategy.parts is not None
    weighted = [
        _backend(each, port) | {"weight": weight} | (_counted_apart(each) if apart else {})
        for each, weight in ((service, 100), (new, 0))
    ]
    return [rule | {"backendRefs": weighted}]


def _counted_apart(service: str) -> dict[str, Any]:
    """Return a filter of one share alone, without which Envoy Gateway counts all shares of a rule together."""
    changed = {"set": [{"name": APART, "value": service}]}
    return {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": changed}]}


def _backend(service: str, port: int) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": service, "port": port}
