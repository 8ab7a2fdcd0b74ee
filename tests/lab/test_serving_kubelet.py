"""Pods that are processes: a real control plane binds them to the lab's node, and the lab's kubelet runs them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from falaj.lab.serving.node_api import ensure_identity
from falaj.lab.state import Lab
from falaj.lab.testing import RunningLab, person, temporary_lab

pytestmark = pytest.mark.lab

DEADLINE = 60.0
Manifest = dict[str, Any]

SERVER = """
import http.server, os, pathlib, signal, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(folder)])
def end(*_):
    (folder / "ended").write_text("gracefully")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = {"/told": (folder / "told").read_text(), "/pid": str(os.getpid()), "/home": os.environ["HOME"]}
        text = known.get(self.path, "")
        self.send_response(503 if self.path == "/ready" and (folder / "unready").exists() else 200)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8000), Handler).serve_forever()
"""

DEPLOYMENT: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"falaj.dev/model-version": "3"}},
            "spec": {
                "nodeSelector": {"falaj.dev/lab-processes": "true"},
                "tolerations": [{"key": "falaj.dev/lab-processes", "operator": "Exists", "effect": "NoSchedule"}],
                "terminationGracePeriodSeconds": 10,
                "initContainers": [
                    {
                        "name": "fetch",
                        "image": "registry.example/falaj/python:1",
                        "args": ["-c", "import os; open('/models/told', 'w').write(os.environ['TOLD'])"],
                        "env": [
                            {
                                "name": "VERSION",
                                "valueFrom": {
                                    "fieldRef": {"fieldPath": "metadata.annotations['falaj.dev/model-version']"}
                                },
                            },
                            {"name": "WORD", "valueFrom": {"configMapKeyRef": {"name": "words", "key": "word"}}},
                            {"name": "TOLD", "value": "$(WORD) $(VERSION)"},
                        ],
                        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
                    }
                ],
                "containers": [
                    {
                        "name": "server",
                        "image": "registry.example/falaj/python:1",
                        "args": ["-c", SERVER, "/models"],
                        "ports": [{"name": "http", "containerPort": 8000}],
                        "readinessProbe": {
                            "httpGet": {"path": "/ready", "port": "http"},
                            "periodSeconds": 1,
                            "failureThreshold": 2,
                        },
                        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
                        "resources": {"limits": {"nvidia.com/gpu": "1"}},
                    }
                ],
                "volumes": [{"name": "models", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}],
            },
        },
    },
}


class KubeletProcess:
    """The kubelet of a lab, started as its supervisor would."""

    def __init__(self, lab: RunningLab):
        self.root = lab.root
        self.start()

    def start(self) -> None:
        with (self.root / "logs" / "kubelet.log").open("ab") as log:
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


def kubectl(lab: RunningLab, *arguments: str, stdin: object = None) -> str:
    done = subprocess.run(
        [lab.root / "bin" / "kubectl", *arguments],
        env=lab.env,
        input=json.dumps(stdin) if stdin else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def until(lab: RunningLab, condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            log = (lab.root / "logs" / "kubelet.log").read_text()[-3000:]
            pytest.fail(f"{what} did not come to pass\n{kubectl(lab, 'get', 'pods', '-o', 'yaml')[-6000:]}\n{log}")
        time.sleep(0.2)


def pods(lab: RunningLab) -> list[Manifest]:
    return json.loads(kubectl(lab, "get", "pods", "-l", "app=web", "-o", "json"))["items"]


def is_ready(pod: Manifest) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def ready(lab: RunningLab) -> list[Manifest]:
    return [pod for pod in pods(lab) if is_ready(pod)]


def get(pod: Manifest, path: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{pod['status']['podIP']}:8000{path}", timeout=5) as answer:
        return answer.read().decode()


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
    kubectl(deployed, "rollout", "status", "deployment/web", "--timeout=30s")


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
    template = DEPLOYMENT["spec"]["template"]["spec"]
    container = {"name": "main", "image": "registry.example/nginx:1"}
    spec = {name: template[name] for name in ("nodeSelector", "tolerations")} | {"containers": [container]}
    kubectl(deployed, "apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alien"},
                                                 "spec": spec})  # fmt: skip

    def waiting() -> Manifest:
        told = json.loads(kubectl(deployed, "get", "pod", "alien", "-o", "json"))["status"]
        return told.get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {})

    until(deployed, lambda: waiting().get("reason") == "ErrImagePull", "a refused image")
    assert "registry.example/nginx" in waiting()["message"]
    kubectl(deployed, "delete", "pod", "alien", "--timeout=30s")


def test_a_program_reaches_the_api_server_as_its_service_account(deployed: RunningLab) -> None:
    template = DEPLOYMENT["spec"]["template"]["spec"]
    asks = (
        "import os, pathlib, ssl, sys, urllib.request as request\n"
        "own = pathlib.Path(sys.argv[1])\n"
        "url = 'https://%(KUBERNETES_SERVICE_HOST)s:%(KUBERNETES_SERVICE_PORT)s/version' % os.environ\n"
        "headers = {'Authorization': 'Bearer ' + (own / 'token').read_text()}\n"
        "context = ssl.create_default_context(cafile=own / 'ca.crt')\n"
        "opener = request.build_opener(request.ProxyHandler({}), request.HTTPSHandler(context=context))\n"
        "told = opener.open(request.Request(url, headers=headers), timeout=10).read().decode()\n"
        "pathlib.Path('/dev/termination-log').write_text(told)\n"
    )
    container = {
        "name": "main",
        "image": "registry.example/falaj/python:1",
        "args": ["-c", asks, "/var/run/secrets/kubernetes.io/serviceaccount"],
    }
    spec = {name: template[name] for name in ("nodeSelector", "tolerations")}
    spec |= {"containers": [container], "restartPolicy": "Never"}
    kubectl(deployed, "apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asks"},
                                                 "spec": spec})  # fmt: skip

    def told() -> Manifest:
        return json.loads(kubectl(deployed, "get", "pod", "asks", "-o", "json"))["status"]

    until(deployed, lambda: told()["phase"] in {"Succeeded", "Failed"}, "the end of a pod")
    assert told()["phase"] == "Succeeded", told()
    assert '"gitVersion"' in told()["containerStatuses"][0]["state"]["terminated"]["message"]
    kubectl(deployed, "delete", "pod", "asks", "--timeout=30s")


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
