"""Progress is asked of the pod itself; what it answers is bounded, and only a share is believed."""

from typing import Any

import pytest
import urllib3
from prometheus_client import CollectorRegistry, generate_latest
from scheduler.pods import pod, told

from falaj.scheduler.measured import Ask, Measured, read_share, saved_share
from falaj.scheduler.metrics import Metrics
from falaj.scheduler.words import PORT, Words, read_words
from falaj.scheduler.work import Noted, Owner, Work, read_noted


class Cluster:
    """Works whose first pods are where the test says, and what was written of them."""

    def __init__(self, *works: Work, address: str | None = "10.0.0.1") -> None:
        self._works, self.address = works, address
        self.written: dict[str, float] = {}

    def works(self) -> tuple[Work, ...]:
        return self._works

    def first_pod(self, work: Work) -> str | None:
        return self.address

    def note_progress(self, work: Work, share: float, now: float) -> None:
        self.written[work.name] = share


def work(name: str, *, runs: bool = True, port: int | None = 9410, progress: float | None = None) -> Work:
    owner = Owner("batch/v1", "Job", name, f"job-{name}")
    words, noted = Words(port=port), Noted(progress=progress)
    admitted = 1.0 if runs else None
    return Work(
        name, "vision", name, "1", owner, "vision", "batch", 0, 0.0, admitted=admitted, words=words, noted=noted
    )


def look(cluster: Cluster, ask: Ask) -> str:
    registry = CollectorRegistry()
    where: Any = cluster
    leader: Any = None
    Measured(where, leader, Metrics(registry), ask=ask).look()
    return generate_latest(registry).decode()


def test_a_pod_tells_its_share() -> None:
    with pod(told(0.25).encode()) as port:
        assert saved_share("127.0.0.1", port) == 0.25


@pytest.mark.parametrize(
    "text", ["", told(1.5), told(float("nan")), told(-0.1), told(0.1) + told(0.2), "{{{ 3", "a b c"]
)
def test_what_is_no_share_is_not_believed(text: str) -> None:
    assert read_share(text) is None


def test_too_much_is_not_read() -> None:
    with pod(told(0.25).encode() + b"# more\n" * 300_000) as port:
        assert saved_share("127.0.0.1", port) is None


def test_an_error_and_another_place_are_no_answer() -> None:
    with pod(told(0.5).encode()) as elsewhere, pod(b"", 302, f"http://127.0.0.1:{elsewhere}/metrics") as port:
        assert saved_share("127.0.0.1", port) is None
    with pod(told(0.5).encode(), 500) as port:
        assert saved_share("127.0.0.1", port) is None
    with pytest.raises(urllib3.exceptions.HTTPError):
        saved_share("127.0.0.1", port)


def test_only_work_that_runs_and_names_a_port_is_asked_and_what_is_new_is_kept() -> None:
    cluster = Cluster(
        work("new"), work("same", progress=0.4), work("waits", runs=False), work("says-nothing", port=None)
    )
    counted = look(cluster, lambda _address, _port: 0.402)
    assert cluster.written == {"new": 0.402}
    assert 'falaj_scheduler_progress_asked_total{outcome="told"} 2.0' in counted


def test_a_pod_that_cannot_be_reached_stops_nobody() -> None:
    def ask(_address: str, _port: int) -> float:
        raise OSError("no route")

    counted = look(Cluster(work("one"), work("two")), ask)
    assert 'falaj_scheduler_progress_asked_total{outcome="silent"} 2.0' in counted
    nowhere = Cluster(work("one"), address=None)
    look(nowhere, lambda _address, _port: 0.5)
    assert nowhere.written == {}


def test_progress_may_fall_when_a_damaged_checkpoint_gave_way_to_the_one_before() -> None:
    cluster = Cluster(work("back", progress=0.4))
    look(cluster, lambda _address, _port: 0.3)
    assert cluster.written == {"back": 0.3}


def test_the_port_is_a_word_and_what_was_measured_is_read_back() -> None:
    assert read_words({PORT: "9410"}).port == 9410
    refused = read_words({PORT: "70000"}).refused
    assert refused is not None
    assert "falaj.dev/progress-port must be a port from 1 to 65535, such as 9410" in str(refused)
    assert read_noted({"falaj.dev/measured-progress": "0.2500"}).progress == 0.25
    assert read_noted({"falaj.dev/measured-progress": "much"}) == Noted()
