"""Pods for the lab's node of processes, and how tests deal with them."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from falaj.lab.testing import RunningLab

DEADLINE = 90.0
Manifest = dict[str, Any]

PLACE: Manifest = {
    "nodeSelector": {"falaj.dev/lab-processes": "true", "nvidia.com/gpu.present": "true"},
    "tolerations": [{"key": "falaj.dev/lab-processes", "operator": "Exists", "effect": "NoSchedule"}],
}
"""How a pod asks for the node whose pods are processes."""
PYTHON = "registry.example/falaj/python:1"

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
                **PLACE,
                "terminationGracePeriodSeconds": 60,
                "initContainers": [
                    {
                        "name": "fetch",
                        "image": PYTHON,
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
                        "image": PYTHON,
                        "args": ["-c", SERVER, "/models"],
                        "ports": [{"name": "http", "containerPort": 8000}],
                        "readinessProbe": {
                            "httpGet": {"path": "/ready", "port": "http"},
                            "periodSeconds": 1,
                            "timeoutSeconds": 10,
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

MODEL = """
import os, sys
sys.path[:0] = os.environ["FALAJ_SERVING_PATH"].split(os.pathsep)
import numpy
import triton_python_backend_utils as triton

class TritonPythonModel:
    def execute(self, requests):
        given = [triton.get_input_tensor_by_name(each, "given").as_numpy() for each in requests]
        return [triton.InferenceResponse([triton.Tensor("doubled", numpy.multiply(each, 2))]) for each in given]
"""
CONFIG = """
name: "double" backend: "python" max_batch_size: 0
input [{ name: "given" data_type: TYPE_FP32 dims: [-1] }]
output [{ name: "doubled" data_type: TYPE_FP32 dims: [-1] }]
"""
WRITE = (
    "import os, pathlib; own = pathlib.Path('/models/double/1'); own.mkdir(parents=True); "
    "(own / 'model.py').write_text(os.environ['MODEL']); "
    "(own.parent / 'config.pbtxt').write_text(os.environ['CONFIG'])"
)
CLOSED = "model-repository,shared-memory,trace,logging"
MOUNT = [{"name": "models", "mountPath": "/models"}]


def probe(state: str) -> Manifest:
    return {"httpGet": {"path": f"/v2/health/{state}", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 5}


TRITON: Manifest = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "triton"},
    "spec": {
        **PLACE,
        "initContainers": [
            {
                "name": "fetch",
                "image": PYTHON,
                "args": ["-c", WRITE],
                "env": [{"name": "MODEL", "value": MODEL}, {"name": "CONFIG", "value": CONFIG}],
                "volumeMounts": MOUNT,
            }
        ],
        "containers": [
            {
                "name": "triton",
                "image": "nvcr.io/nvidia/tritonserver@sha256:" + "0" * 64,
                "args": [
                    *("tritonserver", "--model-repository=/models", "--model-control-mode=explicit"),
                    *("--load-model=double", "--http-port=8000", "--grpc-port=8001", "--metrics-port=8002"),
                    *("--exit-on-error=true", "--exit-timeout-secs=5", "--metrics-config=summary_latencies=true"),
                    f"--http-restricted-api={CLOSED}:closed=$(POD_UID)",
                    f"--grpc-restricted-protocol={CLOSED}:closed=$(POD_UID)",
                ],
                "env": [{"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}],
                "ports": [{"name": "http", "containerPort": 8000}, {"name": "metrics", "containerPort": 8002}],
                "startupProbe": probe("live") | {"failureThreshold": 120},
                "readinessProbe": probe("ready"),
                "resources": {"limits": {"nvidia.com/gpu": "1"}},
                "volumeMounts": [
                    *MOUNT,
                    {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the pod's own, empty volume
                    {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108 - the same
                ],
            }
        ],
        "volumes": [
            {"name": name, "emptyDir": {"medium": "Memory"}} for name in ("models", "scratch", "shared-memory")
        ],
    },
}

SERVES: Manifest = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "serves"},
    "spec": {
        **PLACE,
        "containers": [
            {
                "name": "server",
                "image": PYTHON,
                "args": ["-m", "http.server", "8000", "--bind", "$(POD_IP)", "--directory", "/data"],
                "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "readinessProbe": {"httpGet": {"port": 8000}, "periodSeconds": 1},
                "resources": {"limits": {"nvidia.com/gpu": "1"}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}


def one_pod(name: str, **spec: object) -> Manifest:
    """Return a pod for the node whose pods are processes."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {**PLACE, **spec}}


def kubectl(lab: RunningLab, *arguments: str, stdin: object = None) -> str:
    """Run kubectl as the lab's person; what it refuses fails the test."""
    done = subprocess.run(
        [lab.root / "bin" / "kubectl", *arguments],
        env=lab.env,
        input=json.dumps(stdin) if stdin else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(lab: RunningLab, *what: str) -> Manifest:
    """Return what the API server knows of one object, or of a list."""
    return json.loads(kubectl(lab, "get", *what, "-o", "json"))


def until(lab: RunningLab, condition: Callable[[], object], what: str) -> None:
    """Wait for something to come to pass; when it does not, say how the pods are and what the kubelet said."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            log = (lab.root / "logs" / "lab-kubelet.log").read_text()[-3000:]
            pytest.fail(f"{what} did not come to pass\n{kubectl(lab, 'describe', 'pods')[-5000:]}\n{log}")
        time.sleep(0.2)


def is_ready(pod: Manifest) -> bool:
    """Say whether a pod or node is ready."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def ask(url: str, body: Manifest | None = None) -> str:
    """Ask a server on loopback, past all proxies."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, json.dumps(body).encode() if body else None, timeout=60) as answer:
        return answer.read().decode()
