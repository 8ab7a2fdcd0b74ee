"""The runtime on a GPU, through its command line; skipped where torch sees none."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from training.runs import PATIENCE, Server, since_start, start, step, until, write_job

from falaj.training import events
from falaj.training.job import Job

DEVICE, PAUSE = "parallel.device=cuda", "data.settings.pause=0.003"
KINDS = {
    "fp32": ("precision.compute=fp32",),
    "bf16": ("precision.compute=bf16", "optimizer.accumulate=2"),
    "compiled": ("precision.compute=bf16", "precision.compile=true"),
    "loaded beside": ("data.processes=2",),
    "ddp": ("parallel.workers=2", "parallel.strategy=ddp"),
    "fsdp": ("parallel.workers=2", "parallel.strategy=fsdp", "precision.compute=bf16"),
}


@pytest.fixture(autouse=True)
def gpu() -> None:
    needs(1)


def needs(count: int) -> None:
    if torch.cuda.device_count() < count:
        pytest.skip(f"needs {count} GPU(s) that torch sees")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_killed_ends_with_the_same_bits(kind: str, tmp_path: Path, server: Server) -> None:
    sets = KINDS[kind]
    needs(2 if "parallel.workers=2" in sets else 1)
    whole, cut = (write_job(tmp_path / name, DEVICE, *sets, *more) for name, more in (("whole", ()), ("cut", (PAUSE,))))
    finished("run", whole)
    assert since_start(whole)[0]["device"] == "cuda"
    ended("run", cut, 17, signal.SIGKILL)
    finished("resume", cut)
    begun = since_start(cut)[0]
    assert begun["event"] == "resume" and begun["step"] >= 7 and begun["exact"]
    assert losses(cut) == losses(whole) and len(losses(cut)) == 40
    assert server.weights(cut) == server.weights(whole)


def test_a_run_that_is_asked_to_stop_saves_where_it_is(tmp_path: Path, server: Server) -> None:
    whole, job = write_job(tmp_path / "whole", DEVICE), write_job(tmp_path / "stopped", DEVICE, PAUSE)
    finished("run", whole)
    assert ended("run", job, 10, signal.SIGTERM) == 128 + signal.SIGTERM
    stopped = events.read(job.folder)[-1]
    assert stopped["event"] == "stopped" and 10 <= stopped["step"] < 40
    finished("resume", job)
    assert since_start(job)[0]["step"] == stopped["step"]
    assert server.weights(job) == server.weights(whole)


@pytest.mark.parametrize("compute", ["fp32", "bf16"])
def test_a_line_of_progress_tells_what_the_gpu_does(compute: str, tmp_path: Path) -> None:
    sets = (f"precision.compute={compute}", "report.peak_flops=1e6", "optimizer.batch_size=80")
    job = write_job(tmp_path, DEVICE, *sets)
    finished("run", job)
    *_, before, last = told(job)
    # Of each example 2 operations for each weight of 2 + 1 layers forward, and as many again for each of two gradients;
    # but the first layer's input needs none.
    weights = [6 * 6, 6 * 6, 6 * 3]
    assert last["mfu"] * 1e6 / last["samples_per_second"] == pytest.approx(6 * sum(weights) - 2 * weights[0], rel=0.05)
    assert 0 < last["memory_bytes"] < 2**30
    assert 0 < last["power_watts"] < 2000
    assert before["energy_joules"] <= last["energy_joules"] <= 2000 * last["seconds"]


def finished(command: str, job: Job) -> None:
    process = start(command, job)
    try:
        out, error = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, out + error


def ended(command: str, job: Job, last: int, number: signal.Signals) -> int:
    """Run a job, send a signal to its launcher after a step, and return its exit code."""
    process = start(command, job)
    try:
        until(lambda: step(job) >= last or process.poll() is not None, f"step {last}")
        process.send_signal(number)
        out, error = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode != 0, out + error
    return process.returncode


def losses(job: Job) -> dict[int, float]:
    """Return the loss of each step, as it was told last."""
    return {line["step"]: line["loss"] for line in told(job)}


def told(job: Job) -> list[dict[str, Any]]:
    return [line for line in events.read(job.folder) if line["event"] == "progress"]
