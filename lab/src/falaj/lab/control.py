"""What the commands do with a lab: start its supervisor, wait for its services, tell how they are, stop them."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from falaj.lab import processes, services
from falaj.lab.errors import LabError
from falaj.lab.service import Binaries, python
from falaj.lab.state import Lab, append_private, is_free, keeper, write_private

SPACE = 400 << 20
"""Bytes that a lab needs on its disk to start: etcd reserves 128 MiB, and logs, moto's and OpenBao's data grow."""

PATIENCE = 60.0
"""Seconds that a supervisor has to stop its services."""


@dataclass(frozen=True)
class View:
    """How one service is, seen from outside: what its supervisor wrote, held against the processes that run."""

    name: str
    state: str
    pid: int | None
    port: int | None
    since: float
    restarts: int
    memory: int
    """Resident bytes."""
    note: str


@contextlib.contextmanager
def alone(lab: Lab, command: str) -> Generator[None]:
    """Hold the lab against other commands that start or stop it; one that comes second is told so, and ends."""
    path = lab.folder("run") / "command.lock"
    with append_private(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            at_work = path.read_text() or "another command"
            raise LabError(f"{at_work} is at work on {lab.root}; wait until it has ended") from None
        file.truncate(0)
        file.write(f"`falaj-lab {command}` (pid {os.getpid()})".encode())
        file.flush()
        yield


def start(lab: Lab, binaries: Binaries, wanted: Mapping[str, int]) -> bool:
    """Have a supervisor run the services with these binaries; say whether it had to be started.

    One that runs already stays, unless the tools, ports, certificates or the lab itself have changed meanwhile.
    """
    supervisor = find_supervisor(lab)
    if supervisor is None:
        check_space(lab)
    check_wanted(lab, wanted)
    services.prepare(lab, wanted)
    digest = plan_digest(lab, binaries)
    if supervisor is not None and read(lab, "supervisor.json").get("plan") == digest:
        try_again(lab, supervisor)
        return False
    stop(lab)
    for service in services.services_of(lab):
        for port in service.ports:
            check_port(port, lab.ports()[port])
    plan = {"digest": digest, "binaries": {name: str(path) for name, path in binaries.items()}}
    write_private(lab.folder("run") / "plan.json", json.dumps(plan, indent=2))
    with append_private(lab.folder("logs") / "supervisor.log") as log:
        process = subprocess.Popen(
            [*python("falaj.lab.supervisor"), str(lab.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=lab.root,
            start_new_session=True,
        )
    try:
        while read(lab, "supervisor.json").get("pid") != process.pid:
            if process.poll() is not None:
                raise LabError(f"the supervisor ended at once; {lab.root / 'logs' / 'supervisor.log'} says why")
            time.sleep(0.05)
    except KeyboardInterrupt:
        process.terminate()  # nobody finds it yet
        process.wait()
        raise
    return True


def try_again(lab: Lab, supervisor: psutil.Process) -> None:
    """Have a supervisor try again the services that it has given up, if there are any."""
    failed = [view.name for view in views(lab) if view.state == "failed"]
    deadline = time.monotonic() + 5
    if failed:
        supervisor.send_signal(signal.SIGHUP)
    while failed and time.monotonic() < deadline:
        time.sleep(0.05)
        failed = [view.name for view in views(lab) if view.name in failed and view.state == "failed"]


def wait_until_ready(lab: Lab, report: Callable[[list[View]], None]) -> None:
    """Wait until every service is healthy, reporting what is waited for; raise LabError when one is given up."""
    deadline = time.monotonic() + sum(service.deadline for service in services.services_of(lab))
    while True:
        seen = views(lab)
        report(seen)
        if seen and all(view.state == "healthy" for view in seen):
            return
        failed = next((view for view in seen if view.state == "failed"), None)
        if failed:
            raise LabError(f"{failed.name} {failed.note}; see `falaj-lab logs {failed.name}`")
        if find_supervisor(lab) is None:
            raise LabError(f"the supervisor ended; {lab.root / 'logs' / 'supervisor.log'} says why")
        if time.monotonic() > deadline:
            late = ", ".join(f"{view.name} ({view.note or view.state})" for view in seen if view.state != "healthy")
            raise LabError(f"not all services answer yet: {late}; see `falaj-lab status` and `falaj-lab logs`")
        time.sleep(0.1)


def stop(lab: Lab) -> bool:
    """Stop the supervisor with its services, and whatever an earlier one left behind; say whether anything ran."""
    supervisor = find_supervisor(lab)
    if supervisor is not None:
        processes.end(supervisor, PATIENCE)
    left = [process for entry in read(lab, "services.json").values() if (process := processes.find(entry))]
    for process in left:
        processes.end(process, patience=10)
    for name in ("supervisor.json", "services.json"):
        (lab.root / "run" / name).unlink(missing_ok=True)
    return supervisor is not None or bool(left)


def find_supervisor(lab: Lab) -> psutil.Process | None:
    """Return the lab's supervisor, if one runs."""
    return processes.find(read(lab, "supervisor.json"))


def views(lab: Lab) -> list[View]:
    """Return how each service is now."""
    supervised, known, ports = find_supervisor(lab) is not None, read(lab, "services.json"), lab.ports()
    seen: list[View] = []
    for service in services.services_of(lab):
        entry = known.get(service.name, {})
        process = processes.find(entry)
        state = str(entry.get("phase", "waiting")) if supervised else "stopped"
        note = str(entry.get("note", "")) if supervised else ""
        if not supervised and process:
            state, note = "left behind", "its supervisor is gone; `falaj-lab up` or `falaj-lab down` stops it"
        if state == "healthy" and not process:
            state, note = "unhealthy", "its process has just ended"
        memory = 0
        if process:
            with contextlib.suppress(psutil.Error):
                memory = process.memory_info().rss
        port = ports.get(service.ports[0]) if service.ports else None
        pid = process.pid if process else None
        restarts, since = entry.get("restarts", 0), entry.get("since", 0.0)
        seen.append(View(service.name, state, pid, port, since, restarts, memory, note))
    return seen


def check_space(lab: Lab) -> None:
    """Refuse to start on a disk that is about to be full."""
    free = shutil.disk_usage(lab.root).free
    if free < SPACE:
        raise LabError(
            f"{free >> 20} MiB are free at {lab.root}, and a lab needs {SPACE >> 20}; "
            "free some space, or choose another --state DIR"
        )


def check_wanted(lab: Lab, wanted: Mapping[str, int]) -> None:
    """Refuse ports that do not exist or are taken, before anything is changed."""
    names = services.ports_of(lab)
    ports = lab.ports()
    for name, port in wanted.items():
        if name not in names:
            raise LabError(f"no port is named {name}; the names are {', '.join(names)}")
        if port and port != ports.get(name):
            check_port(name, port)
            if (other := keeper(port)) and other != lab:
                raise LabError(
                    f"port {port} is kept by the lab at {other.root}, which may be stopped; "
                    f"choose a free one with --port {name}=0"
                )
        if port and port in [*(p for n, p in wanted.items() if n != name), *(p for n, p in ports.items() if n != name)]:
            raise LabError(f"port {port} is another service's of this lab; choose a free one with --port {name}=0")


def check_port(name: str, port: int) -> None:
    """Refuse a port that another process has taken, naming it if it can be known."""
    if not is_free(port):
        raise LabError(
            f"port {port} of {name} is taken by {holder(port)}; stop that, or draw another port: "
            f"falaj-lab up --port {name}=0"
        )


def holder(port: int) -> str:
    """Name the process that listens on a port."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another process"


def plan_digest(lab: Lab, binaries: Binaries) -> str:
    """Return a digest of all that a supervisor and its services are started with."""
    names = [service.name for service in services.services_of(lab)]
    settings = [lab.settings().get(name, "") for name in (services.AUTHORIZER, services.BESIDE)]
    told = [{n: str(p) for n, p in binaries.items()}, dict(lab.ports()), names, settings]
    digest = hashlib.sha256(json.dumps(told).encode())
    sources = [path for kind in ("*.py", "serving/*.py", "kubernetes/*", "kwok/*") for path in services.DATA.glob(kind)]
    for path in sorted([*sources, *(lab.root / "pki").glob("*.crt"), Path(sys.executable)]):
        digest.update(str(path).encode())
        if path.suffix:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def read(lab: Lab, name: str) -> dict[str, Any]:
    """Return what the supervisor wrote, empty when it did not."""
    try:
        return json.loads((lab.root / "run" / name).read_text())
    except FileNotFoundError:
        return {}
