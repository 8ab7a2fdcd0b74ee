"""What the serving demonstration tells of a run, how it spoils a model, and how it answers a person's mistakes."""

import re
from collections.abc import Sequence
from pathlib import Path
from runpy import run_path
from typing import Any
from xml.etree import ElementTree

import pytest
from demo_told import DECIDED, PUBLISHED, SHARE, WANTED, Told, told
from serving_demo import command, models, report, series
from serving_demo.figure import timeline
from serving_demo.models import Keys
from serving_demo.series import Answers
from training.serving_world import write_model

from falaj.training.lineage.signatures import FileSigner, new_key
from falaj.training.serving.verification import Trust, verified

PROGRAM = b"def load(*given):\n    return lambda arrays: arrays\n"


def answers(**columns: Sequence[Any]) -> Answers:
    count = len(next(iter(columns.values())))
    usual = {"milliseconds": [1.0], "status": [200], "version": [1], "right": [True]}
    return Answers(**{"at": [float(at) for at in range(count)], **{k: v * count for k, v in usual.items()}, **columns})


def not_caught() -> Told:
    """Return a run in which the wrong version was promoted."""
    run = told()
    run["versions"][-1]["outcome"] = "promoted"
    return run


def parsed(drawn: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawn)  # noqa: S314 - it was drawn here


def test_the_page_needs_no_other_file_and_no_other_machine():
    page = report.page(told())
    assert re.findall(r"\bhttps?://[^\"'\s]+", page) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<(script|link|img|iframe)|\bsrc=|@import|url\(", page)


def test_the_page_and_its_figure_are_readable_in_light_and_dark():
    assert report.page(told()).count("prefers-color-scheme:") + timeline(told()).count("prefers-color-scheme:") == 3


def test_what_the_log_says_is_shown_as_text():
    page = report.page(told())
    assert "&lt;latency&gt;" in page
    assert "<latency>" not in page


def test_each_publishing_and_each_decision_is_marked_with_the_figure_that_made_it():
    drawn = parsed(timeline(told()))
    marks = [each.text for each in drawn.iter() if each.get("class") == "mark"]
    assert marks == [
        *("2 published", "2 promoted"),
        *("3 published", "3 refused: latency 2485"),
        *("4 published", "4 refused: right-answers 0.04"),
    ]


def test_marks_stand_at_their_times_in_order():
    drawn = parsed(timeline(told()))
    places = [float(each.get("x", 0)) for each in drawn.iter() if each.get("class") == "mark"]
    assert places == sorted(places)
    assert len(set(places)) == len(places)


def test_a_run_without_an_answer_has_a_figure_too():
    run = told() | {"answers": {name: [] for name in told()["answers"]}, "versions": [], "weights": []}
    parsed(timeline(run))
    assert "0 requests, 0 failed" in report.page(run)


def test_a_bad_version_that_was_not_caught_is_told_as_such():
    assert report.as_wanted(told())
    assert not report.as_wanted(not_caught())
    assert "not as it should be" in report.page(not_caught())
    assert any("was promoted" in line and "was to be refused" in line for line in report.summary(not_caught()))


def test_the_shares_of_every_moment_make_one_and_show_the_canarys_part():
    shares = series.shares(Answers.of(told()))
    for together in zip(*shares.values(), strict=True):
        assert sum(share for _, share in together) == pytest.approx(1)
    for version in WANTED:
        inside = [s for at, s in shares[version] if PUBLISHED[version] + 2 <= at < DECIDED[version] - 2]
        assert inside == [pytest.approx(1 / SHARE)] * len(inside)
        assert inside


def test_wrong_answers_are_those_of_the_version_that_gave_them():
    run = Answers.of(told())
    worst = {v: max(part for piece in series.wrong(run, v) for _, part in piece) for v in run.versions}
    assert worst == {1: 0, 2: 0, 3: 0, 4: 1}


def test_a_request_that_nobody_answered_counts_as_failed_and_to_no_version():
    run = answers(status=[200, 0, 503, 200, 200], version=[1, 0, 0, 1, 1])
    assert series.failed(run)[-1][-1][1] == pytest.approx(2 / 4)
    assert run.versions == [1]
    assert series.figures(run, 1)["answers"] == 3


def test_a_pause_between_the_answers_of_a_version_is_no_line():
    run = answers(version=[2] * 6 + [1] * 12 + [2] * 6)
    assert len(series.wrong(run, 2)) == 2
    assert len(series.latency(run, 1, 99)) == 1


def test_fewer_than_three_answers_say_nothing_of_a_rate():
    assert series.wrong(answers(version=[1, 1, 2, 2, 1, 1]), 2) == []


@pytest.mark.parametrize(("percent", "value"), [(50, 2), (75, 3), (99, 4), (100, 4), (0, 1)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float):
    assert series.percentile([4, 1, 3, 2], percent) == value


@pytest.mark.parametrize("how", ["slow", "wrong"])
def test_a_spoiled_model_is_as_signed_and_as_judged_as_the_good_one_and_answers_otherwise(tmp_path: Path, how: str):
    keys = Keys(tmp_path / "signing.pem", tmp_path / "signing.pub", tmp_path / "checkpoint.key")
    keys.public.write_bytes(new_key(keys.signing))
    good = write_model(tmp_path / "good" / "income", FileSigner(keys.signing), content=PROGRAM, artifact="model.py")
    spoiled = models.spoiled(good, tmp_path / how, keys, how, seconds=0.01)
    trust = Trust.read(keys.public)
    assert verified(spoiled, trust).verdict_digest == verified(good, trust).verdict_digest
    load = run_path(str(spoiled / "1" / "model.py"))["load"]
    assert load("folder")([1.0]) == [1.0 if how == "slow" else -1.0]


@pytest.mark.parametrize("rate", ["4", "51", "many", "5.5", ""])
def test_a_rate_that_this_machine_is_not_meant_for_is_refused(rate: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        command.main(["--rate", rate])
    assert ended.value.code == 2
    assert "is not a whole number from 5 to 50" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "file").touch()
    assert command.main(["--out", str(tmp_path / "file" / "demo")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "choose another folder" in line


def test_a_lab_that_an_earlier_run_kept_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "kept").mkdir()
    assert command.main(["--keep", "--out", str(tmp_path)]) == 2
    assert "what an earlier run kept" in capsys.readouterr().err


@pytest.mark.parametrize(("run", "code"), [(told(), 0), (not_caught(), 1)], ids=["caught", "not-caught"])
def test_the_exit_code_says_whether_all_was_as_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Told, code: int
):
    monkeypatch.setattr(command, "play", lambda *_: run)
    assert command.main(["--out", str(tmp_path)]) == code
    assert sorted(each.name for each in tmp_path.iterdir()) == ["report.html", "report.json", "timeline.svg"]
