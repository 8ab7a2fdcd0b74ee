"""The drift watch: shifted requests are told from like ones, and what is not known is never told as no drift."""

import math
import threading

import numpy as np
import pytest
from training.watch_world import MODEL, Answers, asked, drawn, predicted, received, reference

from falaj.training.watch.figures import Figures
from falaj.training.watch.tensors import UnreadableError, parsed
from falaj.training.watch.watcher import MOST_VERSIONS, MOST_WAITING, RETRY_SECONDS, Received, Watcher
from falaj.training.watch.window import Judgement, Window


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def window(seconds: float = 3600, clock: Clock | None = None) -> Window:
    return Window(reference(), seconds, clock or Clock())


def outcomes(found: Window, judgement: Judgement | None = None) -> dict[str, str]:
    return {f"{each.kind} {each.column}": each.outcome for each in found.measured(judgement or Judgement())}


def figures(watcher: Watcher) -> dict[str, float]:
    lines = Figures(MODEL, watcher).text().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


@pytest.mark.parametrize("rows", [200, 500, 2000, 20_000])
@pytest.mark.parametrize("seed", range(5))
def test_requests_like_the_reference_are_no_drift(rows: int, seed: int) -> None:
    found = window()
    features = drawn(100 + seed, rows)
    found.add("input", {"features": features})
    found.add("prediction", {"scores": predicted(features)})
    assert set(outcomes(found).values()) == {"pass"}


@pytest.mark.parametrize("rows", [200, 500, 2000, 20_000])
@pytest.mark.parametrize("seed", range(5))
def test_shifted_requests_are_drift_of_inputs_and_of_predictions(rows: int, seed: int) -> None:
    found = window()
    features = drawn(100 + seed, rows, shift=1.0)
    found.add("input", {"features": features})
    found.add("prediction", {"scores": predicted(features)})
    assert outcomes(found) == {
        "input features[0]": "fail",
        "input features[1]": "pass",
        "prediction scores[0]": "fail",
        "prediction scores[1]": "fail",
        "prediction scores.largest": "fail",
    }


def test_small_drift_in_many_requests_is_no_chance_and_still_no_alarm() -> None:
    found = window()
    found.add("input", {"features": drawn(7, 20_000, shift=0.2)})
    (moved,) = [each for each in found.measured(Judgement()) if each.column == "features[0]"]
    assert (moved.outcome, moved.beyond_chance) == ("pass", True)


def test_to_look_again_and_again_at_like_requests_raises_no_alarm() -> None:
    clock = Clock()
    found = window(1200, clock)
    for seed in range(400):
        clock.now += 10
        features = drawn(1000 + seed, 4)
        found.add("input", {"features": features})
        found.add("prediction", {"scores": predicted(features)})
        assert "fail" not in outcomes(found).values(), seed


def test_too_few_requests_are_unknown_however_far_they_are() -> None:
    found = window()
    found.add("input", {"features": drawn(7, 199, shift=50.0)})
    assert set(outcomes(found).values()) == {"undetermined"}
    found.add("input", {"features": drawn(7, 1, shift=50.0)})
    assert outcomes(found)["input features[0]"] == "fail"


def test_a_small_reference_leaves_unknown_what_chance_would_explain() -> None:
    small = Window(reference(100), 3600, Clock())
    small.add("input", {"features": drawn(5, 45)})
    assert outcomes(small, Judgement(least_rows=30))["input features[0]"] == "undetermined"


def test_what_is_past_falls_out_of_the_window() -> None:
    clock = Clock()
    found = window(1200, clock)
    found.add("input", {"features": drawn(3, 1000, shift=3.0)})
    assert outcomes(found)["input features[0]"] == "fail"
    clock.now += 600
    found.add("input", {"features": drawn(4, 1000)})
    assert outcomes(found)["input features[0]"] == "fail"
    clock.now += 700
    assert outcomes(found)["input features[0]"] == "pass"
    clock.now += 1200
    assert outcomes(found)["input features[0]"] == "undetermined"


def watcher(answers: Answers | None = None, **more: object) -> Watcher:
    given = {"reference": lambda _: reference(), "asks": answers, "version": None, "clock": Clock()}
    return Watcher(**{**given, **more})  # type: ignore[arg-type]


def test_the_figures_are_unknown_before_there_are_enough_requests_and_told_after() -> None:
    found = watcher(Answers())
    found.look_at(received(drawn(9, 100, shift=2.0)))
    column = f'{{column="features[0]",kind="input",model="{MODEL}",version="3"}}'
    told = figures(found)
    assert told[f"falaj_drift_rows{column}"] == 100
    for name in ("index", "found", "beyond_chance", "by_chance"):
        assert math.isnan(told[f"falaj_drift_{name}{column}"]), name
    found.look_at(received(drawn(10, 400, shift=2.0)))
    told = figures(found)
    assert told[f"falaj_drift_index{column}"] > 1
    assert told[f"falaj_drift_found{column}"] == told[f"falaj_drift_beyond_chance{column}"] == 1
    prediction = column.replace("features", "scores").replace("input", "prediction")
    assert told[f"falaj_drift_found{prediction}"] == 1
    assert told[f'falaj_drift_requests_total{{model="{MODEL}"}}'] == 2
    assert told[f'falaj_drift_reference{{model="{MODEL}",version="3"}}'] == 1


def test_without_a_prediction_inputs_are_counted_and_predictions_stay_unknown() -> None:
    answers = Answers()
    answers.why = "unreachable"
    found = watcher(answers, version=3)
    found.look_at(received(drawn(9, 400)))
    kinds = {each.kind: each.outcome for each in found.measured()[3] or ()}
    assert kinds == {"input": "pass", "prediction": "undetermined"}
    assert found.unpredicted == {"unreachable": 1}


def test_a_request_that_nobody_can_tell_the_version_of_is_dropped() -> None:
    found = watcher(Answers("not a number"))
    found.look_at(received(drawn(9, 4)))
    assert found.dropped == {"version": 1}
    assert found.measured() == {}


def test_a_version_without_a_reference_is_told_as_such_and_not_as_without_drift() -> None:
    found = watcher(Answers(), reference=lambda _: None)
    found.look_at(received(drawn(9, 400)))
    told = figures(found)
    assert told[f'falaj_drift_reference{{model="{MODEL}",version="3"}}'] == 0
    assert not [name for name in told if name.startswith("falaj_drift_found")]


def test_a_reference_that_cannot_be_read_is_tried_again_after_a_while() -> None:
    clock, tried, said = Clock(), [], []

    def read(number: int):
        tried.append(number)
        if len(tried) == 1:
            raise OSError("the store is out of reach")
        return reference()

    found = watcher(Answers(), reference=read, clock=clock, say=said.append)
    for _ in range(3):
        found.look_at(received(drawn(9, 4)))
    assert (len(tried), found.dropped, len(said)) == (1, {"reference": 3}, 1)
    clock.now += RETRY_SECONDS + 1
    found.look_at(received(drawn(9, 4)))
    assert (len(tried), found.seen) == (2, 1)


def test_each_version_is_held_against_its_own_reference_and_old_ones_are_forgotten() -> None:
    answers, read = Answers(), []

    def reader(number: int):
        read.append(number)
        return reference()

    found = watcher(answers, reference=reader)
    for version in ("1", "2", "2", "3", "4"):
        answers.version = version
        found.look_at(received(drawn(9, 4)))
    assert read == [1, 2, 3, 4]
    assert list(found.measured()) == [2, 3, 4]
    assert len(found.measured()) == MOST_VERSIONS


@pytest.mark.parametrize("body", [b"", b"{}", asked(np.zeros((2, 3), dtype=np.float32)), b"\x00" * 100])
def test_what_is_no_request_to_this_model_is_dropped_and_counted(body: bytes) -> None:
    found = watcher(Answers())
    found.look_at(Received(body, None, None))
    assert found.seen == 0
    assert found.dropped.total() == 1


def test_a_text_in_place_of_numbers_is_dropped() -> None:
    found = watcher(Answers(), asks=None, version=3)
    texts = {"name": "features", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "b"]}
    found.look_at(received(drawn(1, 1), inputs=[texts]))
    assert found.dropped == {"unlike": 1}


def test_requests_that_come_faster_than_they_are_looked_at_are_dropped_and_not_held() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Answers):
        def ask(self, request):
            begun.set()
            assert go_on.wait(60)
            return super().ask(request)

    found = watcher(Slow())
    found.start()
    found.take(received(drawn(1, 1)))
    assert begun.wait(60)
    for _ in range(MOST_WAITING + 5):
        found.take(received(drawn(1, 1)))
    assert found.dropped == {"queue": 5}
    go_on.set()
    found.stop()
    assert found.seen == MOST_WAITING + 1


def test_a_watch_outlives_what_fails_in_it() -> None:
    class Broken(Answers):
        def ask(self, request):
            raise ZeroDivisionError

    said: list[str] = []
    found = watcher(Broken(), say=said.append)
    found.start()
    found.take(received(drawn(1, 1)))
    found.take(received(drawn(1, 1)))
    found.stop()
    assert found.dropped == {"failed": 2}
    assert said == ["a request could not be looked at: ZeroDivisionError"] * 2


def test_a_request_of_a_sequence_is_not_asked_twice() -> None:
    from falaj.training.watch.asking import Service

    request = parsed(asked(drawn(1, 1), parameters={"sequence_id": 7}), None, "inputs")
    with pytest.raises(UnreadableError, match="sequence"):
        Service("http://127.0.0.1:1", MODEL).ask(request)
