"""Workers and launchers are killed at random moments; nothing that was saved is lost, and the end has the same bits."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from training.runs import PATIENCE, Server, hold, let_go, said, since_start, start, step, until, write_job

from falaj.training import events
from falaj.training.job import Job
from falaj.training.launch import is_locked

PAUSE = "data.settings.pause=0.002"
Ending = Callable[[int], dict[str, Any]]


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Ending:
    """What runs that nothing disturbs end with, by their number of workers."""
    ends: dict[int, dict[str, Any]] = {}

    def of(workers: int) -> dict[str, Any]:
        if workers not in ends:
            job = write_job(tmp_path_factory.mktemp("whole") / "job", f"parallel.workers={workers}")
            server.run(job)
            ends[workers] = server.weights(job)
        return ends[workers]

    return of


@pytest.mark.bulk
@pytest.mark.parametrize("seed", range(20))
def test_a_kill_at_any_moment_changes_no_bit(seed: int, tmp_path: Path, server: Server, ending: Ending) -> None:
    chance = random.Random(seed)  # noqa: S311 - it picks moments
    workers = 1 + seed % 2
    job = write_job(tmp_path, f"parallel.workers={workers}", PAUSE)
    hold(job, 39)
    running = server.start(job)
    last, pause = chance.randrange(1, 38), chance.uniform(0, 0.04)
    until(lambda: step(job) >= last, f"step {last}")
    time.sleep(pause)
    # All of them go with the launcher; of two, often one goes alone, and the other must not wait for it.
    alone = workers == 2 and chance.random() < 0.7
    saved = [line["step"] for line in since_start(job) if line["event"] == "checkpoint"]
    running.kill([chance.randrange(2)] if alone else range(workers))
    let_go(job)
    codes = running.wait()
    assert all(codes), f"the kill came too late: {said(job)}"
    server.run(job)
    begun = since_start(job)[0]
    # Nothing that was durable is lost: at most one interval, and the save that was under way.
    assert begun["step"] >= max(saved, default=0)
    assert server.weights(job) == ending(workers)


def test_torchrun_starts_killed_workers_again_by_itself(tmp_path: Path, server: Server, ending: Ending) -> None:
    job = write_job(tmp_path, "parallel.workers=2", "data.settings.pause=0.01")
    hold(job, 20)  # before the checkpoint of step 21, and after step 23 of the next start
    with falaj_train("run", job) as launcher:
        # Who tells of step 15 has waited, at step 14, for the checkpoint of step 7 to be durable.
        for last, victim in ((15, 1), (23, 0)):
            until(lambda last=last: step(job) >= last or ended(launcher), f"step {last}")
            begins = starts(job)
            os.kill(workers_of(launcher)[victim], signal.SIGKILL)
            until(lambda begins=begins: starts(job) > begins or ended(launcher), "another start")
        let_go(job)
        out, _ = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 0, out
    assert starts(job) == 3
    first = next(line for line in events.read(job.folder) if line["event"] == "resume")
    assert first["step"] in (7, 14)
    assert server.weights(job) == ending(2)


def test_a_killed_launcher_takes_its_workers_along_and_the_run_is_resumed(
    tmp_path: Path, server: Server, ending: Ending
) -> None:
    job = write_job(tmp_path, "parallel.workers=2", "data.settings.pause=0.01")
    hold(job, 20)  # before the checkpoint of step 21
    with falaj_train("run", job) as launcher:
        until(lambda: step(job) >= 17 or ended(launcher), "step 17")
        workers = workers_of(launcher)
        assert len(workers) == 2
        launcher.kill()
        launcher.wait(PATIENCE)
        until(lambda: not any(alive(pid) for pid in workers), "the end of the workers")
        assert not is_locked(job.folder)
    let_go(job)
    with falaj_train("resume", job) as launcher:
        out, _ = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 0, out
    assert "goes on after step 14" in out or "goes on after step 7" in out
    assert server.weights(job) == ending(2)


def test_a_run_that_is_asked_to_stop_saves_where_it_is(tmp_path: Path, server: Server, ending: Ending) -> None:
    # Who asks it, and the launcher that passes it on, may be half a minute late.
    job = write_job(tmp_path, "parallel.restarts=0", "data.settings.pause=0.1")
    with falaj_train("run", job) as launcher:
        until(lambda: step(job) >= 3 or ended(launcher), "step 3")
        launcher.send_signal(signal.SIGTERM)
        out, error = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 128 + signal.SIGTERM, out + error
    stopped = events.read(job.folder)[-1]
    assert stopped["event"] == "stopped" and 3 <= stopped["step"] < 40
    assert f"stopped after step {stopped['step']}; `falaj-train resume` goes on from there" in error
    job = write_job(tmp_path, "parallel.restarts=0")
    with falaj_train("resume", job) as launcher:
        out, error = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 0, out + error
    assert f"goes on after step {stopped['step']} of 40" in out
    assert server.weights(job) == ending(1)


@contextlib.contextmanager
def falaj_train(command: str, job: Job) -> Iterator["subprocess.Popen[str]"]:
    """Run the command line, and end what is left of it afterwards."""
    process = start(command, job)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)


def ended(process: "subprocess.Popen[str]") -> bool:
    assert process.poll() is None, "".join(process.communicate(timeout=PATIENCE))
    return False


def starts(job: Job) -> int:
    return sum(line["event"] in ("begin", "resume") for line in events.read(job.folder))


def workers_of(launcher: "subprocess.Popen[str]") -> list[int]:
    """Return the processes below the launcher's torchrun that train."""
    (torchrun,) = children(launcher.pid)
    return children(torchrun)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return sorted(int(each) for each in text.split())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
