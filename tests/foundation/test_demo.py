"""The serving demonstration, shortened, played as a person plays it; what it tells is what is judged."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from demo_told import DEMO

pytestmark = pytest.mark.lab

LONGEST = 840
STAGES = (1, 2, 3, 4)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.CompletedProcess[str], Any]]:
    """The demonstration with its exit code, and what it told."""
    out = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, str(DEMO / "demo.py"), "--quick", "--rate", "20", "--debug", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    yield done, json.loads((out / "report.json").read_text())


def test_the_good_version_is_promoted_and_the_slow_and_the_wrong_one_are_refused(played):
    done, told = played
    assert [(each["version"], each["outcome"]) for each in told["versions"]] == [
        *((2, "promoted"), (3, "refused"), (4, "refused"))
    ], done.stderr
    assert done.returncode == 0
    assert told["versions"][1]["why"].startswith("latency ")
    assert told["versions"][2]["why"].startswith("right-answers ")


def test_no_request_fails_whatever_happens(played):
    _, told = played
    assert set(told["answers"]["status"]) == {200}
    assert set(told["answers"]["version"]) == set(STAGES)


def test_bad_versions_answer_no_more_than_their_share_and_none_after_they_were_refused(played):
    _, told = played
    asked = list(zip(told["answers"]["at"], told["answers"]["version"], strict=True))
    for judged in told["versions"][1:]:
        tried = [version for at, version in asked if judged["published"] <= at < judged["decided"]]
        # Its share is 20 percent, of which chance makes a little more or less.
        assert 0 < tried.count(judged["version"]) < 0.35 * len(tried)
        # The gateway follows what Argo wrote; before the next act, or the end, it has.
        later = [each["published"] for each in told["versions"] if each["published"] > judged["decided"]]
        gone = min(later, default=asked[-1][0] - 1)
        assert [version for at, version in asked if at >= gone and version == judged["version"]] == []


def test_wrong_answers_come_from_the_wrong_version(played):
    _, told = played
    given = list(zip(told["answers"]["version"], told["answers"]["right"], strict=True))
    for version in STAGES:
        of_it = [right for each, right in given if each == version]
        assert (of_it.count(True) > 0.8 * len(of_it)) is (version != 4)


def test_the_audit_log_has_every_publishing_and_every_decision_with_its_numbers(played):
    _, told = played
    log = told["audit"]
    for version, decided in ((1, "served"), (2, "served"), (3, "refused"), (4, "refused")):
        of_it = [each["what"] for each in log if each["version"] == version]
        # The first version is what the service was made with: nobody deployed it.
        assert of_it == [each for each in ("publish", "deploy", decided) if version > 1 or each != "deploy"]
    assert all(each["verdict"]["outcome"] == "pass" for each in log)
    decisions = [each for each in log if each["what"] in ("served", "refused")]
    assert {each["decided_by"] for each in decisions} == {"argo-rollouts"}
    assert all(each["analyses"] for each in decisions if each["what"] == "refused")


def test_whoever_is_interrupted_leaves_nothing_behind(tmp_path: Path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = [sys.executable, str(DEMO / "demo.py"), "--quick"]
    words += ["--out", str(tmp_path / "out")]
    env = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=env) as demo:
        deadline = time.monotonic() + LONGEST
        # Once the lab's supervisor is there, there is something to leave behind.
        while not list(scratch.glob("falaj-demo-*/lab/run/supervisor.json")):
            assert demo.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=LONGEST)
    assert demo.returncode == 130, said
    assert list(scratch.glob("falaj-demo-*")) == []
    running = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    assert [each for each in running if str(scratch) in each] == []
