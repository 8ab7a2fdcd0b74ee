"""What the watch tells Prometheus. What is not known is NaN, or is not there: never zero."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from falaj.training.watch.samples import Samples
from falaj.training.watch.watcher import Watcher
from falaj.training.watch.window import Measured

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OUTCOMES = {"pass": 0.0, "fail": 1.0, "undetermined": math.nan}
_COLUMN = ("model", "version", "column", "kind")
_GAUGES: Mapping[str, tuple[str, Callable[[Measured], float]]] = {
    "falaj_drift_index": (
        "Population stability index against the reference; NaN while there are too few examples to tell",
        lambda each: math.nan if each.moved is None else each.moved.index,
    ),
    "falaj_drift_by_chance": (
        "What the index is expected to be where nothing moved",
        lambda each: math.nan if each.moved is None else each.moved.chance,
    ),
    "falaj_drift_beyond_chance": (
        "1 where chance is ruled out, 0 where it is not; NaN while there are too few examples",
        lambda each: math.nan if each.moved is None else float(each.beyond_chance),
    ),
    "falaj_drift_found": (
        "1 for drift: the index is above the bound and chance is ruled out; 0 for none; NaN where it cannot be told",
        lambda each: _OUTCOMES[each.outcome],
    ),
    "falaj_drift_rows": ("Examples in the window", lambda each: float(each.rows)),
}


@dataclass(frozen=True)
class Deliveries:
    """How the webhook stands."""

    delivered: int = 0
    failed: int = 0
    """Attempts that failed."""
    pending: int = 0
    """Crossings that were not told yet."""
    unrecorded: int = 0
    """Attempts to write into the audit log that failed."""


class Figures(Collector):
    """The figures of a watch, as they are when they are asked for."""

    def __init__(
        self,
        model: str,
        watcher: Watcher,
        deliveries: Callable[[], Deliveries | None] = lambda: None,
        samples: Samples | None = None,
    ) -> None:
        self._model, self._watcher, self._deliveries, self._samples = model, watcher, deliveries, samples
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield all figures."""
        found = self._watcher.measured()
        for name, (said, figure) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, said, labels=_COLUMN)
            for version, columns in found.items():
                for each in columns or ():
                    gauge.add_metric([self._model, str(version), each.column, each.kind], figure(each))
            yield gauge
        known = GaugeMetricFamily(
            "falaj_drift_reference", "1 for a version that has a reference, 0 for one without", labels=_COLUMN[:2]
        )
        for version, columns in found.items():
            known.add_metric([self._model, str(version)], float(columns is not None))
        yield known
        yield from self._requests()
        if self._samples is not None:
            kept = CounterMetricFamily("falaj_drift_samples", "Samples of requests", labels=("model", "outcome"))
            kept.add_metric([self._model, "kept"], self._samples.kept)
            kept.add_metric([self._model, "lost"], self._samples.lost)
            yield kept
        yield from self._webhook()

    def _requests(self) -> Iterator[Metric]:
        watcher = self._watcher
        seen = CounterMetricFamily("falaj_drift_requests", "Mirrored requests that were counted", labels=_COLUMN[:1])
        seen.add_metric([self._model], watcher.seen)
        yield seen
        for name, said, counted in (
            ("falaj_drift_dropped", "Mirrored requests that were not counted", watcher.dropped),
            ("falaj_drift_unpredicted", "Requests that were counted without a prediction", watcher.unpredicted),
        ):
            family = CounterMetricFamily(name, said, labels=("model", "reason"))
            for reason, count in sorted(counted.copy().items()):
                family.add_metric([self._model, reason], count)
            yield family

    def _webhook(self) -> Iterator[Metric]:
        found = self._deliveries()
        if found is None:
            return
        told = CounterMetricFamily("falaj_drift_webhook", "Attempts to tell the webhook", labels=("model", "outcome"))
        told.add_metric([self._model, "delivered"], found.delivered)
        told.add_metric([self._model, "failed"], found.failed)
        told.add_metric([self._model, "unrecorded"], found.unrecorded)
        yield told
        pending = GaugeMetricFamily(
            "falaj_drift_webhook_pending", "Crossings that the webhook was not told of yet", labels=("model",)
        )
        pending.add_metric([self._model], found.pending)
        yield pending
