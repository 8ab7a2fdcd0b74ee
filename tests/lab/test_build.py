"""Building commands of pinned Go modules: with the real `go`, from a module proxy in a folder, without a network."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import threading
import time
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from falaj.lab import build, progress, table, tools
from falaj.lab.errors import LabError
from falaj.lab.progress import Progress, Stopped
from falaj.lab.table import Edit, GoCommand, Module, Patch, Tool

GO = tools.resolve("go").path

MAIN = """package main

import "example.com/greeting"

var who = "nobody"

func main() { println(greeting.Word, who) }
"""


@pytest.fixture
def quiet():
    """A place to show progress in: plain lines, kept."""
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def go(tmp_path, monkeypatch) -> Path:
    """The `go` of this machine, with a module proxy in a folder; what it downloads goes to a folder too."""
    if GO is None:
        pytest.skip("no go 1.26 or newer here, neither the person's nor a cached one")
    proxy = tmp_path / "proxy"
    publish_module(
        proxy, "example.com/greeting", "v1.0.0", {"greeting.go": 'package greeting\n\nconst Word = "hello"\n'}
    )
    publish_module(
        proxy, "example.com/hello", "v1.2.3", {"cmd/hello/main.go": MAIN}, requires="example.com/greeting v1.0.0"
    )
    for name, value in {
        "FALAJ_CACHE": tmp_path / "cache",
        "GOMODCACHE": tmp_path / "modules",
        "GOFLAGS": "-modcacherw",
        "GOPROXY": proxy.as_uri(),
        "GONOSUMDB": "example.com",
        "GOSUMDB": "off",
    }.items():
        monkeypatch.setenv(name, str(value))
    folder = tmp_path / "go" / "hello"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(
        "module falaj.dev/lab/hello\n\ngo 1.26\n\ntool example.com/hello/cmd/hello\n\n"
        "require (\n\texample.com/greeting v1.0.0 // indirect\n\texample.com/hello v1.2.3 // indirect\n)\n"
    )
    subprocess.run([GO, "mod", "tidy"], cwd=folder, check=True, env=build.environment(), capture_output=True)
    shutil.rmtree(tmp_path / "modules")
    monkeypatch.setattr(build, "MODULES", tmp_path / "go")
    monkeypatch.setattr(table, "MODULES", tmp_path / "go")
    use_module(monkeypatch)
    return GO


def publish_module(proxy: Path, module: str, version: str, files: dict[str, str], requires: str = "") -> None:
    folder = proxy / module / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    mod = f"module {module}\n\ngo 1.26\n" + (f"\nrequire {requires}\n" if requires else "")
    (folder / "list").write_text(f"{version}\n")
    (folder / f"{version}.info").write_text(json.dumps({"Version": version}))
    (folder / f"{version}.mod").write_text(mod)
    with zipfile.ZipFile(folder / f"{version}.zip", "w") as archive:
        for name, text in {"go.mod": mod, **files}.items():
            archive.writestr(f"{module}@{version}/{name}", text)


def use_module(monkeypatch: pytest.MonkeyPatch, *patches: Patch, space: int = 1, tags: tuple[str, ...] = ()) -> None:
    module = Module("hello", {"main.who": "world"}, patches, sources=space, compiled=space, programs=space, tags=tags)
    table.recipe.cache_clear()
    for place in (build, table):
        monkeypatch.setattr(place, "modules", lambda: {"hello": module})


def hello() -> Tool:
    command = GoCommand("hello", "example.com/hello/cmd/hello")
    return Tool("hello", "1.2.3", "Apache-2.0", False, command, 1, None, None, ())


def make(go: Path, console: Console, tool: Tool | None = None) -> str:
    """Build the command and return what it prints."""
    with Progress(console) as shown:
        build.build([tool or hello()], go, shown)
    return subprocess.run([(tool or hello()).cached], check=True, capture_output=True, text=True).stderr.strip()


def test_a_command_is_built_from_its_pinned_module(go, quiet, tmp_path):
    assert make(go, quiet) == "hello world"
    assert [p.name for p in hello().cached.parent.iterdir()] == ["hello"]
    assert list((tmp_path / "cache" / "build").iterdir()) == []
    assert "build hello: done" in said(quiet)


def test_files_of_its_module_are_kept_beside_a_command(go, quiet):
    tool = replace(hello(), made_from=GoCommand("hello", "example.com/hello/cmd/hello", ("cmd", "go.mod")))
    make(go, quiet, tool)
    kept = tool.cached.parent / "data"
    assert (kept / "cmd" / "hello" / "main.go").read_text() == MAIN
    assert (kept / "go.mod").read_text().startswith("module example.com/hello")


def test_files_of_another_module_are_kept_where_that_is_named(go, quiet):
    command = GoCommand("hello", "example.com/hello/cmd/hello", ("greeting.go",), "example.com/greeting")
    tool = replace(hello(), made_from=command)
    make(go, quiet, tool)
    assert 'const Word = "hello"' in (tool.cached.parent / "data" / "greeting.go").read_text()


def test_build_tags_of_a_module_decide_what_is_compiled(go, quiet, monkeypatch):
    first = r"\A"
    edits = (
        Edit("greeting.go", first, r"//go:build !loud\n\n", 1),
        Edit("loud.go", first, r"//go:build loud\n\n", 1),
        Edit("loud.go", '"hello"', '"HELLO"', 1),
    )
    patch = Patch("example.com/greeting", {"loud.go": "greeting.go"}, edits)
    use_module(monkeypatch, patch, tags=("loud",))
    assert make(go, quiet) == "HELLO world"
    loud = hello().cached
    use_module(monkeypatch, patch)
    assert make(go, quiet) == "hello world"
    assert hello().cached != loud


def test_no_c_compiler_is_needed(go, quiet, monkeypatch, tmp_path):
    monkeypatch.setenv("CGO_ENABLED", "1")
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    assert make(go, quiet) == "hello world"


def test_the_persons_other_go_settings_do_not_change_what_is_built(go, quiet, monkeypatch, tmp_path):
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.setenv("GOWORK", str(tmp_path / "go.work"))
    monkeypatch.setenv("GOFLAGS", "-modcacherw -mod=vendor")
    assert make(go, quiet) == "hello world"


def test_the_proxy_and_the_checksum_database_are_the_persons(monkeypatch):
    settings = {"GOPROXY": "https://proxy.example", "GOSUMDB": "sum.example", "GOPRIVATE": "a.example", "GOCACHE": "/c"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert settings.items() <= build.environment().items()


def test_a_second_build_asks_nothing_of_the_network(go, quiet, monkeypatch):
    make(go, quiet)
    shutil.rmtree(hello().cached.parent)
    monkeypatch.setenv("GOPROXY", "off")
    assert make(go, quiet) == "hello world"


def test_a_patched_module_is_built_from_its_changed_copy(go, quiet, monkeypatch):
    edits = (Edit("greeting.go", '"(hello)"', r'"\1, dear"', 1),)
    use_module(monkeypatch, Patch("example.com/greeting", {"copy.go": "go.mod", "more/word.txt": "greeting.go"}, edits))
    with pytest.raises(LabError, match="cannot write below"):
        make(go, quiet)  # the folder of a copy has to be there
    use_module(monkeypatch, Patch("example.com/greeting", {"word.txt": "greeting.go"}, edits))
    assert make(go, quiet) == "hello, dear world"


def test_a_patch_that_does_not_fit_any_more_is_refused(go, quiet, monkeypatch):
    use_module(monkeypatch, Patch("example.com/greeting", {}, (Edit("greeting.go", "goodbye", "hello", 1),)))
    with pytest.raises(LabError, match=r"the patch of example.com/greeting greeting.go fits 0 times instead of 1"):
        make(go, quiet)


IMPORTS = '\t"ec2"\n\t"iam"\n\t"s3"\n'


def test_an_edit_leaves_the_matches_that_it_keeps():
    assert build.edit(IMPORTS, Edit("f", r'(?m)^\t"(\w+)"\n', "", 3, ("iam", "s3"))) == '\t"iam"\n\t"s3"\n'


def test_what_is_kept_counts_as_found_and_a_name_that_is_not_there_is_refused():
    with pytest.raises(LabError, match="fits 3 times instead of 2"):
        build.edit(IMPORTS, Edit("f", r'"(\w+)"', "", 2, ("iam",)))
    with pytest.raises(LabError, match="does not find iamm, which it keeps"):
        build.edit(IMPORTS, Edit("f", r'"(\w+)"', "", 3, ("iamm", "s3")))


OWN = """package main

import _ "embed"

//go:embed names.json
var names string

func main() { print(names) }
"""


def test_a_module_folder_may_hold_a_command_of_its_own_which_decides_its_recipe(go, quiet, monkeypatch, tmp_path):
    folder = tmp_path / "go" / "own"
    folder.mkdir()
    for name, text in {"go.mod": "module falaj.dev/own\n\ngo 1.26\n", "go.sum": "", "main.go": OWN}.items():
        (folder / name).write_text(text)
    module = Module("own", {}, (), sources=1, compiled=1, programs=1)
    for place in (build, table):
        monkeypatch.setattr(place, "modules", lambda: {"own": module})
    tool = Tool("mine", "1.0.0", "Apache-2.0", False, GoCommand("own", "falaj.dev/own"), 1, None, None, ())
    for names in ("first", "second"):
        (folder / "names.json").write_text(names)
        table.recipe.cache_clear()
        assert make(go, quiet, tool) == names
    assert len(list(tool.cached.parents[1].iterdir())) == 2


@pytest.mark.parametrize("patched", [False, True])
def test_a_download_that_is_not_the_pinned_one_is_refused(go, quiet, monkeypatch, tmp_path, patched):
    publish_module(tmp_path / "proxy", "example.com/greeting", "v1.0.0", {"greeting.go": "package greeting // evil\n"})
    if patched:
        use_module(monkeypatch, Patch("example.com/greeting", {}, ()))
    with pytest.raises(LabError, match=r"is not what go.sum pins \(.*checksum mismatch.*\); it was not used") as raised:
        make(go, quiet)
    assert "\n" not in str(raised.value)
    assert not hello().cached.exists()


def test_a_missing_network_is_one_clear_line(go, quiet, monkeypatch):
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9")
    with pytest.raises(
        LabError, match=r"cannot download the sources of hello: .*; check the network and run this again"
    ):
        make(go, quiet)


def test_a_compilation_that_fails_names_the_log_and_leaves_no_tool(go, quiet, monkeypatch, tmp_path):
    use_module(monkeypatch, Patch("example.com/greeting", {}, (Edit("greeting.go", "hello", '" + 1 + "', 1),)))
    log = tmp_path / "cache" / "logs" / "build-hello.log"
    with pytest.raises(LabError, match=rf"building hello failed: .*; the whole log is in {log}"):
        make(go, quiet)
    assert "mismatched types" in log.read_text() or "cannot convert" in log.read_text()
    assert not hello().cached.parent.exists()


def test_a_disk_that_is_too_small_is_refused_before_anything_is_done(go, quiet, monkeypatch, tmp_path):
    use_module(monkeypatch, space=10**9)
    with pytest.raises(LabError, match=r"building hello takes \d+ MiB of the disk of .*, which has \d+ MiB free"):
        make(go, quiet)
    assert not (tmp_path / "modules").exists()


def test_a_build_that_was_begun_is_not_asked_for_the_whole_space_again(go, quiet, monkeypatch):
    make(go, quiet)
    shutil.rmtree(hello().cached.parent)
    module = Module("hello", {"main.who": "world"}, (), sources=10**9, compiled=10**9, programs=1)
    monkeypatch.setattr(build, "modules", lambda: {"hello": module})
    assert make(go, quiet) == "hello world"


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("link: /x/y: no space left on device", "the disk became full while building m"),
        ("go: build failed\n/go/compile: signal: killed", "the Go compiler was killed while building m"),
        ('go: example.com/a@v1: Get "x": dial tcp: no such host', "cannot download the sources of m: .*no such host"),
        (
            "k8s.io/apiserver/timeout\nlink: wrong reloc",
            r"building m failed: link: wrong reloc; the whole log is in log",
        ),
        ("# p\np/a.go:3:4: undefined: x\nother/p", r"building m failed: p/a.go:3:4: undefined: x; .* log is in log"),
    ],
)
def test_each_failure_says_what_to_do_in_one_line(output, told):
    message = build.explain("m", output.splitlines(), Path("log"))
    assert "\n" not in message
    with pytest.raises(LabError, match=told):
        raise LabError(message)


def test_a_go_that_does_not_work_is_named(quiet, tmp_path, monkeypatch):
    monkeypatch.setenv("FALAJ_CACHE", str(tmp_path / "cache"))
    broken = tmp_path / "go"
    broken.write_text("#!/bin/sh\necho broken >&2; exit 1\n")
    broken.chmod(0o755)
    with pytest.raises(LabError, match=f"{broken} does not work: broken"):
        make(broken, quiet, next(t for t in table.table().values() if isinstance(t.made_from, GoCommand)))


def test_progress_counts_what_a_package_imports_as_compiled_when_it_starts():
    sources = build.Sources({"main": 10, "a": 30, "b": 60}, {"main": ["a"], "a": ["b", "C"], "b": []})
    sources.starts("b")
    assert sources.fraction == 0
    sources.starts("a")
    assert sources.fraction == 0.6
    sources.starts("main")
    assert sources.fraction == 0.9


@pytest.mark.parametrize(
    ("package", "name"),
    [("go.etcd.io/etcd/server/v3", "server"), ("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver")],
)
def test_a_program_is_named_as_go_names_it(package, name):
    assert build.program_name(package) == name


def test_where_there_is_no_terminal_a_line_now_and_then_says_how_far_it_is(quiet, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.02)
    with Progress(quiet) as shown:
        shown.task("build x", 60).update(0.5, "5 of 10 packages")
        deadline = time.monotonic() + 20
        while "build x: 5 of 10 packages" not in said(quiet):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert "build x: about 1:00 on 2 cores" in said(quiet)
    assert "so far, about" in said(quiet)


def test_a_terminal_shows_the_task_with_its_bar_and_its_times():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=150)
    with Progress(terminal) as shown:
        shown.task("build x", 60).update(0.5, "5 of 10 packages")
        with terminal.capture() as seen:
            terminal.print(shown.render())
    assert "build x" in seen.get()
    assert "50%" in seen.get()
    assert "5 of 10 packages" in seen.get()


def test_work_that_waits_for_other_work_keeps_its_whole_time_ahead(quiet):
    with Progress(quiet) as shown:
        task = shown.task("build x", 60)
        task.pause("waiting for the cores")
        assert task.line() == "build x: waiting for the cores, about 1:00 left"


def test_the_first_failure_ends_the_other_programs_and_is_raised(quiet, tmp_path):
    def long(shown: Progress) -> None:
        shown.run(["sh", "-c", f"sleep 600 & echo $! > {tmp_path / 'child'}; wait"], on_line=print)

    def fails() -> None:
        deadline = time.monotonic() + 20
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        raise LabError("broken")

    with Progress(quiet) as shown, pytest.raises(LabError, match="broken"):
        shown.side_by_side([partial(long, shown), fails])
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_nothing_is_started_any_more_once_the_work_was_stopped(quiet, tmp_path):
    with Progress(quiet) as shown:
        shown.stop()
        with pytest.raises(Stopped):
            shown.run(["touch", tmp_path / "ran"], on_line=print)
    assert not (tmp_path / "ran").exists()


def test_an_interrupted_result_leaves_nothing_and_the_next_one_sweeps_up(tmp_path):
    final = tmp_path / "tools" / "x" / "1.0"
    killed = tmp_path / "tools" / "x" / ".1.0.99.part"
    killed.mkdir(parents=True)
    with pytest.raises(KeyboardInterrupt), progress.publish(final) as part:
        (part / "half").touch()
        raise KeyboardInterrupt
    assert list(final.parent.iterdir()) == []
    with progress.publish(final) as part:
        (part / "x").touch()
    assert [p.name for p in final.parent.iterdir()] == ["1.0"]
    assert (final / "x").exists()


def test_two_builds_of_one_module_compile_it_once(go, quiet, tmp_path):
    counted = tmp_path / "bin" / "go"
    counted.parent.mkdir()
    counted.write_text(f'#!/bin/sh\n[ "$1" = build ] && echo build >> {tmp_path / "builds"}\nexec {go} "$@"\n')
    counted.chmod(0o755)
    both = [threading.Thread(target=make, args=(counted, Console(file=io.StringIO()))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(timeout=600)
    assert (tmp_path / "builds").read_text() == "build\n"
    assert os.access(hello().cached, os.X_OK)


def test_a_program_that_cannot_be_run_is_one_clear_line(quiet, tmp_path):
    with Progress(quiet) as shown, pytest.raises(LabError, match=f"cannot run {tmp_path}/none: No such file"):
        shown.run([tmp_path / "none"], on_line=print)
