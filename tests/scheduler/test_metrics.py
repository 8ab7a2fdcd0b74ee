"""What the scheduler tells Prometheus of the work."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from scheduler.queue_model import work

from falaj.scheduler.metrics import Metrics


def test_what_still_is_never_misses_from_a_scrape_and_what_is_no_more_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    registry = CollectorRegistry()
    metrics, scrapes = Metrics(registry), list[str]()

    def scraped_after(real: Any) -> Any:
        def change(gauge: Gauge, *labels: str) -> None:
            real(gauge, *labels)
            scrapes.append(generate_latest(registry).decode())

        return change

    series = 'falaj_scheduler_works{{state="waiting",tenant="vision",tier="{}"}} 1.0'
    stays, goes = series.format("batch"), series.format("production")
    both = [work(tier, tier=tier) for tier in ("batch", "production")]
    metrics.observe(both, 0)
    assert {stays, goes} <= set(generate_latest(registry).decode().splitlines())
    for name in ("clear", "remove"):
        monkeypatch.setattr(Gauge, name, scraped_after(getattr(Gauge, name)))
    metrics.observe(both[:1], 0)
    assert scrapes and all(stays in scrape for scrape in scrapes)
    assert goes not in scrapes[-1]
