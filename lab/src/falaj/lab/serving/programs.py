"""Which program of this machine stands in for which container image."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from falaj.lab.environment import environment
from falaj.lab.errors import LabError
from falaj.lab.state import Lab

PROGRAMS = "serving-programs"
"""Under which a lab remembers other programs: JSON, an image's repository name to a command."""


class ImageError(LabError):
    """No program stands in for an image, or the container runs something else of that image."""


@dataclass(frozen=True)
class Launch:
    """How to start a program: its words, and what it needs in its environment beside the container's own."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Program:
    """What stands in for an image."""

    entrypoint: str
    """The command within the image that is meant, and what the image starts when a container names no command."""
    find: Callable[[Lab], Launch]
    """Returns the program of this machine; raises ``ImageError`` when it is not there."""
    binds: Callable[[str], Sequence[str]] = lambda _: ()
    """Returns what tells it to listen on the pod's address alone."""


def _installed(name: str) -> Callable[[Lab], Launch]:
    def find(_: Lab) -> Launch:
        # The lab's own environment first: what is installed beside it is meant.
        places = os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
        found = shutil.which(name, path=places)
        if found is None:
            raise ImageError(f"there is no {name} on this machine; install it beside falaj-lab")
        return Launch([found])

    return find


def _serving(lab: Lab) -> Launch:
    """Return falaj's own program, with the lab's AWS in the place of what EKS Pod Identity gives a pod."""
    aws = {name: value for name, value in environment(lab).items() if name.startswith("AWS_")}
    return Launch(_installed("falaj-serve")(lab).command, aws)


TABLE: Mapping[str, Program] = {
    "falaj/serving": Program("falaj-serve", _serving),
    "falaj/python": Program("python", lambda _: Launch([sys.executable])),
}
"""The end of an image's repository name to what stands in for it; the last one is for tests."""


def launch(lab: Lab, image: str, command: Sequence[str], arguments: Sequence[str], address: str) -> Launch:
    """Return how to start a container: the program of its image with the words that are its own.

    Raises ``ImageError`` for an image that no program stands in for, and for a command that is not that program.
    """
    repository = repository_of(image)
    name = next((name for name in TABLE if f"/{repository}".endswith(f"/{name}")), None)
    if name is None:
        raise ImageError(f"no program of this machine stands in for {repository}; there is one for {', '.join(TABLE)}")
    program = TABLE[name]
    words = [*command, *arguments]
    if command or Path(words[0] if words else "").name == program.entrypoint:
        if Path(words[0]).name != program.entrypoint:
            raise ImageError(f"of {repository} only {program.entrypoint} can run here, not {words[0]}")
        words = words[1:]
    told = json.loads(lab.settings().get(PROGRAMS, "{}")).get(name)
    found = Launch(shlex.split(told)) if told else program.find(lab)
    return Launch([*found.command, *words, *program.binds(address)], found.environment)


def repository_of(image: str) -> str:
    """Return an image's name without tag and digest."""
    name = image.partition("@")[0]
    folder, _, last = name.rpartition("/")
    return f"{folder}/{last.partition(':')[0]}".removeprefix("/")
