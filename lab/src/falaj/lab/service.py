"""What a service of the lab is: one process, what it needs, how it is started and when it answers."""

import http
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from falaj.lab.loopback import ask
from falaj.lab.state import Lab

Binaries = Mapping[str, Path]
"""Where the tools are: the name of each to its executable."""


@dataclass(frozen=True)
class Service:
    """One process of the lab."""

    name: str
    command: Callable[[Lab, Binaries], list[str]]
    answers: Callable[[Lab], bool]
    """Whether it does its work, asked within `loopback.TIMEOUT`; may raise OSError or HTTPException for no."""
    needs: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    deadline: float = 60
    """Seconds from its start until it has to answer."""
    environment: Callable[[Lab], Mapping[str, str]] = lambda _: {}
    before_start: Callable[[Lab, Binaries], None] | None = None
    """What has to be there each time before it is started; asked of services that it needs."""
    after_start: Callable[[Lab], None] | None = None
    """What to do, each time that it has started, before others may rely on it."""
    healthy: Callable[[Lab], bool] | None = None
    """Whether it still does its work, where that asks for more than ``answers`` does."""
    folder: tuple[str, ...] = ()
    """Where it is started, below the state directory: some programs write beside where they are."""


def python(module: str, *arguments: str) -> list[str]:
    """Return the command line of one of the lab's own modules, untouched by the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


def answers_at(port: str, path: str, authority: str | None = "ca", client: str | None = None) -> Callable[[Lab], bool]:
    """Return a health check: a GET on a loopback port, over TLS that the authority vouches for, answered with 200."""
    return lambda lab: ask(lab, port, "GET", path, authority=authority, client=client)[0] == http.HTTPStatus.OK
