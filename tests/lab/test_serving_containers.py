"""One container as a process: started again as its policy says, probed, and ended with grace."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from falaj.lab.serving import containers
from falaj.lab.serving.containers import Runner
from falaj.lab.serving.expansion import Mount
from falaj.lab.serving.preparation import Machine
from falaj.lab.serving.sessions import Sessions
from falaj.lab.serving.statuses import Container
from falaj.lab.state import Lab

DEADLINE = 40.0
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pods as processes need Linux")

COUNTS = "import pathlib, sys; p = pathlib.Path('/data/starts'); n = len(p.read_text()) if p.exists() else 0; "
COUNTS += "p.write_text('x' * (n + 1)); "
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('/data/up', 'w'); time.sleep(600)"
POLITE = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
    "open('/data/up', 'w'); time.sleep(600)"
)


class Mounted:
    """Volumes of which there is one, at /data."""

    def __init__(self, folder: Path):
        self.folder = folder

    def mounts(self, _: object) -> list[Mount]:
        return [Mount("/data", self.folder)]


class Bench:
    """A container on its own."""

    def __init__(self, folder: Path, code: str, policy: str, **spec: Any):
        self.data, self.told = folder / "data", list[str]()
        self.states: list[Container] = []
        self.spec = {"name": "main", "image": "falaj/python", "args": ["-c", code], **spec}
        self.folder, self.policy = folder, policy
        self.runner: Runner

    def run(self, during: Callable[["Bench"], Awaitable[None]] | None = None) -> int | None:
        async def all_of_it() -> int | None:
            for name in ("data", "sessions", "logs", "container", "lab"):
                (self.folder / name).mkdir()
            lab = Lab(self.folder / "lab")
            lab.allocate_ports(["kube-apiserver"])
            async with aiohttp.ClientSession() as session:
                none: Any = None
                sessions = Sessions(self.folder / "sessions")
                machine = Machine(lab, none, none, sessions, session, self.folder / "logs")
                pod = {"metadata": {"name": "web", "namespace": "vision", "uid": "u"}, "spec": {}}
                self.runner = Runner(
                    machine,
                    pod,
                    self.spec,
                    Container("main", "falaj/python"),
                    folder=self.folder / "container",
                    policy=self.policy,
                    on_change=lambda: self.states.append(self.runner.state),
                    tell=lambda _, reason, message: self.told.append(f"{reason}: {message}"),
                )
                volumes: Any = Mounted(self.data)
                keeping = asyncio.create_task(self.runner.keep(volumes, "127.1.0.9"))
                if during:
                    await during(self)
                return await asyncio.wait_for(keeping, DEADLINE)

        return asyncio.run(all_of_it())

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await asyncio.sleep(0.05)

    async def up(self) -> None:
        await self.until((self.data / "up").exists)


def test_what_may_not_be_started_again_tells_how_it_ended_and_why(tmp_path: Path) -> None:
    code = "open('/dev/termination-log', 'w').write('no such model'); raise SystemExit(3)"
    bench = Bench(tmp_path, code, "Never")
    assert bench.run() == 3
    ended = bench.runner.state.state["terminated"]
    assert (ended["reason"], ended["message"], bench.runner.state.restarts) == ("Error", "no such model", 0)


def test_the_end_of_the_log_is_the_reason_where_the_container_asks_for_that(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "raise SystemExit('it broke')", "Never", terminationMessagePolicy="FallbackToLogsOnError")
    assert bench.run() == 1
    assert "it broke" in bench.runner.state.state["terminated"]["message"]


def test_what_fails_is_started_again_until_it_succeeds(tmp_path: Path) -> None:
    bench = Bench(tmp_path, COUNTS + "sys.exit(n < 1)", "OnFailure")
    assert bench.run() == 0
    assert bench.runner.state.restarts == 1
    assert bench.runner.state.last["terminated"]["exitCode"] == 1


def test_what_keeps_failing_waits_longer_and_longer_and_can_be_ended_meanwhile(tmp_path: Path) -> None:
    bench = Bench(tmp_path, COUNTS + "sys.exit(1)", "Always")

    async def end_it_while_it_waits(bench: Bench) -> None:
        await bench.until(lambda: bench.runner.state.state.get("waiting", {}).get("reason") == "CrashLoopBackOff")
        await bench.runner.stop(5, "the pod ends")

    bench.run(end_it_while_it_waits)
    assert (bench.data / "starts").read_text() == "xx"
    assert bench.runner.state.restarts == 1
    assert "terminated" in bench.runner.state.last


def test_how_it_ended_last_is_kept_over_a_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "SHORTEST", 0.1)
    bench = Bench(tmp_path, COUNTS + "sys.exit(5 if n < 2 else 0)", "OnFailure")
    assert bench.run() == 0
    assert bench.runner.state.restarts == 2
    assert bench.runner.state.last["terminated"]["exitCode"] == 5
    assert any("CrashLoopBackOff" in str(state.state) for state in bench.states)


def test_who_is_asked_to_end_may_do_so_in_order(tmp_path: Path) -> None:
    async def end_it(bench: Bench) -> None:
        await bench.up()
        await bench.runner.stop(20, "the pod ends")

    assert Bench(tmp_path, POLITE, "Always").run(end_it) == 7


def test_who_does_not_end_within_the_grace_is_killed(tmp_path: Path) -> None:
    async def end_it(bench: Bench) -> None:
        await bench.up()
        await bench.runner.stop(0.5, "the pod ends")

    assert Bench(tmp_path, STUBBORN, "Always").run(end_it) == 128 + signal.SIGKILL


def test_a_hook_runs_before_the_end_with_the_paths_of_the_container(tmp_path: Path) -> None:
    hook = {"exec": {"command": [sys.executable, "-c", "open('/data/left', 'w').write('drained')"]}}
    bench = Bench(tmp_path, POLITE, "Always", lifecycle={"preStop": hook})

    async def end_it(bench: Bench) -> None:
        await bench.up()
        await bench.runner.stop(20, "the pod ends")

    assert bench.run(end_it) == 7
    assert (bench.data / "left").read_text() == "drained"


def test_what_fails_its_liveness_probe_is_started_again(tmp_path: Path) -> None:
    alive = {"exec": {"command": ["test", "!", "-e", "/data/stuck"]}, "periodSeconds": 0.1, "failureThreshold": 2}
    bench = Bench(tmp_path, POLITE, "Always", livenessProbe={**alive, "timeoutSeconds": 10})

    async def get_stuck_once(bench: Bench) -> None:
        await bench.up()
        (bench.data / "stuck").touch()
        await bench.until(lambda: any("liveness probe failed" in told for told in bench.told))
        (bench.data / "stuck").unlink()
        await bench.until(lambda: bench.runner.state.restarts == 1 and bench.runner.state.running)
        await bench.runner.stop(20, "the pod ends")

    bench.run(get_stuck_once)
    assert bench.runner.state.restarts == 1


def test_nobody_is_ready_before_the_startup_probe_has_passed(tmp_path: Path) -> None:
    counts = "echo >> /data/tries; test -e /data/go"
    started = {"exec": {"command": ["sh", "-c", counts]}, "periodSeconds": 0.1, "timeoutSeconds": 10}
    bench = Bench(tmp_path, POLITE, "Always", startupProbe={**started, "failureThreshold": 1000})

    async def let_it_go(bench: Bench) -> None:
        await bench.up()
        tries = bench.data / "tries"
        await bench.until(lambda: tries.exists() and len(tries.read_text()) > 1)  # the first of them has failed
        assert not bench.runner.started.is_set()
        assert not bench.runner.state.ready
        (bench.data / "go").touch()
        await bench.until(lambda: bench.runner.state.ready)
        await bench.runner.stop(20, "the pod ends")

    bench.run(let_it_go)
    assert any(state.started and state.ready for state in bench.states)
    assert not bench.runner.state.ready


def test_a_program_that_is_not_there_is_waited_for_and_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "", "Always", image="registry.example/nginx:1")

    async def end_it(bench: Bench) -> None:
        await bench.until(lambda: bench.states)
        await bench.runner.stop(1, "the pod ends")

    assert bench.run(end_it) is None
    assert bench.states[0].state["waiting"]["reason"] == "ErrImagePull"
    assert len(bench.told) == 1
