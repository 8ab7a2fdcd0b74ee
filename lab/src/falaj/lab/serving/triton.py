"""Triton in the lab: the server of a wheel, with its Python backend, started where a cluster starts a container.

The wheel is made for another use of Triton, so that some of its parts have to be brought together: the backend's
process for this Python, the shared libraries beside it and Python's own, and the libraries that models import.
"""

import os
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from falaj.lab.environment import link
from falaj.lab.errors import LabError
from falaj.lab.serving.programs import Launch
from falaj.lab.state import Lab
from falaj.lab.tools import resolve

TOOL = "tritonserver"


@dataclass(frozen=True)
class Ports:
    """The ports that one server listens on."""

    http: int
    grpc: int
    metrics: int


def lacks() -> str | None:
    """Return what this machine lacks for Triton, in one sentence, if anything; the rest of serving does without it."""
    if sys.platform != "linux" or sys.version_info[:2] not in ((3, 11), (3, 12)):
        return "Triton runs on Linux, beside Python 3.11 or 3.12"
    try:
        libpython()
    except LabError as error:
        return str(error)
    return None


def launch(lab: Lab, packages: Sequence[Path] = ()) -> Launch:
    """Return the server without arguments of its own, and the environment that it needs.

    ``packages`` are folders of Python libraries that models import; those beside the lab itself are found by default.
    Raises LabError when the server has not been fetched, or this Python has no shared library to embed.
    """
    program = resolve(TOOL).path
    if program is None:
        raise LabError("there is no tritonserver yet; get it with `falaj-lab install --serving`")
    wheel = program.parents[3]
    libraries = [wheel / "nvidia_pytriton.libs", libpython().parent]
    found = packages or [wheel, Path(sysconfig.get_path("purelib"))]
    return Launch(
        [
            str(program),
            f"--backend-directory={backends(lab, program.parents[1])}",
            f"--cache-directory={program.parents[1] / 'caches'}",
        ],
        {
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
            # The backend embeds the Python whose `python3` it meets first: its own version's, or it cannot load numpy.
            "PATH": os.pathsep.join([str(Path(sys.base_prefix) / "bin"), os.defpath]),
            # The backend's process does not look at PYTHONPATH; the `model.py` of an export looks at this.
            "FALAJ_SERVING_PATH": os.pathsep.join(map(str, found)),
        },
    )


def serve(lab: Lab, repository: Path, ports: Ports, address: str = "127.0.0.1") -> Launch:
    """Return a whole command line: a server of all models below ``repository``, on loopback."""
    found = launch(lab)
    listens = [
        word
        for name, port in (("http", ports.http), ("grpc", ports.grpc), ("metrics", ports.metrics))
        for word in (f"--{name}-address={address}", f"--{name}-port={port}")
    ]
    return Launch([*found.command, f"--model-repository={repository}", *listens], found.environment)


def backends(lab: Lab, server: Path) -> Path:
    """Return a folder of backends with the Python one made whole for the Python that runs the lab."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise LabError(f"this Triton has no backend for Python {version}; run the lab with Python 3.11 or 3.12")
    folder = lab.folder("run", "triton", "backends", "python")
    for file in (*(server / "backends" / "python").iterdir(), stub):
        link(folder / file.name, file)
    return folder.parent


def libpython() -> Path:
    """Return the shared library of the Python that runs the lab: Triton's backend embeds the same version of it."""
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    places = [sysconfig.get_config_var("LIBDIR"), f"{sys.base_prefix}/lib", f"/usr/lib/{multiarch}", "/usr/lib64"]
    for place in places:
        if place and (Path(place) / name).exists():
            return Path(place) / name
    raise LabError(
        f"Triton's Python backend needs {name}, and this Python ({sys.base_prefix}) has none;"
        " run the lab with a Python that has, for example one of `uv python install`"
    )
