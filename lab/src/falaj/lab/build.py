"""Builds commands of pinned Go modules: sources checked by go.sum, no C compiler, an interrupted build resumes.

Go's own caches stay where the person has them. Whatever was compiled before an interruption is found there again.
"""

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from falaj.lab.errors import LabError
from falaj.lab.progress import Progress, Task, locked, publish
from falaj.lab.table import MODULES, Edit, GoCommand, Module, Patch, Tool, cache, make_folder, modules

FLAGS = ("-mod=readonly", "-trimpath")
"""go.mod and go.sum stay as they are; the same sources give the same program wherever they are built."""

NO_DEBUG = "-gcflags=all=-dwarf=false"
"""Tables for debuggers, which the linker would leave out (-s -w) anyway; the traces of a panic do not need them."""

_compiling = threading.Lock()
"""One module is compiled at a time: Go itself keeps every core busy."""

_NETWORK = re.compile(
    r"dial tcp|no such host|connection re(fused|set)|timeout|TLS handshake|proxyconnect|unexpected EOF"
    r"|server misbehaving|disabled by GOPROXY=off|deadline exceeded|: 50\d |: 4\d\d "
)


@dataclass
class Sources:
    """The packages that commands consist of, the size of each, and which of them have been compiled."""

    sizes: Mapping[str, int]
    imports: Mapping[str, Sequence[str]]
    compiled: set[str] = field(default_factory=set[str])

    def starts(self, package: str) -> None:
        """Note that a package is being compiled, and so that all it imports has been."""
        pending = list(self.imports.get(package, ()))
        while pending:
            name = pending.pop()
            if name in self.sizes and name not in self.compiled:
                self.compiled.add(name)
                pending.extend(self.imports[name])

    @property
    def fraction(self) -> float:
        """How much of all sources, by size, has been compiled."""
        return sum(self.sizes[name] for name in self.compiled) / max(sum(self.sizes.values()), 1)


@dataclass(frozen=True)
class Workshop:
    """Where one module is built: its folder, its log, and the `go` that works in it."""

    module: Module
    go: Path
    folder: Path
    log: Path
    progress: Progress

    def run(self, *arguments: str, on_line: Callable[[str], object] = lambda _: None) -> str:
        """Run `go` and return what it printed; raise LabError, in one line, when it fails."""
        lines: list[str] = []
        with self.log.open("a") as log:

            def keep(line: str) -> None:
                print(line, file=log, flush=True)
                lines.append(line)
                on_line(line)

            print("$ go", *arguments, file=log, flush=True)
            status = self.progress.run([self.go, *arguments], on_line=keep, env=environment(), cwd=self.folder)
        if status:
            raise LabError(explain(self.module.name, lines, self.log))
        return "\n".join(lines)


def build(tools: Sequence[Tool], go: Path, progress: Progress) -> None:
    """Build commands into the cache; the sources of one module are fetched while another is compiled."""
    builds = [(modules()[name], tuple(group)) for name, group in groupby(sorted(tools, key=_module), key=_module)]
    check_space([module for module, _ in builds], go)
    progress.side_by_side([partial(_build_module, module, group, go, progress) for module, group in builds])


def environment() -> dict[str, str]:
    """Return the environment that Go builds in: the person's own proxy, checksum database and caches, nothing else's.

    Without cgo no C compiler is needed. A larger heap target trades memory for time: the compiler collects less often.
    """
    kept = {name: value for name, value in os.environ.items() if name not in ("GOOS", "GOARCH", "GOARM64", "GOAMD64")}
    return {"GOGC": "400", **kept, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GO111MODULE": "on"}


def check_space(building: Sequence[Module], go: Path) -> None:
    """Refuse to begin builds that the disks cannot hold.

    A build that was begun before has used some of its space already; only its programs are counted.
    """
    make_folder(cache())
    asked = subprocess.run(
        [go, "env", "-json", "GOCACHE", "GOMODCACHE"], capture_output=True, text=True, check=False, env=environment()
    )
    if asked.returncode:
        raise LabError(f"{go} does not work: {asked.stderr.strip()[:300]}; put a working go on your PATH, or none")
    places: dict[str, str] = json.loads(asked.stdout)
    new = [module for module in building if not log_of(module).exists()]
    needs = (
        (Path(places["GOMODCACHE"]), sum(module.sources for module in new)),
        (Path(places["GOCACHE"]), sum(module.compiled for module in new)),
        (cache(), sum(module.programs for module in building)),
    )
    disks: dict[int, tuple[Path, int]] = {}
    for place, need in needs:
        folder = next(p for p in (place, *place.parents) if p.exists())
        disk = folder.stat().st_dev
        disks[disk] = (folder, need + disks.get(disk, (folder, 0))[1])
    for folder, need in disks.values():
        free = shutil.disk_usage(folder).free // 2**20
        if free < need:
            raise LabError(
                f"building {', '.join(m.name for m in building)} takes {need} MiB of the disk of {folder}, which has"
                f" {free} MiB free; free some space, or set FALAJ_CACHE, GOCACHE and GOMODCACHE to a larger disk"
            )


def log_of(module: Module) -> Path:
    """Where Go's words about the latest build of a module are kept."""
    return cache() / "logs" / f"build-{module.name}.log"


def explain(module: str, lines: Sequence[str], log: Path) -> str:
    """Say in one line why Go failed and what to do."""
    output = "\n".join(lines)
    if "no space left on device" in output:
        return f"the disk became full while building {module}; free some space and run this again: what is done is kept"
    if "checksum mismatch" in output or "SECURITY ERROR" in output:
        wrong = next(line for line in lines if "checksum mismatch" in line or "SECURITY ERROR" in line)
        return f"a source of {module} is not what go.sum pins ({wrong.strip()[:200]}); it was not used; see {log}"
    if "signal: killed" in output:
        return f"the Go compiler was killed while building {module}, probably for lack of memory; run this again"
    if wrong := next((line.strip() for line in lines if re.search(r"\.go:\d+:\d+: ", line)), None):
        return f"building {module} failed: {wrong[:300]}; the whole log is in {log}"
    if network := next((line.strip() for line in lines if " " in line and _NETWORK.search(line)), None):
        return f"cannot download the sources of {module}: {network[:300]}; check the network and run this again"
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
    return f"building {module} failed: {last[:300]}; the whole log is in {log}"


def _build_module(module: Module, tools: Sequence[Tool], go: Path, progress: Progress) -> None:
    """Build those of a module's commands that are still missing once this is the one that builds them."""
    label = ", ".join(tool.name for tool in tools)
    task = progress.task(f"build {label}", sum(tool.seconds for tool in tools))
    with locked(f"build-{module.name}", task):
        missing = [tool for tool in tools if not tool.cached.is_file()]
        folder = cache() / "build" / module.name
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        log = log_of(module)
        make_folder(log.parent)
        log.write_text("")
        try:
            workshop = Workshop(module, go, make_folder(folder), log, progress)
            if missing:
                _make(workshop, missing, task)
        except OSError as error:
            raise LabError(
                f"cannot write below {cache()}: {error.strerror}; free some space, or set FALAJ_CACHE"
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    task.finish()


def _make(workshop: Workshop, tools: Sequence[Tool], task: Task) -> None:
    """Fetch, patch, compile and publish."""
    task.update(0.0, "fetching sources")
    for file in (MODULES / workshop.module.name).iterdir():
        shutil.copyfile(file, workshop.folder / file.name)
    for number, patch in enumerate(workshop.module.patches):
        apply(patch, workshop, workshop.folder / f"patched-{number}")
    commands = [tool.made_from for tool in tools if isinstance(tool.made_from, GoCommand)]
    sources = _sources(workshop, [command.package for command in commands], task)
    task.pause("sources are here; waiting for the cores")
    while not _compiling.acquire(timeout=0.5):
        workshop.progress.check()
    try:
        task.restart()
        _compile(workshop, commands, sources, task)
    finally:
        _compiling.release()
    for tool, command in zip(tools, commands, strict=True):
        with publish(tool.cached.parent) as part:
            (workshop.folder / "bin" / program_name(command.package)).rename(part / tool.name)
            _keep(command, workshop, part / "data")


def apply(patch: Patch, workshop: Workshop, copy: Path) -> None:
    """Build from a changed copy of a module's source, which Go has checked against go.sum before."""
    (found,) = json_values(workshop.run("mod", "download", "-json", patch.module))
    shutil.copytree(found["Dir"], copy, copy_function=shutil.copyfile)  # files of the module cache are read-only
    for path in (copy, *copy.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    for target, source in patch.copies.items():
        shutil.copyfile(copy / source, copy / target)
    for one in patch.edits:
        try:
            (copy / one.file).write_text(edit((copy / one.file).read_text(), one))
        except LabError as error:
            raise LabError(
                f"the patch of {patch.module} {one.file} {error}:"
                " tools.toml does not belong to the version that go.mod pins"
            ) from error
    workshop.run("mod", "edit", f"-replace={patch.module}=./{copy.name}")


def edit(text: str, edit: Edit) -> str:
    """Return a text with one edit made; raise LabError when it does not fit the text."""
    found: set[str] = set()

    def replace(match: re.Match[str]) -> str:
        if edit.keep and match[1] in edit.keep:
            found.add(match[1])
            return match[0]
        return match.expand(edit.replacement)

    text, count = re.subn(edit.pattern, replace, text)
    if count != edit.count:
        raise LabError(f"fits {count} times instead of {edit.count}")
    if missing := [name for name in edit.keep if name not in found]:
        raise LabError(f"does not find {', '.join(missing)}, which it keeps")
    return text


def _keep(command: GoCommand, workshop: Workshop, folder: Path) -> None:
    """Copy what a command needs of its own module's files, or of another's."""
    if not command.data:
        return
    asked = ("-m", "-f", "{{.Dir}}", command.data_of) if command.data_of else ("-f", "{{.Module.Dir}}", command.package)
    module = Path(workshop.run("list", *FLAGS, *asked).splitlines()[-1])
    for name in command.data:
        for source in (module / name, *(module / name).rglob("*")):
            target = folder / source.relative_to(module)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_file():
                shutil.copyfile(source, target)


def _sources(workshop: Workshop, packages: Sequence[str], task: Task) -> Sources:
    """Fetch what the packages need, and list it."""
    fetched = 0

    def count(line: str) -> None:
        nonlocal fetched
        if line.startswith("go: downloading"):
            fetched += 1
            task.update(0.0, f"{fetched} modules fetched")

    fields = "-json=ImportPath,Dir,GoFiles,Imports"
    listed = json_values(workshop.run("list", *FLAGS, *_tags(workshop), "-deps", fields, *packages, on_line=count))
    sizes = {p["ImportPath"]: sum((Path(p["Dir"]) / f).stat().st_size for f in p.get("GoFiles", ())) for p in listed}
    return Sources(sizes, {p["ImportPath"]: p.get("Imports", ()) for p in listed})


def _compile(workshop: Workshop, commands: Sequence[GoCommand], sources: Sources, task: Task) -> None:
    """Compile and link the commands in one go, so that what they share is compiled once."""
    total = len(sources.sizes)

    def follow(line: str) -> None:
        if line in sources.sizes:
            sources.starts(line)
            # The last twentieth is for linking.
            task.update(0.95 * sources.fraction, f"{len(sources.compiled)} of {total} packages")

    variables = [f"-X {name}={value}" for name, value in workshop.module.variables.items()]
    flags = " ".join(["-s", "-w", *variables])
    packages = [command.package for command in commands]
    task.update(0.0, f"0 of {total} packages")
    arguments = [*FLAGS, *_tags(workshop), "-v", NO_DEBUG, "-ldflags", flags, "-o", "bin/", *packages]
    workshop.run("build", *arguments, on_line=follow)


def _tags(workshop: Workshop) -> list[str]:
    """Return the flag for the build tags of a module, which go for all of its commands."""
    return ["-tags", ",".join(workshop.module.tags)] if workshop.module.tags else []


def program_name(package: str) -> str:
    """Return the name that Go gives to a command: the last part of its path that is no major version."""
    *parents, last = package.split("/")
    return parents[-1] if re.fullmatch(r"v\d+", last) else last


def json_values(output: str) -> list[dict[str, Any]]:
    """Return the JSON objects that Go printed one after the other, between its messages."""
    text = "\n".join(line for line in output.splitlines() if not line.startswith("go: ")).strip()
    decoder, values, start = json.JSONDecoder(), list[dict[str, Any]](), 0
    while start < len(text):
        value, end = decoder.raw_decode(text, start)
        values.append(value)
        start = end + len(text[end:]) - len(text[end:].lstrip())
    return values


def _module(tool: Tool) -> str:
    """Return the name of the module that a Go command is built from."""
    assert isinstance(tool.made_from, GoCommand)
    return tool.made_from.module
