"""A lab that serves: real tools progress a rollout, measure it, route and compute."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from falaj.lab.loopback import ask
from falaj.lab.serving import triton
from falaj.lab.serving.services import SERVING
from falaj.lab.state import Lab
from falaj.lab.testing import RunningLab, temporary_lab

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    # KWOK overlooks nodes without labels when some are not its own.
    "metadata": {"name": "simulated", "labels": {"kubernetes.io/hostname": "simulated"}},
    "status": {name: {"cpu": "8", "memory": "32Gi", "pods": "50"} for name in ("capacity", "allocatable")},
}


def backends(kind: str) -> dict[str, Any]:
    refs = [{"name": "web", "port": 80}, {"name": "web-canary", "port": 80, "weight": 0}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "team"},
        "spec": {"parentRefs": [{"name": "none"}], "rules": [{"backendRefs": refs}]},
    }


def service(name: str) -> dict[str, Any]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "team"}, "spec": spec}


def analysis(prometheus: int, condition: str) -> dict[str, Any]:
    asked = {"address": f"http://127.0.0.1:{prometheus}", "query": 'max_over_time(up{job="prometheus"}[1m])'}
    metric = {"name": "up", "successCondition": condition, "provider": {"prometheus": asked}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "web", "namespace": "team"},
        "spec": {"metrics": [metric]},
    }


ROLLOUT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "web", "namespace": "team"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {
            "canary": {
                "stableService": "web",
                "canaryService": "web-canary",
                "trafficRouting": {
                    "plugins": {
                        "argoproj-labs/gatewayAPI": {"httpRoutes": [{"name": "web"}], "grpcRoutes": [{"name": "web"}]}
                    }
                },
                "steps": [{"setWeight": 25}, {"pause": {}}, {"analysis": {"templates": [{"templateName": "web"}]}}],
            }
        },
        "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {"falaj.dev/model-version": "1"}},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        },
    },
}


def kubectl(lab: RunningLab, *words: str, given: object = None) -> str:
    done = subprocess.run(
        lab.command("exec", "--", "kubectl", *words),
        input=None if given is None else json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def within(seconds: float, look: Callable[[], Any], wanted: object) -> None:
    """Wait until what is looked at is as wanted."""
    deadline = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"{seen} instead of {wanted} after {seconds} s"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    only = ("kube-controller-manager", "kube-scheduler", "kwok")
    with temporary_lab(tmp_path_factory.mktemp("serving") / "state", only=only, serving=True) as running:
        yield running


def weights(lab: RunningLab, kind: str) -> list[int]:
    route = json.loads(kubectl(lab, "-n", "team", "get", kind, "web", "-o", "json"))
    return [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]


def phase(lab: RunningLab) -> str:
    return kubectl(lab, "-n", "team", "get", "rollout", "web", "-o", "jsonpath={.status.phase}")


def new_version(lab: RunningLab, version: str) -> None:
    change: Mapping[str, Any] = {"metadata": {"annotations": {"falaj.dev/model-version": version}}}
    patch = json.dumps({"spec": {"template": change}})
    kubectl(lab, "-n", "team", "patch", "rollout", "web", "--type=merge", f"--patch={patch}")


def go_on(lab: RunningLab) -> None:
    status = '{"status": {"pauseConditions": null}}'
    kubectl(lab, "-n", "team", "patch", "rollout", "web", "--type=merge", "--subresource=status", f"--patch={status}")


@pytest.mark.lab
def test_the_real_controller_moves_weights_of_routes_and_judges_by_prometheus(serving: RunningLab) -> None:
    kubectl(serving, "create", "namespace", "team")
    port = Lab(serving.root).ports()["prometheus"]
    for manifest in (
        NODE,
        service("web"),
        service("web-canary"),
        backends("HTTPRoute"),
        backends("GRPCRoute"),
        analysis(port, "result[0] == 1"),
        ROLLOUT,
    ):
        kubectl(serving, "apply", "-f", "-", given=manifest)
    within(120, lambda: phase(serving), "Healthy")
    assert weights(serving, "httproute") == [100, 0]

    new_version(serving, "2")
    within(120, lambda: weights(serving, "httproute"), [75, 25])
    within(60, lambda: weights(serving, "grpcroute"), [75, 25])
    sets = json.loads(kubectl(serving, "-n", "team", "get", "replicasets", "-o", "json"))["items"]
    assert len(sets) == 2
    within(60, lambda: phase(serving), "Paused")

    go_on(serving)
    within(120, lambda: phase(serving), "Healthy")
    within(60, lambda: weights(serving, "httproute"), [100, 0])

    kubectl(serving, "apply", "-f", "-", given=analysis(port, "result[0] == 2"))
    new_version(serving, "3")
    within(120, lambda: phase(serving), "Paused")
    go_on(serving)
    within(120, lambda: phase(serving), "Degraded")
    within(60, lambda: weights(serving, "httproute"), [100, 0])


def query(lab: RunningLab, name: str) -> list[tuple[dict[str, str], str]]:
    """Return the labels and the value of each series of a metric."""
    port = Lab(lab.root).ports()["prometheus"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={name}", timeout=60) as answer:
        found = json.load(answer)["data"]["result"]
    return [(each["metric"], each["value"][1]) for each in found]


@pytest.mark.lab
def test_prometheus_answers_about_itself_and_its_neighbours(serving: RunningLab) -> None:
    def up() -> dict[str, str]:
        return {labels["job"]: value for labels, value in query(serving, "up") if labels["job"] != "pods"}

    within(60, up, {"prometheus": "1", "argo-rollouts": "1", "envoy": "1"})


METRICS = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"answers_given 42\\n")
http.server.HTTPServer((os.environ["POD_IP"], 8002), Handler).serve_forever()
"""
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "told", "namespace": "default", "labels": {"app.kubernetes.io/instance": "credit"}},
    "spec": {
        "nodeSelector": {"falaj.dev/lab-processes": "true"},
        "tolerations": [{"key": "falaj.dev/lab-processes", "operator": "Exists"}],
        "containers": [
            {
                "name": "python",
                "image": "falaj/python:1",
                "args": ["-c", METRICS],
                "ports": [{"name": "metrics", "containerPort": 8002}],
            }
        ],
    },
}


@pytest.mark.lab
def test_prometheus_finds_the_metrics_of_pods_with_their_labels(serving: RunningLab) -> None:
    kubectl(serving, "apply", "-f", "-", given=POD)

    def given() -> list[tuple[str, ...]]:
        wanted = ("app_kubernetes_io_instance", "namespace", "pod")
        return [tuple(labels[name] for name in wanted) for labels, _ in query(serving, "answers_given")]

    within(120, given, [("credit", "default", "told")])
    kubectl(serving, "delete", "pod", "told", "--wait=false")


@pytest.mark.lab
def test_envoy_lives_and_nobody_on_this_machine_can_end_it(serving: RunningLab) -> None:
    lab = Lab(serving.root)
    assert ask(lab, "envoy", "GET", "/ready", authority=None, timeout=60) == (200, b"LIVE\n")
    assert ask(lab, "envoy", "GET", "/stats?type=TextReadouts", authority=None, timeout=60)[0] == 200
    assert ask(lab, "envoy", "POST", "/quitquitquit", authority=None, timeout=60)[0] == 403
    assert ask(lab, "envoy", "GET", "/ready", authority=None, timeout=60) == (200, b"LIVE\n")


MODEL = """import os, sys
sys.path[:0] = [place for place in os.environ["FALAJ_SERVING_PATH"].split(os.pathsep) if place]
import triton_python_backend_utils as backend

class TritonPythonModel:
    def execute(self, requests):
        given = [backend.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [backend.InferenceResponse([backend.Tensor("y", 2 * each)]) for each in given]
"""
CONFIG = """name: "twice"
backend: "python"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [2] }
output { name: "y" data_type: TYPE_FP32 dims: [2] }
instance_group { count: 1 kind: KIND_CPU }
"""


@pytest.mark.lab
@pytest.mark.skipif(triton.lacks() is not None, reason=triton.lacks() or "")
def test_triton_answers_with_what_a_python_model_computes(serving: RunningLab, tmp_path: Path) -> None:
    (tmp_path / "models" / "twice" / "1").mkdir(parents=True)
    (tmp_path / "models" / "twice" / "1" / "model.py").write_text(MODEL)
    (tmp_path / "models" / "twice" / "config.pbtxt").write_text(CONFIG)
    lab, names = Lab(serving.root), ("triton-http", "triton-grpc", "triton-metrics")
    drawn = lab.allocate_ports(names)  # kept until Triton listens there, which takes it a while
    ports = triton.Ports(*(drawn[name] for name in names))
    found = triton.serve(lab, tmp_path / "models", ports)
    server = subprocess.Popen(found.command, env={"HOME": str(tmp_path), **found.environment})

    def ready() -> bool:
        assert server.poll() is None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{ports.http}/v2/health/ready", timeout=5):
                return True
        except OSError:
            return False

    try:
        within(120, ready, wanted=True)
        given = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, -2]}]}
        asked = urllib.request.Request(
            f"http://127.0.0.1:{ports.http}/v2/models/twice/infer", json.dumps(given).encode()
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - loopback
            assert json.load(answer)["outputs"][0]["data"] == [3.0, -4.0]
    finally:
        server.terminate()
        server.wait(60)


@pytest.mark.lab
def test_all_of_it_goes_away_at_down(serving: RunningLab) -> None:
    running = serving.status()
    assert {service.name for service in SERVING} <= set(running)
    serving.run("down")
    assert {view["state"] for view in serving.status().values()} == {"stopped"}

    def left() -> list[str]:
        words = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
        return [line for line in words if f"{serving.root}/" in line]

    within(60, left, [])  # the kubelet's guard and what services have started themselves end after them
