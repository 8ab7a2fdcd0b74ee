"""A new version all at once, and behind a mirror, with real traffic in one lab: what clients see of it, and when."""

from collections.abc import Iterator

import pytest
from gateway_traffic import Client
from served_models import KNOWN_ANSWERS, doubles, triples
from served_service import BAD, READY, TAKEN_OVER, Served, serving
from served_world import USER, Inference, infer_once

pytestmark = pytest.mark.lab

PREVIEW = {"falaj-preview": "true"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("strategies")) as running:
        yield running


@pytest.fixture(scope="module")
def served(lab: Served, request: pytest.FixtureRequest) -> Iterator[Served]:
    """The service under one strategy; before the next one it is gone, and after the last one the lab."""
    strategy = request.param
    example = lab.up("triton-strategies", doubles(strategy), strategy=strategy)
    lab.forgive_slowness()
    if strategy == "blue_green":
        lab.shorten_soak()
    yield lab
    if strategy == "blue_green":
        example.destroy()


under_blue_green = pytest.mark.parametrize("served", ["blue_green"], indirect=True)
under_shadow = pytest.mark.parametrize("served", ["shadow"], indirect=True)


def previewed(client: Client) -> str:
    """Return which version answers whoever asks for the new one; none while its pods do not answer yet."""
    return infer_once(client, **PREVIEW)[1]


def seen(load: Inference) -> set[str]:
    """Return the versions that answered, where nothing failed."""
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    return {version for _, version in load.answers}


@under_blue_green
def test_a_preview_is_seen_by_whoever_asks_for_it_and_then_all_see_the_new_version(served):
    client = served.front.client(USER)
    with Inference(client) as load:
        ((_, old),) = set(load.more())
        new = str(served.publisher.publish(doubles("blue-green-good"), "blue-green-good")["version"])
        served.until(lambda: previewed(client) == new, READY)
        assert seen(load) == {old}
        served.until(lambda: set(load.more()) == {(200, new)}, TAKEN_OVER)
        served.reaches("Healthy", TAKEN_OVER)
    assert seen(load) == {old, new}


@under_blue_green
def test_a_version_that_all_see_and_that_answers_wrongly_goes_back_for_all(served):
    with Inference(served.front.client(USER)) as load:
        ((_, old),) = set(load.more())
        bad = str(served.publisher.publish(triples("blue-green-bad"), "blue-green-bad")["version"])
        served.reaches("Degraded", TAKEN_OVER)
        # Argo says so first, and then leads back.
        served.until(lambda: set(load.more()) == {(200, old)}, READY)
    assert seen(load) == {old, bad}
    assert KNOWN_ANSWERS not in load.products[bad]
    measured = served.decided_by("known-answers")
    assert (measured["count"], measured["failed"]) == (BAD, BAD)


def copies(served: Served, version: str) -> float:
    """Return how many requests the pods of a version have answered, by their own metrics."""
    total = 0.0
    for pod in served.pods():
        ready = any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())
        if ready and pod.metadata.annotations["falaj.dev/model-version"] == version:
            total += served.answered(pod)
    return total


@under_shadow
def test_copies_reach_a_version_in_the_shadow_until_it_takes_over_and_clients_see_nothing_of_it(served):
    with Inference(served.front.client(USER)) as load:
        ((_, old),) = set(load.more())
        new = str(served.publisher.publish(doubles("shadow-good"), "shadow-good")["version"])
        served.until(lambda: copies(served, new) > 0, READY)
        assert seen(load) == {old}
        served.until(lambda: set(load.more()) == {(200, new)}, TAKEN_OVER)
        served.reaches("Healthy", TAKEN_OVER)
    assert seen(load) == {old, new}
    assert set.union(*load.products.values()) == {KNOWN_ANSWERS}


@under_shadow
def test_no_client_ever_sees_an_answer_of_a_version_that_was_wrong_in_the_shadow(served):
    with Inference(served.front.client(USER)) as load:
        ((_, old),) = set(load.more())
        served.publisher.publish(triples("shadow-bad"), "shadow-bad")
        served.reaches("Degraded", TAKEN_OVER)
        load.more()
    assert seen(load) == {old}
    measured = served.decided_by("known-answers")
    assert (measured["count"], measured["failed"]) == (BAD, BAD)
