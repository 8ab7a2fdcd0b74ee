"""Kubernetes at home: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import DEPLOYMENT, container, pod, simple
from policies.placing import placed

from falaj.policies.values import UNKNOWN

_ZONE, _REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
_VOLUME = "kubernetes:core/v1:PersistentVolume"


def _affinity(value: Any, operator: str = "In") -> dict[str, Any]:
    expression = {"key": _ZONE, "operator": operator, "values": [value]}
    return {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}


def _placed(value: Any) -> dict[str, Any]:
    node = {"requiredDuringSchedulingIgnoredDuringExecution": _affinity(value)}
    return pod(container(), affinity={"nodeAffinity": node})


CASES = [
    placed(
        "FJ-RES-080",
        "kubernetes:core/v1:Service",
        "spec.externalName",
        "db.abc.me-central-1.rds.amazonaws.com",
        "api.example.com",
    ),
    placed("FJ-RES-080", "kubernetes:discovery.k8s.io/v1:EndpointSlice", "endpoints.addresses", "10.1.2.3", "8.8.8.8"),
    placed(
        "FJ-RES-081",
        _VOLUME,
        "spec.nodeAffinity.required",
        _affinity("me-central-1a"),
        _affinity("eu-west-1a"),
        unknown=_affinity(UNKNOWN),
    ),
    placed("FJ-RES-081", _VOLUME, "metadata", *({"labels": {_REGION: each}} for each in ("me-central-1", "eu-west-1"))),
    placed(
        "FJ-RES-081",
        "kubernetes:storage.k8s.io/v1:StorageClass",
        "allowedTopologies.matchLabelExpressions",
        {"key": _ZONE, "values": ["me-central-1a"]},
        {"key": _ZONE, "values": ["me-central-1a", "eu-west-1a"]},
        unknown={"key": _ZONE, "values": UNKNOWN},
    ),
    placed("FJ-RES-081", "kubernetes:storage.k8s.io/v1:StorageClass", "parameters.zone", "me-central-1a", "us-east-1a"),
    simple(
        "FJ-RES-082",
        DEPLOYMENT,
        pod(container(), nodeSelector={_REGION: "me-central-1"}),
        pod(container(), nodeSelector={_REGION: "me-south-1"}),
        pod(container(), nodeSelector={_REGION: UNKNOWN}),
    ),
    placed(
        "FJ-RES-082",
        "kubernetes:karpenter.sh/v1:NodePool",
        "spec.template.spec.requirements",
        {"key": _ZONE, "operator": "In", "values": ["me-central-1a"]},
        {"key": _ZONE, "operator": "In", "values": ["me-central-1a", "me-south-1a"]},
        unknown={"key": _ZONE, "operator": "In", "values": UNKNOWN},
    ),
    simple("FJ-RES-082", DEPLOYMENT, _placed("me-central-1b"), _placed("me-south-1a"), _placed(UNKNOWN)),
]
MUTATIONS = [
    (
        "Deployment",
        ["spec", "template", "spec", "nodeSelector", _REGION],
        "me-south-1",
        {"FJ-RES-082"},
    ),
    ("kubernetes:core/v1:Service", ["spec", "externalName"], "api.example.com", {"FJ-RES-080"}),
]
