"""A tiny simulation on a real control plane: work comes, runs, is hit by a failure, goes on, and all is told."""

import json
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from falaj.lab.simulation.api import Api, RefusedError
from falaj.lab.testing import person

TINY = """
title = "Tiny: four nodes, two of which fail"
seed = 5
jobs = 14
load = 1.5
minutes = 0.5
drain = 10
checkpoint_minutes = 5

[[pools]]
name = "h200"
nodes = 4
zones = ["me-central-1a", "me-central-1b"]

[[tenants]]
name = "team"
count = 2
tiers = { production = 1, batch = 2 }

[[failures]]
zone = "me-central-1a"
at = 0.5
until = 0.9

[work.default]
sizes = { 4 = 1, 8 = 1, 16 = 1 }
durations = "uniform"
minutes = [60, 120]

[deadlines.production]
part = 1
slack = [20, 30]
"""


COMMAND = (str(Path(sys.executable).with_name("falaj-lab")), "simulate")


def simulate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=person(), cwd=folder)


@pytest.mark.lab
def test_a_scenario_is_played_on_the_real_control_plane_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of its own: others simulate on this machine too
    done = simulate(tmp_path, "tiny.toml", "--out", "out")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    told: dict[str, Any] = json.loads((out / "report.json").read_text())
    plain = told["runs"]["plain"]
    assert plain["jobs"] == {"in_trace": 14, "submitted": 14, "admitted": 14, "finished": 14, "failed": 0}
    assert plain["time_to_scale"][0]["nodes"] == 4
    assert [one["gpus"] for one in plain["capacity_changes"]] == [32, 16, 32]
    assert {"Deactivated", "NodeFailures"} & plain["evictions"]["by_reason"].keys()
    assert plain["evictions"]["gpu_hours_lost_by"]["failure"] > 0
    assert plain["control_plane"]["kueue"]["cpu_seconds"] > 0
    assert plain["cycles"]["count"] >= 14 / 2, "one work of each of two queues at most"
    assert 0 < plain["cycles"]["mean_seconds"] < 10
    assert 0 < plain["cycles"]["longest_at_least"] <= 10
    assert plain["deadlines"]["production"]["missed"] + plain["deadlines"]["production"]["met"] > 0
    assert "plain: 14 of 14 jobs finished" in done.stdout
    assert len((out / "trace.jsonl").read_text().splitlines()) == 14
    assert "<svg" in (out / "report.html").read_text()
    assert not [*tmp_path.glob("falaj-simulation-*")]
    again = simulate(tmp_path, "tiny.toml", "--out", "out")
    assert "plain: played before" in again.stderr
    assert json.loads((out / "report.json").read_text()) == told


@pytest.mark.lab
def test_a_run_that_is_ended_writes_what_was_seen_and_leaves_no_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tiny.toml").write_text(TINY)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    command = [*COMMAND, "tiny.toml", "--minutes", "5", "--out", "out"]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, env=person(), cwd=tmp_path) as run:
        assert run.stderr
        while " GPUs given" not in run.stderr.readline():
            assert run.poll() is None
        run.terminate()
        told, _ = run.communicate(timeout=120)
    assert run.returncode == 130
    assert "undetermined  fairness under contention, plain" in told
    report: dict[str, Any] = json.loads((tmp_path / "out" / "report.json").read_text())
    assert not report["runs"]["plain"]["complete"]
    assert (tmp_path / "out" / "plain-events.jsonl").read_text()
    assert not [*tmp_path.glob("falaj-simulation-*")]


def test_an_api_server_that_was_started_again_and_knows_nobody_yet_is_asked_again(monkeypatch: pytest.MonkeyPatch):
    unknown = (403, b'{"message": "jobs.batch is forbidden: User \\"falaj:admin\\" cannot create resource"}')
    denied = (403, b'{"message": "admission webhook \\"vjob.kb.io\\" denied the request: spec is immutable"}')
    answers = iter([unknown, (503, b"not ready"), (201, b'{"kind": "Job"}'), *[unknown] * 8, denied])
    monkeypatch.setattr(Api, "__init__", lambda _: None)
    monkeypatch.setattr(Api, "_send", lambda *_: next(answers))
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert Api().create("/jobs", {}) == {"kind": "Job"}
    with pytest.raises(RefusedError, match=r"does not answer as it should: POST /jobs: 403: .*forbidden"):
        Api().create("/jobs", {})
    with pytest.raises(RefusedError, match="denied the request") as refused:
        Api().create("/jobs", {})
    assert refused.value.status == 403, "admission has its say at once"


def test_a_comparison_without_a_controller_is_refused(tmp_path: Path):
    done = simulate(tmp_path, "steady", "--small", "--compare")
    assert done.returncode == 1
    assert "--compare needs something to compare with plain Kueue" in done.stderr


def test_a_trace_of_other_tenants_is_refused(tmp_path: Path):
    line = {"name": "a", "tenant": "other", "tier": "batch", "arrival": 0, "seconds": 5, "gpus": 1, "deadline": None}
    (tmp_path / "trace.jsonl").write_text(json.dumps(line))
    done = simulate(tmp_path, "steady", "--small", "--trace", "trace.jsonl")
    assert done.returncode == 1
    assert "other is no tenant of this scenario" in done.stderr
