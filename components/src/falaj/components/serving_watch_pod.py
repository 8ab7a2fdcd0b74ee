"""The pod of the drift watch, its Service, and its ways in and out."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from falaj.components import restricted_pod
from falaj.components.rollout_objects import NO_AWAIT
from falaj.components.serving_routes import Access, egress_rules
from falaj.components.serving_watch import CheckedDrift, watch_labels, watch_service
from falaj.components.tenant_network import NAMESPACE_NAME, POD_IDENTITY_AGENT
from falaj.components.triton_checks import TritonPod
from falaj.components.triton_pod import HTTP, KEY_FOLDER, METRICS, selector, tolerations_of

_TMP = "/tmp"  # noqa: S108 - the pod's own, empty volume
_READY = "3m"
"""How long the watch may take to be ready: it loads nothing before its first request."""
_TOKEN_FOLDER = "/etc/falaj/webhook"  # noqa: S105 - a folder


def make_watch(
    name: str,
    drift: CheckedDrift,
    pod: TritonPod,
    access: Access,
    *,
    namespace: pulumi.Output[str],
    labels: pulumi.Output[dict[str, str]],
    publisher: pulumi.Output[str],
    metrics_namespace: str,
    storage_cidrs: Sequence[str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Make the pod that watches, its Service, and its ways in and out."""
    assert access.gateway is not None
    service, chosen = watch_service(pod.service_name), watch_labels(pod.service_name)
    tags = labels.apply(lambda owner: owner | chosen)
    metadata: k8s.meta.v1.ObjectMetaArgsDict = {"name": service, "namespace": namespace, "labels": tags}
    ways = [(cidr, 443) for cidr in storage_cidrs] + [(cidr, drift.webhook_port) for cidr in drift.webhook_cidrs]
    closed = k8s.networking.v1.NetworkPolicy(
        f"{name}-watch-network-policy",
        metadata=metadata,
        spec={
            "pod_selector": {"match_labels": chosen},
            "policy_types": ["Ingress", "Egress"],
            "ingress": [_from(access.gateway[0], HTTP), _from(metrics_namespace, METRICS)],
            "egress": [
                {
                    "to": [{"pod_selector": {"match_labels": selector(pod)}}],
                    "ports": [{"protocol": "TCP", "port": HTTP}],
                },
                *egress_rules([*ways, (POD_IDENTITY_AGENT, 80)]),
            ],
        },
        opts=opts,
    )
    patience = pulumi.CustomTimeouts(create=_READY, update=_READY)
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[closed], custom_timeouts=patience))
    watching = k8s.apps.v1.Deployment(
        f"{name}-watch",
        metadata=metadata,
        spec={
            "replicas": 1,
            # Two would each see half of the requests, and tell of one crossing twice.
            "strategy": {"type": "Recreate"},
            "selector": {"match_labels": chosen},
            "template": {"metadata": {"labels": tags}, "spec": watch_pod(drift, pod, namespace, publisher)},
        },
        opts=after,
    )
    named = metadata.copy()
    # The Deployment is waited for; in the lab no Service ever has endpoints, which Pulumi would wait for.
    named["annotations"] = NO_AWAIT
    k8s.core.v1.Service(
        f"{name}-watch-service",
        metadata=named,
        spec={
            "type": "ClusterIP",
            "selector": chosen,
            "ports": [
                {"name": "http", "port": HTTP, "target_port": "http"},
                {"name": "metrics", "port": METRICS, "target_port": "metrics"},
            ],
        },
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[watching])),
    )


def watch_pod(
    drift: CheckedDrift, pod: TritonPod, namespace: pulumi.Output[str], publisher: pulumi.Output[str]
) -> k8s.core.v1.PodSpecArgsDict:
    """Return the pod: restricted, without a token of the cluster, with nothing that it could write requests to."""
    model = drift.model
    region: list[k8s.core.v1.EnvVarArgsDict] = [{"name": "AWS_REGION", "value": model.region}] if model.region else []
    token: list[k8s.core.v1.VolumeArgsDict] = []
    token_mount: list[k8s.core.v1.VolumeMountArgsDict] = []
    if drift.webhook_secret is not None:
        token = [{"name": "webhook", "secret": {"secret_name": drift.webhook_secret, "default_mode": 0o440}}]
        token_mount = [{"name": "webhook", "mount_path": _TOKEN_FOLDER, "read_only": True}]
    return {
        "service_account_name": drift.account,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": restricted_pod.POD,
        "node_selector": dict(pod.node_labels),
        "tolerations": tolerations_of(pod.taints),
        "containers": [
            {
                "name": "watch",
                "image": model.fetcher_image,
                "command": ["falaj-serve"],
                "args": ["watch", *watch_arguments(drift, pod, namespace)],
                "env": [
                    {"name": "POD_IP", "value_from": {"field_ref": {"field_path": "status.podIP"}}},
                    *({"name": key, "value": value} for key, value in model.environment.items()),
                    {"name": "HOME", "value": _TMP},
                    *region,
                ],
                "ports": [
                    {"name": "http", "container_port": HTTP},
                    {"name": "metrics", "container_port": METRICS},
                ],
                # Requests that wait, and connections, are bounded to 128 MiB together.
                "resources": {"requests": {"cpu": "100m", "memory": "384Mi"}, "limits": {"memory": "768Mi"}},
                "readiness_probe": _probe(3),
                "liveness_probe": _probe(6),
                "security_context": restricted_pod.CONTAINER,
                "volume_mounts": [
                    {"name": "publisher", "mount_path": KEY_FOLDER, "read_only": True},
                    {"name": "scratch", "mount_path": _TMP},
                    *token_mount,
                ],
            }
        ],
        "volumes": [
            {"name": "publisher", "config_map": {"name": publisher}},
            {"name": "scratch", "empty_dir": {"medium": "Memory", "size_limit": "64Mi"}},
            *token,
        ],
    }


def watch_arguments(drift: CheckedDrift, pod: TritonPod, namespace: pulumi.Output[str]) -> list[pulumi.Input[str]]:
    """Return what the watch is told."""
    said: list[tuple[str, pulumi.Input[str]]] = [
        ("--store", pod.store),
        ("--model", drift.model.name),
        ("--tenant", namespace),
        ("--key", drift.model.sealing_key),
        ("--public-key", f"{KEY_FOLDER}/publisher.pem"),
        ("--ask", pulumi.Output.concat("http://", pod.service_name, ".", namespace, f".svc:{HTTP}")),
        ("--address", "$(POD_IP)"),
        ("--port", str(HTTP)),
        ("--metrics-port", str(METRICS)),
        ("--window", str(drift.minutes * 60)),
        ("--above", f"{drift.above:g}"),
    ]
    if drift.samples is not None:
        said += [("--samples", drift.samples), ("--samples-per-hour", str(drift.per_hour))]
        said += [("--identifying", each) for each in drift.identifying]
    if drift.webhook is not None:
        said.append(("--webhook", drift.webhook))
    if drift.webhook_secret is not None:
        said.append(("--webhook-token", f"{_TOKEN_FOLDER}/token"))
    return [word for pair in said for word in pair]


def _from(namespace: str, port: int) -> k8s.networking.v1.NetworkPolicyIngressRuleArgsDict:
    peer: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
        "namespace_selector": {"match_labels": {NAMESPACE_NAME: namespace}}
    }
    return {"from_": [peer], "ports": [{"protocol": "TCP", "port": port}]}


def _probe(failures: int) -> k8s.core.v1.ProbeArgsDict:
    return {"http_get": {"path": "/healthz", "port": "metrics"}, "period_seconds": 10, "failure_threshold": failures}
