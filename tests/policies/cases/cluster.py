"""Namespaces of Kubernetes: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import NAMESPACE, Case, make, namespace, network_policy, simple

from falaj.policies.model import Resource
from falaj.policies.rules.cluster import NEEDED
from falaj.policies.values import UNKNOWN

HARD = {"pods": "9", "requests.cpu": "9", "limits.memory": "9Gi"}
TENANT = "falaj.dev/tenant"
QUOTA = "kubernetes:core/v1:ResourceQuota"
RANGE = "kubernetes:core/v1:LimitRange"


def tenants() -> Resource:
    """Return a tenant's namespace."""
    return make(NAMESPACE, namespace(**{TENANT: "team"}))


def bound(type_: str, spec: dict[str, Any]) -> Resource:
    """Return what bounds a namespace."""
    return make(type_, {"metadata": {"namespace": "team"}, "spec": spec}, name=type_.rpartition(":")[2])


CASES: list[Case] = [
    simple(
        "FJ-NSP-001",
        NAMESPACE,
        namespace(**{"pod-security.kubernetes.io/enforce": "restricted"}),
        namespace(**{"pod-security.kubernetes.io/enforce": "baseline"}),
        namespace(**{"pod-security.kubernetes.io/enforce": UNKNOWN}),
    ),
    Case(
        "FJ-NSP-002",
        [make(NAMESPACE, namespace()), network_policy()],
        [make(NAMESPACE, namespace()), network_policy(("Ingress",))],
        [make(NAMESPACE, namespace()), network_policy(UNKNOWN)],
    ),
    *(
        Case(
            "FJ-NSP-003",
            [tenants(), bound(QUOTA, {"hard": HARD}), bound(RANGE, {"limits": [{"type": "Container"}]})],
            [tenants(), *bad],
            [tenants(), bound(QUOTA, {"hard": UNKNOWN}), bound(RANGE, {"limits": [{"type": "Container"}]})],
        )
        for bad in (
            [bound(QUOTA, {"hard": HARD})],
            [bound(QUOTA, {"hard": HARD, "scopes": ["BestEffort"]}), bound(RANGE, {"limits": [{"type": "Container"}]})],
            [bound(QUOTA, {"hard": {"pods": "0"}}), bound(RANGE, {"limits": [{"type": "Container"}]})],
        )
    ),
    *(
        Case(
            "FJ-NSP-004",
            [make(type_, {"metadata": {"name": "app", "namespace": "team"}})],
            [make(type_, {"metadata": {"name": "app"}}, provider={})],
            [make(type_, {"metadata": {"name": "app", "namespace": UNKNOWN}})],
        )
        for type_ in NEEDED
    ),
    Case("FJ-NSP-003", [make(NAMESPACE, namespace())], [tenants()], [make(NAMESPACE, namespace(**{TENANT: UNKNOWN}))]),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    *(
        (type_, ["metadata", "namespace"], "default", {"FJ-NSP-004"})
        for type_ in NEEDED
        if type_.endswith((":ConfigMap", ":ServiceAccount", ":Role", ":RoleBinding"))
    ),
    ("ResourceQuota", ["spec", "hard", "pods"], None, {"FJ-NSP-003"}),
    ("LimitRange", ["metadata", "namespace"], "another", {"FJ-NSP-003"}),
    ("Namespace", ["metadata", "labels", "pod-security.kubernetes.io/enforce"], "baseline", {"FJ-NSP-001"}),
]
