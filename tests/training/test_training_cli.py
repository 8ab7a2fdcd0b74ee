"""The command line: what it says, with which exit code, and without loading torch where it does not train."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from training.runs import PATIENCE, write_job

from falaj.training.errors import RefusedError
from falaj.training.job import Job
from falaj.training.launch import LOCK, command, environment, is_locked, locked

WATCHED = "import sys; from falaj.training.cli import main; sys.argv[0] = 'falaj-train'\ntry: main()\nfinally: "
WATCHED += "sys.exit(99) if 'torch' in sys.modules else None"


def said(*arguments: str) -> tuple[int, str]:
    """Run the command line where torch must not be loaded."""
    words = [sys.executable, "-c", WATCHED, *arguments]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_a_job_that_can_be_run_is_told_without_torch(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    assert said("validate", str(job.path)) == (0, f"{job.path} can be run.\n")


def test_all_that_is_wrong_is_told_in_a_line_each(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    sets = ("--set", "sead=1", "--set", "budget.stepz=2")
    code, out = said("validate", str(job.path), *sets)
    assert code == 2
    assert out.splitlines() == [
        "falaj-train: budget.stepz is no key of this table; did you mean steps? (got 2)",
        "falaj-train: sead is no key of this table; did you mean seed? (got 1)",
    ]
    code, out = said("validate", str(job.path), "--set", "model.entry=toy:modl")
    assert code == 2 and "model.entry must name a function of toy, which has no modl to call" in out


def test_status_is_told_for_people_and_programs_without_torch(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    assert said("status", str(job.path)) == (0, "toy: new, step 0\n")
    code, out = said("status", str(job.path), "--json")
    assert code == 0 and json.loads(out)["state"] == "new"


def test_every_command_shows_an_example() -> None:
    code, out = said("--help")
    assert code == 0
    for name in ("validate", "run", "resume", "evaluate", "export", "status", "lineage"):
        assert name in out
        code, shown = said(name, "--help")
        assert code == 0 and f"falaj-train {name} " in shown


def test_a_job_is_run_by_one_process_at_a_time(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    assert not is_locked(job.folder)
    with locked(job):
        assert is_locked(job.folder)
        with pytest.raises(RefusedError, match="must be free: the job runs already"), locked(job):
            pass
    assert not is_locked(job.folder) and (job.folder / LOCK).exists()


def test_workers_of_one_node_meet_on_the_loopback_interface_and_by_a_new_store_after_a_restart(tmp_path: Path) -> None:
    job = write_job(tmp_path, "parallel.workers=2")
    words, variables = command(job), environment(job, {"PATH": "/bin"})
    assert "--rdzv-endpoint=127.0.0.1:0" in words and "--max-restarts=3" in words
    assert variables["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"
    assert variables["PATH"] == "/bin" and variables["PYTHONHASHSEED"] == "5"
    assert sys.platform != "linux" or variables["GLOO_SOCKET_IFNAME"] == "lo"


def test_workers_of_several_nodes_meet_where_the_job_says(tmp_path: Path) -> None:
    sets = ("parallel.nodes=4", "parallel.least_nodes=2", "parallel.rendezvous=first.train:29400")
    job: Job = write_job(tmp_path, *sets, "parallel.workers=2")
    words = command(job)
    assert "--nnodes=2:4" in words and "--rdzv-endpoint=first.train:29400" in words
    assert "GLOO_SOCKET_IFNAME" not in environment(job, {})
