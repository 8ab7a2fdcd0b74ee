"""Checkpoints of a single worker: what comes back, what is kept, and what is never lost."""

import pickle
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from training.checkpoint_world import DyingStore, checkpoints, flat, plain_state, section, write_key

from falaj.training.checkpoints import Checkpoints, manager, values
from falaj.training.checkpoints.manager import DamagedCheckpointWarning
from falaj.training.errors import RefusedError, TrainingError


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_key(tmp_path)
    return tmp_path


def save(base: Path, *steps: int, **told: Any) -> None:
    with checkpoints(base, **told) as made:
        for step in steps:
            made.save(step, plain_state(float(step)))


def restore(base: Path, **told: Any) -> tuple[int | None, Any]:
    state = plain_state(0.0)
    with checkpoints(base, **told) as made:
        return made.restore(state), flat(state)


def files(base: Path, step: int) -> list[Path]:
    return sorted((base / "store" / "job").glob(f"step-{step:012d}-*/*"))


def test_memory_is_pinned_for_training_on_a_gpu_and_not_on_the_processor_beside_one(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(manager, "DefaultStager", lambda options: asked.append(options.use_pinned_memory))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for begun in (True, False):
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda begun=begun: begun)
        Checkpoints(section(), "job", base=base)
    assert asked == [True, False]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_the_newest_checkpoint_comes_back_as_it_was_saved(base: Path, asynchronous: bool) -> None:
    save(base, 1, 2, 3, asynchronous=asynchronous)
    assert restore(base) == (3, flat(plain_state(3.0)))


def test_where_there_is_none_the_state_stays_as_it_is(base: Path) -> None:
    assert restore(base) == (None, flat(plain_state(0.0)))


def test_no_pickle_is_written_or_loaded(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*told: Any, **more: Any) -> Any:
        raise AssertionError("pickle")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "dumps"), (torch, "load"), (torch, "save")):
        monkeypatch.setattr(module, name, refuse)
    save(base, 1)
    assert restore(base)[0] == 1


def test_planted_plain_text_lies_nowhere_in_the_store(base: Path) -> None:
    save(base, 1, 2)
    found = [path for path in (base / "store").rglob("*") if path.is_file()]
    assert len(found) == 4
    weights = torch.full((300, 70), 2.0).numpy().tobytes()[:64]
    for planted in (b"planted", b"weight", b"optimizer", b"bfloat16", weights):
        assert [path for path in found if planted in path.read_bytes()] == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner)
            | st.lists(inner).map(tuple)
            | st.dictionaries(st.integers() | st.text() | st.binary(), inner)
        ),
        max_leaves=10,
    )
)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    assert repr(values.from_json(values.to_json(value))) == repr(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.0, 2**80, 0.1 + 0.2])
def test_numbers_that_json_has_no_word_for_come_back_too(value: float) -> None:
    assert repr(values.from_json(values.to_json(value))) == repr(value)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.tensor(3, dtype=torch.int64),
        torch.empty(0, 4),
        torch.arange(24).reshape(4, 6).t(),
        torch.arange(24, dtype=torch.float16)[::3],
        torch.tensor([True, False]),
        torch.randn(5, dtype=torch.complex64).conj(),
        torch.randn(5).to(torch.float8_e4m3fn),
        torch.nn.Parameter(torch.randn(3)),
    ],
    ids=["number", "empty", "transposed", "strided", "truth", "conjugate", "eight-bit", "parameter"],
)
def test_tensors_of_every_kind_come_back_bit_for_bit(base: Path, tensor: torch.Tensor) -> None:
    with checkpoints(base) as made:
        made.save(1, {"it": tensor})
        state = {"it": torch.zeros_like(tensor)}
        made.restore(state)
    bits = [
        one.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8).tolist() for one in (tensor, state["it"])
    ]
    assert bits[0] == bits[1]


@pytest.mark.parametrize("value", [object(), torch.zeros(2).to_sparse(), {"deep": [object()]}, 1j])
def test_what_cannot_be_saved_without_pickle_is_refused_by_its_name(base: Path, value: Any) -> None:
    with checkpoints(base, asynchronous=False) as made:
        made.save(1, plain_state(1.0))
        with pytest.raises(TrainingError, match=r"the checkpoint of step 2 was not saved: .* can"):
            made.save(2, {**plain_state(2.0), "odd": value})
    assert restore(base)[0] == 1


def test_a_save_takes_the_state_as_it_was_and_is_waited_for_by_the_next(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, ends = threading.Event(), []
    write = Checkpoints._write  # pyright: ignore[reportPrivateUsage]

    def held(self: Checkpoints, step: int, state: dict[str, Any]) -> None:
        assert gate.wait(60)
        write(self, step, state)
        ends.append(step)

    monkeypatch.setattr(Checkpoints, "_write", held)
    with checkpoints(base) as made:
        state = plain_state(1.0)
        made.save(1, state)
        state["model"]["weight"].fill_(9.0)
        state["place"]["epoch"] = 9
        assert (made.steps(), ends) == ([], [])
        threading.Timer(0.2, gate.set).start()
        made.save(2, plain_state(2.0))
        assert ends[:1] == [1]
        made.wait()
        assert (made.steps(), ends) == ([1, 2], [1, 2])
    for path in files(base, 2):
        path.unlink()
    assert restore(base) == (1, flat(plain_state(1.0)))


def test_only_the_newest_are_kept(base: Path) -> None:
    with checkpoints(base, keep=2) as made:
        for step in (1, 2, 3, 4):
            made.save(step, plain_state(float(step)))
        made.wait()
        assert made.steps() == [3, 4]
    assert sorted(path.name[:17] for path in (base / "store/job").iterdir()) == [
        "step-000000000003",
        "step-000000000004",
    ]


def test_a_step_that_is_saved_again_takes_the_place_of_the_first(base: Path) -> None:
    save(base, 1, 2)
    with checkpoints(base) as made:
        made.save(2, plain_state(7.0))
    assert restore(base) == (2, flat(plain_state(7.0)))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def swap_with_older(path: Path) -> None:
    other = next(path.parent.parent.glob(f"step-000000000001-*/{path.name}"))
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("name", ["manifest", "rank-00000.sealed"])
@pytest.mark.parametrize("harm", [flip, cut, swap_with_older, Path.unlink])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(base: Path, name: str, harm: Any) -> None:
    save(base, 1, 2, 3)
    harm(next(path for path in files(base, 3) if path.name == name))
    if (name, harm) == ("manifest", Path.unlink):  # that is what a crash leaves: there is nothing to warn of
        assert restore(base) == (2, flat(plain_state(2.0)))
        return
    with pytest.warns(DamagedCheckpointWarning, match=rf"step 3 is damaged and passed over: .*{name}"):
        assert restore(base) == (2, flat(plain_state(2.0)))


def test_a_checkpoint_cannot_be_passed_off_as_another_one(base: Path) -> None:
    save(base, 1, 2)
    (older,) = {path.parent for path in files(base, 1)}
    older.rename(older.with_name(older.name.replace("0001-", "0003-")))
    with pytest.warns(DamagedCheckpointWarning, match="is another envelope, put in its place: .*'step': '1'"):
        assert restore(base)[0] == 2


def test_where_all_are_damaged_training_does_not_begin_anew(base: Path) -> None:
    save(base, 1, 2)
    for path in [*files(base, 1), *files(base, 2)]:
        flip(path)
    with (
        pytest.warns(DamagedCheckpointWarning),
        pytest.raises(TrainingError, match="none of the 2 checkpoints of job is whole"),
    ):
        restore(base)


def test_a_damaged_one_does_not_count_among_those_kept(base: Path) -> None:
    save(base, 1, 2, 3)
    flip(files(base, 3)[1])
    with checkpoints(base, keep=2) as made, pytest.warns(DamagedCheckpointWarning):
        assert made.restore(plain_state(0.0)) == 2
        made.save(4, plain_state(4.0))
        made.wait()
        assert made.steps() == [2, 3, 4]
        made.save(5, plain_state(5.0))
        made.wait()
        assert made.steps() == [4, 5]


def test_the_wrong_key_is_refused_and_nothing_older_taken(base: Path) -> None:
    save(base, 1, 2)
    write_key(base, "other")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DamagedCheckpointWarning)
        with pytest.raises(RefusedError, match=r"must be the key that sealed .*, which is file:"):
            restore(base, key="file:other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state["model"].update(more=torch.zeros(1)), "Missing key in checkpoint state_dict: model.more"),
        (lambda state: state["model"].update(weight=torch.zeros(3)), "Size mismatch"),
        (lambda state: state["model"].update(weight=1), "model.weight is a tensor on one side and a plain value"),
        (lambda state: state["place"].update(epoch=torch.zeros(1)), "place.epoch is a tensor on one side"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_no_older_one_taken(base: Path, change: Any, message: str) -> None:
    save(base, 1, 2)
    state = plain_state(0.0)
    change(state)
    with checkpoints(base) as made, pytest.raises(RefusedError, match=f"state must fit the checkpoint: {message}"):
        made.restore(state)


def test_what_is_optional_may_be_missing_and_stays_as_it_is(base: Path) -> None:
    save(base, 2)
    state = {**plain_state(0.0), "extra": {"a": 5, "b": torch.ones(2)}}
    with checkpoints(base) as made:
        assert made.restore(state, optional=["extra", "random.1"]) == 2
    assert flat(state) == flat({**plain_state(2.0), "extra": {"a": 5, "b": torch.ones(2)}})


@pytest.fixture
def dying(base: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DyingStore]:
    store = DyingStore(base / "store", 0, kill=False)
    monkeypatch.setattr("falaj.training.checkpoints.manager.open_store", lambda *told, **more: store)
    yield store


@pytest.mark.parametrize("room", [0, 1, 40_000, 85_000, 86_000])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_full_disk_fails_one_save_and_loses_nothing(
    base: Path, dying: DyingStore, room: int, asynchronous: bool
) -> None:
    with checkpoints(base, asynchronous=asynchronous) as made:
        dying.left = 1 << 30
        made.save(1, plain_state(1.0))
        made.wait()
        dying.left = room
        with pytest.raises(TrainingError, match=r"the checkpoint of step 2 was not saved: .*No space left on device"):
            made.save(2, plain_state(2.0))
            made.wait()
        assert files(base, 2) == []
        assert made.steps() == [1]
        dying.left = 1 << 30
        made.save(3, plain_state(3.0))
    assert restore(base) == (3, flat(plain_state(3.0)))


def test_what_a_crash_left_is_removed_with_the_next_save_and_not_by_a_reader(base: Path) -> None:
    save(base, 1, 2)
    next(path for path in files(base, 2) if path.name == "manifest").rename(base / "gone")
    (files(base, 2)[0].parent / ".unfinished-12").write_bytes(b"half")
    with checkpoints(base) as made:
        assert made.restore(plain_state(0.0)) == 1
        assert len(files(base, 2)) == 2
        made.save(3, plain_state(3.0))
        made.wait()
        assert (made.steps(), files(base, 2)) == ([1, 3], [])


def test_jobs_do_not_see_each_other(base: Path) -> None:
    save(base, 1)
    made = Checkpoints(section(), "jo", base=base)
    assert (made.steps(), made.restore(plain_state(0.0))) == ([], None)
    made.close()


@pytest.mark.parametrize("job", ["", "../x", "a/b", ".hidden", "a b"])
def test_a_job_is_named_as_a_folder_can_be(base: Path, job: str) -> None:
    with pytest.raises(RefusedError, match="name must be letters, digits"):
        Checkpoints(section(), job, base=base)


@pytest.mark.parametrize(
    "told",
    [
        {"keep": 0},
        {"every": 0},
        {"key": "none"},
        {"encrypted": False},
        {"key": "aws-kms:arn:aws:kms:us-east-1:123456789012:key/1", "region": "me-central-1"},
        {"key": "aws-kms:arn:aws:kms:me-central-1:123456789012:key/1"},
    ],
)
def test_a_section_that_is_not_acceptable_is_refused_before_anything_runs(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        section(**told)
