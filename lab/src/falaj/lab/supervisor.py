"""Keeps the services of one lab running: a detached process that starts, checks, restarts and stops them.

`falaj.lab.control` starts it and reads what it writes: ``run/supervisor.json`` (itself) and ``run/services.json``.
SIGTERM stops every service, in the reverse order of what they need; SIGHUP tries again those that were given up.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import http.client
import json
import logging
import os
import re
import shutil
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import BinaryIO

from falaj.lab.errors import LabError
from falaj.lab.processes import record
from falaj.lab.service import Binaries, Service
from falaj.lab.services import services_of
from falaj.lab.state import Lab, append_private, write_private

SOON = 0.2
"""Seconds between the checks of a service that does not answer yet."""
CHECK = 2.0
"""Seconds between the checks of one that did."""
GRACE = 6.0
"""Seconds without an answer for which one that did is still called healthy: a busy machine makes checks late."""
HUNG = 60.0
"""Seconds without an answer after which a service that did answer is restarted."""
PATIENCE = 15.0
"""Seconds that a service has to end after it was asked to."""
RESTARTS = 5
WINDOW = 300.0
"""A service that ended ``RESTARTS`` times within ``WINDOW`` seconds is given up, and reported."""
LOG_SIZE = 10 << 20
"""Bytes after which a service's log becomes its one older log."""

TELLING = re.compile("error|fatal|panic|cannot|no space", re.IGNORECASE)
"""What a line that says why a service ended most likely holds."""
PR_SET_PDEATHSIG = 1

logger = logging.getLogger("falaj.lab.supervisor")


class Phase(StrEnum):
    """Where a service is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Status:
    """What is known of a service; written to ``run/services.json`` at each change."""

    phase: Phase = Phase.WAITING
    note: str = ""
    since: float = 0.0
    pid: int | None = None
    created: float = 0.0
    restarts: int = 0


class Supervisor:
    """One lab's services, each kept by a coroutine of its own."""

    def __init__(self, lab: Lab, services: Sequence[Service], binaries: Binaries):
        self.lab = lab
        self.services = services
        self.binaries = binaries
        self.status = {service.name: Status(since=time.time()) for service in services}
        self.ready = {service.name: asyncio.Event() for service in services}
        self.stopped = {service.name: asyncio.Event() for service in services}
        self.retry = asyncio.Event()
        # Checks block; services are started from this thread alone, since a child ends with the thread that made it.
        self.threads = ThreadPoolExecutor(len(services))

    async def run(self) -> None:
        """Keep every service until SIGTERM, or until the lab's folder is gone; then stop them all."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.retry.set)
        keepers = [asyncio.create_task(self.keep(service)) for service in self.services]
        while not stop.is_set() and self.lab.exists():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CHECK)
            rotate(self.lab)
        logger.info("stopping")
        await asyncio.gather(*map(self.stop, self.services, keepers))
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def keep(self, service: Service) -> None:
        """Run a service again and again; give it up when it ends too often, until it is asked for again."""
        ends: deque[float] = deque(maxlen=RESTARTS)
        while True:
            while missing := [need for need in service.needs if not self.ready[need].is_set()]:
                self.change(service, phase=Phase.WAITING, note=f"waits for {missing[0]}")
                await self.ready[missing[0]].wait()
            why = await self.run_once(service)
            logger.warning("%s %s", service.name, why)
            now = time.monotonic()
            ends.append(now)
            lately = sum(now - end < WINDOW for end in ends)
            if lately >= RESTARTS:
                self.change(service, phase=Phase.FAILED, note=f"{why} ({lately} times within {WINDOW:.0f} s)", pid=None)
                self.retry.clear()
                await self.retry.wait()
                ends.clear()
            else:
                self.change(service, phase=Phase.WAITING, note=why, pid=None)
                await asyncio.sleep(min(0.5 * 2 ** (lately - 1), 8))
            self.change(service, phase=Phase.WAITING, restarts=self.status[service.name].restarts + 1)

    async def run_once(self, service: Service) -> str:
        """Start a service, watch it to its end, and say why it ended."""
        try:
            process = await self.start(service)
        except Exception as error:
            logger.exception("%s cannot be started", service.name)
            return f"cannot be started: {error}"
        try:
            return await self.watch(service, process)
        finally:
            self.ready[service.name].clear()
            await end(process)

    async def start(self, service: Service) -> Process:
        """Start a service's process, with an environment of its own: nothing of the person's leaks into it."""
        if service.before_start:
            prepare = partial(service.before_start, self.lab, self.binaries)
            await asyncio.get_running_loop().run_in_executor(self.threads, prepare)
        kept = ("PATH", "LANG", "TZ", "GOGC", "GOMEMLIMIT")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {"HOME": str(self.lab.folder("run", "home")), **service.environment(self.lab)}
        with append_private(log_path(self.lab, service.name)) as log:
            process = await asyncio.create_subprocess_exec(
                *service.command(self.lab, self.binaries),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.lab.folder(*service.folder),
                env=environment,
                preexec_fn=die_with_me(),
            )
        self.change(service, phase=Phase.STARTING, note="", **record(process.pid))
        return process

    async def watch(self, service: Service, process: Process) -> str:
        """Check a running service until it ends or hangs; say which."""
        exited = asyncio.ensure_future(process.wait())
        name, answered, last_answer = service.name, False, time.monotonic()
        while True:
            problem = await self.check(service, first=not answered)
            if exited.done():
                return f"ended with {outcome(exited.result(), log_path(self.lab, name))}"
            silent = time.monotonic() - last_answer
            if problem is None:
                answered, last_answer = True, time.monotonic()
                self.ready[name].set()
                self.change(service, phase=Phase.HEALTHY, note="")
            elif silent > (HUNG if answered else service.deadline):
                return f"did not answer for {silent:.0f} s: {problem}"
            elif not answered:
                self.change(service, note=problem)
            elif silent > GRACE:
                self.ready[name].clear()
                self.change(service, phase=Phase.UNHEALTHY, note=problem)
            await asyncio.wait({exited}, timeout=SOON if problem else CHECK)

    async def check(self, service: Service, *, first: bool) -> str | None:
        """Ask a service whether it works, and do what follows its start; return what is wrong, or None."""

        def ask() -> str | None:
            works = service.answers if first else service.healthy or service.answers
            if not works(self.lab):
                return "does not answer as it should"
            if first and service.after_start:
                service.after_start(self.lab)
            return None

        try:
            return await asyncio.get_running_loop().run_in_executor(self.threads, ask)
        except (OSError, http.client.HTTPException, LabError) as error:
            return str(error) or type(error).__name__
        except Exception as error:
            # A check is the lab's own code: its fault is reported like the service's, and the others are kept.
            logger.exception("the check of %s failed", service.name)
            return f"{type(error).__name__}: {error}"

    async def stop(self, service: Service, keeper: asyncio.Task[None]) -> None:
        """Stop a service after all that need it."""
        dependents = [other.name for other in self.services if service.name in other.needs]
        await asyncio.gather(*(self.stopped[name].wait() for name in dependents))
        keeper.cancel()
        await asyncio.wait({keeper})
        self.change(service, phase=Phase.STOPPED, note="", pid=None)
        self.stopped[service.name].set()

    def change(self, service: Service, **changes: object) -> None:
        """Note a change in a service's state, for whoever asks."""
        old = self.status[service.name]
        new = replace(old, **changes)  # pyright: ignore[reportArgumentType] (the names are Status's fields)
        if new == old:
            return
        if new.phase != old.phase:
            new = replace(new, since=time.time())
            logger.info("%s is %s%s", service.name, new.phase, f": {new.note}" if new.note else "")
        self.status[service.name] = new
        self.save("services.json", {name: asdict(status) for name, status in self.status.items()})

    def save(self, name: str, content: object) -> None:
        """Write a file for the commands to read; a full disk must not stop the services."""
        if self.lab.exists():
            try:
                write_private(self.lab.folder("run") / name, json.dumps(content, indent=2))
            except LabError as error:
                logger.error("%s", error)


def die_with_me() -> Callable[[], None] | None:
    """Return what a child does before it becomes the service: ask the kernel to end it with the supervisor.

    Only Linux can; elsewhere the next `up` or `down` stops what a killed supervisor left, by its record.
    """
    if sys.platform != "linux":
        return None
    libc, supervisor = ctypes.CDLL(None), os.getpid()

    def ask_the_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)  # it ended just before the kernel was asked

    return ask_the_kernel


async def end(process: Process) -> None:
    """Stop a child: asked first, killed when it does not end."""
    for stop in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), PATIENCE)


def outcome(code: int, log: Path) -> str:
    """Say how a process ended, and why as far as its log tells; one that was killed had no time to say."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}: {last_words(log)}"


def log_path(lab: Lab, service: str) -> Path:
    """Return where a service's output is kept."""
    return lab.folder("logs") / f"{service}.log"


def last_words(log: Path) -> str:
    """Return the line of a log's end that most likely says why its service ended."""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if TELLING.search(line)]
        return ((telling or lines or ["its log is empty"])[-1])[:300]
    return "its log cannot be read"


def rotate(lab: Lab) -> None:
    """Keep each log's latest part and one older: the service writes on, at the end of a file made empty."""
    for log in (lab.root / "logs").glob("*.log"):
        with contextlib.suppress(OSError):
            # The API server rotates its audit log itself.
            if not log.name.startswith("kube-apiserver-audit") and log.stat().st_size > LOG_SIZE:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)


def hold_lock(lab: Lab) -> BinaryIO:
    """Become the lab's one supervisor, for as long as the returned file is open."""
    file = append_private(lab.folder("run") / "supervisor.lock")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another supervisor keeps this lab")
    return file


def main() -> None:
    """Keep the lab whose folder is the one argument; the plan beside it names the binaries."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    lab = Lab(Path(sys.argv[1]))
    with hold_lock(lab):
        plan = json.loads((lab.root / "run" / "plan.json").read_text())
        binaries = {name: Path(path) for name, path in plan["binaries"].items()}

        async def keep() -> None:
            supervisor = Supervisor(lab, services_of(lab), binaries)
            supervisor.save("services.json", {})
            supervisor.save("supervisor.json", {**record(os.getpid()), "plan": plan["digest"]})
            await supervisor.run()

        asyncio.run(keep())


if __name__ == "__main__":
    main()
