"""What the platform's own controllers have in common: restricted pods with a policy, and rights with a lease."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from falaj.components import restricted_pod

_RBAC = "rbac.authorization.k8s.io"
_TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


def controller_pod(
    name: str,
    image: str,
    subcommand: str,
    port: int,
    *,
    namespace: pulumi.Input[str],
    selector: dict[str, str],
    environment: Sequence[k8s.core.v1.EnvVarArgsDict] = (),
) -> k8s.core.v1.PodSpecArgsDict:
    """Return a pod of ``falaj-scheduler``: restricted, apart from its like, with a token of an hour.

    The selector names its account, its policy is the ConfigMap of that name; probes and metrics are served on the port.
    """
    account = selector["app.kubernetes.io/name"]
    arguments = [
        subcommand,
        "--policy=/etc/falaj/policy.json",
        f"--listen=0.0.0.0:{port}",
        pulumi.Output.concat("--namespace=", namespace),
    ]
    container: k8s.core.v1.ContainerArgsDict = {
        "name": name,
        "image": image,
        "command": ["falaj-scheduler"],
        "args": arguments,
        "ports": [{"name": "metrics", "container_port": port}],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        # All of a large cluster's work is read before the pod is ready.
        "startup_probe": {**_probe("readyz"), "failure_threshold": 30},
        "liveness_probe": _probe("healthz"),
        "readiness_probe": _probe("readyz"),
        "security_context": restricted_pod.CONTAINER,
        "volume_mounts": [
            {"name": "policy", "mount_path": "/etc/falaj", "read_only": True},
            {"name": "token", "mount_path": _TOKENS, "read_only": True},
            {"name": "scratch", "mount_path": "/tmp"},  # noqa: S108 - the pod's own, empty volume
        ],
    }
    if environment:
        container["env"] = [*environment]
    return {
        "service_account_name": account,
        "automount_service_account_token": False,
        "security_context": restricted_pod.POD,
        "topology_spread_constraints": [
            {
                "max_skew": 1,
                "topology_key": "topology.kubernetes.io/zone",
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": selector},
            }
        ],
        "containers": [container],
        "volumes": [
            {"name": "policy", "config_map": {"name": account}},
            {"name": "token", "projected": {"sources": _token()}},
            {"name": "scratch", "empty_dir": {"size_limit": "64Mi"}},
        ],
    }


def controller_rights(
    name: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    account: str,
    *,
    rules: Sequence[k8s.rbac.v1.PolicyRuleArgsDict],
    lease: str,
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Give the account rights in the whole cluster, and in its own namespace those to hold its lease."""
    everywhere: k8s.meta.v1.ObjectMetaArgsDict = {"name": f"falaj-{account}", "labels": metadata.get("labels", {})}
    cluster_wide = k8s.rbac.v1.ClusterRole(f"{name}-cluster-role", metadata=everywhere, rules=[*rules], opts=opts)
    own = k8s.rbac.v1.Role(f"{name}-lease-role", metadata=metadata, rules=lease_rules(lease), opts=opts)
    subjects: list[k8s.rbac.v1.SubjectArgsDict] = [
        {"kind": "ServiceAccount", "name": account, "namespace": metadata.get("namespace", "")}
    ]
    return [
        k8s.rbac.v1.ClusterRoleBinding(
            f"{name}-cluster-binding",
            metadata=everywhere,
            role_ref={"api_group": _RBAC, "kind": "ClusterRole", "name": cluster_wide.metadata.name},
            subjects=subjects,
            opts=opts,
        ),
        k8s.rbac.v1.RoleBinding(
            f"{name}-lease-binding",
            metadata=metadata,
            role_ref={"api_group": _RBAC, "kind": "Role", "name": own.metadata.name},
            subjects=subjects,
            opts=opts,
        ),
    ]


def lease_rules(lease: str) -> list[k8s.rbac.v1.PolicyRuleArgsDict]:
    """Return the rights to make a lease, since making knows no names, and to hold its own."""
    group, leases = ["coordination.k8s.io"], ["leases"]
    return [
        {"api_groups": group, "resources": leases, "verbs": ["create"]},
        {"api_groups": group, "resources": leases, "resource_names": [lease], "verbs": ["get", "update"]},
    ]


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
