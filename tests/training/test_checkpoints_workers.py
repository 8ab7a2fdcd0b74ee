"""Checkpoints of several workers: sharded, committed together, loaded on another number, and killed at any byte."""

import random
import signal
from pathlib import Path

import pytest
from training.checkpoint_work import (
    gather,
    load,
    restore_and_save,
    restore_plain,
    save_and_die,
    save_plain,
    save_with,
    train_and_save,
)
from training.checkpoint_world import flat, plain_state, run, write_key

from falaj.training.errors import RefusedError


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_key(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kinds", [("fsdp", "fsdp", "fsdp"), ("ddp", "ddp", "ddp"), ("fsdp", "ddp", "fsdp")])
def test_what_two_workers_saved_one_loads_and_what_it_saved_two_load(base: Path, kinds: tuple[str, str, str]) -> None:
    (first, _) = run(2, train_and_save, base, kinds[0], 1)
    assert run(1, load, base, kinds[1]) == [(1, first)]
    (second,) = run(1, train_and_save, base, kinds[1], 2)
    assert second != first
    assert run(2, load, base, kinds[2]) == [(2, second)] * 2
    if kinds[0] == kinds[1] == "fsdp":
        assert run(3, load, base, kinds[2]) == [(2, second)] * 3


def test_each_worker_writes_a_part_and_its_own_values_come_back_to_it(base: Path) -> None:
    assert run(2, save_plain, base, 1, 2) == [[1, 2]] * 2
    files = sorted(path.name for path in next((base / "store/job").glob("step-000000000002-*")).iterdir())
    assert files == ["manifest", "rank-00000.sealed", "rank-00001.sealed"]
    assert run(2, restore_plain, base) == [(2, flat(plain_state(2.0, rank)), []) for rank in (0, 1)]


@pytest.mark.parametrize("file", ["rank-00000.sealed", "rank-00001.sealed", "manifest"])
def test_damage_that_one_worker_finds_sends_all_to_the_checkpoint_before(base: Path, file: str) -> None:
    run(2, save_plain, base, 1, 2)
    path = next((base / "store/job").glob(f"step-000000000002-*/{file}"))
    path.write_bytes(path.read_bytes()[:-1])
    for rank, (step, state, told) in enumerate(run(2, restore_plain, base)):
        assert (step, state) == (1, flat(plain_state(1.0, rank)))
        assert [file in one for one in told] == [True]


def test_files_of_two_workers_cannot_change_places(base: Path) -> None:
    run(2, save_plain, base, 1, 2)
    first, second = sorted((base / "store/job").glob("step-000000000002-*/rank-*"))
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    assert [step for step, *_ in run(2, restore_plain, base)] == [1, 1]


def test_the_wrong_key_is_refused_on_all_workers(base: Path) -> None:
    run(2, save_plain, base, 1)
    write_key(base, "other")
    for kind, message in run(2, restore_plain, base, "other"):
        assert kind is RefusedError
        assert "must be the key that sealed" in message


@pytest.mark.parametrize(("who", "left"), [(0, 0), (0, 100), (1, 0), (1, 100)])
def test_a_full_disk_of_one_worker_fails_the_save_on_all_and_loses_nothing(base: Path, who: int, left: int) -> None:
    for (told,) in run(2, save_with, base, left, who):
        assert "the checkpoint of step 2 was not saved: [Errno 28] No space left on device" in told
    assert sorted(path.name[:17] for path in (base / "store/job").iterdir()) == [
        "step-000000000001",
        "step-000000000003",
    ]
    assert [step for step, *_ in run(2, restore_plain, base)] == [3, 3]


SIZE = 88_000
"""Somewhat more than all bytes of a checkpoint of one worker."""


@pytest.mark.parametrize("seed", range(12))
def test_a_kill_at_any_byte_of_a_save_leaves_the_last_good_checkpoint(base: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - it protects nothing
    left = chance.randrange(SIZE) if seed % 2 else SIZE - chance.randrange(4000)
    (died,) = run(1, save_and_die, base, left)
    expected = 2 if died is None else 1
    assert died in (None, -signal.SIGKILL)
    assert run(1, restore_and_save, base) == [
        ((expected, flat(plain_state(float(expected))), []), [*range(1, expected + 1), 3])
    ]
    assert not list((base / "store").rglob(".unfinished-*"))
    assert len(list((base / "store/job").iterdir())) == expected + 1


def test_a_data_key_never_travels_between_workers_in_clear(base: Path) -> None:
    for found in run(2, gather, base):
        assert not any(found)
