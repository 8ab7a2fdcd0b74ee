"""The pods of Triton: restricted, by image digest, with models that were verified before Triton sees them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from falaj.components import restricted_pod
from falaj.components.gpu_node_pool import GPU_LABEL, GPU_TAINT
from falaj.components.gpu_sharing import GPU
from falaj.components.node_pool import Taint
from falaj.components.queue_admission import TENANT_LABEL
from falaj.components.refs import pick
from falaj.components.triton_checks import MODELS, SHARED_MEMORY, TEMPORARY, ServedModel, TritonPod

HTTP, GRPC, METRICS = 8000, 8001, 8002
VERSION, DIGEST = "falaj.dev/model-version", "falaj.dev/model-digest"
"""Annotations of the pod template that tell which version is served, and what its manifest's digest is."""
KEY_FOLDER = "/etc/falaj/publisher"

_CLOSED_APIS = "model-repository,shared-memory,trace,logging"
"""What clients have no business with: loading and unloading, memory of the pod, and what is logged."""
_TMP = "/tmp"  # noqa: S108 - the pod's own, empty volume


def selector(pod: TritonPod) -> dict[str, str]:
    """Return the labels that these pods have and no others."""
    return {"app.kubernetes.io/name": "triton", "app.kubernetes.io/instance": pod.service_name}


def annotations(pod: TritonPod) -> dict[str, str]:
    """Return which version the pods begin with; ``falaj-serve`` changes it from then on."""
    if pod.model is None:
        return {}
    return {VERSION: str(pod.model.version), **({DIGEST: pod.model.digest} if pod.model.digest else {})}


def publisher_key(
    name: str,
    pod: TritonPod,
    namespace: pulumi.Output[str],
    labels: pulumi.Output[dict[str, str]],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str] | None:
    """Make the ConfigMap of the key that models must be signed with, and return its name: another key, another name."""
    if pod.model is None:
        return None
    key = pod.model.signing_key
    named = key.apply(lambda known: f"{pod.service_name}-publisher-{hashlib.sha256(known.encode()).hexdigest()[:10]}")
    made = k8s.core.v1.ConfigMap(
        f"{name}-publisher-key",
        metadata={"name": named, "namespace": namespace, "labels": labels},
        data={"publisher.pem": key},
        immutable=True,
        opts=opts,
    )
    return pulumi.Output.all(named, made.urn).apply(lambda known: str(known[0]))


def pod_spec(
    pod: TritonPod, namespace: pulumi.Output[str], key_map: pulumi.Output[str] | None
) -> k8s.core.v1.PodSpecArgsDict:
    """Return the pod: restricted as Pod Security wants it, on its nodes only, replicas apart from each other."""
    spec: k8s.core.v1.PodSpecArgsDict = {
        "service_account_name": pod.service_account,
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": restricted_pod.POD,
        "node_selector": node_selector(pod),
        "tolerations": tolerations(pod),
        "topology_spread_constraints": [
            {
                "max_skew": 1,
                "topology_key": key,
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": selector(pod)},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "termination_grace_period_seconds": 60,
        "containers": [_triton(pod)],
        "volumes": _volumes(pod, key_map),
    }
    if pod.model is not None:
        spec["init_containers"] = [_fetch(pod, pod.model, namespace)]
    return spec


def triton_arguments(pod: TritonPod) -> list[pulumi.Input[str]]:
    """Return what Triton is told."""
    words: list[pulumi.Input[str]] = ["tritonserver"]
    if pod.model is None:
        words.append(pulumi.Output.concat("--model-repository=", pod.store))
    else:
        # Explicit control loads the verified model alone; nothing else that may lie there.
        words += [f"--model-repository={MODELS}", "--model-control-mode=explicit", f"--load-model={pod.model.name}"]
    words += [
        f"--http-port={HTTP}",
        f"--grpc-port={GRPC}",
        f"--metrics-port={METRICS}",
        # A server without its model would be alive and of no use.
        "--exit-on-error=true",
        "--exit-timeout-secs=45",
        # Without this there are sums of latencies, and no quantiles.
        "--metrics-config=summary_latencies=true",
        # Nobody but who may look at the pod knows its UID: these interfaces are closed, loading models among them.
        f"--http-restricted-api={_CLOSED_APIS}:falaj-closed=$(POD_UID)",
        f"--grpc-restricted-protocol={_CLOSED_APIS}:falaj-closed=$(POD_UID)",
    ]
    if not pod.auto_complete:
        words.append("--disable-auto-complete-config")
    if pod.response_cache is not None:
        words.append(f"--cache-config=local,size={pod.response_cache}")
    if pod.rate_limits:
        words.append("--rate-limit=execution_count")
        words += [f"--rate-limit-resource={key}:{count}" for key, count in pod.rate_limits.items()]
    if pod.largest_request is not None:
        words.append(f"--http-max-input-size={pod.largest_request}")
    return words


def resources(pod: TritonPod) -> pulumi.Input[k8s.core.v1.ResourceRequirementsArgsDict]:
    """Return requests and limits, of GPUs under the name that the pool has for them; CPU has no limit.

    Throttling a server only makes it slow.
    """

    def amounts(resource: str) -> dict[str, dict[str, str]]:
        both = {"memory": pod.memory, **({resource: str(pod.gpus)} if pod.gpus else {})}
        return {"requests": {"cpu": str(pod.cpus), **both}, "limits": both}

    found: Any = amounts(GPU) if pod.gpu_pool is None else pick(pod.gpu_pool, "resource").apply(amounts)
    return found


def node_selector(pod: TritonPod) -> pulumi.Input[Mapping[str, pulumi.Input[str]]]:
    """Return the labels of the nodes: the pool's, else those of any with GPUs where it wants some."""
    own = {**({"pool": pod.pool} if pod.pool else {}), **pod.node_labels}
    if pod.gpu_pool is not None:
        return pick(pod.gpu_pool, "node_labels").apply(lambda known: {**known, **own})
    return ({GPU_LABEL: "true"} if pod.gpus else {}) | own


def tolerations(pod: TritonPod) -> Any:
    """Return the taints that are no obstacle: that of GPUs, those named, and that of a pool kept for a tenant."""
    gpu = [{"key": GPU_TAINT["key"], "operator": "Exists", "effect": "NoSchedule"}] if pod.gpus else []
    known = [*gpu, *tolerations_of(pod.taints)]

    def with_kept(node_labels: Mapping[str, str]) -> list[Any]:
        kept = node_labels.get(TENANT_LABEL)
        return [*known, *([_equal(TENANT_LABEL, kept)] if kept else [])]

    return known if pod.gpu_pool is None else pick(pod.gpu_pool, "node_labels").apply(with_kept)


def tolerations_of(taints: Sequence[Taint]) -> list[k8s.core.v1.TolerationArgsDict]:
    """Return what lets a pod onto nodes with these taints, and with no others."""
    return [_equal(taint["key"], taint["value"]) for taint in taints]


def _equal(key: str, value: str) -> k8s.core.v1.TolerationArgsDict:
    return {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}


def _fetch(pod: TritonPod, model: ServedModel, namespace: pulumi.Output[str]) -> k8s.core.v1.ContainerArgsDict:
    """Return the step that opens and verifies the model; where it refuses, no Triton starts."""
    said: dict[str, pulumi.Input[str]] = {
        "--store": pod.store,
        "--model": model.name,
        "--version": "$(FALAJ_MODEL_VERSION)",
        "--tenant": namespace,
        "--key": model.sealing_key,
        "--public-key": f"{KEY_FOLDER}/publisher.pem",
        "--into": MODELS,
    }
    region: list[k8s.core.v1.EnvVarArgsDict] = [{"name": "AWS_REGION", "value": model.region}] if model.region else []
    variables: list[k8s.core.v1.EnvVarArgsDict] = [
        _of_pod("FALAJ_MODEL_VERSION", f"metadata.annotations['{VERSION}']"),
        _of_pod("FALAJ_MODEL_DIGEST", f"metadata.annotations['{DIGEST}']"),
        *({"name": key, "value": value} for key, value in model.environment.items()),
        {"name": "HOME", "value": _TMP},
        *region,
    ]
    return {
        "name": "fetch",
        "image": model.fetcher_image,
        "command": ["falaj-serve"],
        "args": ["fetch", *(word for pair in said.items() for word in pair)],
        "env": variables,
        # What it writes into memory counts as the container's; Triton starts when it has ended.
        "resources": {"requests": {"cpu": str(pod.cpus), "memory": pod.memory}, "limits": {"memory": pod.memory}},
        "security_context": restricted_pod.CONTAINER,
        "volume_mounts": [
            {"name": "models", "mount_path": MODELS},
            {"name": "publisher", "mount_path": KEY_FOLDER, "read_only": True},
            {"name": "scratch", "mount_path": _TMP},
        ],
    }


def _triton(pod: TritonPod) -> k8s.core.v1.ContainerArgsDict:
    return {
        "name": "triton",
        "image": pod.image,
        "args": triton_arguments(pod),
        "env": [_of_pod("POD_UID", "metadata.uid")],
        "ports": [
            {"name": "http", "container_port": HTTP},
            {"name": "grpc", "container_port": GRPC},
            {"name": "metrics", "container_port": METRICS},
        ],
        "resources": resources(pod),
        # Whoever sends requests has these seconds to learn that the pod goes; Triton resets new connections at once.
        "lifecycle": {"pre_stop": {"sleep": {"seconds": 5}}},
        # Loading models takes minutes; only after that is silence a fault.
        "startup_probe": _probe("live", failures=60),
        "liveness_probe": _probe("live", failures=3),
        "readiness_probe": _probe("ready", failures=3),
        "security_context": restricted_pod.CONTAINER,
        "volume_mounts": [
            *([{"name": "models", "mount_path": MODELS, "read_only": True}] if pod.model else []),
            {"name": "scratch", "mount_path": _TMP},
            {"name": "shared-memory", "mount_path": "/dev/shm"},  # noqa: S108 - the pod's own, empty volume
        ],
    }


def _volumes(pod: TritonPod, key_map: pulumi.Output[str] | None) -> list[k8s.core.v1.VolumeArgsDict]:
    """Return the volumes; of what was sealed nothing reaches a disk of the node."""
    shared: k8s.core.v1.VolumeArgsDict = {
        "name": "shared-memory",
        "empty_dir": {"medium": "Memory", "size_limit": SHARED_MEMORY},
    }
    if pod.model is None or key_map is None:
        return [{"name": "scratch", "empty_dir": {"size_limit": "10Gi"}}, shared]
    return [
        {"name": "scratch", "empty_dir": {"medium": "Memory", "size_limit": TEMPORARY}},
        shared,
        {"name": "models", "empty_dir": {"medium": "Memory", "size_limit": pod.model.size}},
        {"name": "publisher", "config_map": {"name": key_map}},
    ]


def _of_pod(variable: str, path: str) -> k8s.core.v1.EnvVarArgsDict:
    return {"name": variable, "value_from": {"field_ref": {"field_path": path}}}


def _probe(state: str, failures: int) -> k8s.core.v1.ProbeArgsDict:
    return {
        "http_get": {"path": f"/v2/health/{state}", "port": "http"},
        "period_seconds": 10,
        "timeout_seconds": 5,
        "failure_threshold": failures,
    }
