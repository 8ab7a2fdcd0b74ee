"""Nodes: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import CLUSTER, GATEWAY, NODES, ROUTE, SUBNET, Case, make, simple, urn

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

FARGATE = "aws:eks/fargateProfile:FargateProfile"
TABLE_OF = "aws:ec2/routeTableAssociation:RouteTableAssociation"
TABLE = "aws:ec2/routeTable:RouteTable"
UNKNOWN_TABLE = {"routeTableId": UNKNOWN}
TAINT = {"key": "nvidia.com/gpu", "effect": "NO_SCHEDULE"}


def placed(type_: str, **links: str) -> list[Resource]:
    """Make nodes in a network of which the subnet ``edge`` leads to the internet; as at preview, no id is known."""
    return [
        make(type_, {"subnetIds": [UNKNOWN]}, **links),
        make(SUBNET, {}, name="inside"),
        make(SUBNET, {}, name="edge"),
        make(TABLE_OF, UNKNOWN_TABLE | {"subnetId": UNKNOWN}, routeTableId=urn(TABLE), subnetId=urn(SUBNET, "edge")),
        make(ROUTE, UNKNOWN_TABLE | {"gatewayId": UNKNOWN}, routeTableId=urn(TABLE), gatewayId=urn(GATEWAY)),
        make(GATEWAY, {}),
    ]


CASES = [
    simple(
        "FJ-EKS-005",
        NODES,
        {"launchTemplate": {"id": "lt-1", "version": "1"}},
        {"instanceTypes": ["g5.xlarge"]},
        {"launchTemplate": {"id": UNKNOWN, "version": "1"}},
    ),
    simple(
        "FJ-EKS-010",
        NODES,
        {"updateConfig": {"maxUnavailablePercentage": 25.0}},
        {"updateConfig": {"maxUnavailablePercentage": 50.0}},
        {"updateConfig": UNKNOWN},
    ),
    simple("FJ-EKS-010", CLUSTER, {}, {"forceUpdateVersion": True}, {"forceUpdateVersion": UNKNOWN}),
    *(
        Case(
            "FJ-EKS-011",
            placed(type_, subnetIds=urn(SUBNET, "inside")),
            placed(type_, subnetIds=urn(SUBNET, "edge")),
            placed(type_),
        )
        for type_ in (NODES, FARGATE)
    ),
    simple(
        "FJ-EKS-012",
        NODES,
        {"amiType": "BOTTLEROCKET_x86_64_NVIDIA"},
        {"amiType": "AL2_x86_64_GPU"},
        {"amiType": UNKNOWN},
    ),
    simple(
        "FJ-EKS-013",
        NODES,
        {"instanceTypes": ["p5en.48xlarge"], "taints": [TAINT]},
        {"instanceTypes": ["g6e.12xlarge"], "taints": [TAINT | {"effect": "PREFER_NO_SCHEDULE"}]},
        {"instanceTypes": ["g6e.12xlarge"], "taints": UNKNOWN},
    ),
    simple(
        "FJ-EKS-015",
        NODES,
        {"nodeRepairConfig": {"enabled": True}},
        {},
        {"nodeRepairConfig": UNKNOWN},
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("NodeGroup", ["remoteAccess"], {"ec2SshKey": "admin"}, {"FJ-EKS-005"}),
    ("NodeGroup", ["forceUpdateVersion"], True, {"FJ-EKS-010"}),
    ("NodeGroup", ["updateConfig"], {"maxUnavailablePercentage": 100}, {"FJ-EKS-010"}),
    ("NodeGroup", ["subnetIds"], ["network-public-a-id"], {"FJ-EKS-011"}),
    ("NodeGroup", ["amiType"], "AL2_x86_64", {"FJ-EKS-012"}),
    ("NodeGroup", ["amiType"], "CUSTOM", {"FJ-EKS-012"}),
    ("NodeGroup", ["instanceTypes"], ["g6.12xlarge"], {"FJ-EKS-013"}),
    ("NodeGroup", ["nodeRepairConfig", "enabled"], False, {"FJ-EKS-015"}),
]
