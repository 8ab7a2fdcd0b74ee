"""Processes in the place of containers: nothing that they start outlives them, whoever is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from falaj.lab.processes import record
from falaj.lab.serving.leftovers import end_recorded, members
from falaj.lab.serving.sessions import Sessions

DEADLINE = 30.0
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(float(sys.argv[2]))
sys.exit(3)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pods as processes need Linux")


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_process_has_started_ends_with_it(tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    sessions.mkdir()

    async def start_and_wait() -> int:
        session = await Sessions(sessions).start(
            [sys.executable, "-c", PARENT, str(tmp_path / "child"), "0"], {}, tmp_path, subprocess.DEVNULL
        )
        assert json.loads((sessions / str(session.process.pid)).read_text())["pid"] == session.process.pid
        return await session.ended()

    assert asyncio.run(start_and_wait()) == 3
    assert not lives(int((tmp_path / "child").read_text()))
    assert not list(sessions.iterdir())


def test_a_process_has_only_the_environment_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the person's own")
    said = tmp_path / "said"

    async def start_and_wait() -> None:
        with said.open("wb") as output:
            command = [sys.executable, "-c", "import os; print(sorted(os.environ))"]
            session = await Sessions(tmp_path).start(command, {"POD_IP": "127.1.0.9"}, tmp_path, output)
        assert await session.ended() == 0

    asyncio.run(start_and_wait())
    assert "POD_IP" in said.read_text()
    assert "AWS" not in said.read_text()


def test_a_signal_that_comes_with_the_end_does_not_take_the_exit_code_away(tmp_path: Path) -> None:
    async def start_and_kill() -> int:
        session = await Sessions(tmp_path).start(["sleep", "600"], dict(os.environ), tmp_path, subprocess.DEVNULL)
        enough = time.monotonic() + 0.1
        while time.monotonic() < enough:
            session.signal(signal.SIGKILL)
        return await session.ended()

    assert {asyncio.run(start_and_kill()) for _ in range(10)} == {128 + signal.SIGKILL}


KUBELET = """
import asyncio, subprocess, sys
from pathlib import Path
from falaj.lab.serving.sessions import Sessions
async def main():
    folder = Path(sys.argv[1])
    sessions = Sessions(folder / "sessions")
    guard = asyncio.create_task(sessions.guard())
    await sessions.start([sys.executable, "-c", PARENT, str(folder / "child"), "600"], {}, folder, subprocess.DEVNULL)
    while not (folder / "child").exists() or not (folder / "child").read_text():
        await asyncio.sleep(0.05)
    print("started", flush=True)
    await guard
asyncio.run(main())
"""


def test_when_the_kubelet_is_killed_its_guard_ends_what_its_processes_had_started(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    program = f"PARENT = {PARENT!r}\n{KUBELET}"
    kubelet = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert kubelet.stdout
        assert kubelet.stdout.readline() == "started\n"
        child = int((tmp_path / "child").read_text())
        until(lambda: len(psutil.Process(kubelet.pid).children()) == 2)
        assert lives(child)
    finally:
        kubelet.kill()
        kubelet.wait()
    until(lambda: not lives(child))
    until(lambda: not list((tmp_path / "sessions").iterdir()))


def test_a_session_whose_number_has_passed_on_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        known = record(stranger.pid)
        assert [process.pid for process in members(known)] == [stranger.pid]
        known["created"] += 100  # what the record names was started after the stranger: it is not that
        (tmp_path / str(stranger.pid)).write_text(json.dumps(known))
        assert end_recorded(tmp_path) == 0
        assert stranger.poll() is None
        assert os.getsid(stranger.pid) == stranger.pid
    finally:
        stranger.kill()
        stranger.wait()
