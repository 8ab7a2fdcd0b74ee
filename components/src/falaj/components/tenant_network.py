"""A tenant's traffic: none in either direction but name resolution and what is named, each opening a policy."""

import ipaddress
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded, dns_label
from falaj.components.errors import ConfigError

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""Label that the API server itself gives to each namespace: nobody can take another's."""
POD_IDENTITY_AGENT = "169.254.170.23/32"
"""Where a node's agent hands out credentials of Pod Identity.

https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
"""
_OWN_NAMES = ("dns", "pod-identity")
_SHORTEST_PREFIX = {4: 16, 6: 48}


class Direction(StrEnum):
    """Which way a connection is opened."""

    IN = "in"
    """From the other end to the tenant's pods."""
    OUT = "out"
    """From the tenant's pods to the other end."""


class NetworkOpening(TypedDict):
    """One kind of connection over TCP that the tenant's pods may have; towards another tenant, both must open it."""

    name: str
    """What it is for, for example ``features``; the policy is called ``allow-<name>``."""
    direction: Direction
    """Which way the connection is opened."""
    ports: list[int]
    """Ports of whoever is called."""
    last_port: NotRequired[int]
    """Last port of a range that begins at the only one of ``ports``. Default: no range."""
    pods: NotRequired[dict[str, str]]
    """Labels of the tenant's pods that it is for. Default: all of them."""
    namespace: NotRequired[str]
    """Namespace of the other end; the tenant's own for its pods among themselves. Default: the other end is no pod."""
    peer_pods: NotRequired[dict[str, str]]
    """Labels of the other end's pods. Default: none; all of the namespace, for what comes in, as from a gateway's."""
    cidrs: NotRequired[list[str]]
    """Addresses of endpoints that are called, at most a /16 each. Default: the other end is pods."""


def check_openings(field: str, openings: Sequence[NetworkOpening]) -> list[NetworkOpening]:
    """Return the openings, refusing whatever would open more than it names."""
    names = [dns_label(f"{field}[{number}].name", each["name"], 50) for number, each in enumerate(openings)]
    for number, each in enumerate(openings):
        if each["name"] in _OWN_NAMES or names.count(each["name"]) > 1:
            remedy = f"must differ from the others' and from {' and '.join(_OWN_NAMES)}"
            raise ConfigError(f"{field}[{number}].name", each["name"], remedy)
        _check_ports(f"{field}[{number}]", each)
        _check_other_end(f"{field}[{number}]", each)
    return list(openings)


def network_policies(
    name: str,
    namespace: pulumi.Output[str],
    openings: Sequence[NetworkOpening],
    *,
    pod_identity: bool,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Output[str]]:
    """Close the namespace in both directions, then open name resolution and what is named; return the names."""

    def make(policy: str, spec: k8s.networking.v1.NetworkPolicySpecArgsDict) -> pulumi.Output[str]:
        return k8s.networking.v1.NetworkPolicy(
            f"{name}-{policy}",
            metadata={"name": policy, "namespace": namespace, "labels": tags},
            spec=spec,
            opts=opts,
        ).metadata.name

    made = [
        make("default-deny", {"pod_selector": {}, "policy_types": ["Ingress", "Egress"]}),
        make("allow-dns", _NAME_RESOLUTION),
    ]
    if pod_identity:
        made.append(make("allow-pod-identity", _CREDENTIALS))
    return [*made, *(make(f"allow-{each['name']}", opening_policy(each)) for each in openings)]


def opening_policy(opening: NetworkOpening) -> k8s.networking.v1.NetworkPolicySpecArgsDict:
    """Return the policy of one opening."""
    peers = _peers(opening)
    ports = [_port(opening, port) for port in opening["ports"]]
    selector: k8s.meta.v1.LabelSelectorArgsDict = {"match_labels": opening["pods"]} if "pods" in opening else {}
    if opening["direction"] == Direction.IN:
        ingress: k8s.networking.v1.NetworkPolicyIngressRuleArgsDict = {"from_": peers, "ports": ports}
        return {"pod_selector": selector, "policy_types": ["Ingress"], "ingress": [ingress]}
    return {"pod_selector": selector, "policy_types": ["Egress"], "egress": [{"to": peers, "ports": ports}]}


def _peers(opening: NetworkOpening) -> list[k8s.networking.v1.NetworkPolicyPeerArgsDict]:
    if "cidrs" in opening:
        return [{"ip_block": {"cidr": cidr}} for cidr in opening["cidrs"]]
    assert "namespace" in opening
    peer: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
        "namespace_selector": {"match_labels": {NAMESPACE_NAME: opening["namespace"]}}
    }
    if "peer_pods" in opening:
        peer["pod_selector"] = {"match_labels": opening["peer_pods"]}
    return [peer]


def _port(opening: NetworkOpening, port: int) -> k8s.networking.v1.NetworkPolicyPortArgsDict:
    made: k8s.networking.v1.NetworkPolicyPortArgsDict = {"protocol": "TCP", "port": int(port)}
    if "last_port" in opening:
        made["end_port"] = int(opening["last_port"])
    return made


def _check_ports(field: str, opening: NetworkOpening) -> None:
    ports = [bounded(f"{field}.ports", port, 1, 65535) for port in opening["ports"]]
    if not ports:
        raise ConfigError(f"{field}.ports", ports, "must name at least one port: no policy opens them all unnamed")
    if "last_port" not in opening:
        return
    if len(ports) != 1:
        raise ConfigError(f"{field}.ports", ports, "must be the first port of the range alone, where last_port is set")
    bounded(f"{field}.last_port", opening["last_port"], ports[0], 65535)


def _check_other_end(field: str, opening: NetworkOpening) -> None:
    """Refuse an opening whose other end is nobody, everybody, or more than was meant."""
    direction = opening["direction"]
    if direction not in set(Direction):
        raise ConfigError(f"{field}.direction", str(direction), f"must be among {', '.join(Direction)}")
    if ("namespace" in opening) is ("cidrs" in opening):
        remedy = "must be there where cidrs are not, and only there: each opening has one other end"
        raise ConfigError(f"{field}.namespace", opening.get("namespace"), remedy)
    _check_labels(f"{field}.pods", opening.get("pods"))
    _check_labels(f"{field}.peer_pods", opening.get("peer_pods"))
    if "cidrs" in opening:
        if direction == Direction.IN or "peer_pods" in opening:
            remedy = "must be left out here: who comes in, and who has labels, is a pod of a namespace"
            raise ConfigError(f"{field}.cidrs", opening["cidrs"], remedy)
        _check_cidrs(f"{field}.cidrs", opening["cidrs"])
        return
    dns_label(f"{field}.namespace", opening.get("namespace", ""))
    if direction == Direction.OUT and "peer_pods" not in opening:
        raise ConfigError(f"{field}.peer_pods", None, "must name the pods that are called, by labels")


def _check_labels(field: str, labels: Mapping[str, str] | None) -> None:
    if labels is not None and not labels:
        raise ConfigError(field, labels, "must name at least one label, or be left out: no label means every pod")


def _check_cidrs(field: str, cidrs: Sequence[str]) -> None:
    if not cidrs:
        raise ConfigError(field, list(cidrs), "must name at least one address range")
    for cidr in cidrs:
        try:
            network = ipaddress.ip_network(cidr)
        except ValueError as error:
            raise ConfigError(field, cidr, "must be address ranges such as 10.20.8.0/24") from error
        if network.prefixlen < _SHORTEST_PREFIX[network.version]:
            raise ConfigError(field, cidr, f"must be endpoints' addresses, at most a /{_SHORTEST_PREFIX[4]} each")
        if network.is_link_local or network.is_loopback or network.is_multicast:
            remedy = "must not be the node's own addresses: its metadata has the node's identity"
            raise ConfigError(field, cidr, remedy)


_NAME_RESOLUTION: k8s.networking.v1.NetworkPolicySpecArgsDict = {
    "pod_selector": {},
    "policy_types": ["Egress"],
    "egress": [
        {
            "to": [
                {
                    "namespace_selector": {"match_labels": {NAMESPACE_NAME: "kube-system"}},
                    "pod_selector": {"match_labels": {"k8s-app": "kube-dns"}},
                }
            ],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        }
    ],
}
_CREDENTIALS: k8s.networking.v1.NetworkPolicySpecArgsDict = {
    "pod_selector": {},
    "policy_types": ["Egress"],
    "egress": [{"to": [{"ip_block": {"cidr": POD_IDENTITY_AGENT}}], "ports": [{"protocol": "TCP", "port": 80}]}],
}
