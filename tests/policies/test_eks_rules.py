"""Clusters and their nodes: what their rules look through."""

from typing import Any

import pytest
from policies.making import CLUSTER, NODES, SUBNET, make, verdict

from falaj.policies.model import Verdict

ADDON = "aws:eks/addon:Addon"
ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
ROOT = "arn:aws:iam::123456789012:root"


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.34", Verdict.PASS), ("1.100", Verdict.PASS), ("1.4", Verdict.FAIL), ("latest", Verdict.UNDETERMINED)],
)
def test_versions_are_compared_as_numbers(version: str, expected: Verdict) -> None:
    cluster = {"version": version, "upgradePolicy": {"supportType": "STANDARD"}}
    assert verdict("FJ-EKS-006", [make(CLUSTER, cluster)], today="2026-11-26") is expected


def association(policy: str, principal: str, scope: str) -> dict[str, Any]:
    arn = f"arn:aws:eks::aws:cluster-access-policy/{policy}"
    return {"policyArn": arn, "principalArn": principal, "accessScope": {"type": scope}}


@pytest.mark.parametrize(
    ("policy", "principal", "scope", "expected"),
    [
        ("AmazonEKSClusterAdminPolicy", "arn:aws:iam::123456789012:role/operator", "cluster", Verdict.PASS),
        ("AmazonEKSClusterAdminPolicy", ROOT, "cluster", Verdict.FAIL),
        ("AmazonEKSAdminPolicy", "arn:aws:iam::123456789012:user/alice", "cluster", Verdict.FAIL),
        ("AmazonEKSAdminPolicy", "arn:aws:iam::123456789012:user/alice", "namespace", Verdict.PASS),
        ("AmazonEKSViewPolicy", ROOT, "cluster", Verdict.PASS),
    ],
)
def test_who_administers_the_cluster_is_a_named_role(
    policy: str, principal: str, scope: str, expected: Verdict
) -> None:
    assert verdict("FJ-EKS-007", [make(ASSOCIATION, association(policy, principal, scope))]) is expected


def test_the_account_s_root_has_no_entry() -> None:
    assert verdict("FJ-EKS-007", [make(ENTRY, {"principalArn": ROOT})]) is Verdict.FAIL


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ('{"enableNetworkPolicy": "true"}', Verdict.PASS),
        ('{"enableNetworkPolicy": true}', Verdict.PASS),
        ('{"enableNetworkPolicy": "false"}', Verdict.FAIL),
        ('{"env": {}}', Verdict.FAIL),
        ("enableNetworkPolicy: true", Verdict.UNDETERMINED),
    ],
)
def test_the_network_add_on_is_told_to_enforce_policies(values: str, expected: Verdict) -> None:
    addon = {"addonName": "vpc-cni", "configurationValues": values}
    assert verdict("FJ-EKS-009", [make(ADDON, addon)]) is expected
    assert verdict("FJ-EKS-009", [make(ADDON, addon | {"addonName": "coredns"})]) is Verdict.NOT_APPLICABLE


def test_nothing_is_said_about_subnets_of_another_stack() -> None:
    assert verdict("FJ-EKS-011", [make(NODES, {"subnetIds": ["subnet-1"]})]) is Verdict.NOT_APPLICABLE
    own = make(SUBNET, {"id": "subnet-1"})
    assert verdict("FJ-EKS-011", [make(NODES, {"subnetIds": ["subnet-1"]}), own]) is Verdict.PASS


@pytest.mark.parametrize("kind", ["p5en.48xlarge", "g6e.12xlarge", "gr6.4xlarge", "trn2.48xlarge", "inf2.xlarge"])
def test_accelerators_are_known_by_the_kind_of_machine(kind: str) -> None:
    assert verdict("FJ-EKS-013", [make(NODES, {"instanceTypes": [kind]})]) is Verdict.FAIL


def test_accelerators_are_known_by_the_image_where_the_template_names_the_machine() -> None:
    assert verdict("FJ-EKS-013", [make(NODES, {"amiType": "AL2023_x86_64_NVIDIA"})]) is Verdict.FAIL
    assert verdict("FJ-EKS-013", [make(NODES, {"instanceTypes": ["m6i.large"]})]) is Verdict.NOT_APPLICABLE
