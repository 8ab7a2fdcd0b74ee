"""What tenants run in the tests: work that is let through, of which each attempt changes one thing."""

import itertools
from typing import Any

Manifest = dict[str, Any]
_NUMBERS = itertools.count()
KEPT = {"key": "falaj.dev/tenant", "value": "speech", "effect": "NoSchedule"}
"""The taint of the nodes that are kept for speech; also their label."""


def unique(name: str) -> str:
    """Return a name that no other object of this run has."""
    return f"{name}-{next(_NUMBERS)}"


def container(**change: Any) -> Manifest:
    """Return a container as Pod Security's level ``restricted`` wants it; ``security`` changes its context."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}} | change.pop("security", {})
    return {
        "name": "main",
        "image": "registry.example/worker@sha256:" + 64 * "0",
        "securityContext": security,
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    } | change


def pod(name: str = "work", **spec: Any) -> Manifest:
    """Return a pod that a tenant may run; ``metadata`` adds to its metadata, the rest to its specification."""
    metadata = {"name": unique(name)} | spec.pop("metadata", {})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec() | spec}


def pod_spec() -> Manifest:
    """Return the specification of such a pod."""
    return {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container()],
        "restartPolicy": "Never",
    }


def with_gpus(count: int, memory: str = "1Gi") -> Manifest:
    """Return the containers of a pod with GPUs."""
    limits = {"memory": memory, "nvidia.com/gpu": str(count)}
    return {"containers": [container(resources={"requests": {"cpu": "1", **limits}, "limits": limits})]}


def job(name: str = "train", *, labels: dict[str, str] | None = None, gpus: int = 1, pods: int = 1) -> Manifest:
    """Return a job that a tenant may run, in a tier that it may name."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": unique(name), "labels": {"kueue.x-k8s.io/priority-class": "batch"} | (labels or {})},
        "spec": {
            "parallelism": pods,
            "completions": pods,
            "template": {"spec": pod_spec() | with_gpus(gpus)},
        },
    }


def node(name: str, pool: str, *, gpus: int = 8, **labels: str) -> Manifest:
    """Return a node of a pool of GPUs; one with the label of a tenant is kept for it by the taint too."""
    kept = {key: value for key, value in labels.items() if key == KEPT["key"]}
    capacity = {"cpu": "96", "memory": "512Gi", "pods": "110", "nvidia.com/gpu": str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"pool": pool, "kubernetes.io/hostname": name, **labels},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"taints": [{"key": key, "value": value, "effect": "NoSchedule"} for key, value in kept.items()]},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def role(*rules: Manifest, kind: str = "Role") -> Manifest:
    """Return a role of these rules; without any, of all rights."""
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": unique("more")},
        "rules": list(rules or (everything,)),
    }


def binding(kind: str, role_kind: str, role_name: str, user: str) -> Manifest:
    """Return what gives a person a role."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": unique("more")},
        "roleRef": {"apiGroup": group, "kind": role_kind, "name": role_name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
