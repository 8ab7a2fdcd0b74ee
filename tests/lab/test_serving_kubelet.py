"""Pods that are processes: a real control plane binds them to the lab's node, and the lab's kubelet runs them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from serving_pods import DEPLOYMENT, PYTHON, Manifest, ask, is_ready, kubectl, one_pod, read, until

from falaj.lab.serving.node_api import ensure_identity
from falaj.lab.state import Lab
from falaj.lab.testing import RunningLab, person, temporary_lab

pytestmark = pytest.mark.lab


ASKS = """
import os, pathlib, ssl, sys, urllib.request as request
own = pathlib.Path(sys.argv[1])
url = "https://%(KUBERNETES_SERVICE_HOST)s:%(KUBERNETES_SERVICE_PORT)s/version" % os.environ
headers = {"Authorization": "Bearer " + (own / "token").read_text()}
context = ssl.create_default_context(cafile=own / "ca.crt")
opener = request.build_opener(request.ProxyHandler({}), request.HTTPSHandler(context=context))
told = opener.open(request.Request(url, headers=headers), timeout=60).read().decode()
pathlib.Path("/dev/termination-log").write_text(told)
"""


class KubeletProcess:
    """The kubelet of a lab, started as its supervisor would."""

    def __init__(self, lab: RunningLab):
        self.root = lab.root
        self.start()

    def start(self) -> None:
        with (self.root / "logs" / "lab-kubelet.log").open("ab") as log:
            command = [sys.executable, "-P", "-m", "falaj.lab.serving.kubelet", str(self.root)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=person())

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    only = ["kube-scheduler", "kube-controller-manager"]
    with temporary_lab(tmp_path_factory.mktemp("kubelet") / "state", only=only) as running:
        ensure_identity(Lab(running.root))
        yield running


@pytest.fixture(scope="module")
def kubelet(lab: RunningLab) -> Iterator[KubeletProcess]:
    started = KubeletProcess(lab)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


def pods(lab: RunningLab) -> list[Manifest]:
    return read(lab, "pods", "-l", "app=web")["items"]


def ready(lab: RunningLab) -> list[Manifest]:
    return [pod for pod in pods(lab) if is_ready(pod)]


def get(pod: Manifest, path: str) -> str:
    return ask(f"http://{pod['status']['podIP']}:8000{path}")


def server(pod: Manifest) -> Manifest:
    (status,) = pod["status"]["containerStatuses"]
    return status


def folder_of(lab: RunningLab, pod: Manifest) -> Path:
    return lab.root / "data" / "pods" / pod["metadata"]["uid"]


def processes_of(lab: RunningLab) -> list[str]:
    """Return the command lines of all processes that have a path of the pods' folder among their words."""
    found: list[str] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if str(lab.root / "data" / "pods") in words and process.status() != psutil.STATUS_ZOMBIE:
                found.append(words[-120:])
    return found


@pytest.fixture(scope="module")
def deployed(lab: RunningLab, kubelet: KubeletProcess) -> RunningLab:
    del kubelet
    kubectl(lab, "create", "configmap", "words", "--from-literal=word=model")
    kubectl(lab, "apply", "-f", "-", stdin=DEPLOYMENT)
    until(lab, lambda: len(ready(lab)) == 2, "two ready pods")
    return lab


def test_pods_serve_at_addresses_of_their_own_what_their_init_container_has_written(deployed: RunningLab) -> None:
    addresses = {pod["status"]["podIP"] for pod in ready(deployed)}
    assert len(addresses) == 2
    assert all(address.startswith("127.1.") for address in addresses)
    assert {get(pod, "/told") for pod in ready(deployed)} == {"model 3"}
    assert all(get(pod, "/home").startswith(str(folder_of(deployed, pod))) for pod in ready(deployed))
    kubectl(deployed, "rollout", "status", "deployment/web", "--timeout=60s")


def test_the_node_is_bound_by_the_node_authorizer(deployed: RunningLab) -> None:
    own = ["--kubeconfig", str(deployed.root / "pki" / "node-processes.kubeconfig")]
    for arguments in (("get", "secrets", "-n", "kube-system"), ("delete", "node", "processes"), ("get", "pods", "-A")):
        with pytest.raises(AssertionError, match=r"forbidden|can only"):
            kubectl(deployed, *own, *arguments)
    with pytest.raises(AssertionError, match="not allowed to modify taints"):
        kubectl(deployed, *own, "taint", "node", "processes", "falaj.dev/lab-processes-")


def test_a_killed_process_is_started_again_and_counted(deployed: RunningLab) -> None:
    (pod, *_) = ready(deployed)
    name, pid = pod["metadata"]["name"], int(get(pod, "/pid"))
    os.kill(pid, signal.SIGKILL)

    def counted() -> bool:
        now = next((each for each in ready(deployed) if each["metadata"]["name"] == name), None)
        return now is not None and server(now)["restartCount"] == 1

    until(deployed, counted, "a restart")
    now = next(each for each in ready(deployed) if each["metadata"]["name"] == name)
    assert server(now)["lastState"]["terminated"]["exitCode"] == 128 + signal.SIGKILL
    assert get(now, "/told") == "model 3"
    assert int(get(now, "/pid")) != pid


def test_what_fails_its_readiness_probe_is_not_ready_until_it_passes(deployed: RunningLab) -> None:
    (pod, *_) = ready(deployed)
    switch = folder_of(deployed, pod) / "volumes" / "models" / "unready"
    switch.touch()
    until(deployed, lambda: len(ready(deployed)) == 1, "one pod that is not ready")
    (unready,) = [each for each in pods(deployed) if not is_ready(each)]
    assert unready["metadata"]["name"] == pod["metadata"]["name"]
    assert unready["status"]["phase"] == "Running"
    switch.unlink()
    until(deployed, lambda: len(ready(deployed)) == 2, "both pods ready again")


def test_a_killed_kubelet_takes_its_processes_along_and_the_next_one_starts_them_again(
    deployed: RunningLab, kubelet: KubeletProcess
) -> None:
    before = {pod["metadata"]["uid"]: server(pod)["restartCount"] for pod in ready(deployed)}
    assert processes_of(deployed)
    kubelet.process.kill()
    kubelet.process.wait(timeout=10)
    until(deployed, lambda: not processes_of(deployed), "the end of what the kubelet had started")
    kubelet.start()

    def again() -> bool:
        counts = {pod["metadata"]["uid"]: server(pod)["restartCount"] for pod in ready(deployed)}
        return counts == {uid: count + 1 for uid, count in before.items()}

    until(deployed, again, "both pods, started once more")
    assert {get(pod, "/told") for pod in ready(deployed)} == {"model 3"}
    assert all(server(pod)["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown" for pod in ready(deployed))
    inits = [pod["status"]["initContainerStatuses"][0] for pod in ready(deployed)]
    assert [each["restartCount"] for each in inits] == [0, 0]


def test_an_image_that_nothing_stands_in_for_is_told_as_one_that_cannot_be_pulled(deployed: RunningLab) -> None:
    alien = one_pod("alien", containers=[{"name": "main", "image": "registry.example/nginx:1"}])
    kubectl(deployed, "apply", "-f", "-", stdin=alien)

    def waiting() -> Manifest:
        told = read(deployed, "pod", "alien")["status"]
        return told.get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {})

    until(deployed, lambda: waiting().get("reason") == "ErrImagePull", "a refused image")
    assert "registry.example/nginx" in waiting()["message"]
    kubectl(deployed, "delete", "pod", "alien", "--timeout=60s")


def test_a_program_reaches_the_api_server_as_its_service_account(deployed: RunningLab) -> None:
    container = {"name": "main", "image": PYTHON, "args": ["-c", ASKS, "/var/run/secrets/kubernetes.io/serviceaccount"]}
    kubectl(deployed, "apply", "-f", "-", stdin=one_pod("asks", containers=[container], restartPolicy="Never"))

    def told() -> Manifest:
        return read(deployed, "pod", "asks")["status"]

    until(deployed, lambda: told()["phase"] in {"Succeeded", "Failed"}, "the end of a pod")
    assert told()["phase"] == "Succeeded", told()
    assert '"gitVersion"' in told()["containerStatuses"][0]["state"]["terminated"]["message"]
    kubectl(deployed, "delete", "pod", "asks", "--timeout=60s")


def test_scaled_to_nothing_the_processes_end_with_grace_and_leave_nothing(
    deployed: RunningLab, kubelet: KubeletProcess
) -> None:
    kept = deployed.root / "kept"
    kept.mkdir()
    for pod in ready(deployed):  # a second name of the file, which outlives the pod's folder
        note = folder_of(deployed, pod) / "volumes" / "models" / "ended"
        note.touch()
        os.link(note, kept / pod["metadata"]["name"])
    kubectl(deployed, "scale", "deployment/web", "--replicas=0")
    until(deployed, lambda: not pods(deployed), "the end of all pods")
    assert [note.read_text() for note in kept.iterdir()] == ["gracefully", "gracefully"]
    until(deployed, lambda: not processes_of(deployed), "the end of all processes")
    until(
        deployed,
        lambda: [path.name for path in (deployed.root / "data" / "pods").iterdir()] == ["addresses.json"],
        "the removal of the pods' folders",
    )
    assert json.loads((deployed.root / "data" / "pods" / "addresses.json").read_text()) == {}
    assert kubelet.stop() == 0
    assert not list((deployed.root / "run" / "kubelet").iterdir())
