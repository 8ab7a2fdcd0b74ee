"""The pods of training: restricted, by image digest, with scratch that is encrypted or memory, and closed.

What ``TrainingJob`` and ``SweepJob`` have in common.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from falaj.components import restricted_pod
from falaj.components.gpu_node_pool import GPU_LABEL, GPU_TAINT
from falaj.components.gpu_sharing import GPU
from falaj.components.queue_admission import QUEUE_LABEL, TENANT_LABEL
from falaj.components.refs import pick
from falaj.components.sla_scheduler import ACCOUNT, SYSTEM_NAMESPACE
from falaj.components.tenant_network import NAMESPACE_NAME
from falaj.components.tiers import TIER_LABEL
from falaj.components.training_checks import JOB_FOLDER, PROGRESS_PORT, TEMPORARY, TrainingPod

CONTAINER = "train"
"""Name of the container."""
NO_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Annotation without which an update would wait for the end of a training of days."""
SCRATCH, STORAGE_FOLDER = "/scratch", "/etc/falaj/storage"
REFUSED_CODES = [2, 3, 4]
"""Exit codes of ``falaj-train`` that another try does not change: refused input, refused by the gate, data refused."""
STOPPED_CODE = 143
"""Exit code of ``falaj-train`` after SIGTERM: it has saved where it is."""


def work_labels(pod: TrainingPod, owner: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a job and its pods: whose it is, which tier it has, and that it belongs together."""
    return {**owner, **pod.selector, TIER_LABEL: pod.tier.value}


def queue_labels(pod: TrainingPod, owner: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of what waits in the queue, as a whole; pods by themselves name none."""
    return work_labels(pod, owner) | {QUEUE_LABEL: pod.queue}


def near_annotations(pod: TrainingPod) -> dict[str, str]:
    """Return what asks Kueue to place all pods within one level of the pool's topology."""
    return {"kueue.x-k8s.io/podset-required-topology": pod.near} if pod.near else {}


def job_file(
    name: str,
    pod: TrainingPod,
    namespace: pulumi.Output[str],
    labels: pulumi.Output[dict[str, str]],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Make the ConfigMap of the job file, which nobody can change, where the image does not have it."""
    if pod.job is None:
        return []
    return [
        k8s.core.v1.ConfigMap(
            f"{name}-job-file",
            metadata={"name": pod.config_map, "namespace": namespace, "labels": labels},
            data={"job.toml": pod.job},
            immutable=True,
            opts=opts,
        )
    ]


def network_policy(
    name: str,
    pod: TrainingPod,
    namespace: pulumi.Output[str],
    labels: pulumi.Output[dict[str, str]],
    *,
    ways: Sequence[tuple[str, int]],
    among_themselves: bool,
    tells: bool = False,
    opts: pulumi.ResourceOptions,
) -> k8s.networking.v1.NetworkPolicy:
    """Close the pods but to name resolution, the ways to stores (addresses and port) and, to train, to each other.

    ``tells``: the SLA scheduler may ask how much is done.
    """
    workers: list[k8s.networking.v1.NetworkPolicyPeerArgsDict] = [{"pod_selector": {"match_labels": pod.selector}}]
    egress: list[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict] = [
        {
            "to": [
                {
                    "namespace_selector": {"match_labels": {NAMESPACE_NAME: "kube-system"}},
                    "pod_selector": {"match_labels": {"k8s-app": "kube-dns"}},
                }
            ],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        },
        *({"to": [{"ip_block": {"cidr": cidr}}], "ports": [{"protocol": "TCP", "port": port}]} for cidr, port in ways),
    ]
    if among_themselves:
        # gloo and NCCL take ports as they find them free: between the workers all are open.
        egress.append({"to": workers})
    ingress: list[k8s.networking.v1.NetworkPolicyIngressRuleArgsDict] = [{"from_": workers}] if among_themselves else []
    if tells:
        scheduler: k8s.networking.v1.NetworkPolicyPeerArgsDict = {
            "namespace_selector": {"match_labels": {NAMESPACE_NAME: SYSTEM_NAMESPACE}},
            "pod_selector": {"match_labels": {"app.kubernetes.io/name": ACCOUNT}},
        }
        ingress.append({"from_": [scheduler], "ports": [{"protocol": "TCP", "port": PROGRESS_PORT}]})
    return k8s.networking.v1.NetworkPolicy(
        f"{name}-network-policy",
        metadata={"name": pod.job_name, "namespace": namespace, "labels": labels},
        spec={
            "pod_selector": {"match_labels": pod.selector},
            "policy_types": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
        opts=opts,
    )


def failure_rules(ends: str = "FailJob") -> k8s.batch.v1.PodFailurePolicyArgsDict:
    """Return which ends of a pod end the job, or its index, and which do not count: refusals, and making room."""
    return {
        "rules": [
            {
                "action": ends,
                "on_exit_codes": {"container_name": CONTAINER, "operator": "In", "values": REFUSED_CODES},
            },
            {"action": "Ignore", "on_pod_conditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {
                "action": "Ignore",
                "on_exit_codes": {"container_name": CONTAINER, "operator": "In", "values": [STOPPED_CODE]},
            },
        ]
    }


def pod_spec(
    pod: TrainingPod,
    arguments: Sequence[str],
    *,
    subdomain: str | None = None,
    storage_secret: str | None = None,
) -> k8s.core.v1.PodSpecArgsDict:
    """Return the pod: restricted as Pod Security wants it, in its pool, without a token, its files in scratch."""
    container: k8s.core.v1.ContainerArgsDict = {
        "name": CONTAINER,
        "image": pod.image,
        "command": ["falaj-train"],
        "args": list(arguments),
        "env": [{"name": key, "value": value} for key, value in variables(pod).items()],
        "resources": resources(pod),
        "security_context": restricted_pod.CONTAINER,
        "volume_mounts": [
            {"name": "scratch", "mount_path": SCRATCH},
            {"name": "temporary", "mount_path": "/tmp"},  # noqa: S108 - the pod's own, empty volume
            {"name": "shared-memory", "mount_path": "/dev/shm"},  # noqa: S108 - the same
            *([{"name": "job", "mount_path": JOB_FOLDER, "read_only": True}] if pod.job is not None else []),
            *([{"name": "storage", "mount_path": STORAGE_FOLDER, "read_only": True}] if storage_secret else []),
        ],
    }
    spec: k8s.core.v1.PodSpecArgsDict = {
        "restart_policy": "Never",
        "service_account_name": pod.service_account,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": restricted_pod.POD,
        "node_selector": node_selector(pod),
        "tolerations": tolerations(pod),
        "termination_grace_period_seconds": pod.grace_seconds,
        "containers": [container],
        "volumes": volumes(pod, storage_secret),
    }
    if subdomain is not None:
        spec["subdomain"] = subdomain
    return spec


def variables(pod: TrainingPod) -> dict[str, str]:
    """Return the container's variables: which image it is, where it may write, and over what NCCL talks."""
    own = {
        "FALAJ_IMAGE_DIGEST": pod.image.rpartition("@")[2],
        "HOME": "/tmp",  # noqa: S108 - the pod's own, empty volume
        "TMPDIR": SCRATCH,
    }
    return own | ({"FI_PROVIDER": "efa"} if pod.efa else {}) | dict(pod.environment)


def resources(pod: TrainingPod) -> pulumi.Input[k8s.core.v1.ResourceRequirementsArgsDict]:
    """Return requests and limits, of GPUs under the name that the pool has for them; CPU has no limit."""
    more = {"vpc.amazonaws.com/efa": str(pod.efa), "hugepages-2Mi": "5120Mi"} if pod.efa else {}

    def amounts(resource: str) -> dict[str, dict[str, str]]:
        both = {"memory": pod.memory, **({resource: str(pod.gpus)} if pod.gpus else {}), **more}
        return {"requests": {"cpu": str(pod.cpus), **both}, "limits": both}

    found: Any = amounts(GPU) if pod.pool is None else pick(pod.pool, "resource").apply(amounts)
    return found


def node_selector(pod: TrainingPod) -> pulumi.Input[Mapping[str, pulumi.Input[str]]]:
    """Return the labels of the nodes: the pool's, else those of any with GPUs where it wants some."""
    if pod.pool is not None:
        return pick(pod.pool, "node_labels")
    return {GPU_LABEL: "true"} if pod.gpus else {}


def tolerations(pod: TrainingPod) -> Any:
    """Return the taints that are no obstacle: that of GPUs, and the one of a pool that is kept for a tenant."""
    gpu = [{"key": GPU_TAINT["key"], "operator": "Exists", "effect": "NoSchedule"}] if pod.gpus else []

    def with_kept(node_labels: Mapping[str, str]) -> list[dict[str, str]]:
        kept = node_labels.get(TENANT_LABEL)
        own = [{"key": TENANT_LABEL, "operator": "Equal", "value": kept, "effect": "NoSchedule"}] if kept else []
        return [*gpu, *own]

    return gpu if pod.pool is None else pick(pod.pool, "node_labels").apply(with_kept)


def volumes(pod: TrainingPod, storage_secret: str | None = None) -> list[k8s.core.v1.VolumeArgsDict]:
    """Return the volumes, none of which outlives the pod or is a folder of its node."""
    made: list[k8s.core.v1.VolumeArgsDict] = [
        scratch_volume(pod),
        {"name": "temporary", "empty_dir": {"medium": "Memory", "size_limit": TEMPORARY}},
        {"name": "shared-memory", "empty_dir": {"medium": "Memory", "size_limit": pod.shared_memory}},
    ]
    if pod.job is not None:
        made.append({"name": "job", "config_map": {"name": pod.config_map}})
    if storage_secret:
        made.append({"name": "storage", "secret": {"secret_name": storage_secret, "default_mode": 0o440}})
    return made


def scratch_volume(pod: TrainingPod) -> k8s.core.v1.VolumeArgsDict:
    """Return scratch: a disk of the encrypted class that goes with the pod, or memory."""
    if pod.scratch_class is None:
        return {"name": "scratch", "empty_dir": {"medium": "Memory", "size_limit": pod.scratch_size}}
    return {
        "name": "scratch",
        "ephemeral": {
            "volume_claim_template": {
                "spec": {
                    "access_modes": ["ReadWriteOncePod"],
                    "storage_class_name": pod.scratch_class,
                    "resources": {"requests": {"storage": pod.scratch_size}},
                }
            }
        },
    }
