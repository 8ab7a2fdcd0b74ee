"""What TritonService tells Triton, told to a real one: it starts with it, and does what the words mean."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from recording import Recorder

from falaj.components import TritonService
from falaj.lab.serving import triton
from falaj.lab.state import Lab

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(triton.lacks() is not None, reason=triton.lacks() or ""),
]

PATIENCE = 120.0
ARGS = {
    "tenant": {"namespace": "vision", "labels": {"owner": "vision-team"}},
    "image": f"registry.example/nvidia/tritonserver@sha256:{'0123456789abcdef' * 4}",
    "gpus": 0,
    "response_cache": "64Mi",
    "rate_limits": {"copies": 1},
}
PROGRAM = """import os, sys
sys.path[:0] = os.environ["FALAJ_SERVING_PATH"].split(os.pathsep)
import triton_python_backend_utils as triton

class TritonPythonModel:
    def execute(self, requests):
        given = [triton.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [triton.InferenceResponse([triton.Tensor("y", 2 * each)]) for each in given]
"""
TWICE = """name: "twice" backend: "python" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [2] }
output { name: "y" data_type: TYPE_FP32 dims: [2] }
instance_group { count: 2 kind: KIND_CPU rate_limiter { resources { name: "copies" count: 1 } } }
dynamic_batching { max_queue_delay_microseconds: 1000 }
response_cache { enable: true }
"""
FOUR_TIMES = """name: "four-times" platform: "ensemble" max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [2] }
output { name: "y" data_type: TYPE_FP32 dims: [2] }
ensemble_scheduling {
  step { model_name: "twice" model_version: -1 input_map { key: "x" value: "x" } output_map { key: "y" value: "once" } }
  step { model_name: "twice" model_version: -1 input_map { key: "x" value: "once" } output_map { key: "y" value: "y" } }
}
"""


class Server:
    """A Triton that was told what the component's pod tells its own."""

    def __init__(self, process: subprocess.Popen[bytes], ports: dict[str, int]) -> None:
        self.process, self._ports = process, ports

    def ask(self, path: str, body: Any = None, port: str = "http") -> tuple[int, str]:
        """Return the status and the answer."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._ports[port]}{path}", content)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def infer(self, model: str) -> list[float]:
        """Return what a model makes of a pair of numbers."""
        given = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, -2]}
        status, answer = self.ask(f"/v2/models/{model}/infer", {"inputs": [given]})
        assert status == 200, answer
        return json.loads(answer)["outputs"][0]["data"]

    def is_ready(self) -> bool:
        """Say whether it has loaded everything."""
        assert self.process.poll() is None, "Triton ended"
        try:
            return self.ask("/v2/health/ready")[0] == 200
        except OSError:
            return False


def repository(folder: Path) -> Path:
    for name, config in (("twice", TWICE), ("four-times", FOUR_TIMES)):
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(config)
    (folder / "twice" / "1" / "model.py").write_text(PROGRAM)
    return folder


@contextmanager
def started(words: list[str], folder: Path) -> Generator[Server]:
    """Run Triton with a container's words, on ports that are free."""
    lab = Lab(folder / "lab")
    lab.create()
    # Kept for this lab: Triton listens when it has loaded everything, and another lab may draw ports meanwhile.
    ports = dict(lab.allocate_ports(("http", "grpc", "metrics")))
    given = [word for word in words[1:] if not word.startswith(tuple(f"--{name}-port=" for name in ports))]
    given += [word for name, port in ports.items() for word in (f"--{name}-address=127.0.0.1", f"--{name}-port={port}")]
    launch = triton.launch(lab)
    command = [*launch.command, *(word.replace("$(POD_UID)", "secret") for word in given)]
    with (folder / "triton.log").open("wb") as log:
        process = subprocess.Popen(command, env={"HOME": str(folder), **launch.environment}, stdout=log, stderr=log)
    try:
        yield Server(process, ports)
    finally:
        process.terminate()
        process.wait(60)


def until(holds: Callable[[], bool], folder: Path) -> None:
    """Wait until something holds; if it does not, what Triton has said in the folder is the message."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, (folder / "triton.log").read_text()
        time.sleep(0.2)


@pytest.fixture
def server(
    tmp_path: Path, run: Callable[[Callable[[], Any]], Any], engine: Recorder, providers: Callable[[], Any]
) -> Iterator[Server]:
    models = str(repository(tmp_path / "models"))
    run(lambda: TritonService("detector", {**ARGS, "model_repository": models}, providers()).url)
    (container,) = engine.one("Deployment")["spec"]["template"]["spec"]["containers"]
    with started(container["args"], tmp_path) as found:
        until(found.is_ready, tmp_path)
        yield found


def test_triton_takes_the_words_of_cache_and_rate_limiter_serves_an_ensemble_and_closes_what_clients_may_not(
    server: Server, tmp_path: Path
) -> None:
    def hit() -> bool:
        _, told = server.ask("/metrics", port="metrics")
        hits = [line for line in told.splitlines() if line.startswith('nv_cache_num_hits_per_model{model="twice"')]
        return 'quantile="0.99"' in told and [float(line.rpartition(" ")[2]) >= 1 for line in hits] == [True]

    assert server.infer("four-times") == [6.0, -8.0]
    assert server.infer("twice") == [3.0, -4.0]
    # The ensemble's first step has asked the same already; Triton counts a request when it has answered it.
    until(hit, tmp_path)
    status, answer = server.ask("/v2/repository/models/twice/unload", {})
    assert status == 403, answer
    assert server.infer("twice") == [3.0, -4.0]
