"""Starts the workers, follows what they write, and stops them in order."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from falaj.training import events
from falaj.training.errors import RefusedError, TrainingError
from falaj.training.job import Job
from falaj.training.process import PARENT

LOCK = "lock"
"""File in the run's folder that whoever runs the job holds."""
LOGS = "logs"
"""Folder in the run's folder for what the workers print."""
_LOOK_SECONDS = 0.1

Follower = Callable[[Mapping[str, Any]], None]


class StoppedError(TrainingError):
    """The run was asked to stop by a signal, and has saved where it is."""

    def __init__(self, number: int, step: int | None) -> None:
        at = f" after step {step}" if step is not None else " before its first step"
        super().__init__(f"stopped{at}; `falaj-train resume` goes on from there")
        self.number = number
        """The signal."""


def launch(job: Job, followers: list[Follower]) -> None:
    """Train with the job's workers, and hand each line that they write to the followers.

    Raises ``RefusedError`` for what a worker refused, ``StoppedError`` where a signal ended it, else ``TrainingError``.
    """
    with locked(job):
        lines, errors = events.Reader(job.folder), events.Reader(job.folder, events.ERRORS)
        run = _Run(job, lines, errors, followers)
        with run.signals():
            run.watch()
        run.judge()


def command(job: Job) -> list[str]:
    """Return how the workers are started: by torchrun, or at once where there is one that is not started again."""
    table = job.parallel
    worker = ["falaj.training.worker", str(job.path), *job.overrides]
    if table.world == 1 and table.restarts == 0:
        return [sys.executable, "-m", *worker]
    nodes = f"{table.least_nodes}:{table.nodes}" if table.least_nodes is not None else str(table.nodes)
    alone = ["--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    return [
        *(sys.executable, "-m", "falaj.training.elastic"),
        *(f"--nnodes={nodes}", f"--nproc-per-node={table.workers}"),
        *("--rdzv-backend=c10d", f"--rdzv-id={job.name}"),
        *(alone if table.nodes == 1 else [f"--rdzv-endpoint={table.rendezvous}"]),
        *(f"--max-restarts={table.restarts}", "--monitor-interval=0.1", f"--shutdown-timeout={table.grace_seconds}"),
        *(f"--log-dir={job.folder / LOGS}", "--redirects=3"),
        *("-m", *worker),
    ]


def environment(job: Job, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the workers' variables."""
    threads = job.parallel.threads or max(1, (os.cpu_count() or 1) // job.parallel.workers)
    variables = dict(inherited) | {
        PARENT: str(os.getpid()),
        # With one store for all restarts, workers that are started again did not find each other in 6 of 14 cases.
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "OMP_NUM_THREADS": str(threads),
    }
    if job.parallel.nodes == 1 and sys.platform == "linux":
        variables |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    if job.precision.deterministic:
        # The first is cuBLAS' condition for the same bits; the second keeps sets in the order that they had.
        variables |= {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONHASHSEED": str(job.seed)}
    return variables


@contextmanager
def locked(job: Job) -> Generator[None]:
    """Hold the job; refuse it where another process does."""
    job.folder.mkdir(parents=True, exist_ok=True)
    with (job.folder / LOCK).open("a") as file:
        if job.parallel.nodes == 1:  # several nodes may share the folder, and are to run at once
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RefusedError("report.folder", str(job.folder), "must be free: the job runs already") from None
        yield


def is_locked(folder: Path) -> bool:
    """Return whether a process runs the job of a folder."""
    try:
        with (folder / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


class _Run:
    def __init__(self, job: Job, lines: events.Reader, errors: events.Reader, followers: list[Follower]) -> None:
        self._job, self._lines, self._errors, self._followers = job, lines, errors, followers
        self._asked: list[int] = []
        self._last: Mapping[str, Any] = {}
        self._failures: list[Mapping[str, Any]] = []
        self._started = 0.0
        logs = job.folder / LOGS
        logs.mkdir(exist_ok=True)
        with (logs / "launch.log").open("ab") as log:
            self._process = subprocess.Popen(
                command(job),
                env=environment(job, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A terminal's Ctrl-C is for this process alone, which passes it on once.
                start_new_session=True,
            )

    @contextmanager
    def signals(self) -> Generator[None]:
        """Hear SIGINT and SIGTERM in the meantime."""
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def watch(self) -> None:
        """Follow the workers until all have ended."""
        until = None
        try:
            while self._process.poll() is None:
                time.sleep(_LOOK_SECONDS)
                self._read()
                hopeless = any(each["event"] in ("refused", "final") for each in self._failures)
                if until is None and (self._asked or hopeless):
                    self._process.terminate()
                    until = time.monotonic() + self._job.parallel.grace_seconds + 10
                elif until is not None and (time.monotonic() > until or len(self._asked) > 1):
                    self._kill()
        finally:
            self._kill()
        self._read()

    def judge(self) -> None:
        """Return if the job is done; raise what else became of it."""
        for each in self._failures:
            if each["event"] == "refused":
                error = RefusedError(each["field"], each["value"], each["remedy"])
                raise error from TrainingError(each["trace"])
        if self._last.get("event") == "end":
            return
        if self._asked:
            raise StoppedError(self._asked[0], self._last.get("step"))
        # Of the last attempt the first: the others fail because that one is gone.
        for each in self._failures:
            if each["time"] >= self._started:
                said = f"worker {each['rank']} failed: {each['message']}"
                raise TrainingError(said) from TrainingError(each["trace"])
        tried = f"exit code {self._process.returncode}, {self._job.parallel.restarts} restarts"
        raise TrainingError(f"a worker was killed ({tried}); see {self._job.folder / LOGS}")

    def _read(self) -> None:
        for line in self._lines:
            self._last = line
            if line["event"] in ("begin", "resume"):
                self._started = line["time"]
            for follower in self._followers:
                follower(line)
        self._failures += self._errors

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self._asked.append(number)

    def _kill(self) -> None:
        if self._process.poll() is None:
            # The workers are killed with it, by the kernel.
            self._process.kill()
            self._process.wait()
