"""How many pods serve: as many as keep the time in Triton's queue, and the duty of the GPUs, within bounds.

Written after ``autoscaling/v2``, and ``keda.sh/v1alpha1`` of KEDA.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded
from falaj.components.errors import ConfigError
from falaj.components.gpu_sharing import GPU
from falaj.components.kubernetes_names import camel
from falaj.components.rollout_analysis import ENVOY_CLUSTER, check_url

QUEUE_METRIC = "falaj_triton_queue_milliseconds"
"""Under which name the queue's time is recorded, and read through the external metrics API."""
GPU_METRIC = "falaj_triton_gpu_percent"
"""Under which name the duty of the GPUs is recorded, and read in the same way."""
KEDA = "keda.sh/v1alpha1"

_NEVER_BY_REQUESTS = "1000000000"


class Autoscaler(StrEnum):
    """Who sets the number of pods."""

    HPA = "hpa"
    """Kubernetes itself; an adapter of the cluster has to offer the recorded metric in the external metrics API."""
    KEDA = "keda"
    """KEDA, which asks Prometheus itself, and may take the last pod away."""


class Autoscaling(TypedDict):
    """Between which bounds, and by what, the number of pods moves."""

    most: int
    """Most pods, 1 to 1000."""
    least: NotRequired[int]
    """Fewest pods, 0 to 1000; 0 with ``keda`` alone, for a model that is seldom asked. Default: 2."""
    by: NotRequired[Autoscaler]
    """Who sets the number. Default: ``hpa``."""
    queue_milliseconds: NotRequired[int]
    """How long a request may wait in the queue on average before pods are added, 1 to 60000. Default: 20."""
    gpu_percent: NotRequired[int]
    """Mean duty of the GPUs, 10 to 95 percent, above which pods are added too. Default: none; the queue decides."""
    prometheus: NotRequired[str]
    """URL of Prometheus, which KEDA asks. Default: none; KEDA needs it."""
    idle_seconds: NotRequired[int]
    """Seconds without a request after which KEDA takes the last pod away, 60 to 86400. Default: 900."""
    steady_seconds: NotRequired[int]
    """Seconds for which fewer pods have to be enough before one goes, 0 to 3600. Default: 300."""


@dataclass(frozen=True)
class Scaling:
    """Between which bounds, and by what, the number of pods moves, checked."""

    by: Autoscaler
    least: int
    most: int
    queue_milliseconds: int
    gpu_percent: int | None
    prometheus: str | None
    idle_seconds: int
    steady_seconds: int


def check_scaling(name: str, args: Mapping[str, Any]) -> Scaling | None:
    """Return how the number of pods moves, refusing what would never move, or never come back."""
    if "autoscaling" not in args:
        return None
    field, given = f"{name}.autoscaling", args["autoscaling"]
    if "replicas" in args:
        raise ConfigError(f"{name}.replicas", args["replicas"], "must be left out where autoscaling sets them")
    if not args.get("monitoring", False):
        raise ConfigError(f"{name}.monitoring", False, "must be true for autoscaling: nobody else measures the queue")
    if given.get("by", Autoscaler.HPA) not in set(Autoscaler):
        raise ConfigError(f"{field}.by", str(given["by"]), f"must be among {', '.join(Autoscaler)}")
    by = Autoscaler(given.get("by", Autoscaler.HPA))
    most = bounded(f"{field}.most", given["most"], 1, 1000)
    least = bounded(f"{field}.least", given.get("least", min(2, most)), 0, 1000)
    if least > most:
        raise ConfigError(f"{field}.least", least, f"must be at most {most}, which is most")
    if least == 0 and by is not Autoscaler.KEDA:
        raise ConfigError(f"{field}.least", least, "must be at least 1 unless KEDA sets the number")
    if least == 0 and "gateway" not in args:
        raise ConfigError(f"{field}.least", least, "must be at least 1 without a gateway, where requests are seen")
    if least == 0 and "envoy_gateway" in args:
        remedy = "must be at least 1 with envoy_gateway, which counts no requests for a service without pods"
        raise ConfigError(f"{field}.least", least, remedy)
    if by is Autoscaler.KEDA and "prometheus" not in given:
        raise ConfigError(
            f"{field}.prometheus", None, "must be given for KEDA, such as http://prometheus.monitoring:9090"
        )
    return Scaling(
        by=by,
        least=least,
        most=most,
        queue_milliseconds=bounded(
            f"{field}.queue_milliseconds", given.get("queue_milliseconds", 20), 1, 60_000, "milliseconds"
        ),
        gpu_percent=_gpu_percent(field, given, args),
        prometheus=check_url(f"{field}.prometheus", given["prometheus"]) if "prometheus" in given else None,
        idle_seconds=bounded(f"{field}.idle_seconds", given.get("idle_seconds", 900), 60, 86400, "seconds"),
        steady_seconds=bounded(f"{field}.steady_seconds", given.get("steady_seconds", 300), 0, 3600, "seconds"),
    )


def _gpu_percent(field: str, given: Mapping[str, Any], args: Mapping[str, Any]) -> int | None:
    """Return the duty to go by, refusing it where nobody measures any."""
    if "gpu_percent" not in given:
        return None
    field, wanted = f"{field}.gpu_percent", given["gpu_percent"]
    if args.get("gpus", 1) == 0:
        raise ConfigError(field, wanted, "must be left out where pods have no GPU")
    pool = args.get("gpu_pool")
    resource = pool["resource"] if isinstance(pool, Mapping) else None
    if isinstance(resource, str) and resource != GPU:
        raise ConfigError(field, wanted, f"must be left out for {resource}: the duty is that of whole GPUs")
    return bounded(field, wanted, 10, 95, "percent")


def make_scaler(
    name: str,
    service: str,
    scaling: Scaling,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    *,
    target: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Make what sets the number of pods of ``target``: API version, kind and name of what runs them."""
    if scaling.by is Autoscaler.HPA:
        k8s.autoscaling.v2.HorizontalPodAutoscaler(
            f"{name}-autoscaler", metadata=metadata, spec=hpa_spec(service, scaling, target), opts=opts
        )
        return
    namespace = pulumi.Output.from_input(metadata.get("namespace", ""))
    k8s.apiextensions.CustomResource(
        f"{name}-autoscaler",
        api_version=KEDA,
        kind="ScaledObject",
        metadata=metadata,
        spec=namespace.apply(lambda known: keda_spec(service, known, scaling, target)),
        opts=opts,
    )


def hpa_spec(
    service: str, scaling: Scaling, target: Mapping[str, str]
) -> k8s.autoscaling.v2.HorizontalPodAutoscalerSpecArgsDict:
    """Return an autoscaler by the recorded figures: the most pods that one of them asks for.

    Where a figure is missing, pods may be added for another one, and none is taken away.
    """
    goals = {QUEUE_METRIC: scaling.queue_milliseconds}
    if scaling.gpu_percent is not None:
        goals[GPU_METRIC] = scaling.gpu_percent
    return {
        "scale_target_ref": {"api_version": target["apiVersion"], "kind": target["kind"], "name": target["name"]},
        "min_replicas": scaling.least,
        "max_replicas": scaling.most,
        "metrics": [_external(metric, service, limit) for metric, limit in goals.items()],
        "behavior": _behavior(scaling),
    }


def keda_spec(service: str, namespace: str, scaling: Scaling, target: Mapping[str, str]) -> dict[str, Any]:
    """Return a ScaledObject by the time in the queue; requests at the gateway bring the first pod back."""
    triggers = [_trigger(scaling, queue_query(service, namespace), str(scaling.queue_milliseconds))]
    if scaling.gpu_percent is not None:
        triggers.append(_trigger(scaling, gpu_query(service, namespace), str(scaling.gpu_percent)))
        if scaling.least > 0:
            # No figure is no rest: KEDA would take it for 0. Of a service that sleeps there is none.
            triggers[-1]["metadata"]["ignoreNullValues"] = "false"
    if scaling.least == 0:
        # It wakes the service, and keeps it awake; how many pods there are, the queue decides.
        triggers.append(_trigger(scaling, _requests_query(service, namespace), _NEVER_BY_REQUESTS))
    return {
        "scaleTargetRef": {"apiVersion": target["apiVersion"], "kind": target["kind"], "name": target["name"]},
        "minReplicaCount": scaling.least,
        "maxReplicaCount": scaling.most,
        "pollingInterval": 15,
        "cooldownPeriod": scaling.idle_seconds,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": camel(_behavior(scaling))}},
        "triggers": triggers,
    }


def queue_query(service: str, namespace: str) -> str:
    """Return the mean time of a request in the queue, in milliseconds; 0 where there are no requests."""
    pods = f'namespace="{namespace}", app_kubernetes_io_instance="{service}"'
    waited = f"sum(rate(nv_inference_queue_duration_us{{{pods}}}[1m]))"
    requests = f"sum(rate(nv_inference_request_success{{{pods}}}[1m]))"
    return f"({waited} / ({requests} > 0)) / 1000 or vector(0)"


def gpu_query(service: str, namespace: str) -> str:
    """Return the mean duty of the GPUs of a service's pods, in percent."""
    return f"avg(DCGM_FI_DEV_GPU_UTIL{{{gpu_pods(service, namespace)}}})"


def gpu_pods(service: str, namespace: str) -> str:
    """Return what selects a service's pods in the figures of DCGM's exporter, which knows their names alone.

    A pod of a Deployment or a Rollout is called after it, with two hashes: no other service's pod is.
    """
    return f'namespace="{namespace}", pod=~"{service}-[a-z0-9]+-[a-z0-9]+"'


def _requests_query(service: str, namespace: str) -> str:
    cluster = ENVOY_CLUSTER.format(namespace=namespace, service=service)
    return f'sum(rate(envoy_cluster_upstream_rq_xx{{envoy_cluster_name="{cluster}"}}[1m])) or vector(0)'


def _external(metric: str, service: str, limit: int) -> k8s.autoscaling.v2.MetricSpecArgsDict:
    return {
        "type": "External",
        "external": {
            "metric": {"name": metric, "selector": {"match_labels": {"service": service}}},
            "target": {"type": "Value", "value": str(limit)},
        },
    }


def _trigger(scaling: Scaling, query: str, threshold: str) -> dict[str, Any]:
    return {
        "type": "prometheus",
        "metricType": "Value",
        "metadata": {
            "serverAddress": scaling.prometheus,
            "query": query,
            "threshold": threshold,
            "activationThreshold": "0",
        },
    }


def _behavior(scaling: Scaling) -> k8s.autoscaling.v2.HorizontalPodAutoscalerBehaviorArgsDict:
    """Return how fast pods come and go, whoever counts them."""
    return {
        "scale_up": {
            "stabilization_window_seconds": 0,
            "select_policy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "period_seconds": 60},
                {"type": "Pods", "value": 2, "period_seconds": 60},
            ],
        },
        # A pod that goes drops its loaded model: one at a time.
        "scale_down": {
            "stabilization_window_seconds": scaling.steady_seconds,
            "policies": [{"type": "Pods", "value": 1, "period_seconds": 60}],
        },
    }
