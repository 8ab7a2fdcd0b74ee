"""The lab's `pulumi`: configuration that stays in the lab, locks of runs that are gone."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from falaj.lab import pulumi_cli
from falaj.lab.state import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab.at(tmp_path / "lab")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "stacks").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text("name: shop\nruntime: python\nstackConfigDir: stacks\n")
    (folder / "stacks" / "Pulumi.dev.yaml").write_text("config:\n  shop:size: 1\n  shop:target: aws\n")
    return folder / "Pulumi.yaml"


def config(path: Path) -> dict[str, object]:
    return yaml.safe_load(path.read_text())["config"]


def test_a_lab_copies_the_tracked_configuration_and_leaves_it_untouched(lab: Lab, project: Path) -> None:
    tracked = project.parent / "stacks" / "Pulumi.dev.yaml"
    before = tracked.read_bytes()
    copy = pulumi_cli.lab_config(lab, project, "dev")
    copy.write_text(copy.read_text() + "encryptionsalt: v1:abc\n")
    assert yaml.safe_load(pulumi_cli.lab_config(lab, project, "dev").read_text())["encryptionsalt"] == "v1:abc"
    assert config(copy) == {"shop:size": 1, "shop:target": "aws"}
    assert tracked.read_bytes() == before


def test_what_the_lab_set_is_kept_while_the_tracked_file_changes(lab: Lab, project: Path) -> None:
    copy = pulumi_cli.lab_config(lab, project, "dev")
    copy.write_text("config:\n  shop:size: 1\n  shop:target: lab\n  shop:extra: true\n")
    (project.parent / "stacks" / "Pulumi.dev.yaml").write_text("config:\n  shop:size: 2\n  shop:target: aws\n")
    pulumi_cli.lab_config(lab, project, "dev")
    assert config(copy) == {"shop:size": 2, "shop:target": "lab", "shop:extra": True}


def test_a_key_that_the_lab_removed_stays_removed(lab: Lab, project: Path) -> None:
    copy = pulumi_cli.lab_config(lab, project, "dev")
    copy.write_text("config:\n  shop:size: 1\n")
    pulumi_cli.lab_config(lab, project, "dev")
    assert config(copy) == {"shop:size": 1}


def test_the_secrets_provider_of_the_tracked_file_does_not_reach_the_lab(lab: Lab, project: Path) -> None:
    tracked = project.parent / "stacks" / "Pulumi.dev.yaml"
    tracked.write_text("secretsprovider: awskms://alias/state\nencryptedkey: abc\n" + tracked.read_text())
    kept = yaml.safe_load(pulumi_cli.lab_config(lab, project, "dev").read_text())
    assert set(kept) == {"config"}


@pytest.mark.parametrize(
    ("command", "stack"),
    [
        (["up", "--stack", "prod"], "prod"),
        (["up", "-s", "prod", "--yes"], "prod"),
        (["up", "--stack=prod"], "prod"),
        (["up", "--", "-s", "prod"], None),
        (["up"], None),
    ],
)
def test_the_stack_is_read_from_the_options(command: list[str], stack: str | None) -> None:
    assert pulumi_cli.option(command, "--stack", "-s") == stack


def test_the_stack_that_a_subcommand_names_is_read() -> None:
    assert pulumi_cli.named_stack(["stack", "init", "--non-interactive", "prod"]) == "prod"
    assert pulumi_cli.named_stack(["stack", "ls"]) is None


def write_lock(lab: Lab, pid: int, taken: datetime, host: str = os.uname().nodename) -> Path:
    path = lab.folder("pulumi-state", ".pulumi", "locks", "organization", "shop", "dev") / "one.json"
    path.write_text(json.dumps({"pid": pid, "username": "a", "hostname": host, "timestamp": taken.isoformat()}))
    return path


def test_the_lock_of_a_dead_run_is_removed(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    path = write_lock(lab, process.pid, datetime.now(UTC))
    pulumi_cli.remove_stale_locks(lab.root / "pulumi-state")
    assert not path.exists()
    assert f"pid {process.pid}" in capsys.readouterr().err


def test_the_lock_of_a_reused_process_id_is_removed(lab: Lab) -> None:
    path = write_lock(lab, os.getpid(), datetime(2020, 1, 1, tzinfo=UTC))
    pulumi_cli.remove_stale_locks(lab.root / "pulumi-state")
    assert not path.exists()


def test_the_lock_of_a_living_run_or_of_another_machine_stays(lab: Lab) -> None:
    path = write_lock(lab, os.getpid(), datetime.now(UTC))
    pulumi_cli.remove_stale_locks(lab.root / "pulumi-state")
    assert path.exists()
    path = write_lock(lab, 2**22 + 1, datetime.now(UTC), host="elsewhere")
    pulumi_cli.remove_stale_locks(lab.root / "pulumi-state")
    assert path.exists()


def test_the_cli_finds_a_file_where_it_would_keep_its_logs(lab: Lab) -> None:
    home = lab.folder("pulumi")
    (lab.folder("pulumi", "logs") / "pulumi-1.log").write_text("old")
    for _ in range(2):
        pulumi_cli.keep_no_log(home)
        assert (home / "logs").is_file()


def test_state_that_a_killed_run_had_moved_aside_is_put_back(lab: Lab) -> None:
    state = lab.folder("pulumi-state", ".pulumi", "stacks", "shop") / "dev.json"
    state.with_name("dev.json.bak").write_text("kept")
    write_lock(lab, os.getpid(), datetime(2020, 1, 1, tzinfo=UTC))
    pulumi_cli.remove_stale_locks(lab.root / "pulumi-state")
    assert state.read_text() == "kept"


def test_a_removed_stack_stays_removed(lab: Lab) -> None:
    state = lab.folder("pulumi-state", ".pulumi", "stacks", "shop") / "dev.json"
    state.with_name("dev.json.bak").write_text("removed")
    pulumi_cli.remove_stale_locks(lab.root / "pulumi-state")
    assert not state.exists()
