"""Which program of this machine stands in for which container image."""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from falaj.lab.environment import environment
from falaj.lab.errors import LabError
from falaj.lab.serving import triton
from falaj.lab.serving.programs import Launch, Program
from falaj.lab.state import Lab

PROGRAMS = "serving-programs"
"""Under which a lab remembers other programs: JSON, the end of an image's repository name to a command."""


class ImageError(LabError):
    """No program stands in for an image, or the container runs something else of that image."""


def launch(lab: Lab, image: str, command: Sequence[str], arguments: Sequence[str], address: str) -> Launch:
    """Return how to start a container: the program of its image with the words that are its own.

    Raises ``ImageError`` for an image that no program stands in for, and for a command that is not that program.
    """
    repository = repository_of(image)
    name = next((name for name in TABLE if f"/{repository}".endswith(f"/{name}")), None)
    if name is None:
        raise ImageError(f"no program of this machine stands in for {repository}; there is one for {', '.join(TABLE)}")
    program, words = TABLE[name], [*command, *arguments]
    named = bool(words) and Path(words[0]).name == program.entrypoint
    if command and not named:
        raise ImageError(f"of {repository} only {program.entrypoint} can run here, not {words[0]}")
    told = json.loads(lab.settings().get(PROGRAMS, "{}")).get(name)
    try:
        found = Launch(shlex.split(told)) if told else program.find(lab)
    except LabError as error:
        raise ImageError(str(error)) from error
    return Launch([*found.command, *words[named:], *program.binds(address)], found.environment)


def repository_of(image: str) -> str:
    """Return an image's name without tag and digest."""
    folder, _, last = image.partition("@")[0].rpartition("/")
    return f"{folder}/{last.partition(':')[0]}".removeprefix("/")


def falaj_serve(lab: Lab) -> Launch:
    """Return falaj's own program, with the lab's AWS in the place of what EKS Pod Identity gives a pod."""
    # The lab's own environment first: what is installed beside it is meant.
    places = os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
    found = shutil.which("falaj-serve", path=places)
    if found is None:
        raise LabError("there is no falaj-serve on this machine; install falaj-training beside falaj-lab")
    return Launch([found], {name: value for name, value in environment(lab).items() if name.startswith("AWS_")})


TABLE: Mapping[str, Program] = {
    "tritonserver": Program(
        "tritonserver",
        triton.launch,
        lambda address: [f"--{what}-address={address}" for what in ("http", "grpc", "metrics")],
    ),
    "falaj/serving": Program("falaj-serve", falaj_serve),
    "falaj/python": Program("python", lambda _: Launch([sys.executable])),
}
"""The end of an image's repository name to what stands in for it; the last one is for tests."""
