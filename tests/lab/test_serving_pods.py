"""A lab that serves: pods that are processes on the node that KWOK leaves alone, beside nodes that KWOK plays."""

import contextlib
import json
import os
import signal
import urllib.error
from collections.abc import Iterator

import psutil
import pytest
from serving_pods import SERVES, TRITON, Manifest, ask, is_ready, kubectl, read, until

from falaj.lab.serving import triton
from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab

PLAYED: Manifest = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "played", "labels": {"kubernetes.io/hostname": "played"}},
    "status": {name: {"cpu": "8", "memory": "8Gi", "pods": "10"} for name in ("capacity", "allocatable")},
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    only = ["kwok", "kube-scheduler", "kube-controller-manager"]
    with temporary_lab(tmp_path_factory.mktemp("pods") / "state", only=only, serving=True) as running:
        yield running


def test_kwok_plays_other_nodes_and_leaves_the_one_with_processes_alone(lab: RunningLab) -> None:
    kubectl(lab, "apply", "-f", "-", stdin=PLAYED)
    until(lab, lambda: read(lab, "serviceaccounts")["items"], "the account that pods run as")
    kubectl(lab, "apply", "-f", "-", stdin=SERVES)
    until(lab, lambda: is_ready(read(lab, "pod", "serves")), "a pod that serves")
    until(lab, lambda: is_ready(read(lab, "node", "played")), "a node that KWOK plays")
    kubectl(lab, "run", "played", "--image=registry.example/anything:1")
    until(lab, lambda: is_ready(read(lab, "pod", "played")), "a pod that KWOK plays")
    assert read(lab, "pod", "played")["spec"]["nodeName"] == "played"
    processes = read(lab, "node", "processes")
    assert processes["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("process://")
    assert processes["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    own = read(lab, "pod", "serves")["status"]
    assert own["podIP"].startswith("127.1.")
    assert own["containerStatuses"][0]["containerID"].startswith("process://")


@pytest.mark.skipif(triton.lacks() is not None, reason=triton.lacks() or "")
def test_triton_answers_at_the_address_of_its_pod_with_the_model_that_was_fetched(lab: RunningLab) -> None:
    kubectl(lab, "apply", "-f", "-", stdin=TRITON)
    until(lab, lambda: is_ready(read(lab, "pod", "triton")), "a ready Triton")
    address = read(lab, "pod", "triton")["status"]["podIP"]
    given = {"name": "given", "shape": [2], "datatype": "FP32", "data": [1.5, 4]}
    answer = json.loads(ask(f"http://{address}:8000/v2/models/double/infer", {"inputs": [given]}))
    assert answer["outputs"][0]["data"] == [3.0, 8.0]
    counted = 'nv_inference_request_success{model="double",version="1"} 1'
    until(lab, lambda: counted in ask(f"http://{address}:8002/metrics"), "a request that is counted, after its answer")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(f"http://{address}:8000/v2/repository/models/double/unload", {"parameters": {}})
    kubectl(lab, "delete", "pod", "triton", "--timeout=60s")


def test_a_killed_kubelet_comes_back_with_its_pods(lab: RunningLab) -> None:
    os.kill(lab.status()["lab-kubelet"]["pid"], signal.SIGKILL)

    def again() -> bool:
        pod = read(lab, "pod", "serves")
        return is_ready(pod) and pod["status"]["containerStatuses"][0]["restartCount"] >= 1

    until(lab, again, "the pod, started again")


def test_a_lab_that_is_stopped_leaves_no_process_of_a_pod(lab: RunningLab) -> None:
    def left() -> list[list[str]]:
        found: list[list[str]] = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if str(lab.root) in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.cmdline())
        return found

    assert any("http.server" in words for words in left())
    lab.run("down")
    until(lab, lambda: not left(), "the end of all processes")
