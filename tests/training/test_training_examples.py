"""The examples of the guide train, as whoever reads it would start them."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from training.runs import PATIENCE, Server, said, start

from falaj.training import events
from falaj.training.job import Job, load_job
from falaj.training.watch.reference import decoded

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

TABLES = """
[signing]
key = "file:signing.pem"
[gate.metrics]
accuracy = { minimum = 0.9 }
[export]
inputs = [{ name = "cells", shape = [30] }]
outputs = [{ name = "kinds", shape = [2], labels = ["malignant", "benign"] }]
[tracking]
[lineage]
"""


def test_the_classifier_is_trained_judged_signed_and_exported(tmp_path: Path) -> None:
    job = copied("training-tabular", tmp_path, "parallel.restarts=0")
    with job.path.open("a") as file:
        file.write(TABLES)
    public = signing_key(tmp_path)
    job = load_job(job.path, ["parallel.restarts=0"])
    code, out = done("run", job)
    assert code == 0, out
    assert "done: 280 steps" in out and "the gate's verdict is pass" in out and "exported to" in out
    model = job.folder / "models" / "tumours"
    assert (model / "1" / "model.onnx").exists()
    watched = decoded((model / "reference.json").read_bytes())
    judged = json.loads((job.folder / "verdict.json").read_text())["payload"]
    assert watched.data_digest == judged["data_digests"]["validation"], "it is of the data that the gate used"
    assert watched.outputs["kinds"].columns["kinds.largest"].labels == ("1", "0")
    code, out = done("run", job)
    assert code == 2 and "`falaj-train resume` goes on after step 280" in out and out.count("\n") == 1
    code, out = done("evaluate", job, "--set", "gate.metrics.accuracy.minimum=1.1")
    assert code == 3 and "the gate's verdict is fail" in out
    code, out = done("resume", job, "--set", "data.checks.tensors.0.maximum=0")
    assert code == 4, out
    code, out = lineage_of(job.folder / "models" / "tumours", public, tmp_path)
    assert code == 0 and "broken" not in out, out


def lineage_of(model: Path, key: Path, code: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "falaj.training.cli", "lineage", model, "--key", key, "--code", code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_the_transformer_learns_on_two_sharded_workers(tmp_path: Path, server: Server) -> None:
    sets = ("parallel.workers=2", "parallel.strategy=fsdp", "parallel.threads=1", "parallel.device=cpu")
    job = copied("training-text", tmp_path, *sets, "budget.steps=40", "report.every_steps=10")
    server.run(job)
    losses = [line["loss"] for line in events.read(job.folder) if line["event"] == "progress"]
    assert len(losses) == 4, said(job)
    assert losses[-1] < losses[0] - 1, losses


def copied(example: str, folder: Path, *sets: str) -> Job:
    """Copy an example as it is committed, with a key of its own."""
    ignored = shutil.ignore_patterns("runs", "checkpoints", "*.key", "__pycache__")
    shutil.copytree(EXAMPLES / example, folder, ignore=ignored, dirs_exist_ok=True)
    key = folder / "checkpoint.key"
    key.touch(0o600)
    key.write_bytes(base64.b64encode(os.urandom(32)))
    return load_job(folder / "job.toml", sets)


def signing_key(folder: Path) -> Path:
    """Make a key that signs, and return the file of its public half."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = folder / "signing.pem"
    private.touch(0o600)
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, none))
    public = folder / "signing.pub"
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, kind))
    return public


def done(command: str, job: Job, *more: str) -> tuple[int, str]:
    """Run the command line to its end; return its exit code, and all that it said."""
    process = start(command, job, *more)
    try:
        out, error = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, out + error
