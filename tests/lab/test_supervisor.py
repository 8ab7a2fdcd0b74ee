"""The supervisor with services that are small shell scripts."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from falaj.lab import supervisor
from falaj.lab.errors import LabError
from falaj.lab.services import Service
from falaj.lab.state import Lab
from falaj.lab.supervisor import Phase, Supervisor, last_words, rotate

DEADLINE = 20.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"SOON": 0.02, "CHECK": 0.05, "GRACE": 0.2, "HUNG": 0.6, "PATIENCE": 1.0}.items():
        monkeypatch.setattr(supervisor, name, seconds)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path / "lab")
    made.create()
    return made


def script(name: str, text: str = "exec sleep 60", *, first: str = "", **more: object) -> Service:
    """Return a service that is a shell script; it answers while its file ``<name>.up`` is there."""
    start = f"{first or 'true'}; echo {name} >> order; touch {name}.up; {text}"
    return Service(
        name,
        lambda _, __: ["/bin/sh", "-c", start],
        lambda lab: (lab.root / f"{name}.up").exists(),
        **more,  # pyright: ignore[reportArgumentType]
    )


@contextlib.asynccontextmanager
async def kept(lab: Lab, *services: Service) -> AsyncIterator[Supervisor]:
    """Run a supervisor; stop it at the end as SIGTERM does."""
    keeper = Supervisor(lab, services, {})
    run = asyncio.create_task(keeper.run())
    try:
        await asyncio.sleep(0)
        yield keeper
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(run, DEADLINE)


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.02)


def phase(keeper: Supervisor, name: str) -> Callable[[Phase], Callable[[], bool]]:
    return lambda wanted: lambda: keeper.status[name].phase == wanted


def test_a_service_is_started_when_what_it_needs_answers(lab: Lab) -> None:
    async def go() -> None:
        slow = script("store", first="sleep 0.5")
        async with kept(lab, script("server", needs=("store",)), slow) as keeper:
            await until(lambda: "waits for store" in keeper.status["server"].note)
            await until(phase(keeper, "server")(Phase.HEALTHY))
            assert (lab.root / "order").read_text().split() == ["store", "server"]

    asyncio.run(go())


def test_what_follows_a_start_is_done_again_after_each_start_and_before_others_rely_on_it(lab: Lab) -> None:
    done: list[str] = []

    async def go() -> None:
        first = script("store", after_start=lambda _: done.append("unsealed"))
        async with kept(lab, first, script("server", needs=("store",))) as keeper:
            await until(phase(keeper, "server")(Phase.HEALTHY))
            assert done == ["unsealed"]
            os.kill(keeper.status["store"].pid or 0, signal.SIGKILL)
            await until(lambda: len(done) == 2)
            await until(phase(keeper, "store")(Phase.HEALTHY))

    asyncio.run(go())


def test_what_cannot_follow_a_start_is_tried_again_and_told(lab: Lab) -> None:
    attempts: list[int] = []

    def fail_twice(_: Lab) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise LabError("not yet")

    async def go() -> None:
        async with kept(lab, script("one", after_start=fail_twice)) as keeper:
            await until(lambda: keeper.status["one"].note == "not yet")
            await until(phase(keeper, "one")(Phase.HEALTHY))

    asyncio.run(go())


def test_a_service_that_dies_comes_back(lab: Lab) -> None:
    async def go() -> None:
        async with kept(lab, script("one")) as keeper:
            await until(phase(keeper, "one")(Phase.HEALTHY))
            first = keeper.status["one"].pid
            os.kill(first or 0, signal.SIGKILL)
            await until(lambda: keeper.status["one"].restarts == 1 and keeper.status["one"].phase == Phase.HEALTHY)
            assert keeper.status["one"].pid != first

    asyncio.run(go())


def test_a_service_that_hangs_is_called_unhealthy_and_then_restarted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "HUNG", 600.0)  # at first: a look that comes late would pass over "unhealthy"

    async def go() -> None:
        async with kept(lab, script("one", "sleep 60", first="trap '' TERM")) as keeper:
            await until(phase(keeper, "one")(Phase.HEALTHY))
            (lab.root / "one.up").unlink()
            await until(phase(keeper, "one")(Phase.UNHEALTHY))
            monkeypatch.setattr(supervisor, "HUNG", 0.6)
            await until(lambda: keeper.status["one"].restarts == 1 and keeper.status["one"].phase == Phase.HEALTHY)

    asyncio.run(go())


def test_a_service_that_never_answers_is_restarted_after_its_deadline(lab: Lab) -> None:
    async def go() -> None:
        async with kept(lab, script("one", first="exec sleep 60", deadline=0.1)) as keeper:
            await until(lambda: "did not answer" in keeper.status["one"].note)
            await until(lambda: keeper.status["one"].restarts == 1)

    asyncio.run(go())


def test_a_service_that_keeps_dying_is_given_up_with_its_last_words_and_tried_again_when_asked(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTARTS", 2)

    async def go() -> None:
        broken = script("one", first="test -e mended || { echo no space left on device; echo bye; exit 3; }")
        async with kept(lab, broken, script("two")) as keeper:
            await until(phase(keeper, "one")(Phase.FAILED))
            assert keeper.status["one"].note.startswith("ended with status 3: no space left on device (2 times")
            await until(phase(keeper, "two")(Phase.HEALTHY))
            (lab.root / "mended").touch()
            os.kill(os.getpid(), signal.SIGHUP)
            await until(phase(keeper, "one")(Phase.HEALTHY))

    asyncio.run(go())


def test_a_program_that_is_missing_is_reported_and_the_others_are_kept(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "RESTARTS", 1)

    async def go() -> None:
        missing = Service("one", lambda _, __: ["/no/such/program"], lambda _: True)
        async with kept(lab, missing, script("two")) as keeper:
            await until(phase(keeper, "one")(Phase.FAILED))
            assert "/no/such/program" in keeper.status["one"].note
            await until(phase(keeper, "two")(Phase.HEALTHY))

    asyncio.run(go())


def test_services_are_stopped_in_the_reverse_order_and_nothing_stays(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "PATIENCE", DEADLINE / 2)  # who is killed tells no end
    pids: list[int] = []

    async def go() -> None:
        def told(name: str, **more: object) -> Service:
            trap = f"trap 'echo {name} >> end; exit 0' TERM"
            return script(name, "while :; do sleep 0.05; done", first=trap, **more)

        async with kept(lab, told("store"), told("server", needs=("store",))) as keeper:
            await until(phase(keeper, "server")(Phase.HEALTHY))
            pids.extend(status.pid or 0 for status in keeper.status.values())

    asyncio.run(go())
    assert (lab.root / "end").read_text().split() == ["server", "store"]
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    known = json.loads((lab.root / "run" / "services.json").read_text())
    assert {status["phase"] for status in known.values()} == {"stopped"}


def test_a_service_that_ignores_the_request_to_stop_is_killed(lab: Lab) -> None:
    pids: list[int] = []

    async def go() -> None:
        async with kept(lab, script("one", "while :; do sleep 1; done", first="trap '' TERM")) as keeper:
            await until(phase(keeper, "one")(Phase.HEALTHY))
            pids.append(keeper.status["one"].pid or 0)

    asyncio.run(go())
    assert not psutil.pid_exists(pids[0])


def test_nothing_of_the_persons_environment_reaches_a_service(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the person's own")

    async def go() -> None:
        one = script("one", first="env > seen", environment=lambda _: {"OWN": "yes"})
        async with kept(lab, one) as keeper:
            await until(phase(keeper, "one")(Phase.HEALTHY))

    asyncio.run(go())
    seen = (lab.root / "seen").read_text()
    assert "OWN=yes" in seen
    assert "AWS" not in seen


def test_the_supervisor_stops_when_its_lab_is_deleted(lab: Lab) -> None:
    async def go() -> None:
        keeper = Supervisor(lab, [script("one")], {})
        run = asyncio.create_task(keeper.run())
        await until(phase(keeper, "one")(Phase.HEALTHY))
        pid = keeper.status["one"].pid or 0
        lab.forget()
        await asyncio.wait_for(run, DEADLINE)
        assert not psutil.pid_exists(pid)

    asyncio.run(go())
    assert not lab.root.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_leaves_no_child() -> None:
    text = (
        "import asyncio, sys\n"
        "from falaj.lab.supervisor import die_with_me\n"
        "async def go():\n"
        "    child = await asyncio.create_subprocess_exec('sleep', '60', preexec_fn=die_with_me())\n"
        "    print(child.pid, flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(go())\n"
    )
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        parent.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        child.wait(DEADLINE)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_log_that_is_too_long_becomes_the_older_one_and_is_written_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOG_SIZE", 10)
    log = lab.folder("logs") / "one.log"
    with log.open("ab", buffering=0) as service:
        service.write(b"a long first part\n")
        rotate(lab)
        service.write(b"on\n")
    assert log.read_text() == "on\n"
    assert (lab.root / "logs" / "one.log.1").read_text() == "a long first part\n"


def test_the_last_words_are_the_latest_line_that_tells_something(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Error: first\nError: address in use\nusage: ...\n\n")
    assert last_words(log) == "Error: address in use"
    log.write_text("one\ntwo\n")
    assert last_words(log) == "two"
    log.write_text("")
    assert last_words(log) == "its log is empty"
