"""The outbox: nothing that was put into it is lost, whatever the receiver, the deliverer or the disk does."""

import contextlib
import json
import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from falaj.training.lineage.outbox import Outbox, Record, RejectedError


class Receiver:
    """Takes records, unless told to be away or to refuse some."""

    def __init__(self) -> None:
        self.got: list[Record] = []
        self.away_after: int | None = None
        self.refuses: set[int] = set()

    def __call__(self, records: Sequence[Record]) -> None:
        if self.refuses & {record["n"] for record in records}:
            raise RejectedError("malformed")
        for record in records:
            if self.away_after is not None and len(self.got) >= self.away_after:
                raise ConnectionError("away")
            self.got.append(record)


def numbers(records: Sequence[Record]) -> list[int]:
    return [record["n"] for record in records]


def test_what_was_delivered_leaves_in_its_order_and_the_file_goes(tmp_path: Path) -> None:
    outbox, receiver = Outbox(tmp_path / "box" / "events.jsonl"), Receiver()
    for n in range(1200):
        outbox.append({"n": n})
    outbox.deliver(receiver)

    assert numbers(receiver.got) == list(range(1200))
    assert outbox.waiting == 0
    assert not outbox.path.exists()


def test_delivering_nothing_is_no_error(tmp_path: Path) -> None:
    receiver = Receiver()
    Outbox(tmp_path / "events.jsonl").deliver(receiver)
    assert receiver.got == []


def test_what_is_appended_after_a_delivery_is_delivered_by_the_next(tmp_path: Path) -> None:
    outbox, receiver = Outbox(tmp_path / "events.jsonl"), Receiver()
    for n in range(3):
        outbox.append({"n": n})
        outbox.deliver(receiver)
    assert numbers(receiver.got) == [0, 1, 2]


def test_a_receiver_that_is_away_gets_everything_once_it_is_back(tmp_path: Path) -> None:
    outbox, receiver = Outbox(tmp_path / "events.jsonl"), Receiver()
    for n in range(10):
        outbox.append({"n": n})
    receiver.away_after = 6
    with pytest.raises(ConnectionError):
        outbox.deliver(receiver, at_once=2)
    assert outbox.waiting > 0
    outbox.append({"n": 10})
    receiver.away_after = None
    outbox.deliver(receiver, at_once=2)
    assert numbers(receiver.got) == list(range(11))


@given(
    plan=st.lists(st.one_of(st.integers(1, 5), st.just("deliver"), st.just("torn"), st.just("crash")), max_size=25),
    at_once=st.integers(1, 4),
    away=st.lists(st.integers(0, 40), max_size=4),
)
@settings(max_examples=150)
def test_whatever_happens_every_record_arrives_and_the_order_holds(
    tmp_path_factory: pytest.TempPathFactory, plan: list[int | str], at_once: int, away: list[int]
) -> None:
    """Appends, deliveries that break off, lines torn by a crash, a position that was not noted."""
    outbox, receiver = Outbox(tmp_path_factory.mktemp("box") / "events.jsonl"), Receiver()
    written = 0
    waiting_absences = list(away)
    for step in plan:
        if isinstance(step, int):
            for _ in range(step):
                outbox.append({"n": written})
                written += 1
        elif step == "torn":
            with outbox.path.open("ab") as file:
                file.write(b'{"n": 99, "torn')
        elif step == "crash":  # delivered, and killed before the position was noted
            sent = outbox.path.with_name("events.jsonl.sent")
            before = sent.read_text() if sent.exists() else ""
            if outbox.path.exists():
                receiver.away_after = None
                kept = outbox.path.read_bytes()
                outbox.deliver(receiver, at_once=at_once)
                outbox.path.write_bytes(kept)
                sent.write_text(before)
        else:
            receiver.away_after = waiting_absences.pop() if waiting_absences else None
            with contextlib.suppress(ConnectionError):
                outbox.deliver(receiver, at_once=at_once)
    receiver.away_after = None
    outbox.deliver(receiver, at_once=at_once)

    assert set(numbers(receiver.got)) == set(range(written))
    first_time = list(dict.fromkeys(numbers(receiver.got)))
    assert first_time == sorted(first_time)


def test_a_record_that_is_refused_for_good_is_put_aside_and_the_rest_arrives(tmp_path: Path) -> None:
    outbox, receiver = Outbox(tmp_path / "events.jsonl"), Receiver()
    for n in range(5):
        outbox.append({"n": n})
    receiver.refuses = {2}
    outbox.deliver(receiver)

    assert numbers(receiver.got) == [0, 1, 3, 4]
    aside = [json.loads(line) for line in (tmp_path / "events.jsonl.rejected").read_text().splitlines()]
    assert aside == [{"reason": "malformed", "record": {"n": 2}}]


def test_a_record_larger_than_one_reading_is_delivered_too(tmp_path: Path) -> None:
    outbox, receiver = Outbox(tmp_path / "events.jsonl"), Receiver()
    for n in range(3):
        outbox.append({"n": n, "filling": "x" * 3_000_000 * (n + 1)})
    outbox.deliver(receiver)
    assert numbers(receiver.got) == [0, 1, 2]


def test_two_deliver_at_once_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    outbox, receiver = Outbox(tmp_path / "events.jsonl"), Receiver()
    for n in range(3):
        outbox.append({"n": n})

    def slow(records: Sequence[Record]) -> None:
        outbox.deliver(receiver)  # another one comes along meanwhile
        receiver(records)

    outbox.deliver(slow)
    assert numbers(receiver.got) == [0, 1, 2]


def many(path: Path, first: int) -> None:
    for n in range(first, first + 300):
        Outbox(path).append({"n": n})


def test_several_processes_append_while_one_delivers(tmp_path: Path) -> None:
    outbox, receiver = Outbox(tmp_path / "events.jsonl"), Receiver()
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=many, args=(outbox.path, first)) for first in (0, 1000, 2000)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        outbox.deliver(receiver, at_once=7)
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    outbox.deliver(receiver)
    got = numbers(receiver.got)
    assert sorted(got) == [first + n for first in (0, 1000, 2000) for n in range(300)]
    for first in (0, 1000, 2000):
        of_one = [n for n in got if first <= n < first + 1000]
        assert of_one == sorted(of_one)


def test_a_disk_that_takes_half_a_line_gets_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, receiver = Outbox(tmp_path / "events.jsonl"), Receiver()
    outbox.append({"n": 0})
    whole = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: whole(descriptor, line[: len(line) // 2]))
    with pytest.raises(OSError, match="No space left"):
        outbox.append({"n": 1})
    monkeypatch.undo()
    outbox.append({"n": 2})
    outbox.deliver(receiver)
    assert numbers(receiver.got) == [0, 2]
