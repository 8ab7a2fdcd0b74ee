"""Jobs of the tests: how they are written, started, killed, and what came out of them."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falaj.training import events
from falaj.training.job import Job, load_job

HERE = Path(__file__).parent
PATIENCE = 600.0
"""Seconds after which a run that does nothing has failed."""
RESERVED: list[socket.socket] = []
"""The ports that were drawn, until the process ends."""

JOB = """
version = 1
name = "toy"
seed = 5
[model]
entry = "toy:model"
score = "toy:score"
[data]
entry = "toy:data"
[parallel]
threads = 1
device = "cpu"
[optimizer]
learning_rate = 0.02
batch_size = 8
clip_norm = 1.0
schedule = "cosine"
warmup_steps = 5
[budget]
steps = 40
[checkpoints]
location = "checkpoints"
key = "file:key"
every = 7
[report]
every_steps = 1
"""


def write_job(folder: Path, *sets: str) -> Job:
    """Put the toy job into a folder, and read it with some of its values said anew."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "toy.py", folder)
    (folder / "job.toml").write_text(JOB)
    key = folder / "key"
    if not key.exists():
        key.touch(0o600)
        key.write_bytes(base64.b64encode(os.urandom(32)))
    return load_job(folder / "job.toml", sets)


@dataclass
class Server:
    """The process that forks workers."""

    process: subprocess.Popen[str]

    def ask(self, question: object) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, job: Job) -> "Workers":
        """Start all workers of a job, as torchrun would."""
        world = job.parallel.world
        variables = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
        variables["MASTER_PORT"] = str(free_port())
        pids: list[int] = []
        for rank in range(world):
            own = variables | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            log = str(job.base / f"worker-{rank}.log")
            pids.append(self._do("work", [str(job.path), *job.overrides], own, log))
        return Workers(self, job, pids)

    def weights(self, job: Job) -> dict[str, Any]:
        """Return what the job's last checkpoint holds of the model, and its step."""
        out = job.base / "weights.json"
        pid = self._do("weights", [str(job.path), str(out), *job.overrides], {}, str(job.base / "worker-weights.log"))
        assert self.ask(pid) == 0, said(job)
        return json.loads(out.read_text())

    def _do(self, do: str, arguments: list[str], variables: dict[str, str], log: str) -> int:
        return self.ask({"do": do, "arguments": arguments, "variables": variables, "log": log})

    def run(self, job: Job) -> None:
        """Run a job to its end."""
        workers = self.start(job)
        codes = workers.wait()
        assert codes == [0] * len(codes), said(job)


@dataclass
class Workers:
    """The workers of one start."""

    server: Server
    job: Job
    pids: list[int]

    def wait(self) -> list[int]:
        """Return their exit codes."""
        pids, self.pids = self.pids, []
        return [self.server.ask(pid) for pid in pids]

    def kill(self, ranks: Sequence[int]) -> None:
        """Kill some of them, as the kernel does that has no memory left."""
        # Stopped first: none of them sees another one go and fails of it, before it is killed itself.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for rank in ranks:
                os.kill(self.pids[rank], number)


def start_server() -> Server:
    """Start the process that forks workers."""
    command = [sys.executable, str(HERE / "fork_server.py")]
    pipe = subprocess.PIPE
    return Server(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))


def start(command: str, job: Job, *more: str) -> subprocess.Popen[str]:
    """Start the command line about a job."""
    sets = [part for each in job.overrides for part in ("--set", each)]
    arguments = [sys.executable, "-m", "falaj.training.cli", command, str(job.path), *sets, *more]
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def free_port() -> int:
    """Return a port that no other process is given until this one ends; servers can listen there, go and come back."""
    RESERVED.append(socket.socket())
    RESERVED[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    RESERVED[-1].bind(("127.0.0.1", 0))
    return RESERVED[-1].getsockname()[1]


def hold(job: Job, batches: int) -> None:
    """Have each worker that starts wait after so many batches: whoever kills it comes before its end, however late."""
    (job.base / "hold").write_text(str(batches))


def let_go(job: Job) -> None:
    """Have workers go on that wait, and others not wait."""
    (job.base / "hold").unlink()


def until(holds: Callable[[], Any], what: str) -> None:
    """Wait for something, not for ever."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE:.0f} s: {what}"
        time.sleep(0.005)


def step(job: Job) -> int:
    """Return the newest step that was told since the job's last start."""
    return max((line["step"] for line in since_start(job) if line["event"] == "progress"), default=0)


def since_start(job: Job) -> list[dict[str, Any]]:
    lines = events.read(job.folder)
    starts = [number for number, line in enumerate(lines) if line["event"] in ("begin", "resume")]
    return lines[starts[-1] :] if starts else []


def said(job: Job) -> str:
    """Return what the workers printed, for a failure's message."""
    return "\n".join(path.read_text()[-3000:] for path in sorted(job.base.glob("worker-*.log")))
