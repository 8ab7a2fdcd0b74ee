"""Clusters: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import CLUSTER, LOGS, Case, make, simple

from falaj.policies.values import UNKNOWN

ADDON = "aws:eks/addon:Addon"
ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
STANDARD = {"upgradePolicy": {"supportType": "STANDARD"}}
ADMIN = {
    "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
    "accessScope": {"type": "cluster"},
}
ROOT = "arn:aws:iam::123456789012:root"
OPERATOR = "arn:aws:iam::123456789012:role/operator"

CASES = [
    simple(
        "FJ-EKS-001",
        CLUSTER,
        {"vpcConfig": {"endpointPrivateAccess": True, "endpointPublicAccess": False}},
        {"vpcConfig": {"endpointPrivateAccess": True}},
        {"vpcConfig": UNKNOWN},
    ),
    simple(
        "FJ-EKS-002",
        CLUSTER,
        {"enabledClusterLogTypes": LOGS},
        {"enabledClusterLogTypes": LOGS[1:]},
        {"enabledClusterLogTypes": [*LOGS[1:], UNKNOWN]},
    ),
    simple(
        "FJ-EKS-003",
        CLUSTER,
        {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": "arn"}}},
        {},
        {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": UNKNOWN}}},
    ),
    simple(
        "FJ-EKS-004",
        CLUSTER,
        {"accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}},
        {
            "accessConfig": {
                "authenticationMode": "API_AND_CONFIG_MAP",
                "bootstrapClusterCreatorAdminPermissions": False,
            }
        },
        {"accessConfig": UNKNOWN},
    ),
    Case(
        "FJ-EKS-006",
        [make(CLUSTER, STANDARD | {"version": "1.35"})],
        [make(CLUSTER, STANDARD | {"version": "1.34"})],
        [make(CLUSTER, STANDARD | {"version": UNKNOWN})],
        {"today": "2026-12-02"},
    ),
    Case(
        "FJ-EKS-006",
        [make(CLUSTER, STANDARD | {"version": "1.30"})],
        [make(CLUSTER, {"version": "1.30"})],
        [make(CLUSTER, {"version": "1.30", "upgradePolicy": UNKNOWN})],
        {"minimumVersion": "1.30"},
    ),
    simple(
        "FJ-EKS-007",
        ASSOCIATION,
        ADMIN | {"principalArn": OPERATOR},
        ADMIN | {"principalArn": ROOT},
        ADMIN | {"principalArn": UNKNOWN},
    ),
    simple(
        "FJ-EKS-007",
        ENTRY,
        {"principalArn": OPERATOR, "kubernetesGroups": ["operators"]},
        {"principalArn": OPERATOR, "kubernetesGroups": ["system:masters"]},
        {"principalArn": UNKNOWN},
    ),
    simple("FJ-EKS-008", ADDON, {"addonVersion": "v1.22.4-eksbuild.3"}, {}, {"addonVersion": UNKNOWN}),
    simple(
        "FJ-EKS-009",
        ADDON,
        {"addonName": "vpc-cni", "configurationValues": '{"enableNetworkPolicy": "true"}'},
        {"addonName": "vpc-cni"},
        {"addonName": "vpc-cni", "configurationValues": UNKNOWN},
    ),
    simple(
        "FJ-EKS-014",
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        {"serviceAccount": "trainer"},
        {"serviceAccount": "default"},
        {"serviceAccount": UNKNOWN},
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("aws:eks/cluster:Cluster", ["vpcConfig", "endpointPrivateAccess"], False, {"FJ-EKS-001"}),
    ("aws:eks/cluster:Cluster", ["encryptionConfig", "provider", "keyArn"], None, {"FJ-EKS-003"}),
    ("aws:eks/cluster:Cluster", ["accessConfig", "bootstrapClusterCreatorAdminPermissions"], True, {"FJ-EKS-004"}),
    ("aws:eks/cluster:Cluster", ["version"], "1.29", {"FJ-EKS-006"}),
    ("aws:eks/cluster:Cluster", ["upgradePolicy"], None, {"FJ-EKS-006"}),
    ("aws:eks/cluster:Cluster", ["forceUpdateVersion"], True, {"FJ-EKS-010"}),
    ("AccessPolicyAssociation", ["principalArn"], ROOT, {"FJ-EKS-007"}),
    ("AccessPolicyAssociation", ["principalArn"], "arn:aws:iam::123456789012:user/alice", {"FJ-EKS-007"}),
    ("AccessEntry", ["kubernetesGroups"], ["system:masters"], {"FJ-EKS-007"}),
    ("aws:eks/addon:Addon", ["addonVersion"], None, {"FJ-EKS-008"}),
    ("aws:eks/addon:Addon", ["configurationValues"], '{"enableNetworkPolicy": "false"}', {"FJ-EKS-009"}),
    ("PodIdentityAssociation", ["serviceAccount"], "default", {"FJ-EKS-014"}),
    ("PodIdentityAssociation", ["disableSessionTags"], True, {"FJ-EKS-014"}),
]
