"""Versions that answer without errors and must go nevertheless: too slowly, and wrongly; under load, in one lab."""

from collections.abc import Iterator

import pytest
from served_models import KNOWN_ANSWERS, doubles, triples
from served_service import BAD, READY, TAKEN_OVER, Served, is_at_most, serving
from served_world import USER, Inference

pytestmark = pytest.mark.lab

SHARE = 10
"""Percent of the requests that a version has at first."""
LIMIT, SLOW = 1.0, 1.3
"""Seconds in which the service promises its answers, and those that the slow version takes."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("bad")) as running:
        running.up("triton-strategies", doubles())
        yield running


def goes_back(served: Served, program: str, name: str, figure: str) -> tuple[str, Inference]:
    """Publish a bad version under load, see it go back, and return its number and what clients saw."""
    with Inference(served.front.client(USER)) as load:
        version = str(served.publisher.publish(program, name)["version"])
        served.reaches("Degraded", TAKEN_OVER)
        served.until(lambda: served.share() == 0, READY)
        load.more()
        # Begun after the way back: what was under way, a slow version answers later still. The gateway follows it;
        # so many answers that the share would not miss them.
        with Inference(served.front.client(USER)) as later:
            served.until(lambda: set(later.more(200)) == {(200, "1")}, READY)
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    measured = served.decided_by(figure)
    assert (measured["count"], measured["failed"]) == (BAD, BAD)
    assert is_at_most(SHARE, [each == version for _, each in load.answers])
    return version, load


def test_a_slow_version_goes_back_at_the_second_measurement_of_its_latency(served):
    version, load = goes_back(served, doubles("slow", seconds=SLOW), "slow", "latency")
    assert min(load.seconds[version]) > LIMIT
    assert load.products[version] == load.products["1"] == {KNOWN_ANSWERS}


def test_a_version_that_answers_wrongly_goes_back_at_the_second_measurement_of_its_quality(served):
    version, load = goes_back(served, triples(), "wrong", "known-answers")
    assert load.products["1"] == {KNOWN_ANSWERS}
    assert KNOWN_ANSWERS not in load.products[version]
    # It is its answers that were wrong, not their number. How fast they came is up to the machine.
    results = {each["name"]: each["phase"] for each in served.runs()[-1]["status"]["metricResults"]}
    assert "Failed" not in {results["errors"], results["refusals"]}
