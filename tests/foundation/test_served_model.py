"""A model on its whole way: signed, published, fetched, served behind the gateway, replaced, rolled back, refused.

Nothing is played here but the image, for which a program of this machine stands in: store and key are the lab's AWS,
the pods are processes with a real Triton, and Argo decides by what Envoy and Prometheus counted.
"""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from served_service import BAD, READY, TAKEN_OVER, Served, is_at_most, serving
from served_world import (
    NAME,
    TEAM,
    USER,
    Inference,
    fails,
    infer_once,
    is_ready_by_grpc,
    multiplies,
    shorten_analysis,
)

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        running.up("triton-canary", multiplies(2))
        shorten_analysis(running.cluster)
        yield running


def test_only_a_client_with_the_right_certificate_gets_the_models_answer(served):
    assert infer_once(served.front.client(USER)) == (200, "1", [2.0, 8.0])
    assert served.front.client().refused() != 200
    assert infer_once(served.front.client("another.vision.svc"))[0] == 403


def test_the_model_is_there_over_grpc_for_the_same_clients_alone(served):
    assert is_ready_by_grpc(served.front.client(USER), 1)
    assert not is_ready_by_grpc(served.front.client(USER), 2)
    with pytest.raises(grpc.RpcError) as refused:
        is_ready_by_grpc(served.front.client("another.vision.svc"), 1)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_good_version_takes_over_by_shares_and_no_request_fails(served):
    shares: set[int] = set()
    with Inference(served.front.client(USER)) as load:
        assert served.publisher.publish(multiplies(3), "second")["version"] == 2

        def done() -> bool:
            shares.add(served.share())
            return shares >= {5, 25, 50} and served.rollout()["status"]["phase"] == "Healthy"

        served.until(done, TAKEN_OVER)
        # The gateway follows what Argo wrote.
        served.until(lambda: set(load.more()) == {(200, "2")}, READY)
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    assert infer_once(served.front.client(USER)) == (200, "2", [3.0, 12.0])


def test_a_version_that_answers_errors_goes_back_by_itself(served):
    with Inference(served.front.client(USER)) as load:
        served.publisher.publish(fails(), "third")
        served.reaches("Degraded", TAKEN_OVER)
        served.until(lambda: served.share() == 0)
        # The gateway follows what Argo wrote; so many that not even its share of five percent could miss them.
        served.until(lambda: set(load.more(200)) == {(200, "2")}, READY)
    assert load.failures == []
    assert is_at_most(5, [status != 200 for status, _ in load.answers])
    measured = served.decided_by("errors")
    assert (measured["count"], measured["failed"]) == (BAD, BAD)


def test_the_audit_log_says_why_with_the_numbers_and_no_person_wrote_it(served):
    def decided() -> list[dict[str, Any]]:
        told = served.publisher.serve("history", "--store", served.publisher.store, "--name", NAME, "--json")
        assert told.returncode == 0, told.stderr
        events = json.loads(told.stdout)["events"]
        return [each for each in events if each["what"] == "refused" and each["version"] == 3]

    served.until(lambda: bool(decided()), READY)
    (event,) = decided()
    assert (event["decided_by"], event["stable"]) == ("argo-rollouts", 2)
    assert event["who"]["kubernetes"] == f"system:serviceaccount:{TEAM}:{NAME}-recorder"
    assert "assessed Failed" in event["why"]
    measured = [each for run in event["analyses"] for each in run["metrics"] if each["name"] == "errors"]
    # More than the one percent that is promised.
    assert max(float(value.strip("[]")) for each in measured for value in each["values"]) > 0.01


def test_a_version_with_a_wrong_signature_is_refused_before_it_is_loaded(served):
    def refusals() -> list[str]:
        pods = served.pods()
        steps = [each for pod in pods for each in pod.status.init_container_statuses or ()]
        ended = [state.terminated for each in steps for state in (each.state, each.last_state) if state.terminated]
        return [each.message for each in ended if each.exit_code == 3]

    with Inference(served.front.client(USER)) as load:
        served.publisher.publish(multiplies(9), "fourth", signed_by="other")
        served.until(lambda: bool(refusals()), READY)
        load.more()
    assert all(each.startswith("wrong-signature: ") for each in refusals())
    assert load.failures == []
    assert set(load.answers) == {(200, "2")}


def test_a_person_takes_the_service_back_at_once_but_to_no_version_that_was_refused(served):
    refused = served.publisher.roll_back("--to", "3")
    assert refused.returncode == 2
    assert "a version that the service gave up" in refused.stderr
    with Inference(served.front.client(USER)) as load:
        gone = served.publisher.roll_back()
        assert gone.returncode == 0, gone.stderr
        served.reaches("Healthy", READY)
        assert {version for _, version in load.more()} == {"2"}
        analyses = len(served.runs())
        gone = served.publisher.roll_back("--to", "1")
        assert gone.returncode == 0, gone.stderr
        served.until(lambda: set(load.more()) == {(200, "1")}, READY)
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    # Its pods were still there, and Argo let it in without measuring it again.
    assert len(served.runs()) == analyses
