"""What decides over a new version while it has traffic: figures of the gateway, each of which must be seen to be good.

Written after ``argoproj.io/v1alpha1`` of Argo Rollouts 1.10 and the figures of Envoy.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from falaj.components.checks import bounded, dns_label
from falaj.components.errors import ConfigError

ENVOY_CLUSTER = "{namespace}/{service}"
"""What the gateway's Envoy calls a Service, as the lab's does."""

_URL = re.compile(r"https?://[\w.-]+(:\d+)?(/[\w./-]*)?")
_OWN_NAMES = ("errors", "refusals", "latency")
_OF_PARTS = ("route", "service-part", "stable-part")


class QualityMetric(TypedDict):
    """A figure of the model itself, such as its agreement with known answers; it is held to at least one limit."""

    name: str
    """What it is, for example ``agreement``."""
    query: str
    """PromQL with one number as its result; ``{{args.namespace}}``, ``{{args.service}}`` and ``{{args.hash}}`` stand
    for the namespace, the new version's Service and its pods' label ``rollouts-pod-template-hash``."""
    at_least: NotRequired[float]
    """What it must reach. Default: no lower limit."""
    at_most: NotRequired[float]
    """What it must not exceed. Default: no upper limit."""


class Analysis(TypedDict):
    """How a new version is measured; no figure, or none that is a number, counts as a bad one."""

    prometheus: str
    """URL of Prometheus, as Argo's controller reaches it."""
    quality: NotRequired[QualityMetric]
    """A figure of the model itself. Default: none; error rate and latency decide."""
    interval_seconds: NotRequired[int]
    """Seconds from one measurement to the next, 5 to 3600. Default: 30."""
    measurements: NotRequired[int]
    """Measurements of each step, 1 to 1000. Default: 5."""
    tolerated: NotRequired[int]
    """Bad measurements of each figure that a step may have, less than ``measurements``. Default: 1."""
    unanswered: NotRequired[int]
    """How often in a row Prometheus may not answer before that counts as bad, 0 to 20. Default: 2."""
    window_seconds: NotRequired[int]
    """Seconds of traffic that a measurement looks back on, 10 to 3600; the first one waits for them. Default: 60."""
    cluster_name: NotRequired[str]
    """What the gateway's Envoy calls a Service. Default: ``{namespace}/{service}``, as the lab's gateway does."""


@dataclass(frozen=True)
class Promise:
    """What clients may count on."""

    p99_milliseconds: int
    error_percent: float


@dataclass(frozen=True)
class CheckedAnalysis:
    """How a new version is measured, checked."""

    prometheus: str
    quality: QualityMetric | None
    interval: int
    measurements: int
    tolerated: int
    unanswered: int
    window: int
    cluster_name: str

    def seconds(self, measurements: int) -> int:
        """Return how long so many measurements take, the wait for the first one included."""
        return self.window + (measurements - 1) * self.interval


def check_analysis(field: str, given: Analysis) -> CheckedAnalysis:
    """Return how a new version is measured, refusing what could let one pass unseen."""
    measurements = bounded(f"{field}.measurements", given.get("measurements", 5), 1, 1000)
    tolerated = bounded(f"{field}.tolerated", given.get("tolerated", min(1, measurements - 1)), 0, 1000)
    if tolerated >= measurements:
        remedy = f"must be less than measurements, {measurements}: no version could fail"
        raise ConfigError(f"{field}.tolerated", tolerated, remedy)
    cluster = given.get("cluster_name", ENVOY_CLUSTER)
    if "{service}" not in cluster or '"' in cluster:
        remedy = "must have {service} in it, and no quotes: figures of both versions together show neither"
        raise ConfigError(f"{field}.cluster_name", cluster, remedy)
    return CheckedAnalysis(
        prometheus=check_url(f"{field}.prometheus", given["prometheus"]),
        quality=check_quality(f"{field}.quality", given["quality"]) if "quality" in given else None,
        interval=bounded(f"{field}.interval_seconds", given.get("interval_seconds", 30), 5, 3600, "seconds"),
        measurements=measurements,
        tolerated=tolerated,
        unanswered=bounded(f"{field}.unanswered", given.get("unanswered", 2), 0, 20),
        window=bounded(f"{field}.window_seconds", given.get("window_seconds", 60), 10, 3600, "seconds"),
        cluster_name=cluster,
    )


def check_url(field: str, url: str) -> str:
    """Return the URL of a Prometheus."""
    if not _URL.fullmatch(url):
        raise ConfigError(field, url, "must be a URL such as http://prometheus.monitoring.svc:9090")
    return url


def check_quality(field: str, metric: QualityMetric) -> QualityMetric:
    """Return the figure, refusing one without a limit, since nothing would follow from it."""
    if dns_label(f"{field}.name", metric["name"]) in _OWN_NAMES:
        raise ConfigError(f"{field}.name", metric["name"], f"must differ from {', '.join(_OWN_NAMES)}")
    if not metric["query"].strip():
        raise ConfigError(f"{field}.query", metric["query"], "must be a query of Prometheus")
    if "at_least" not in metric and "at_most" not in metric:
        raise ConfigError(f"{field}.at_least", None, "must be given, or at_most: without a limit nothing is decided")
    return metric


def check_promise(name: str, p99_milliseconds: float, error_percent: float) -> Promise:
    """Return what clients may count on."""
    if isinstance(error_percent, bool) or not 0 < error_percent <= 50:
        raise ConfigError(f"{name}.error_percent", error_percent, "must be more than 0 and at most 50")
    return Promise(
        bounded(f"{name}.p99_milliseconds", p99_milliseconds, 1, 3_600_000, "milliseconds"), float(error_percent)
    )


def template_spec(analysis: CheckedAnalysis, promise: Promise, namespace: Any) -> dict[str, Any]:
    """Return the AnalysisTemplate: rates of errors and refusals, latency, and the model's own figure if it has one.

    Whatever an argument has no value for here, the step that runs the analysis says.
    """
    limits = {
        "errors": (errors_query(analysis), [f"<= {promise.error_percent / 100:g}"]),
        "refusals": (refusals_query(analysis), [f"<= {promise.error_percent / 100:g}"]),
        "latency": (latency_query(analysis), [f"<= {promise.p99_milliseconds:g}"]),
    }
    if analysis.quality:
        least, most = analysis.quality.get("at_least"), analysis.quality.get("at_most")
        wanted = [f"{sign} {limit:g}" for sign, limit in ((">=", least), ("<=", most)) if limit is not None]
        limits[analysis.quality["name"]] = (analysis.quality["query"], wanted)
    return {
        "args": [
            {"name": "namespace", "value": namespace},
            {"name": "service"},
            {"name": "stable"},
            {"name": "hash"},
            *({"name": each} for each in (_OF_PARTS if "{part}" in analysis.cluster_name else ())),
            {"name": "measurements", "value": str(analysis.measurements)},
            {"name": "delay", "value": f"{analysis.window}s"},
        ],
        "metrics": [_metric(name, query, wanted, analysis) for name, (query, wanted) in limits.items()],
    }


def run_of(
    template: str,
    service: str,
    stable: str,
    *,
    parts: tuple[str, str] | None = None,
    measurements: int | None = None,
    delay: int | None = None,
) -> dict[str, Any]:
    """Return one run of the analysis: of which Service, against which, how often and after how many seconds.

    ``parts`` are what the gateway calls their shares of the route, where it does not call them by the Services.
    """
    said: list[Mapping[str, Any]] = [
        {"name": "service", "value": service},
        {"name": "stable", "value": stable},
        {"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
    ]
    if parts is not None:
        told = {"route": template, "service-part": parts[0], "stable-part": parts[1]}
        said += [{"name": name, "value": value} for name, value in told.items()]
    if measurements is not None:
        said.append({"name": "measurements", "value": str(measurements)})
    if delay is not None:
        said.append({"name": "delay", "value": f"{delay}s"})
    return {"templates": [{"templateName": template}], "args": said}


def errors_query(analysis: CheckedAnalysis) -> str:
    """Return the share of answers that were the server's errors; no answer at all gives no number."""
    return f"({_rate(analysis, 'service', '5')} or vector(0)) / {_rate(analysis, 'service')}"


def refusals_query(analysis: CheckedAnalysis) -> str:
    """Return how much more often the new version refuses requests than the old: it may take other inputs.

    What clients do wrong, both refuse.
    """
    new = f"({_rate(analysis, 'service', '4')} or vector(0)) / {_rate(analysis, 'service')}"
    old = f"({_rate(analysis, 'stable', '4')} / ({_rate(analysis, 'stable')} > 0)) or vector(0)"
    return f"{new} - ({old})"


def latency_query(analysis: CheckedAnalysis) -> str:
    """Return the 99th percentile of the time that answers took, in milliseconds."""
    buckets = f"envoy_cluster_upstream_rq_time_bucket{{{_cluster(analysis, 'service')}}}[{analysis.window}s]"
    return f"histogram_quantile(0.99, sum by (le) (rate({buckets})))"


def _rate(analysis: CheckedAnalysis, service: str, of_class: str | None = None) -> str:
    chosen = _cluster(analysis, service) + (f', envoy_response_code_class="{of_class}"' if of_class else "")
    return f"sum(rate(envoy_cluster_upstream_rq_xx{{{chosen}}}[{analysis.window}s]))"


def _cluster(analysis: CheckedAnalysis, service: str) -> str:
    name = analysis.cluster_name.replace("{namespace}", "{{args.namespace}}")
    name = name.replace("{service}", f"{{{{args.{service}}}}}").replace("{route}", "{{args.route}}")
    sign = "=~" if "{part}" in name else "="
    return f'envoy_cluster_name{sign}"{name.replace("{part}", f"{{{{args.{service}-part}}}}")}"'


def _metric(name: str, query: str, wanted: list[str], analysis: CheckedAnalysis) -> dict[str, Any]:
    seen = ["len(result) > 0", "!isNaN(result[0])", *(f"result[0] {limit}" for limit in wanted)]
    return {
        "name": name,
        "initialDelay": "{{args.delay}}",
        "interval": f"{analysis.interval}s",
        "count": "{{args.measurements}}",
        # With a condition of success alone, what is not seen to be good is bad: nothing stays inconclusive, for which
        # Argo would wait for a person.
        "successCondition": " && ".join(seen),
        "failureLimit": analysis.tolerated,
        "consecutiveErrorLimit": analysis.unanswered,
        "provider": {"prometheus": {"address": analysis.prometheus, "query": query}},
    }
