"""What is measured of the rules at work, for Prometheus."""

from collections import Counter as Count
from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Summary

from falaj.scheduler.work import Work


class Metrics:
    """The figures; tenants are named by their ClusterQueues."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, told: str, *labels: str) -> Gauge:
            return Gauge(f"falaj_scheduler_{name}", told, labels, registry=registry)

        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"falaj_scheduler_{name}", told, labels, registry=registry)

        self._works = gauge("works", "Works that have not finished.", "tenant", "tier", "state")
        self._promises = gauge("promises", "Works with a deadline, by how it stands with it.", "tenant", "promise")
        self._waits = gauge("longest_wait_seconds", "Longest wait of a work now.", "tenant", "tier")
        self.leads = gauge("leads", "Whether this replica is the one that writes.")
        self.displaced = counter("displaced_total", "Works displaced and explained.", "tenant", "reason")
        self.told = counter("notices_total", "Events made.", "tenant", "reason")
        self.writes = counter("writes_total", "Decisions written, or not because the work had changed.", "outcome")
        self.asked = counter("progress_asked_total", "Works asked for their progress, by what they told.", "outcome")
        self.left = gauge("writes_left", "Decisions that wait for their turn to be written.")
        self.decide = Summary("falaj_scheduler_decide_seconds", "Time that the rules took.", registry=registry)
        self._shown: defaultdict[Gauge, set[tuple[str, ...]]] = defaultdict(set)

    def observe(self, works: Iterable[Work], now: float) -> None:
        """Count what there is; what is no more is not shown any longer, what still is misses from no scrape."""
        counts: Count[tuple[str, str, str]] = Count()
        promises: Count[tuple[str, str]] = Count()
        waits: dict[tuple[str, str], float] = defaultdict(float)
        for work in works:
            state = "running" if work.runs else "waiting" if work.active else "stopped"
            counts[work.queue, work.tier, state] += 1
            if work.noted.promise:
                promises[work.queue, work.noted.promise.value] += 1
            if state == "waiting":
                waits[work.queue, work.tier] = max(waits[work.queue, work.tier], work.waited(now))
        for gauge, values in ((self._works, counts), (self._promises, promises), (self._waits, waits)):
            for labels, value in values.items():
                gauge.labels(*labels).set(value)
            for labels in self._shown[gauge] - values.keys():
                gauge.remove(*labels)
            self._shown[gauge] = {*values}
