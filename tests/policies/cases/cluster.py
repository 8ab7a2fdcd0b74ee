"""Namespaces and roles of Kubernetes: what passes, what fails, and what cannot be decided."""

from policies.making import NAMESPACE, RBAC, Case, make, namespace, network_policy, simple

from falaj.policies.values import UNKNOWN

CASES = [
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
    simple(
        "FJ-RBC-001",
        f"{RBAC}:ClusterRole",
        {"rules": [{"resources": ["*"], "verbs": ["get", "list"]}]},
        {"rules": [{"resources": ["pods"], "verbs": ["get"]}, {"resources": ["pods"], "verbs": ["*"]}]},
        {"rules": UNKNOWN},
    ),
    simple(
        "FJ-RBC-002",
        f"{RBAC}:ClusterRoleBinding",
        {"roleRef": {"name": "view"}, "subjects": [{"kind": "Group", "name": "viewers"}]},
        {"roleRef": {"name": "cluster-admin"}, "subjects": [{"kind": "Group", "name": "admins"}]},
        {"roleRef": {"name": UNKNOWN}},
    ),
]
