"""What is seen of the drift watch, and what of it wakes people.

Written after ``monitoring.coreos.com/v1`` of the Prometheus operator, and the figures of ``falaj-serve watch``.
"""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.serving_monitoring import OPERATOR, alert
from falaj.components.serving_watch import CheckedDrift, watch_labels, watch_service


def make_watch_monitoring(
    name: str, drift: CheckedDrift, service: str, metadata: k8s.meta.v1.ObjectMetaArgsDict, opts: pulumi.ResourceOptions
) -> None:
    """Make the PodMonitor and the PrometheusRule of the watch; ``metadata`` is the service's."""
    namespace = pulumi.Output.from_input(metadata.get("namespace", ""))
    own: k8s.meta.v1.ObjectMetaArgsDict = metadata.copy()
    own["name"] = watch_service(service)
    k8s.apiextensions.CustomResource(
        f"{name}-watch-pod-monitor",
        api_version=OPERATOR,
        kind="PodMonitor",
        metadata=own,
        spec={
            "selector": {"matchLabels": watch_labels(service)},
            "podTargetLabels": ["app.kubernetes.io/instance"],
            "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "30s"}],
        },
        opts=opts,
    )
    k8s.apiextensions.CustomResource(
        f"{name}-watch-alerts",
        api_version=OPERATOR,
        kind="PrometheusRule",
        metadata=own,
        spec=namespace.apply(lambda known: watch_rules(drift, service, known)),
        opts=opts,
    )


def watch_rules(drift: CheckedDrift, service: str, namespace: str) -> dict[str, Any]:
    """Return the alerts: drift, that it cannot be told, that too much is dropped, that nobody could be told of it."""
    pods = f'namespace="{namespace}", app_kubernetes_io_instance="{watch_service(service)}"'
    counted, dropped = (f"sum(rate(falaj_drift_{what}_total{{{pods}}}[15m]))" for what in ("requests", "dropped"))
    told = [
        (
            "ModelDrift",
            f"count by (model, version, kind) (falaj_drift_found{{{pods}}} == 1) > 0",
            "{{ $labels.kind }}s of version {{ $labels.version }} are no longer like what it was judged on",
            "5m",
        ),
        (
            "ModelDriftUnknown",
            # NaN is not: a watch that is gone, or sees too little, is missed as much as one without a reference.
            " or ".join(f'absent(falaj_drift_found{{{pods}, kind="{kind}"}} >= 0)' for kind in ("input", "prediction")),
            "whether requests have drifted cannot be told: too few, no reference, or no watch",
            "6h",
        ),
        (
            "ModelDriftRequestsDropped",
            f"{dropped} > ({counted} or vector(0))",
            "more of the copied requests are dropped than counted",
            "30m",
        ),
    ]
    if drift.webhook is not None:
        said = "the webhook could not be told of drift"
        told.append(("ModelDriftUntold", f"falaj_drift_webhook_pending{{{pods}}} > 0", said, "15m"))
    rules = [
        alert(name, expression, summary, service, namespace, wait=wait) for name, expression, summary, wait in told
    ]
    return {"groups": [{"name": f"{service}.drift", "rules": rules}]}
