"""Evaluating a real model: values of every example, subgroups, size, time, and the digest that a comparison needs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from falaj.training.errors import RefusedError
from falaj.training.gate.decide import decide
from falaj.training.gate.evaluate import evaluate
from falaj.training.gate.section import GateSection, LatencySection
from falaj.training.validation.examples import look_at
from falaj.training.validation.section import DataChecks

QUICK = LatencySection(p99_ms=1000, warmup=3, runs=300)


class Points(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, count: int = 10) -> None:
        self.x = torch.arange(count * 2, dtype=torch.float32).reshape(count, 2) / count - 1
        self.y = (self.x.sum(1) > 0).long()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        return self.x[position], self.y[position]


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        points = Points()
        return (points[position] for position in range(len(points)))


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.9), nn.Linear(4, 2))


def score(made: nn.Module, batch: Any) -> dict[str, Tensor]:
    x, y = batch
    logits = made(x)
    return {
        "loss": nn.functional.cross_entropy(logits, y),
        "right": (logits.argmax(1) == y).float(),
        "slice/half": (x[:, 0] > 0).long(),
    }


def test_every_example_is_scored_in_order_whatever_the_batches_are() -> None:
    made, points = model(), Points()
    one, many = (evaluate(made, points, score, size, "cpu") for size in (10, 3))
    with torch.inference_mode():
        logits = made.eval()(points.x)
        loss = nn.functional.cross_entropy(logits, points.y).item()

    assert one.count == many.count == 10
    assert one.metrics["right"].tolist() == many.metrics["right"].tolist()
    assert one.metrics["right"].tolist() == (logits.argmax(1) == points.y).double().tolist()
    assert one.loss == pytest.approx(loss)
    assert many.loss == pytest.approx(loss), "a smaller last batch counts for its examples"
    assert one.slices["half"].tolist() == (points.x[:, 0] > 0).long().tolist()
    assert one.data_digest == many.data_digest


def test_the_model_is_evaluated_without_dropout_and_comes_back_in_its_mode() -> None:
    made = model().train()
    first, second = (evaluate(made, Points(), score, 4, "cpu").loss for _ in range(2))

    assert first == second
    assert made.training
    assert all(parameter.grad is None for parameter in made.parameters())


def test_iterables_are_the_same_data_and_another_order_is_not() -> None:
    made, points = model(), Points()
    digest = evaluate(made, points, score, 4, "cpu").data_digest

    assert evaluate(made, Stream(), score, 5, "cpu").data_digest == digest
    assert evaluate(made, [points[position] for position in reversed(range(10))], score, 4, "cpu").data_digest != digest
    assert digest == look_at(points, DataChecks.model_validate({"tensors": {"0": {}}})).digest, "as validation has it"


def test_size_is_counted_with_buffers() -> None:
    made = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    found = evaluate(made, Points(), score, 10, "cpu")

    assert found.parameters == 2 * 2 + 2 + 2 + 2
    assert found.bytes == 4 * (10 + 2 + 2) + 8


def test_time_is_measured_inside_the_model_and_told_with_the_machine() -> None:
    found = evaluate(model(), Points(), score, 5, "cpu", latency=QUICK).latency

    assert found is not None
    assert 0 < found.p50_ms <= found.p99_ms
    assert found.runs == 300
    assert "threads" in found.machine


def test_time_is_measured_of_one_example_at_a_time() -> None:
    sizes: list[int] = []

    def watching(made: nn.Module, batch: Any) -> dict[str, Tensor]:
        sizes.append(len(batch[0]))
        return score(made, batch)

    evaluate(model(), Points(), watching, 5, "cpu", latency=QUICK)
    assert sizes == [5, 5] + [1] * 303


def test_a_score_that_goes_round_the_model_has_no_time_and_does_not_pass() -> None:
    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)

    def around(made: Any, batch: Any) -> dict[str, Tensor]:
        return score(made.inner, batch)

    found = evaluate(Split(), Points(), around, 5, "cpu", latency=QUICK)
    assert found.latency is None
    assert decide(found, None, GateSection(latency=QUICK)).outcome == "undetermined"


def test_no_examples_give_an_evaluation_that_proves_nothing() -> None:
    found = evaluate(model(), [], score, 5, "cpu", latency=QUICK)

    assert (found.count, found.loss, found.latency) == (0, None, None)
    assert decide(found, None, GateSection.model_validate({"size": {"parameters": 10**9}})).outcome == "undetermined"


def test_numbers_that_are_not_finite_stay_what_they_are() -> None:
    def broken(made: nn.Module, batch: Any) -> dict[str, Tensor]:
        return score(made, batch) | {"right": torch.full((len(batch[0]),), float("nan"))}

    found = evaluate(model(), Points(), broken, 5, "cpu")
    assert np.isnan(found.metrics["right"]).all()
    asked = GateSection.model_validate({"metrics": {"right": {"minimum": 0}}})
    assert decide(found, None, asked).outcome == "undetermined"


@pytest.mark.parametrize(
    ("entry", "value", "remedy"),
    [
        ("right", torch.tensor(0.5), "one value per example"),
        ("right", torch.zeros(5, 1), "one value per example"),
        ("right", 0.5, "one value per example"),
        ("slice/half", torch.zeros(5), "must hold integers"),
    ],
)
def test_a_score_that_has_not_one_value_per_example_is_refused(entry: str, value: Any, remedy: str) -> None:
    with pytest.raises(RefusedError, match=remedy):
        evaluate(model(), Points(), lambda made, batch: score(made, batch) | {entry: value}, 5, "cpu")


def test_a_score_whose_entries_come_and_go_is_refused() -> None:
    def moody(made: nn.Module, batch: Any) -> dict[str, Tensor]:
        found = score(made, batch)
        return found if batch[0][0, 0] < 0 else {"loss": found["loss"]}

    with pytest.raises(RefusedError, match="the same entries for every batch"):
        evaluate(model(), Points(), moody, 5, "cpu")


def test_a_model_is_held_against_its_champion_from_end_to_end() -> None:
    points = Points(400)

    class Sure(nn.Module):
        def __init__(self, flipped: float) -> None:
            super().__init__()
            self.flipped = flipped

        def forward(self, x: Tensor) -> Tensor:
            positive = (x.sum(1) > 0).float()
            wrong = torch.arange(len(x)) % 100 < self.flipped * 100
            chosen = torch.where(wrong, 1 - positive, positive).long()
            return nn.functional.one_hot(chosen, 2).float()

    good, poor = (evaluate(Sure(flipped), points, score, 100, "cpu") for flipped in (0.02, 0.30))
    asked = GateSection.model_validate(
        {
            "champion": {"metric": "right", "tolerance": 0.05},
            "slices": {"half": {"metric": "right", "most_lost": 0.1}},
        }
    )

    assert decide(good, poor, asked).outcome == "pass"
    assert decide(good, good, asked).outcome == "pass"
    assert decide(poor, good, asked).outcome == "fail"
