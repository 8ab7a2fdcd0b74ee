import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from falaj.lab import control, tools
from falaj.lab.cli import app, duration, parse_port, read_logs
from falaj.lab.errors import LabError
from falaj.lab.services import SERVICES
from falaj.lab.state import Lab
from falaj.lab.testing import RunningLab

COMMANDS = ("up", "down", "simulate", "status", "env", "exec", "logs", "reset", "install", "doctor")


@pytest.fixture
def made(tmp_path: Path) -> Lab:
    """A lab that was made, and never started."""
    lab = Lab(tmp_path / "lab")
    lab.create()
    return lab


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"]).output
    assert "Example" in shown
    assert f"falaj-lab {command}" in shown


def test_every_command_has_been_thought_of_here() -> None:
    callbacks = [(command.name, command.callback) for command in app.registered_commands]
    assert {name or callback.__name__ for name, callback in callbacks if callback} == set(COMMANDS)


def test_a_lab_that_was_never_made_is_stopped(tmp_path: Path) -> None:
    lab = RunningLab(tmp_path / "none")
    answer = lab.run("status", "--json", check=False)
    assert answer.returncode == 3
    assert json.loads(answer.stdout)["state"] == "stopped"
    assert "no lab" in lab.run("down").stdout
    assert "no lab" in lab.run("reset", "--yes").stdout
    assert not lab.root.exists()


@pytest.mark.parametrize("command", [("env",), ("logs",), ("exec", "--", "true")])
def test_what_needs_a_lab_says_how_to_make_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    answer = RunningLab(tmp_path / "none").run(*command, check=False)
    assert answer.returncode == 1
    assert answer.stderr == (
        f"falaj-lab: there is no lab at {tmp_path / 'none'}; "
        "make one with `falaj-lab up`, or name another folder: --state DIR\n"
    )


def test_a_folder_that_is_not_a_lab_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for command in (("reset", "--yes"), ("up",)):
        answer = RunningLab(tmp_path).run(*command, check=False)
        assert answer.returncode == 1
        assert answer.stderr.count("\n") == 1
        assert "not a lab" in answer.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.txt"]


def test_reset_asks_before_it_forgets(made: Lab) -> None:
    answer = RunningLab(made.root).run("reset", check=False)
    assert (answer.returncode, "--yes" in answer.stderr) == (1, True)
    assert made.exists()
    RunningLab(made.root).run("reset", "--yes")
    assert not made.root.exists()


def test_an_error_is_one_line_and_its_traceback_is_behind_debug(tmp_path: Path) -> None:
    lab = RunningLab(tmp_path / "none")
    assert "Traceback" not in lab.run("env", check=False).stderr
    traced = subprocess.run([*lab.command("--debug", "env")], capture_output=True, text=True, check=False)
    assert traced.stderr.startswith("Traceback")
    assert "LabError: there is no lab at" in traced.stderr


def test_env_survives_a_shell(made: Lab) -> None:
    made.allocate_ports([port for service in SERVICES for port in service.ports])
    lab = RunningLab(made.root)
    exports = lab.run("env").stdout
    shell = subprocess.run(
        ["sh", "-c", f"{exports}\nenv -0"], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    seen = dict(entry.split("=", 1) for entry in shell.stdout.split("\0") if entry)
    expected = json.loads(lab.run("env", "--json").stdout)
    assert {name: seen[name] for name in expected} == expected


@pytest.mark.parametrize("text", ["moto", "moto=", "moto=x", "moto=-1", "moto=65536"])
def test_a_port_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(LabError, match="write NAME=N"):
        parse_port(text)


def test_a_log_is_followed_through_its_rotation(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    log.write_text("1\n2\n3\n")
    lines = read_logs({"one": log, "none": tmp_path / "none.log"}, 2, follow=True)
    assert [next(lines), next(lines)] == [("one", "2"), ("one", "3")]
    with log.open("a") as file:
        file.write("4\nhal")
    assert next(lines) == ("one", "4")
    with log.open("a") as file:
        file.write("f\n")
    assert next(lines) == ("one", "half")
    log.write_text("5\n")
    assert next(lines) == ("one", "5")


def test_no_lines_means_no_lines(tmp_path: Path) -> None:
    (tmp_path / "one.log").write_text("1\n2\n")
    assert list(read_logs({"one": tmp_path / "one.log"}, 0, follow=False)) == []
    assert len(list(read_logs({"one": tmp_path / "one.log"}, 5, follow=False))) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_the_system_refuses_is_one_line_too(made: Lab) -> None:
    made.allocate_ports(["moto"])
    with Path("/dev/full").open("w") as full:
        answer = subprocess.run(
            RunningLab(made.root).command("env"), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (answer.returncode, answer.stderr) == (1, "falaj-lab: No space left on device\n")


def test_durations_are_short() -> None:
    assert [duration(seconds) for seconds in (5, 65, 7260)] == ["5 s", "1 min", "2 h 1 min"]


def test_doctor_names_every_tool_and_fails_when_something_stands_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = str(tmp_path / "lab")
    well = CliRunner().invoke(app, ["--state", lab, "doctor"])
    assert well.exit_code == 0, well.output
    for name in (*tools.table(), "provider aws", "provider vault"):
        assert name in well.output
    monkeypatch.setattr(control, "SPACE", 1 << 60)
    ill = CliRunner().invoke(app, ["--state", lab, "doctor"])
    assert ill.exit_code == 1
    assert not (tmp_path / "lab").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.lab
def test_too_small_and_full_disks_get_one_line_each(small_disk: Path) -> None:
    lab = RunningLab(small_disk / "lab")
    small = lab.run("up", check=False, timeout=1800)
    assert small.returncode == 1
    assert small.stderr.startswith(f"falaj-lab: 1 MiB are free at {lab.root}, and a lab needs ")
    assert small.stderr.count("\n") == 1
    (small_disk / "filler").write_bytes(b"0" * (1 << 20))
    with pytest.raises(OSError, match="No space left"), (small_disk / "more").open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    lab.run("reset", "--yes")
    with (small_disk / "last").open("wb", buffering=0) as file:
        try:
            while file.write(b"0" * 4096):
                pass
        except OSError:
            pass
    full = lab.run("up", check=False)
    assert full.returncode == 1
    assert full.stderr.count("\n") == 1
    assert "No space left on device" in full.stderr or "0 MiB are free" in full.stderr
