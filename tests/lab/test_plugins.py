"""What serves the AWS types of a lab: how it is chosen, remembered and installed."""

import gzip
import importlib.metadata
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from falaj.lab import cli, plugins
from falaj.lab.errors import LabError
from falaj.lab.plugins import Aws
from falaj.lab.state import Lab
from falaj.lab.table import modules
from falaj.lab.testing import RunningLab, temporary_lab
from falaj.lab.tools import Resolved

SDK = importlib.metadata.version("pulumi-aws")


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A person without plugins, and with an empty home; a real lab takes its tools from where they are."""
    if request.node.get_closest_marker("lab"):
        return
    for name in ("FALAJ_LAB", "PULUMI_HOME", "PULUMI_IGNORE_AMBIENT_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path / "lab")
    made.create()
    return made


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\xff\xfe")
    path.chmod(0o755)
    return path


def official(tmp_path: Path, version: str = "7.60.0") -> Path:
    return program(tmp_path / "home" / ".pulumi" / "plugins" / f"resource-aws-v{version}" / "pulumi-resource-aws")


def write_state(lab: Lab, stack: str, latest: dict[str, Any] | None) -> Path:
    """Write a stack's state as the CLI does."""
    path = lab.folder("pulumi-state", ".pulumi", "stacks", "shop") / f"{stack}.json"
    path.write_text(json.dumps({"version": 3, "checkpoint": {"stack": f"organization/shop/{stack}", "latest": latest}}))
    return path


def resources(*types: str) -> dict[str, Any]:
    return {"resources": [{"type": each, "urn": f"urn:pulumi:dev::shop::{each}::x"} for each in types]}


OURS = resources("pulumi:pulumi:Stack", "falaj:index:Network", "aws:ec2/vpc:Vpc", "aws:s3/bucket:Bucket")
NO_AWS = resources("pulumi:pulumi:Stack", "pulumi:providers:aws", "kubernetes:core/v1:Namespace")


def test_a_new_lab_is_official_where_a_plugin_fits_and_emulated_otherwise(lab: Lab, tmp_path: Path) -> None:
    assert plugins.choose(lab, None) is Aws.EMULATED
    official(tmp_path, "8.0.0")
    assert plugins.choose(lab, None) is Aws.EMULATED
    official(tmp_path)
    assert plugins.choose(lab, None) is Aws.OFFICIAL


def test_what_was_chosen_is_remembered_whatever_plugin_appears(lab: Lab, tmp_path: Path) -> None:
    install(lab, tmp_path, Aws.EMULATED)
    official(tmp_path)
    assert plugins.choose(lab, None) is Aws.EMULATED
    assert plugins.current(lab) == (Aws.EMULATED, "this lab remembers it")
    assert plugins.choose(lab, Aws.OFFICIAL) is Aws.OFFICIAL


def test_official_without_a_plugin_is_one_line_that_says_what_to_do(lab: Lab) -> None:
    for command in (["--state", str(lab.root), "up", "--aws", "official"], ["install", "--aws", "official"]):
        with pytest.raises(LabError, match=rf"pulumi plugin install resource aws {SDK}") as raised:
            CliRunner().invoke(cli.app, command, catch_exceptions=False)
        assert "\n" not in str(raised.value)
    assert lab.settings() == {}


@pytest.mark.parametrize(
    "latest",
    [OURS, {"resources": [], "pending_operations": [{"type": "creating", "resource": OURS["resources"][2]}]}],
    ids=["made", "being made"],
)
def test_a_lab_whose_stacks_have_aws_resources_keeps_its_provider(lab: Lab, latest: dict[str, Any]) -> None:
    lab.remember("aws", "emulated")
    write_state(lab, "empty", None)
    write_state(lab, "dev", latest)
    with pytest.raises(LabError, match=r"stack shop/dev of this lab has [12] AWS resources made through the emulated"):
        plugins.choose(lab, Aws.BRIDGED)
    assert plugins.choose(lab, Aws.EMULATED) is Aws.EMULATED
    assert plugins.choose(lab, None) is Aws.EMULATED


def test_resources_of_a_lab_that_remembers_nothing_are_the_usual_providers(lab: Lab) -> None:
    write_state(lab, "dev", OURS)
    with pytest.raises(LabError, match="made through the emulated provider"):
        plugins.choose(lab, Aws.BRIDGED)


@pytest.mark.parametrize("latest", [None, {}, {"resources": None}, NO_AWS])
def test_a_lab_without_aws_resources_changes_its_provider(lab: Lab, latest: dict[str, Any] | None) -> None:
    lab.remember("aws", "emulated")
    write_state(lab, "dev", latest)
    assert plugins.choose(lab, Aws.BRIDGED) is Aws.BRIDGED


def test_compressed_state_is_read_too(lab: Lab) -> None:
    path = write_state(lab, "dev", OURS)
    path.with_suffix(".json.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert plugins.aws_resources(lab) == {"shop/dev": 2}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"checkpoint": nul', b"\xff\xfe"])
@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_state_that_cannot_be_read_is_not_taken_for_empty(lab: Lab, content: bytes, suffix: str) -> None:
    write_state(lab, "dev", None).with_suffix(suffix).write_bytes(content)
    with pytest.raises(LabError, match=r"cannot read Pulumi's state .*dev\.json"):
        plugins.choose(lab, Aws.BRIDGED)


def write_lock(lab: Lab, pid: int) -> None:
    path = lab.folder("pulumi-state", ".pulumi", "locks", "organization", "shop", "dev") / "one.json"
    lock = {"pid": pid, "hostname": os.uname().nodename, "timestamp": datetime.now(UTC).isoformat()}
    path.write_text(json.dumps(lock))


def test_a_provider_is_not_changed_below_a_run(lab: Lab) -> None:
    write_lock(lab, os.getpid())
    with pytest.raises(LabError, match="a Pulumi run is at work in this lab"):
        plugins.choose(lab, Aws.BRIDGED)


def test_what_a_killed_run_had_moved_aside_counts(lab: Lab) -> None:
    state = write_state(lab, "dev", OURS)
    state.rename(state.with_name("dev.json.bak"))
    assert plugins.aws_resources(lab) == {}  # a removed stack leaves that too
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    write_lock(lab, gone.pid)
    assert plugins.aws_resources(lab) == {"shop/dev": 2}


def test_a_plugin_on_the_path_that_pulumi_would_use_instead_is_refused(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ambient = program(tmp_path / "bin" / "pulumi-resource-aws")
    monkeypatch.setenv("PATH", f"{ambient.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(LabError, match=f"Pulumi would use {ambient} of your PATH"):
        plugins.choose(lab, None)
    assert CliRunner().invoke(cli.app, ["--state", str(lab.root), "doctor"]).exit_code == 1
    monkeypatch.setenv("PULUMI_IGNORE_AMBIENT_PLUGINS", "true")
    assert plugins.choose(lab, None) is Aws.EMULATED


def install(lab: Lab, tmp_path: Path, aws: Aws) -> list[Path]:
    """Install the plugins for one provider and return the AWS plugins that are in the lab then."""
    made = {
        name: program(tmp_path / "tools" / name) for name in ("pulumi", "pulumi-resource-kubernetes", "aws-bridged")
    }
    resolved = {name: Resolved(name, path, "4.25.0", "cache", "") for name, path in made.items()}
    plugins.prepare_plugins(lab, resolved, aws)
    assert {path.read_bytes() for path in made.values()} == {b"\x7fELF\xff\xfe"}
    return [*(lab.root / "pulumi" / "plugins").glob("resource-aws-v*/*")]


@pytest.mark.parametrize("before", Aws)
@pytest.mark.parametrize("after", Aws)
def test_exactly_one_aws_plugin_is_left_in_the_lab(lab: Lab, tmp_path: Path, before: Aws, after: Aws) -> None:
    mine = official(tmp_path)
    install(lab, tmp_path, before)
    (lab.root / "pulumi" / "plugins" / f"resource-aws-v{SDK}.lastused").touch()  # as the CLI does
    (plugin,) = install(lab, tmp_path, after)
    assert lab.settings() == {"aws": after}
    version = "7.60.0" if after is Aws.OFFICIAL else SDK
    assert plugin.parent.name == f"resource-aws-v{version}"
    if after is Aws.EMULATED:
        assert "falaj.lab.provider.aws" in plugin.read_text()
    else:
        assert plugin.readlink() == (mine if after is Aws.OFFICIAL else tmp_path / "tools" / "aws-bridged")


def test_the_bridged_provider_serves_the_names_of_the_installed_sdk() -> None:
    assert modules()["aws"].variables == {"main.version": SDK}


def test_doctor_says_what_serves_aws_types_and_what_it_knows(lab: Lab, tmp_path: Path) -> None:
    doctor = ["--state", str(lab.root), "doctor"]
    emulated = CliRunner().invoke(cli.app, doctor).output
    assert "types that the emulated aws provider enacts" in emulated
    lab.remember("aws", "bridged")
    bridged = CliRunner().invoke(cli.app, doctor).output
    assert "types that the emulated aws provider enacts" not in bridged
    assert "this lab remembers it; HashiCorp's provider 6.34.0" in bridged
    assert " eks elbv2 events " in bridged
    lab.remember("aws", "official")
    gone = CliRunner().invoke(cli.app, doctor)
    assert gone.exit_code == 1
    official(tmp_path)
    assert CliRunner().invoke(cli.app, doctor).exit_code == 0


def test_status_names_what_serves_aws_types(lab: Lab) -> None:
    lab.remember("aws", "bridged")
    answer = CliRunner().invoke(cli.app, ["--state", str(lab.root), "status", "--json"])
    assert json.loads(answer.stdout)["aws"] == "bridged"
    assert "AWS types: bridged, HashiCorp's" in CliRunner().invoke(cli.app, ["--state", str(lab.root), "status"]).output


PROGRAM = """
import pulumi_aws as aws

aws.cloudwatch.LogGroup("orders", retention_in_days={days})
"""


@pytest.mark.lab
def test_the_bridged_provider_judges_and_makes_what_a_program_asks_for(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text(
        f"name: shop\nruntime:\n  name: python\n  options:\n    virtualenv: {sys.prefix}\n"
    )

    def pulumi(lab: RunningLab, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [lab.root / "bin" / "pulumi", *command, "--stack", "dev", "--non-interactive"],
            cwd=project,
            env=lab.env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    with temporary_lab(tmp_path / "lab", aws="bridged") as lab:
        assert pulumi(lab, "stack", "select", "--create").returncode == 0
        (project / "__main__.py").write_text(PROGRAM.format(days=2))
        refused = pulumi(lab, "preview")
        assert "expected retention_in_days to be one of [0 1 3 5 7" in refused.stdout, refused
        (project / "__main__.py").write_text(PROGRAM.format(days=30))
        made = pulumi(lab, "up", "--yes", "--skip-preview")
        assert made.returncode == 0, made
        kept = lab.run("up", "--aws", "emulated", check=False)
        assert (kept.returncode, kept.stderr.count("\n")) == (1, 1)
        assert "stack shop/dev of this lab has 1 AWS resources made through the bridged provider" in kept.stderr
        assert pulumi(lab, "destroy", "--yes", "--skip-preview").returncode == 0
        assert "emulated" in lab.run("up", "--aws", "emulated").stdout
