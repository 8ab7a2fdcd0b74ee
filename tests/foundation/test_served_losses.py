"""What clients notice when processes die, pods go and nodes are drained: nothing, under load and in one lab."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from served_models import doubles
from served_service import READY, Served, serving
from served_world import TEAM, USER, Inference

pytestmark = pytest.mark.lab

NODES = ("processes", "processes-2")
REPLICAS = 2


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("losses"), nodes=len(NODES)) as running:
        running.up("triton-strategies", doubles(seconds=0.05))
        yield running


def ready(served: Served) -> list[Any]:
    """Return the pods that answer and are to go on."""
    return [
        pod
        for pod in served.pods()
        if pod.metadata.deletion_timestamp is None
        and any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())
    ]


def restarts(pod: Any) -> int:
    return pod.status.container_statuses[0].restart_count


def complain_of_nothing(load: Inference) -> None:
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}


def test_nobody_notices_that_tritons_process_is_killed_with_requests_in_it(served):
    with Inference(served.front.client(USER), clients=4) as load:
        load.more()
        for name in [pod.metadata.name for pod in ready(served)]:
            (pod,) = (each for each in ready(served) if each.metadata.name == name)
            process = int(pod.status.container_statuses[0].container_id.removeprefix("process://").split("-")[0])
            os.kill(process, signal.SIGKILL)

            def again(name: str = name) -> bool:
                return any(pod.metadata.name == name and restarts(pod) == 1 for pod in ready(served))

            served.until(again, READY)
            # The new process has been asked: the gateway knows of it.
            served.until(lambda pod=pod: served.answered(pod) > 0, READY)
            load.more()
    complain_of_nothing(load)
    assert len(ready(served)) == REPLICAS


def test_nobody_notices_that_a_pod_is_deleted(served):
    before = {pod.metadata.name for pod in ready(served)}
    with Inference(served.front.client(USER), clients=4) as load:
        load.more()
        gone = min(before)
        served.cluster.core.delete_namespaced_pod(gone, TEAM)

        def replaced() -> bool:
            return len(ready(served)) == REPLICAS and gone not in {pod.metadata.name for pod in served.pods()}

        served.until(replaced, READY)
        load.more()
    complain_of_nothing(load)


def test_nobody_notices_that_both_nodes_are_drained_one_after_the_other(served):
    with Inference(served.front.client(USER), clients=4) as load:
        load.more()
        told = [drain(served, node) for node in NODES]
        load.more()
    complain_of_nothing(load)
    assert {pod.spec.node_name for pod in ready(served)} == {NODES[0]}
    # All pods were on the second one by then, and its drain had to wait for what the budget lets go.
    assert "would violate the pod's disruption budget" in told[1]


def drain(served: Served, node: str) -> str:
    """Drain a node as a person does, let it be used again, and return what kubectl said."""
    words = ["--delete-emptydir-data", "--ignore-daemonsets", f"--timeout={READY:g}s"]
    with subprocess.Popen(
        ["kubectl", "drain", node, *words],
        env=dict(served.lab.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as draining:
        while draining.poll() is None:
            assert len(ready(served)) >= REPLICAS - 1
            time.sleep(0.2)
        assert draining.stdout
        told = draining.stdout.read()
    assert draining.returncode == 0, told
    served.until(lambda: len(ready(served)) == REPLICAS, READY)
    assert node not in {pod.spec.node_name for pod in ready(served)}
    subprocess.run(["kubectl", "uncordon", node], env=dict(served.lab.env), check=True, timeout=60)
    return told
