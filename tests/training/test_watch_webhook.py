"""Crossings: written down first, told once, told again only to who was not told; over https alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from training.watch_world import MODEL, answering

from falaj.training.errors import RefusedError
from falaj.training.validation.drift import Shift
from falaj.training.watch.crossings import LONGEST_PAUSE, Crossings
from falaj.training.watch.webhook import Webhook
from falaj.training.watch.window import Measured


class Journal:
    """A journal in memory."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Mapping[str, Any]]] = []
        self.fails = False

    def append(self, event: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        if self.fails:
            raise OSError("the store is out of reach")
        self.written.append((f"sha256:{len(self.written)}", {**event, "time": f"time {len(self.written)}"}))
        return self.written[-1]

    def events(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return list(self.written)

    @property
    def what(self) -> list[str]:
        return [event["what"] for _, event in self.written]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def column(outcome: str, name: str = "features[0]", index: float = 0.7) -> Measured:
    moved = None if outcome == "undetermined" else Shift(index, 0.01, 0.0)
    return Measured("input", name, 500, moved, outcome, beyond_chance=outcome == "fail")  # type: ignore[arg-type]


CALM, DRIFT, UNKNOWN = ([column(outcome)] for outcome in ("pass", "fail", "undetermined"))


def crossings(journal: Journal, url: str | None, clock: Clock | None = None) -> Crossings:
    webhook = None if url is None else Webhook(url)
    return Crossings("vision", MODEL, journal, webhook, lambda _: None, clock or Clock())


def taken(*_: object) -> tuple[int, dict[str, str], bytes]:
    return 202, {}, b""


def test_one_event_is_sent_for_a_crossing_however_long_the_drift_lasts() -> None:
    journal = Journal()
    with answering(taken) as (url, seen):
        found = crossings(journal, f"{url}/retrain?job=income")
        for columns in (UNKNOWN, CALM, DRIFT, DRIFT, UNKNOWN, DRIFT):
            found.look({3: columns})
    ((path, headers, body),) = seen
    assert path == "/retrain?job=income"
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert json.loads(body) == {
        "specversion": "1.0",
        "id": "sha256:0",
        "source": f"/falaj/vision/{MODEL}",
        "type": "dev.falaj.drift.crossed",
        "subject": f"{MODEL}/3",
        "time": "time 0",
        "datacontenttype": "application/json",
        "data": {
            "tenant": "vision",
            "model": MODEL,
            "version": 3,
            "columns": [{"kind": "input", "column": "features[0]", "index": 0.7, "rows": 500}],
            "rows": 500,
        },
    }
    assert journal.what == ["drift", "drift-told"]
    assert journal.written[1][1]["crossing"] == "sha256:0"
    assert (found.deliveries.delivered, found.deliveries.pending) == (1, 0)


def test_after_the_drift_was_over_the_next_one_is_another_crossing() -> None:
    journal = Journal()
    with answering(taken) as (url, seen):
        found = crossings(journal, url)
        for columns in (DRIFT, UNKNOWN, CALM, CALM, DRIFT):
            found.look({3: columns})
    assert journal.what == ["drift", "drift-told", "drift-over", "drift", "drift-told"]
    assert len({json.loads(body)["id"] for _, _, body in seen}) == 2


def test_what_drifted_has_to_be_seen_as_it_was_before_it_is_over() -> None:
    journal = Journal()
    found = crossings(journal, None)
    other = column("pass", "features[1]")
    found.look({3: [column("fail"), other]})
    found.look({3: [column("undetermined"), other]})
    assert journal.what == ["drift"]
    found.look({3: [column("pass"), column("undetermined", "features[1]")]})
    assert journal.what == ["drift", "drift-over"]


def test_each_version_crosses_for_itself() -> None:
    journal = Journal()
    with answering(taken) as (url, seen):
        crossings(journal, url).look({3: DRIFT, 4: DRIFT, 5: None})
    assert [json.loads(body)["subject"] for _, _, body in seen] == [f"{MODEL}/3", f"{MODEL}/4"]


def test_a_webhook_that_fails_is_told_again_by_the_same_identity_and_ever_less_often() -> None:
    journal, clock, answers = Journal(), Clock(), [500, 503, 302, 200]
    with answering(lambda *_: (answers.pop(0), {"Location": "/elsewhere"}, b"")) as (url, seen):
        found = crossings(journal, url, clock)
        found.look({3: DRIFT})
        assert (found.deliveries.failed, found.deliveries.pending) == (1, 1)
        clock.now += 1.9
        found.look({3: DRIFT})
        assert len(seen) == 1, "it waits"
        for _ in range(3):
            clock.now += LONGEST_PAUSE
            found.look({3: CALM})
    assert [path for path, _, _ in seen] == ["/"] * 4, "no redirect is followed"
    assert len({json.loads(body)["id"] for _, _, body in seen}) == 1
    assert (found.deliveries.failed, found.deliveries.delivered, found.deliveries.pending) == (3, 1, 0)
    assert journal.what == ["drift", "drift-over", "drift-told"]


def test_nobody_is_told_of_what_could_not_be_written_down() -> None:
    journal = Journal()
    journal.fails = True
    with answering(taken) as (url, seen):
        found = crossings(journal, url)
        found.look({3: DRIFT})
        assert (seen, found.deliveries.unrecorded) == ([], 1)
        journal.fails = False
        found.look({3: DRIFT})
        assert len(seen) == 1


def test_after_a_restart_who_knows_is_not_told_again_and_who_does_not_is() -> None:
    journal = Journal()
    crossings(journal, "http://127.0.0.1:1").look({3: DRIFT})
    assert journal.what == ["drift"], "nobody was there to be told"
    with answering(taken) as (url, seen):
        crossings(journal, url).look({3: UNKNOWN})
        assert [json.loads(body)["id"] for _, _, body in seen] == ["sha256:0"]
        again = crossings(journal, url)
        again.look({3: UNKNOWN})
        again.look({3: DRIFT})
        assert len(seen) == 1
    assert journal.what == ["drift", "drift-told"]


def test_a_token_is_read_each_time(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with answering(taken) as (url, seen):
        webhook = Webhook(url, token)
        for each in ("first", "second\n"):
            token.write_text(each)
            webhook.tell({})
    assert [headers["authorization"] for _, headers, _ in seen] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    "url",
    [
        "http://ci.example.com/retrain",
        "http://127.0.0.1.example.com/",
        "http://10.0.0.1/",
        "ftp://127.0.0.1/",
        "https://salma:secret@ci.example.com/",
        "https:///retrain",
        "https://ci.example.com:port/",
        "https://ci.example.com/a b",
        "https://ci.example.com/\r\nX: y",
        "retrain",
    ],
)
def test_an_address_that_others_could_read_or_forge_is_refused(url: str) -> None:
    with pytest.raises(RefusedError) as found:
        Webhook(url)
    assert "secret" not in str(found.value)


@pytest.mark.parametrize(
    "url", ["https://ci.example.com/a", "http://127.0.0.1:8080", "http://[::1]/", "http://localhost/"]
)
def test_https_and_this_machine_s_loopback_are_taken(url: str) -> None:
    assert Webhook(url).url == url
