"""The pods of the autoscaler of GPU pools, and what they may do in the cluster."""

import hashlib

import pulumi
import pulumi_kubernetes as k8s

PORT = 9441
COMMAND = ("falaj-scheduler", "autoscale")
_NOBODY = 65532
_TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


def cluster_rules() -> list[k8s.rbac.v1.PolicyRuleArgsDict]:
    """Return the rights in the whole cluster: to read work, pods and nodes, to mark nodes, to tell of work.

    Kubernetes knows no right to a part of an object: who may cordon a node may change its labels and taints too.
    """
    read = ["get", "list", "watch"]
    kueue = ["workloads", "clusterqueues", "localqueues", "resourceflavors"]
    return [
        {"api_groups": [""], "resources": ["nodes", "pods", "namespaces"], "verbs": read},
        {"api_groups": [""], "resources": ["nodes"], "verbs": ["patch"]},
        {"api_groups": [""], "resources": ["events"], "verbs": ["get", "create", "patch"]},
        {"api_groups": ["kueue.x-k8s.io"], "resources": kueue, "verbs": read},
    ]


def lease_rules(lease: str) -> list[k8s.rbac.v1.PolicyRuleArgsDict]:
    """Return the rights in the autoscaler's own namespace: to make a lease, and to hold its own."""
    group, kind = ["coordination.k8s.io"], ["leases"]
    return [
        {"api_groups": group, "resources": kind, "verbs": ["create"]},
        {"api_groups": group, "resources": kind, "resource_names": [lease], "verbs": ["get", "update"]},
    ]


def autoscaler_pod(
    image: str,
    region: str,
    namespace: pulumi.Output[str],
    policy: pulumi.Output[str],
    *,
    pod_labels: dict[str, str],
    selector: dict[str, str],
) -> k8s.core.v1.PodTemplateSpecArgsDict:
    """Return the pod: restricted, apart from its like, with a short-lived token, made anew when the policy changes."""
    arguments = [
        *COMMAND[1:],
        "--policy=/etc/falaj/policy.json",
        f"--listen=0.0.0.0:{PORT}",
        pulumi.Output.concat("--namespace=", namespace),
    ]
    return {
        "metadata": {
            "labels": pod_labels,
            "annotations": {
                "falaj.dev/policy": policy.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16])
            },
        },
        "spec": {
            "service_account_name": selector["app.kubernetes.io/name"],
            "automount_service_account_token": False,
            "security_context": {
                "run_as_non_root": True,
                "run_as_user": _NOBODY,
                "run_as_group": _NOBODY,
                "fs_group": _NOBODY,
                "seccomp_profile": {"type": "RuntimeDefault"},
            },
            "topology_spread_constraints": [
                {
                    "max_skew": 1,
                    "topology_key": "topology.kubernetes.io/zone",
                    "when_unsatisfiable": "ScheduleAnyway",
                    "label_selector": {"match_labels": selector},
                }
            ],
            "containers": [
                {
                    "name": "autoscaler",
                    "image": image,
                    "command": [COMMAND[0]],
                    "args": arguments,
                    "env": [{"name": "AWS_REGION", "value": region}],
                    "ports": [{"name": "metrics", "container_port": PORT}],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "256Mi"},
                        "limits": {"memory": "1Gi"},
                    },
                    "startup_probe": {**_probe("readyz"), "failure_threshold": 30},
                    "liveness_probe": _probe("healthz"),
                    "readiness_probe": _probe("readyz"),
                    "security_context": {
                        "allow_privilege_escalation": False,
                        "read_only_root_filesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volume_mounts": [
                        {"name": "policy", "mount_path": "/etc/falaj", "read_only": True},
                        {"name": "token", "mount_path": _TOKENS, "read_only": True},
                        {"name": "scratch", "mount_path": "/tmp"},  # noqa: S108 - the pod's own, empty volume
                    ],
                }
            ],
            "volumes": [
                {"name": "policy", "config_map": {"name": selector["app.kubernetes.io/name"]}},
                {"name": "token", "projected": {"sources": _token()}},
                {"name": "scratch", "empty_dir": {"size_limit": "64Mi"}},
            ],
        },
    }


def _token() -> list[k8s.core.v1.VolumeProjectionArgsDict]:
    """Return what a client inside the cluster looks for, with a token that lives an hour."""
    namespace: k8s.core.v1.DownwardAPIVolumeFileArgsDict = {
        "path": "namespace",
        "field_ref": {"api_version": "v1", "field_path": "metadata.namespace"},
    }
    return [
        {"service_account_token": {"path": "token", "expiration_seconds": 3600}},
        {"config_map": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downward_api": {"items": [namespace]}},
    ]


def _probe(path: str) -> k8s.core.v1.ProbeArgsDict:
    return {
        "http_get": {"path": f"/{path}", "port": "metrics"},
        "period_seconds": 10,
        "timeout_seconds": 5,
        "failure_threshold": 3,
    }
