"""Long work in sight: what runs, how far it is and how long it takes; stopped together; its results whole or absent."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from falaj.lab.errors import LabError
from falaj.lab.table import cache, make_folder

PLAIN_SECONDS = 15
"""Where the output is no terminal, a line this often says how far the work is."""


class Stopped(Exception):  # noqa: N818 (not an error: another job's error ended this one)
    """The work was ended because another part of it failed, or because the person asked to."""


@dataclass
class Task:
    """One piece of work as the person sees it."""

    label: str
    seconds: float
    """How long it takes on average on 2 cores."""
    progress: "Progress"
    detail: str = ""
    fraction: float = 0.0
    waiting: bool = False
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None

    def update(self, fraction: float, detail: str) -> None:
        """Record how far the work is."""
        self.fraction, self.detail = fraction, detail

    def pause(self, reason: str) -> None:
        """Wait for other work."""
        self.waiting, self.detail = True, reason

    def restart(self) -> None:
        """Start to count the time only now: what went before was waiting."""
        self.waiting, self.started = False, time.monotonic()

    def finish(self, outcome: str = "done") -> None:
        """End the task, and say how long it took."""
        self.ended, self.fraction, self.detail = time.monotonic(), 1.0, outcome
        self.progress.say(f"{self.label}: {outcome} in {clock(self.elapsed)}")

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return (self.ended or time.monotonic()) - self.started

    @property
    def remaining(self) -> float:
        """Seconds that are probably left: by the average at first, then by this machine's own pace."""
        if self.waiting or self.fraction == 0:
            return self.seconds
        average = max(self.seconds - self.elapsed, 0.0)
        pace = self.elapsed / self.fraction * (1 - self.fraction)
        return average + (pace - average) * min(2 * self.fraction, 1.0)

    @property
    def times(self) -> str:
        """How long it has taken, and how long it will yet take."""
        so_far = "" if self.waiting else f"{clock(self.elapsed)} so far, "
        return f"{so_far}about {clock(self.remaining)} left"

    def line(self) -> str:
        """Return the task in one plain line."""
        return f"{self.label}: {self.detail}{', ' if self.detail else ''}{self.times}"


class Progress:
    """Shows tasks (a live display on a terminal, plain lines elsewhere) and runs their programs."""

    def __init__(self, console: Console):
        self.console = console
        self._tasks: list[Task] = []
        self._children: set[subprocess.Popen[str]] = set()
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._closed = threading.Event()
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Progress":
        """Start to show."""
        if self.console.is_terminal:
            self._live.start()
        else:
            threading.Thread(target=self._speak, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to show; no program goes on."""
        self.stop()
        self._closed.set()
        if self.console.is_terminal:
            self._live.stop()

    def task(self, label: str, seconds: float) -> Task:
        """Begin a task that takes so long on average."""
        task = Task(label, seconds, self)
        self._tasks.append(task)
        if not self.console.is_terminal:
            self.say(f"{label}: about {clock(seconds)} on 2 cores")
        return task

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.console.print(Text(line), soft_wrap=True)

    def render(self) -> Table:
        """Return what a terminal shows now."""
        rows = Table.grid(padding=(0, 1), expand=True)
        rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)  # the label gives way where the terminal is narrow
        for _ in ("bar", "percent", "times"):
            rows.add_column(no_wrap=True)
        for task in [t for t in self._tasks if t.ended is None]:
            bar = ProgressBar(total=1.0, completed=task.fraction, width=12)
            label = Text.assemble(task.label, "\n  ", (task.detail, "dim"))
            rows.add_row(label, bar, Text(f"{task.fraction:4.0%}"), Text(task.times))
        return rows

    def side_by_side(self, jobs: Sequence[Callable[[], object]]) -> None:
        """Run jobs at once; the first that fails ends the others and is raised."""
        errors: list[BaseException] = []

        def attempt(job: Callable[[], object]) -> None:
            try:
                job()
            except Stopped:
                pass
            except BaseException as error:  # raised below, in the caller's thread
                errors.append(error)
                self.stop()

        threads = [threading.Thread(target=attempt, args=(job,)) for job in jobs]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            if any(thread.is_alive() for thread in threads):
                self.stop()  # the person pressed Ctrl-C
            for thread in threads:
                thread.join()
        if errors:
            raise errors[0]
        if self._stop.is_set():
            raise Stopped

    def run(
        self,
        command: Sequence[str | Path],
        on_line: Callable[[str], object],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> int:
        """Run a program in a process group of its own, hand over each line that it prints, and return its status."""
        with self._guard:
            self.check()
            try:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    env=env,
                    cwd=cwd,
                    start_new_session=True,
                )
            except OSError as error:
                raise LabError(f"cannot run {command[0]}: {error.strerror}") from error
            self._children.add(child)
        try:
            assert child.stdout is not None
            for line in child.stdout:
                on_line(line.rstrip("\n"))
            status = child.wait()
        finally:
            _end(child)
            with self._guard:
                self._children.discard(child)
        self.check()
        return status

    def check(self) -> None:
        """Raise `Stopped` when the work is to end."""
        if self._stop.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than the work goes on."""
        self._stop.wait(seconds)
        self.check()

    def stop(self) -> None:
        """End every program that was started here, with all that it started."""
        with self._guard:
            self._stop.set()
            for child in self._children:
                _end(child)

    def _speak(self) -> None:
        """Print how far each task is, every now and then."""
        while not self._closed.wait(PLAIN_SECONDS):
            for task in [t for t in self._tasks if t.ended is None]:
                self.say(task.line())


@contextlib.contextmanager
def locked(name: str, task: Task) -> Generator[None]:
    """Hold the lock of one build, so that it is never made twice at once; the second waits, and says so."""
    path = make_folder(cache() / "locks") / name
    with path.open("a") as file:
        while not _try_lock(file):
            if not task.waiting:
                task.pause("another falaj-lab is at it; waiting for it to finish")
                task.progress.say(f"{task.label}: {task.detail}")
            task.progress.wait(0.5)
        if task.waiting:
            task.restart()
        yield


@contextlib.contextmanager
def publish(final: Path) -> Generator[Path]:
    """Give a folder to fill; it becomes ``final`` in one step when all went well, and leaves nothing otherwise."""
    for left in final.parent.glob(f".{final.name}.*.part"):
        shutil.rmtree(left, ignore_errors=True)  # of a run that was killed: the caller holds the lock
    part = make_folder(final.parent / f".{final.name}.{os.getpid()}.part")
    try:
        yield part
        if final.exists():
            shutil.rmtree(final)
        part.rename(final)
    except OSError as error:
        raise LabError(f"cannot write {final}: {error.strerror}; free some space, or set FALAJ_CACHE") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _end(child: subprocess.Popen[str]) -> None:
    """End a program and its group, if it still runs."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)


def _try_lock(file: IO[str]) -> bool:
    """Take the lock on a file, if nobody holds it; the system gives it back when the process ends, however it ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
