"""A model on its whole way: signed, published, fetched, served behind the gateway, replaced, rolled back, refused.

Nothing is played here but the image, for which a program of this machine stands in: store and key are the lab's AWS,
the pods are processes with a real Triton, and Argo decides by what Envoy and Prometheus counted.
"""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from examples import Example
from gpu_cluster import GpuCluster
from served_world import (
    ARGO,
    GATEWAY,
    NAME,
    TEAM,
    USER,
    Front,
    Inference,
    Publisher,
    fails,
    infer_once,
    is_ready_by_grpc,
    multiplies,
    shorten_analysis,
)

from falaj.lab.state import Lab
from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab

SERVICES = ["kwok", "kube-scheduler", "kube-controller-manager", "moto"]
READY, TAKEN_OVER = 120.0, 180.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with temporary_lab(tmp_path_factory.mktemp("served") / "state", only=SERVICES, serving=True) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(lab: RunningLab) -> GpuCluster:
    return GpuCluster(lab)


@pytest.fixture(scope="module")
def publisher(lab: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    return Publisher.new(lab, tmp_path_factory.mktemp("publisher"))


@pytest.fixture(scope="module")
def front(lab: RunningLab, cluster: GpuCluster, tmp_path_factory: pytest.TempPathFactory) -> Front:
    return Front.new(lab, cluster, tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def served(lab: RunningLab, cluster: GpuCluster, publisher: Publisher, front: Front) -> Front:
    """The first version, served as the example says."""
    first = publisher.publish(multiplies(2), "first", tried=False)
    assert first["version"] == 1
    given = {
        "lab": "true",
        "digest": first["manifest_digest"],
        "store": publisher.store,
        "key": publisher.key,
        "public-key": publisher.public_key,
        "prometheus": f"http://127.0.0.1:{Lab(lab.root).ports()['prometheus']}",
    }
    Example(lab, "triton-canary").up(**given)
    reaches(cluster, "Healthy", READY)
    cluster.until(lambda: answers(front), lambda: "no answer through the gateway", READY)
    shorten_analysis(cluster)
    return front


def answers(front: Front) -> bool:
    try:
        return infer_once(front.client(USER))[0] == 200
    except OSError:
        return False


def rollout(cluster: GpuCluster) -> Any:
    return cluster.custom.get_namespaced_custom_object(*ARGO, TEAM, "rollouts", NAME)


def reaches(cluster: GpuCluster, phase: str, within: float) -> None:
    """Wait until Argo says this of the newest version."""

    def there() -> bool:
        found = rollout(cluster)
        status = found.get("status", {})
        seen = str(found["metadata"]["generation"]) == status.get("observedGeneration")
        return seen and status.get("phase") == phase

    cluster.until(there, lambda: how_it_is(cluster), within)


def how_it_is(cluster: GpuCluster) -> str:
    """Return what explains a service that does not get on."""
    pods = cluster.core.list_namespaced_pod(TEAM).items
    states = [str(each.status.init_container_statuses) + str(each.status.container_statuses) for each in pods]
    measured = [json.dumps(each.get("status")) for each in runs(cluster)]
    return "\n".join([json.dumps(rollout(cluster)["status"]), *states, *measured])


def share(cluster: GpuCluster) -> int:
    route = cluster.custom.get_namespaced_custom_object(*GATEWAY, TEAM, "httproutes", NAME)
    return {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}[f"{NAME}-canary"]


def test_only_a_client_with_the_right_certificate_gets_the_models_answer(served):
    assert infer_once(served.client(USER)) == (200, "1", [2.0, 8.0])
    assert served.client().refused() != 200
    assert infer_once(served.client("another.vision.svc"))[0] == 403


def test_the_model_is_there_over_grpc_for_the_same_clients_alone(served):
    assert is_ready_by_grpc(served.client(USER), 1)
    assert not is_ready_by_grpc(served.client(USER), 2)
    with pytest.raises(grpc.RpcError) as refused:
        is_ready_by_grpc(served.client("another.vision.svc"), 1)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_good_version_takes_over_by_shares_and_no_request_fails(served, cluster, publisher):
    shares: set[int] = set()
    with Inference(served.client(USER)) as load:
        assert publisher.publish(multiplies(3), "second")["version"] == 2

        def done() -> bool:
            shares.add(share(cluster))
            return shares >= {5, 25, 50} and rollout(cluster)["status"]["phase"] == "Healthy"

        cluster.until(done, lambda: how_it_is(cluster), TAKEN_OVER)
        assert {version for _, version in load.more()[-10:]} == {"2"}
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    assert infer_once(served.client(USER)) == (200, "2", [3.0, 12.0])


def test_a_version_that_answers_errors_goes_back_by_itself(served, cluster, publisher):
    with Inference(served.client(USER)) as load:
        publisher.publish(fails(), "third")
        reaches(cluster, "Degraded", TAKEN_OVER)
        cluster.until(lambda: share(cluster) == 0, lambda: how_it_is(cluster))
        load.more()
        assert set(load.more()) == {(200, "2")}
    assert load.failures == []
    wrong = [status for status, _ in load.answers if status != 200]
    # Its share was 5 percent, and only while it was measured.
    assert 0 < len(wrong) < 0.1 * len(load.answers)
    assert "assessed Failed" in rollout(cluster)["status"]["message"]


def test_a_version_with_a_wrong_signature_is_refused_before_it_is_loaded(served, cluster, publisher):
    def refusals() -> list[str]:
        pods = cluster.core.list_namespaced_pod(TEAM).items
        steps = [each for pod in pods for each in pod.status.init_container_statuses or ()]
        ended = [state.terminated for each in steps for state in (each.state, each.last_state) if state.terminated]
        return [each.message for each in ended if each.exit_code == 3]

    with Inference(served.client(USER)) as load:
        publisher.publish(multiplies(9), "fourth", signed_by="other")
        cluster.until(lambda: bool(refusals()), lambda: how_it_is(cluster), READY)
        load.more()
    assert all(each.startswith("wrong-signature: ") for each in refusals())
    assert load.failures == []
    assert set(load.answers) == {(200, "2")}


def test_a_person_takes_the_service_back_at_once_but_to_no_version_that_was_refused(served, cluster, publisher):
    refused = publisher.roll_back("--to", "3")
    assert refused.returncode == 2
    assert "a version that the service gave up" in refused.stderr
    with Inference(served.client(USER)) as load:
        gone = publisher.roll_back()
        assert gone.returncode == 0, gone.stderr
        reaches(cluster, "Healthy", READY)
        assert {version for _, version in load.more()} == {"2"}
        analyses = len(runs(cluster))
        gone = publisher.roll_back("--to", "1")
        assert gone.returncode == 0, gone.stderr
        cluster.until(lambda: set(load.more()) == {(200, "1")}, lambda: how_it_is(cluster), READY)
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}
    # Its pods were still there, and Argo let it in without measuring it again.
    assert len(runs(cluster)) == analyses


def runs(cluster: GpuCluster) -> list[Any]:
    """Return the analyses that Argo made."""
    return cluster.custom.list_namespaced_custom_object(*ARGO, TEAM, "analysisruns")["items"]
