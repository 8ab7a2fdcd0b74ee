"""Exports are served by a real Triton with the Python backend alone, as the lab's: whole, in batches, within bounds."""

import json
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training.export_examples import TEXT, section, text, trained
from training.runs import until

from falaj.lab.serving import triton
from falaj.lab.state import Lab
from falaj.lab.tools import ensure
from falaj.training.export.folder import Module, export
from falaj.training.export.serve import cpus, threads
from falaj.training.export.served import reference

pytestmark = pytest.mark.skipif(triton.lacks() is not None, reason=triton.lacks() or "")

READY = 300.0
SECOND = 1_000_000
TABULAR, LANGUAGE, NARROW = (
    section(format="python", name="tabular", instances=2, queue_delay_microseconds=SECOND),
    section(format="python", threads=1, **TEXT),
    section(format="python", name="narrow", queue_size=2, queue_delay_microseconds=SECOND),
)
TEXTS = text()


@dataclass(frozen=True)
class Served:
    """A server on loopback."""

    ports: triton.Ports
    log: Path

    def ask(self, path: str, body: dict[str, Any] | None = None) -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        data = None if body is None else json.dumps(body).encode()
        with opener.open(f"http://127.0.0.1:{self.ports.http}/v2/{path}", data, timeout=60) as answer:
            return answer.read().decode()

    def infer(self, model: str, **inputs: np.ndarray) -> np.ndarray:
        """Return the model's one output."""
        kinds = {"float32": "FP32", "int64": "INT64"}
        given = [
            {"name": name, "datatype": kinds[str(each.dtype)], "shape": list(each.shape), "data": each.ravel().tolist()}
            for name, each in inputs.items()
        ]
        (output,) = json.loads(self.ask(f"models/{model}/infer", {"inputs": given}))["outputs"]
        return np.array(output["data"], np.float32).reshape(output["shape"])

    def statistics(self, model: str) -> dict[str, Any]:
        (found,) = json.loads(self.ask(f"models/{model}/stats"))["model_stats"]
        return found


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository of three exports."""
    folder = tmp_path_factory.mktemp("repository") / "models"
    for module, given in ((trained(), TABULAR), (TEXTS, LANGUAGE), (trained(), NARROW)):
        export(module, given, folder)
    return folder


@pytest.fixture(scope="module", params=["numpy-of-the-wheel", "numpy-of-training"])
def server(models: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Served]:
    """A server of them, started as the lab starts it: with NumPy 1, and with NumPy 2, which trains."""
    packages = [] if request.param == "numpy-of-the-wheel" else [Path(sysconfig.get_path("purelib"))]
    folder = tmp_path_factory.mktemp("triton")
    ensure([triton.TOOL])
    lab = Lab(folder / "lab")
    lab.create()
    served = Served(triton.Ports(**lab.allocate_ports(["http", "grpc", "metrics"])), folder / "log")
    command = triton.serve(lab, models, served.ports).command
    environment = dict(triton.launch(lab, packages).environment)
    with served.log.open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + READY
        while not is_ready(served):
            assert process.poll() is None and time.monotonic() < deadline, served.log.read_text()[-5000:]
            time.sleep(0.2)
        yield served
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def is_ready(server: Served) -> bool:
    try:
        server.ask("health/ready")
    except OSError:
        return False
    return True


def expected(module: Module, given: Any, **inputs: np.ndarray) -> np.ndarray:
    (answer,) = reference(module.module, given)(
        {name: torch.from_numpy(each) for name, each in inputs.items()}
    ).values()
    return answer.numpy()


def test_a_model_answers_as_its_module_does(server: Served) -> None:
    rows = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    found = server.infer("tabular", features=rows)
    np.testing.assert_allclose(found, expected(trained(), TABULAR, features=rows), rtol=1e-4, atol=1e-5)
    for size, length in ((1, 3), (4, 17)):
        tokens = np.random.default_rng(2).integers(0, 40, (size, length))
        found = server.infer("text", tokens=tokens)
        np.testing.assert_allclose(found, expected(TEXTS, LANGUAGE, tokens=tokens), rtol=1e-3, atol=1e-4)
    assert "Traceback" not in server.log.read_text()


def test_strangers_requests_are_computed_together_and_each_gets_its_own_answer(server: Served) -> None:
    rows = np.random.default_rng(3).normal(size=(16, 1, 6)).astype(np.float32)
    before = server.statistics("tabular")
    with ThreadPoolExecutor(len(rows)) as callers:
        found = list(callers.map(lambda row: server.infer("tabular", features=row), rows))
    for row, answer in zip(rows, found, strict=True):
        np.testing.assert_allclose(answer, expected(trained(), TABULAR, features=row), rtol=1e-4, atol=1e-5)

    def counted(name: str) -> int:
        return server.statistics("tabular")[name] - before[name]

    until(lambda: counted("inference_count") >= len(rows), "requests that are counted, after their answers")
    assert counted("inference_count") == len(rows)
    assert counted("execution_count") < len(rows)


def test_what_waits_is_bounded_and_what_comes_then_is_refused_at_once(server: Served) -> None:
    """Those that wait are answered; nobody waits for a server that is flooded."""
    row = np.ones((1, 6), np.float32)

    def status() -> int:
        try:
            server.infer("narrow", features=row)
        except urllib.error.HTTPError as error:
            assert "Exceeds maximum queue size" in error.read().decode()
            return error.code
        return 200

    with ThreadPoolExecutor(7) as callers:
        told = list(callers.map(lambda _: status(), range(7)))
    assert set(told) == {200, 503}


def test_what_the_model_does_not_take_is_refused_and_it_goes_on_serving(server: Served) -> None:
    for wrong in (np.ones((1, 7), np.float32), np.ones((9, 6), np.float32), np.ones((1, 6), np.int64)):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            server.infer("tabular", features=wrong)
    assert server.infer("tabular", features=np.ones((8, 6), np.float32)).shape == (8, 3)


def test_copies_share_the_cpus_unless_they_are_told_how_many_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("falaj.training.export.serve.cpus", lambda: 6)
    assert threads({"instance_group": [{"count": 1}]}) == 6
    assert threads({"instance_group": [{"count": 2}, {"count": 2}]}) == 1
    assert threads({"instance_group": [{"count": 64}]}) == 1
    told = {"intra_op_thread_count": {"string_value": "3"}}
    assert threads({"instance_group": [{"count": 2}], "parameters": told}) == 3


@pytest.mark.parametrize(
    ("limit", "count"), [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8)]
)
def test_a_containers_limit_counts_not_the_machines_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, count: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert cpus(tmp_path / "cpu.max") == count
    assert cpus(tmp_path / "none") == 8
