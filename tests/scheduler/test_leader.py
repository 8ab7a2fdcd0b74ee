"""One of several leads: with a lease that is kept in memory and a clock that is given."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from scheduler.sla_lab import until

from falaj.scheduler.leader import Leader, LeaseName


@dataclass
class Server:
    """Keeps one lease, as the API server does: a write of an old version is a conflict."""

    lease: dict[str, Any] | None = None
    down: bool = False
    refused: threading.Event = field(default_factory=threading.Event)
    """Set once somebody was refused."""
    version: int = 0
    writes: list[str] = field(default_factory=list)

    def get(self, path: str) -> Any:
        self._up()
        if self.lease is None:
            raise ApiException(status=404, reason="NotFound")
        return {**self.lease, "metadata": {"name": path.rpartition("/")[2], "resourceVersion": str(self.version)}}

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        self._up()
        given = body["metadata"].get("resourceVersion")
        if (method == "POST") == (self.lease is not None) or (method == "PUT" and given != str(self.version)):
            raise ApiException(status=409, reason="Conflict")
        self.version += 1
        self.lease = {"spec": body["spec"]}
        self.writes.append(body["spec"]["holderIdentity"])
        return {}

    def _up(self) -> None:
        if self.down:
            self.refused.set()
            raise OSError("connection refused")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def replica(server: Server, clock: Clock, name: str, seconds: float = 15) -> Leader:
    connection: Any = server
    return Leader(connection, LeaseName("falaj-system", "falaj-scheduler"), name, seconds, clock)


def test_the_first_leads_and_the_second_does_not(server, clock):
    one, two = replica(server, clock, "one"), replica(server, clock, "two")
    for _ in range(20):
        one.attempt()
        two.attempt()
        clock.now += 3
        assert (one.leads, two.leads) == (True, False)


def test_the_second_follows_when_the_lease_has_not_changed_for_its_length(server, clock):
    one, two = replica(server, clock, "one"), replica(server, clock, "two")
    one.attempt()
    two.attempt()
    clock.now += 14
    two.attempt()
    assert not two.leads
    clock.now += 2
    two.attempt()
    assert two.leads
    assert not one.leads, "the first knows by its own clock"
    one.attempt()
    assert not one.leads
    assert server.lease
    assert server.lease["spec"]["leaseTransitions"] == 2


def test_never_do_two_lead_at_once_whatever_one_of_them_misses(server, clock):
    one, two = replica(server, clock, "one"), replica(server, clock, "two")
    for second in range(200):
        clock.now += 1
        if second % 40 < 20:
            one.attempt()
        if second % 3 == 0:
            two.attempt()
        assert not (one.leads and two.leads)


def test_who_cannot_reach_the_server_leads_no_longer_before_another_may(server, clock):
    one = replica(server, clock, "one")
    one.attempt()
    server.down = True
    clock.now += 9
    assert one.leads
    clock.now += 2
    assert not one.leads


def test_of_two_who_take_a_free_lease_at_once_one_has_it(server, clock):
    one, two, three = (replica(server, clock, name) for name in ("one", "two", "three"))
    for each in (one, two, three):
        each.attempt()
    clock.now += 20
    seen = server.get("x/falaj-scheduler")
    server.get = lambda path: {**seen, "metadata": dict(seen["metadata"])}  # both read before either writes
    two.attempt()
    three.attempt()
    assert (two.leads, three.leads) == (True, False)


def test_the_lease_is_given_back_at_the_end(server, clock):
    one, two = replica(server, clock, "one"), replica(server, clock, "two")
    stop = threading.Event()
    one.attempt()
    stop.set()
    one.hold(stop)
    assert not one.leads
    two.attempt()
    assert two.leads


def test_a_server_that_does_not_answer_ends_nothing(server, clock):
    server.down = True
    one = replica(server, clock, "one", seconds=0.1)
    stop = threading.Event()
    holding = threading.Thread(target=one.hold, args=(stop,), daemon=True)
    holding.start()
    assert server.refused.wait(60)
    server.down = False
    until(lambda: one.leads, "it tries again")
    stop.set()
    holding.join(60)
    assert not holding.is_alive()
