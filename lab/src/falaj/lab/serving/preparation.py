"""What a container's process is started with: its words, its environment, its folder and its mounts."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from falaj.lab.serving.events import Events
from falaj.lab.serving.expansion import Mount, expand, mapped, variables
from falaj.lab.serving.images import launch
from falaj.lab.serving.node_api import Manifest, NodeApi
from falaj.lab.serving.probes import check_action
from falaj.lab.serving.programs import Launch
from falaj.lab.serving.sessions import Session, Sessions
from falaj.lab.serving.volumes import Volumes
from falaj.lab.state import Lab

_SAID = 500
"""How much is kept of what a probe's command said, in characters."""


@dataclass(frozen=True)
class Machine:
    """What all pods share."""

    lab: Lab
    api: NodeApi
    events: Events
    sessions: Sessions
    http: aiohttp.ClientSession
    logs: Path


@dataclass(frozen=True)
class Prepared:
    """All that is needed to start a container, and to run commands beside it."""

    launch: Launch
    environment: dict[str, str]
    folder: Path
    mounts: Sequence[Mount]


async def prepare(
    machine: Machine, pod: Manifest, spec: Manifest, *, folder: Path, volumes: Volumes, address: str
) -> Prepared:
    """Return what a container is started with; ``folder`` is the container's own.

    Raises ``ConfigError`` for what it wants and cannot have, ``ImageError`` when no program stands in for it.
    """
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        if name in spec:
            check_action(name, spec[name])
    for name, hook in spec.get("lifecycle", {}).items():
        if name in {"postStart", "preStop"}:
            check_action(name, hook)
    message, own = folder / "message", folder / "folder"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    message.write_text("")
    termination = Mount(spec.get("terminationMessagePath", "/dev/termination-log"), message)
    mounts = [*volumes.mounts(spec), termination]
    told = await variables(machine.api, pod, spec, address)
    words = [[mapped(expand(word, told), mounts) for word in spec.get(name, [])] for name in ("command", "args")]
    program = launch(machine.lab, spec["image"], words[0], words[1], address)
    scratch = next((str(mount.target) for mount in mounts if mount.path == "/tmp"), None)  # noqa: S108 - its own
    environment = {
        **surroundings(program, own, scratch),
        "HOSTNAME": pod["metadata"]["name"],
        "POD_IP": address,
        "FALAJ_TERMINATION_LOG": str(message),
        **api_server(machine.lab),
        **program.environment,
        **{name: mapped(value, mounts) for name, value in told.items()},
    }
    inside = spec.get("workingDir", "")
    working = Path(mapped(inside, mounts))
    known = str(working) != inside and working.is_dir()  # else it is a folder of the image, which is not there
    return Prepared(program, environment, working if known else own, mounts)


async def execute(machine: Machine, prepared: Prepared, folder: Path, command: Sequence[str]) -> tuple[int, str]:
    """Run a command of a probe or a hook beside the container; it is ended when nobody waits for it any more."""
    words = [mapped(word, prepared.mounts) for word in command]
    said = folder / f"said-{time.monotonic_ns()}"
    session: Session | None = None
    try:
        with said.open("wb") as output:
            session = await machine.sessions.start(words, prepared.environment, prepared.folder, output)
        code = await session.ended()
        return code, said.read_text(errors="replace")[-_SAID:].strip()
    finally:
        if session and session.process.returncode is None:
            session.signal(signal.SIGKILL)
            await asyncio.shield(session.ended())
        said.unlink(missing_ok=True)


def surroundings(program: Launch, folder: Path, scratch: str | None) -> dict[str, str]:
    """Return what every program has in its environment, and nothing of whoever started the lab."""
    places = dict.fromkeys([str(Path(program.command[0]).parent), str(Path(sys.executable).parent)])
    return {
        "PATH": ":".join([*places, "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        **({"TMPDIR": scratch} if scratch else {}),
    }


def api_server(lab: Lab) -> dict[str, str]:
    """Return the variables by which a pod finds the API server."""
    return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(lab.ports()["kube-apiserver"])}
