"""What is seen of a service: who scrapes it, what of it wakes people, and a page of plots.

Written after ``monitoring.coreos.com/v1`` of the Prometheus operator, and the figures of Triton and DCGM.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.rollout_analysis import Promise
from falaj.components.serving_scaling import GPU_METRIC, QUEUE_METRIC, gpu_pods, gpu_query, queue_query

OPERATOR = "monitoring.coreos.com/v1"
DASHBOARD = {"grafana_dashboard": "1"}
"""Label by which Grafana's sidecar finds dashboards."""

_FULL = 0.95
_INSTANCE, _HASH = "app.kubernetes.io/instance", "rollouts-pod-template-hash"


def make_monitoring(
    name: str,
    service: str,
    metadata: k8s.meta.v1.ObjectMetaArgsDict,
    promise: Promise,
    selector: Mapping[str, str],
    *,
    may_sleep: bool,
    gpus: bool,
    opts: pulumi.ResourceOptions,
) -> None:
    """Make the PodMonitor, the PrometheusRule and the dashboard; where none may sleep, having no pod is an alert."""
    namespace = pulumi.Output.from_input(metadata.get("namespace", ""))
    k8s.apiextensions.CustomResource(
        f"{name}-pod-monitor",
        api_version=OPERATOR,
        kind="PodMonitor",
        metadata=metadata,
        spec={
            "selector": {"matchLabels": dict(selector)},
            # Figures tell the service, and during a rollout the version.
            "podTargetLabels": [_INSTANCE, _HASH],
            "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "15s"}],
        },
        opts=opts,
    )
    k8s.apiextensions.CustomResource(
        f"{name}-alerts",
        api_version=OPERATOR,
        kind="PrometheusRule",
        metadata=metadata,
        spec=namespace.apply(lambda known: rules_spec(service, known, promise, may_sleep=may_sleep, gpus=gpus)),
        opts=opts,
    )
    labels = pulumi.Output.from_input(metadata.get("labels", {})).apply(lambda known: {**known, **DASHBOARD})
    k8s.core.v1.ConfigMap(
        f"{name}-dashboard",
        metadata={**metadata, "name": f"{service}-dashboard", "labels": labels},
        data={f"{service}.json": namespace.apply(lambda known: json.dumps(dashboard(service, known, promise)))},
        opts=opts,
    )


def rules_spec(service: str, namespace: str, promise: Promise, *, may_sleep: bool, gpus: bool) -> dict[str, Any]:
    """Return the recorded time in the queue and duty of GPUs, and alerts on what clients notice, or soon will."""
    pods = _pods(service, namespace)
    recorded = [
        {"record": metric, "expr": query(service, namespace), "labels": _of(service, namespace)}
        for metric, query in ((QUEUE_METRIC, queue_query), *([(GPU_METRIC, gpu_query)] if gpus else []))
    ]
    alerts = [
        alert(
            "TritonErrors",
            f"{_share_failed(pods)} > {promise.error_percent / 100:g}",
            f"more than {promise.error_percent:g} % of inferences fail",
            service,
            namespace,
        ),
        alert(
            "TritonSlow",
            f'max(nv_inference_request_summary_us{{{pods}, quantile="0.99"}}) > {promise.p99_milliseconds * 1000}',
            f"one of 100 requests takes longer than {promise.p99_milliseconds} ms",
            service,
            namespace,
        ),
        alert(
            "TritonQueueGrows",
            f"sum(nv_inference_pending_request_count{{{pods}}}) > 0"
            f" and deriv(sum(nv_inference_pending_request_count{{{pods}}})[10m:1m]) > 0",
            "requests come faster than they are answered",
            service,
            namespace,
        ),
    ]
    if gpus:
        alerts += _gpu_alerts(service, namespace)
    if not may_sleep:
        alerts.append(
            alert(
                "TritonGone",
                # Nobody scraped is nobody there: no figure is no reason to keep still.
                f"(sum(up{{{pods}}}) or vector(0)) == 0",
                "no pod of the service answers",
                service,
                namespace,
                severity="critical",
                wait="2m",
            )
        )
    return {"groups": [{"name": f"{service}.serving", "rules": [*recorded, *alerts]}]}


def dashboard(service: str, namespace: str, promise: Promise) -> dict[str, Any]:
    """Return a page of plots for Grafana."""
    pods = _pods(service, namespace)
    by_version = "sum by (rollouts_pod_template_hash)"
    panels = [
        (
            "Requests per second, by version",
            "reqps",
            f"{by_version} (rate(nv_inference_request_success{{{pods}}}[1m]))",
        ),
        ("Share of failed inferences", "percentunit", _share_failed(pods)),
        (
            f"99th percentile, of which {promise.p99_milliseconds} ms are promised",
            "µs",
            f'max by (pod) (nv_inference_request_summary_us{{{pods}, quantile="0.99"}})',
        ),
        ("Mean time in the queue", "ms", queue_query(service, namespace)),
        ("Requests that wait", "short", f"sum by (pod) (nv_inference_pending_request_count{{{pods}}})"),
        ("Duty of the GPUs", "percent", gpu_query(service, namespace).replace("avg(", "avg by (pod) (")),
        ("Memory of the GPUs, MiB", "short", f"sum by (pod) (DCGM_FI_DEV_FB_USED{{{gpu_pods(service, namespace)}}})"),
    ]
    return {
        "title": f"{namespace}/{service}",
        "uid": hashlib.sha256(f"{namespace}/{service}".encode()).hexdigest()[:40],
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "panels": [
            {
                "id": number + 1,
                "title": title,
                "type": "timeseries",
                "gridPos": {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)},
                "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
                "targets": [{"refId": "A", "expr": query}],
            }
            for number, (title, unit, query) in enumerate(panels)
        ],
    }


def _gpu_alerts(service: str, namespace: str) -> list[dict[str, Any]]:
    """Return alerts on what DCGM tells of the GPUs of the service's pods."""
    devices = gpu_pods(service, namespace)
    used, free = (f"DCGM_FI_DEV_FB_{which}{{{devices}}}" for which in ("USED", "FREE"))
    return [
        alert(
            "TritonGpuFault",
            # Its value is the number of the last fault, 0 where there was none.
            f"max(DCGM_FI_DEV_XID_ERRORS{{{devices}}}) > 0",
            "a GPU has reported a fault (XID)",
            service,
            namespace,
            wait="0m",
        ),
        alert(
            "TritonGpuMemoryFull",
            f"max({used} / ({used} + {free})) > {_FULL}",
            f"more than {_FULL:.0%} of a GPU's memory is in use",
            service,
            namespace,
        ),
    ]


def _pods(service: str, namespace: str) -> str:
    return f'namespace="{namespace}", app_kubernetes_io_instance="{service}"'


def _of(service: str, namespace: str) -> dict[str, str]:
    return {"namespace": namespace, "service": service}


def _share_failed(pods: str) -> str:
    failed, done = (f"sum(rate(nv_inference_request_{which}{{{pods}}}[5m]))" for which in ("failure", "success"))
    return f"({failed} or vector(0)) / (({failed} or vector(0)) + {done} > 0)"


def alert(
    name: str,
    expression: str,
    summary: str,
    service: str,
    namespace: str,
    *,
    severity: str = "warning",
    wait: str = "5m",
) -> dict[str, Any]:
    """Return an alert on something about a service, after it has been so for as long as ``wait`` says."""
    return {
        "alert": name,
        "expr": expression,
        "for": wait,
        "labels": {"severity": severity, **_of(service, namespace)},
        "annotations": {"summary": f"{namespace}/{service}: {summary}."},
    }
