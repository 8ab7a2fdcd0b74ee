"""One container: a process that is started, probed, started again as its policy says, and ended with grace."""

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from falaj.lab.serving import pod_logs, statuses
from falaj.lab.serving.expansion import ConfigError
from falaj.lab.serving.images import ImageError
from falaj.lab.serving.node_api import TROUBLE, Manifest
from falaj.lab.serving.preparation import Machine, Prepared, execute, prepare
from falaj.lab.serving.probes import Target, keep_probing
from falaj.lab.serving.sessions import Session
from falaj.lab.serving.statuses import Container
from falaj.lab.serving.volumes import Volumes

SHORTEST, LONGEST = 10.0, 300.0
"""Seconds between two starts of what keeps ending: the first time none, then twice as many each time, as a kubelet."""
STEADY = 600.0
"""Seconds after which what ran so long has not kept ending."""
RETRY = 2.0
"""Seconds after which it is tried again to start what could not be."""
LEAST_GRACE = 2.0
"""Seconds that a process has to end after a hook has used up all of the grace, as with a kubelet."""
_MESSAGE = 4096


class Runner:
    """Runs one container of a pod for as long as its policy says.

    ``on_change`` is called with each change of its state, ``tell`` with what a person should read: the kind of event
    (``Normal`` or ``Warning``), its reason and a message.
    """

    def __init__(
        self,
        machine: Machine,
        pod: Manifest,
        spec: Manifest,
        state: Container,
        *,
        folder: Path,
        policy: str,
        on_change: Callable[[], None],
        tell: Callable[[str, str, str], None],
    ):
        self.spec = spec
        self.state = state
        self._machine = machine
        self._pod = pod
        self._folder = folder
        self._policy = policy
        self._on_change = on_change
        self._tell = tell
        self._stopping = asyncio.Event()
        self._ready_by_probe = False
        self._session: Session | None = None
        self._prepared: Prepared | None = None
        self._target: Target | None = None
        self._killing: asyncio.Task[None] | None = None
        self._log = pod_logs.path_of(machine.logs, pod["metadata"]["namespace"], pod["metadata"]["name"], spec["name"])
        self.at_work = False
        """Whether ``keep`` goes on."""
        self.started = asyncio.Event()
        """Set when the startup probe, if there is one, has succeeded."""

    async def keep(self, volumes: Volumes, address: str) -> int | None:
        """Run the container until it has ended for good; return its exit code, none when it never ran."""
        self.at_work = True
        try:
            return await self._keep(volumes, address)
        finally:
            self.at_work = False

    async def _keep(self, volumes: Volumes, address: str) -> int | None:
        wait = 0.0
        while not self._stopping.is_set():
            if self.state.exit_code is not None:
                ended = self.state.state
                if not self._again(self.state.exit_code):
                    break
                await self._back_off(wait)
                wait = min(max(SHORTEST, wait * 2), LONGEST)
                if self._stopping.is_set():
                    break
                self._change(replace(self.state, restarts=self.state.restarts + 1, last=ended))
            began = time.monotonic()
            await self._run(volumes, address)
            if time.monotonic() - began > STEADY:
                wait = 0.0
        return self.state.exit_code

    async def stop(self, grace: float, why: str) -> None:
        """End the container for good: its hook first, then it is asked, and killed after ``grace`` seconds in all."""
        self._stopping.set()
        if self._session:
            self._tell("Normal", "Killing", f"{why}: ending {self.spec['name']} within {grace:g} s")
            await self._end(self._session, grace)

    def _again(self, code: int) -> bool:
        return self._policy == "Always" or (self._policy == "OnFailure" and code != 0)

    async def _back_off(self, wait: float) -> None:
        if wait:
            message = f"back-off {wait:.0f}s restarting failed container={self.spec['name']}"
            self._change(self.state.waiting("CrashLoopBackOff", message))
            self._tell("Warning", "BackOff", message)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), wait or 0.01)

    async def _run(self, volumes: Volumes, address: str) -> None:
        """Start the container once and stay with it to its end; what cannot be started waits, and says why."""
        try:
            prepared = await prepare(
                self._machine, self._pod, self.spec, folder=self._folder, volumes=volumes, address=address
            )
            with pod_logs.opened(self._log) as output:
                session = await self._machine.sessions.start(
                    prepared.launch.command, prepared.environment, prepared.folder, output
                )
        except ImageError as error:
            await self._cannot("ErrImagePull", str(error))
        except (ConfigError, *TROUBLE) as error:
            await self._cannot("CreateContainerConfigError", str(error) or type(error).__name__)
        except (subprocess.SubprocessError, ValueError) as error:
            await self._cannot("RunContainerError", str(error))
        else:
            self._prepared, self._session = prepared, session
            if self._stopping.is_set():  # asked for while it was being started
                session.signal(signal.SIGKILL)
            await self._stay(session, prepared, address)

    async def _cannot(self, reason: str, message: str) -> None:
        waiting = self.state.waiting(reason, message)
        if waiting.state != self.state.state:
            self._tell("Warning", "Failed", message)
            self._change(waiting)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), RETRY)

    async def _stay(self, session: Session, prepared: Prepared, address: str) -> None:
        began, self._killing, self._ready_by_probe = statuses.now(), None, "readinessProbe" not in self.spec
        container_id = f"process://{session.record['pid']}-{session.record['created']:.2f}"
        image_id = self.spec["image"] if "@" in self.spec["image"] else f"program:{prepared.launch.command[0]}"
        running = replace(self.state, image_id=image_id, container_id=container_id, started=False, ready=False)
        self._change(replace(running, state={"running": {"startedAt": began}}))
        self._tell("Normal", "Started", f"started {self.spec['name']} as process {session.record['pid']}")
        ports = {port["name"]: port["containerPort"] for port in self.spec.get("ports", []) if "name" in port}
        self._target = Target(address, ports, self._execute, self._machine.http)
        watching = asyncio.create_task(self._watch(session, self._target))
        try:
            code = await session.ended()
        finally:
            watching.cancel()
            await asyncio.wait({watching})
            if self._killing:
                await asyncio.wait({self._killing})
            self._session = None
            self.started.clear()
        ended = statuses.terminated(code, began, container_id, self._last_words(code))
        self._change(replace(self.state, state=ended, started=False, ready=False))

    async def _watch(self, session: Session, target: Target) -> None:
        """Do what follows a start: the hook, then the startup probe, then the other two for as long as it runs."""
        hook = self.spec.get("lifecycle", {}).get("postStart")
        if hook and (problem := await target.attempt(hook, None)):
            self._kill(session, f"the hook after its start failed: {problem}", None)
            return
        if probe := self.spec.get("startupProbe"):
            passed = asyncio.Event()

            def on_startup(good: bool, problem: str) -> None:
                if good:
                    passed.set()
                else:
                    self._kill(session, f"startup probe failed: {problem}", probe)

            with probing(probe, target, on_startup):
                await passed.wait()
        self.started.set()
        self._change(replace(self.state, started=True, ready=self._ready_by_probe))

        def on_readiness(good: bool, problem: str) -> None:
            self._ready_by_probe = good
            if not good:
                self._tell("Warning", "Unhealthy", f"readiness probe failed: {problem}")
            self._change(replace(self.state, ready=good))

        def on_liveness(good: bool, problem: str) -> None:
            if not good:
                self._kill(session, f"liveness probe failed: {problem}", self.spec["livenessProbe"])

        with (
            probing(self.spec.get("readinessProbe"), target, on_readiness),
            probing(self.spec.get("livenessProbe"), target, on_liveness, passes=True),
        ):
            await asyncio.Event().wait()

    def _kill(self, session: Session, why: str, probe: Manifest | None) -> None:
        """End a container that is to be started again."""
        if self._killing is None and self._session is session:
            self._tell("Warning", "Unhealthy", why)
            grace = (probe or {}).get("terminationGracePeriodSeconds")
            if grace is None:
                grace = self._pod["spec"].get("terminationGracePeriodSeconds", 30)
            self._killing = asyncio.create_task(self._end(session, grace))

    async def _end(self, session: Session, grace: float) -> None:
        deadline = time.monotonic() + grace
        if self.state.ready:
            self._change(replace(self.state, ready=False))
        hook = self.spec.get("lifecycle", {}).get("preStop")
        if hook and grace > 0 and session.process.returncode is None:
            assert self._target
            if problem := await self._target.attempt(hook, grace):
                self._tell("Warning", "FailedPreStopHook", problem)
            deadline = max(deadline, time.monotonic() + LEAST_GRACE)
        session.signal(signal.SIGTERM if grace > 0 else signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(session.process.wait(), max(deadline - time.monotonic(), 0.01))
        session.signal(signal.SIGKILL)

    def _change(self, state: Container) -> None:
        if state != self.state:
            self.state = state
            self._on_change()

    async def _execute(self, command: Sequence[str]) -> tuple[int, str]:
        assert self._prepared
        return await execute(self._machine, self._prepared, self._folder, command)

    def _last_words(self, code: int) -> str:
        """Return what the container left as its reason."""
        message = self._folder / "message"
        told = message.read_text(errors="replace")[-_MESSAGE:] if message.exists() else ""
        if not told and code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            told = pod_logs.tail(self._log)
        return told


@contextmanager
def probing(
    probe: Manifest | None, target: Target, on_change: Callable[[bool, str], None], *, passes: bool | None = None
) -> Generator[None]:
    """Keep trying a probe, if there is one, as long as the context lasts."""
    task = asyncio.create_task(keep_probing(probe, target, on_change, passes=passes)) if probe else None
    try:
        yield
    finally:
        if task:
            task.cancel()
