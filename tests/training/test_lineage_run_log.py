"""What a run tells reaches a lineage server that goes away and comes back, and never holds the run up."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from training.lineage_examples import MODEL, LineageEndpoint, log

from falaj.training.lineage.courier import Courier, Receivers
from falaj.training.lineage.facts import EnergyFacts
from falaj.training.lineage.run_log import send_waiting, waiting
from falaj.training.lineage.section import LineageSection, TrackingSection


@pytest.fixture
def endpoint() -> Iterator[LineageEndpoint]:
    running = LineageEndpoint()
    yield running
    running.down()


def eventually(true: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


def test_a_run_tells_its_course_to_the_server_in_order(endpoint: LineageEndpoint, tmp_path: Path) -> None:
    with log(tmp_path, endpoint.section) as run:
        eventually(lambda: endpoint.kinds == ["START"])  # else the courier may be loading still when it is to end
        run.progress(10)
        run.energy(EnergyFacts(joules=12.5, method="estimate"))
        run.exported(MODEL)
    assert endpoint.kinds == ["START", "RUNNING", "COMPLETE"]
    complete = endpoint.events[-1]
    assert complete["outputs"][0]["name"] == "models/income"
    assert complete["run"]["facets"]["falaj_training"]["energyJoules"] == 12.5
    assert run.waiting == 0


def test_a_run_whose_server_is_away_is_told_of_later_by_the_next_command(
    endpoint: LineageEndpoint, tmp_path: Path
) -> None:
    endpoint.down()
    with log(tmp_path, endpoint.section) as run:
        for step in range(5):
            run.progress(step)
        run._process._patience = 0.1  # type: ignore[union-attr]
    assert endpoint.events == []
    assert waiting(tmp_path / "outbox") > 0

    endpoint.up()
    assert send_waiting(tmp_path, patience=60) == 0
    assert endpoint.kinds == ["START", *["RUNNING"] * 5, "COMPLETE"]


def test_a_server_that_comes_back_during_the_run_has_missed_nothing(endpoint: LineageEndpoint, tmp_path: Path) -> None:
    with log(tmp_path, endpoint.section) as run:
        eventually(lambda: endpoint.kinds == ["START"])
        endpoint.down()
        for step in range(20):
            run.progress(step)
        endpoint.up()
        eventually(lambda: len(endpoint.events) == 21)
    assert endpoint.kinds == ["START", *["RUNNING"] * 20, "COMPLETE"]
    assert [event["run"]["facets"]["falaj_training"]["step"] for event in endpoint.events[1:-1]] == list(range(20))


def test_a_server_that_hangs_does_not_hold_the_run_up(endpoint: LineageEndpoint, tmp_path: Path) -> None:
    """The run's own calls return while the server has answered nothing: they only write files."""
    endpoint.hanging.set()
    run = log(tmp_path, endpoint.section)
    run.__enter__()
    for step in range(200):
        run.progress(step)
    assert endpoint.events == []
    run._process._process.kill()  # type: ignore[union-attr]
    assert waiting(tmp_path / "outbox") > 0


def test_an_event_that_the_server_finds_malformed_does_not_stop_those_behind_it(
    endpoint: LineageEndpoint, tmp_path: Path
) -> None:
    endpoint.down()
    box = tmp_path / "outbox"
    log(tmp_path, endpoint.section).progress(1)
    endpoint.up()
    endpoint.status = 422
    Courier(box).round()
    assert waiting(box) == 0
    assert "422" in (box / "events.jsonl.rejected").read_text()
    endpoint.status = 201
    log(tmp_path, endpoint.section).progress(2)
    assert Courier(box).round()
    assert endpoint.kinds == ["RUNNING"]


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_an_event_stays_while_the_server_is_in_trouble(
    endpoint: LineageEndpoint, tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    log(tmp_path, endpoint.section).progress(1)
    endpoint.status = status
    with caplog.at_level(logging.WARNING):
        assert not Courier(tmp_path / "outbox").round()
    assert f"events.jsonl waits: {status}" in caplog.text
    endpoint.status = 201
    assert Courier(tmp_path / "outbox").round()
    assert endpoint.kinds == ["RUNNING"]


def test_the_token_goes_to_the_server_and_lies_in_no_file(
    endpoint: LineageEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "planted-secret")
    with log(tmp_path, endpoint.section):
        eventually(lambda: endpoint.kinds == ["START"])
    assert endpoint.headers[0]["Authorization"] == "Bearer planted-secret"
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert b"planted-secret" not in path.read_bytes(), path


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from training.lineage_examples import log
from falaj.training.lineage.section import LineageSection
run = log(Path({folder!r}), LineageSection(url="http://127.0.0.1:{port}"))
run.__enter__()
for step in range(3):
    run.progress(step)
print("told", flush=True)
sys.stdin.read()
"""


def test_a_run_that_is_killed_has_still_told_what_it_wrote(endpoint: LineageEndpoint, tmp_path: Path) -> None:
    code = KILLED.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path), port=endpoint.port)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"told\n"
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: endpoint.kinds == ["START", *["RUNNING"] * 3])
    eventually(lambda: waiting(tmp_path / "outbox") == 0)


def test_a_run_that_goes_on_says_running_and_one_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no loss"), log(tmp_path, LineageSection(), resumed=True):
        raise ValueError("no loss")
    with pytest.raises(KeyboardInterrupt), log(tmp_path, LineageSection()):
        raise KeyboardInterrupt
    events = [json.loads(line) for line in (tmp_path / "lineage.jsonl").read_text().splitlines()]
    assert [event["eventType"] for event in events] == ["RUNNING", "FAIL", "START", "ABORT"]
    assert events[1]["run"]["facets"]["errorMessage"]["message"] == "ValueError: no loss"


def test_a_run_that_nobody_is_told_of_writes_nothing(tmp_path: Path) -> None:
    with log(tmp_path, None) as run:
        run.metrics(1, {"loss": 1.0})
        run.progress(1)
        run.exported(MODEL)
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_where_nothing_can_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "run").write_text("a file where a folder should be")
    with log(tmp_path / "run", LineageSection(), tracking=TrackingSection()) as run:
        run.metrics(1, {"loss": 1.0})
        run.metrics(2, {"loss": 1.0})
    assert caplog.text.count("nothing more may be known of this run") == 1


def test_receivers_are_read_as_they_were_written(tmp_path: Path) -> None:
    receivers = Receivers(tracking="sqlite:////x.db", lineage="https://marquez.example.com")
    receivers.write(tmp_path / "outbox")
    assert Receivers.read(tmp_path / "outbox") == receivers
    assert Receivers.read(tmp_path) == Receivers()
