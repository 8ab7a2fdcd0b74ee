"""The command line: what is refused offline, with which exit code, and errors of one line."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SCHEDULER = str(Path(sys.executable).with_name("falaj-scheduler"))


def run(*arguments: str, given: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCHEDULER, *arguments], input=given, env={"PATH": "", **env}, capture_output=True, text=True, check=False
    )


def job(labels: dict[str, object] | None = None, **said: object) -> str:
    annotations = {f"falaj.dev/{name.replace('_', '-')}": value for name, value in said.items()}
    meta = {"name": "train", "annotations": annotations, "labels": labels or {}}
    return yaml.safe_dump({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta})


def test_work_that_says_what_it_should_passes():
    text = job({"kueue.x-k8s.io/priority-class": "batch"}, deadline="2099-01-01T00:00:00Z", expected_seconds="7200")
    done = run("check", "-", given=text)
    assert (done.returncode, done.stdout) == (0, "Nothing to refuse: Job train.\n")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"deadline": "2020-01-01T00:00:00Z"}, "falaj.dev/deadline must be later than"),
        ({"deadline": "2099-01-01T00:00:00"}, "falaj.dev/deadline must be a moment with an offset"),
        ({"deadline": "soon"}, "(got 'soon')"),
        ({"expected_seconds": "0"}, "falaj.dev/expected-seconds must be seconds"),
        ({"expected_seconds": "nan"}, "falaj.dev/expected-seconds must be seconds"),
        ({"progress": "1.5"}, "falaj.dev/progress must be a share from 0 to 1"),
        ({"progress": 0.5}, "falaj.dev/progress must be text"),
        (
            {"labels": {"kueue.x-k8s.io/priority-class": "gold"}},
            "must be a tier: scavenger, batch, interactive, production",
        ),
    ],
)
def test_what_would_be_refused_is_refused_with_two_and_one_line(said, expected):
    done = run("check", "-", given=job(**said))
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    path = tmp_path / "jobs.yaml"
    path.write_text(job(progress="2", expected_seconds="-1") + "---\n" + job(deadline="soon"))
    done = run("check", str(path))
    assert len(done.stderr.splitlines()) == 3


@pytest.mark.parametrize("text", ["a: [", "- 1", ""])
def test_what_is_no_manifest_is_refused(text):
    done = run("check", "-", given=text)
    assert done.returncode == 2
    assert done.stderr.startswith("falaj-scheduler: manifest")


def test_a_file_that_is_not_there_is_one_line_and_one():
    done = run("check", "/nowhere.yaml")
    assert (done.returncode, done.stderr) == (1, "falaj-scheduler: /nowhere.yaml: No such file or directory\n")


def test_the_traceback_is_behind_debug():
    assert "Traceback" in run("--debug", "check", "/nowhere.yaml").stderr


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            "tiers: {a: {priority: 0, band: 900, longest_wait_minutes: 5}, "
            "b: {priority: 900, band: 9, longest_wait_minutes: 5}}",
            "policy.tiers.a.band",
        ),
        ("speed: 9", "policy may only have"),
        ("step: fast", "policy.step must be a number above 0"),
        ("rescue: 1", "policy.rescue must be true or false"),
        ("tiers: {a: {priority: 0}}", "policy.tiers.a must have"),
        ("[", "must be YAML or JSON"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(tmp_path, policy, expected):
    path = tmp_path / "policy.yaml"
    path.write_text(policy)
    done = run("check", "-", "--policy", str(path), given=job())
    assert done.returncode == 2
    assert expected in done.stderr


def test_without_a_cluster_it_says_so_in_one_line(tmp_path):
    done = run("explain", "vision/train", KUBECONFIG=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "KUBECONFIG" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_run_has_examples():
    shown = run("run", "--help").stdout
    assert "Examples:" in shown
    assert "--as system:serviceaccount:falaj-system:sla-scheduler" in shown
