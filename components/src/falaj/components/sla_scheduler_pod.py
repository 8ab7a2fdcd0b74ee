"""The pods of the SLA scheduler: restricted, apart from their like, with a token that lives an hour."""

import pulumi_kubernetes as k8s

PORT = 9440
_NOBODY = 65532
_TOKENS = "/var/run/secrets/kubernetes.io/serviceaccount"


def scheduler_pod(image: str, namespace: str, account: str, selector: dict[str, str]) -> k8s.core.v1.PodSpecArgsDict:
    """Return the pod, which reads its policy from the ConfigMap of the account's name."""
    return {
        "service_account_name": account,
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
                "name": "scheduler",
                "image": image,
                "command": ["falaj-scheduler"],
                "args": [
                    "run",
                    "--policy=/etc/falaj/policy.json",
                    f"--listen=0.0.0.0:{PORT}",
                    f"--namespace={namespace}",
                ],
                "ports": [{"name": "metrics", "container_port": PORT}],
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
                # All of a large cluster's work is read before the pod is ready.
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
            {"name": "policy", "config_map": {"name": account}},
            {"name": "token", "projected": {"sources": _token()}},
            {"name": "scratch", "empty_dir": {"size_limit": "64Mi"}},
        ],
    }


def _token() -> list[k8s.core.v1.VolumeProjectionArgsDict]:
    """Return what a client inside the cluster looks for."""
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
