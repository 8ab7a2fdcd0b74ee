"""`falaj-serve watch` as a process: a published reference, mirrored requests, figures, one call of a webhook."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training.serving_world import WHO, World, new_world
from training.watch_world import MODEL, answering, asked, drawn, predicted, reference, said, with_reference

from falaj.training.lineage.signatures import FileSigner
from falaj.training.serving.publishing import publish
from falaj.training.serving.references import read_reference
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.verification import Trust
from falaj.training.watch.reference import REFERENCE
from falaj.training.watch.tensors import parsed

DEADLINE = 120.0
SERVE = str(Path(sys.executable).with_name("falaj-serve"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = new_world(tmp_path)
    model = made.changed(before_signing=lambda folder: with_reference(folder, reference().encoded()))
    publish(model, made.versions, made.keys, made.trust, who=WHO)
    return made


def triton(headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Answer as Triton does, as the published version."""
    features = parsed(body, int(headers["Inference-Header-Content-Length"]), "inputs").tensors["features"].array
    answer = {"model_name": MODEL, "model_version": "1", "outputs": [said("scores", predicted(features))]}
    return 200, {}, json.dumps(answer).encode()


class Watch:
    """A watch that runs."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log
        self.until(lambda: "metrics on port" in log.read_text() or process.poll() is not None, "a watch that listens")
        found = re.search(r"127\.0\.0\.1:(\d+), metrics on port (\d+)", log.read_text())
        assert found, log.read_text()
        self.port, self.metrics_port = map(int, found.groups())

    def mirror(self, features: np.ndarray[Any, Any]) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        headers = {"X-Forwarded-Client-Cert": "URI=spiffe://vision/salma", "Content-Type": "application/json"}
        connection.request("POST", f"/v2/models/{MODEL}/infer", asked(features), headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def figures(self) -> dict[str, float]:
        connection = HTTPConnection("127.0.0.1", self.metrics_port, timeout=DEADLINE)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come to pass: {self.log.read_text()}"
            time.sleep(0.05)


@contextmanager
def watching(world: World, *more: str) -> Generator[Watch]:
    log = world.base / "watch.log"
    about = [each for each in world.options() if each != "--name"]
    about.insert(about.index(MODEL), "--model")
    command = [SERVE, "watch", "--store", str(world.store.root), *about, "--port", "0", "--metrics-port", "0", *more]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, text=True, env={**os.environ})
    try:
        yield Watch(process, log)
    finally:
        process.terminate()
        try:
            assert process.wait(DEADLINE) == 0, log.read_text()
        finally:
            process.kill()


def events(world: World) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((world.store.root / MODEL / "audit").glob("*.json"))]


def test_shifted_requests_raise_the_index_and_call_the_webhook_once_even_after_a_restart(world: World) -> None:
    drifted = 'falaj_drift_found{column="features[0]",kind="input",model="income",version="1"}'
    samples = world.base / "samples"
    with answering(triton) as (service, questions), answering(lambda *_: (204, {}, b"")) as (hook, told):
        more = ["--ask", service, "--webhook", f"{hook}/retrain", "--every", "0.2", "--samples", str(samples)]
        with watching(world, *more) as watch:
            assert watch.mirror(drawn(5, 400)) == 202
            watch.until(lambda: watch.figures().get(drifted) == 0, "no drift")
            assert told == []
            for seed in range(4):
                watch.mirror(drawn(seed, 400, shift=2.0))
            watch.until(lambda: watch.figures().get(drifted) == 1, "drift")
            watch.until(lambda: told, "a call")
            index = drifted.replace("found", "index").replace("features[0]", "scores.largest")
            index = index.replace('"input"', '"prediction"')
            watch.until(lambda: watch.figures()[index] > 0.25, "drift of the predictions")
            counted = 'falaj_drift_requests_total{model="income"}'
            watch.until(lambda: watch.figures()[counted] == 5, "all requests are counted")
        with watching(world, *more) as watch:
            watch.mirror(drawn(9, 400, shift=2.0))
            watch.until(lambda: watch.figures().get(drifted) == 1, "drift")
        assert len(told) == 1
        assert len(questions) == 6
        assert all("x-forwarded-client-cert" not in headers for _, headers, _ in questions)
    crossed, after = events(world)
    assert (crossed["what"], crossed["version"], after["what"], after["status"]) == ("drift", 1, "drift-told", 204)
    assert json.loads(told[0][2])["id"] == after["crossing"]
    assert crossed["who"]["user"]
    kept = ended("samples", "--store", str(samples), *_about(world))
    assert kept.returncode == 0, kept.stderr
    lines = [json.loads(line) for line in kept.stdout.splitlines()]
    assert len(lines) == 6
    assert {each["version"] for each in lines} == {1}
    assert "salma" not in kept.stdout


def ended(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SERVE, *words], capture_output=True, text=True, timeout=DEADLINE, check=False)


def _about(world: World) -> list[str]:
    return ["--model", MODEL, "--tenant", "vision", "--key", f"file:{world.base / 'seal.key'}"]


def test_a_watch_that_nobody_told_whose_requests_they_are_does_not_begin(world: World) -> None:
    key = ["--public-key", str(world.base / "signing.pub")]
    found = ended("watch", "--store", str(world.store.root), *_about(world), *key)
    assert found.returncode == 2
    assert found.stderr.startswith("falaj-serve: --ask must be given, or --version")
    assert found.stderr.count("\n") == 1


def test_the_reference_is_read_without_the_model(world: World) -> None:
    (world.store.root / MODEL / "1" / "files" / "1" / "model.onnx").unlink()
    assert read_reference(world.versions, 1, world.keys, world.trust) == reference()


def test_a_version_that_was_exported_without_a_reference_has_none(world: World) -> None:
    publish(world.folder, world.versions, world.keys, world.trust, who=WHO)
    assert read_reference(world.versions, 2, world.keys, world.trust) is None


def test_a_reference_that_another_key_signed_is_refused(world: World) -> None:
    other = Trust(FileSigner(world.base / "other.pem").public_pem, world.trust.verdict)
    with pytest.raises(NotServedError) as found:
        read_reference(world.versions, 1, world.keys, other)
    assert found.value.reason == "wrong-signature"


def test_a_reference_that_was_taken_from_elsewhere_is_refused(world: World) -> None:
    place = world.store.root / MODEL / "1" / "files"
    (place / REFERENCE).write_bytes((place / "config.pbtxt").read_bytes())
    with pytest.raises(NotServedError) as found:
        read_reference(world.versions, 1, world.keys, world.trust)
    assert found.value.reason == "tampered"
