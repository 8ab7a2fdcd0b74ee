"""The reference of the drift watch: the same columns of examples and of requests, and nothing of single persons."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from training.export_examples import Tabular, Text, section, table

from falaj.training.errors import RefusedError
from falaj.training.export.observed import observed
from falaj.training.watch.columns import MOST_EACH, UnlikeError, columns_of, each_of, rows_of
from falaj.training.watch.gathering import MOST_ROWS, Gathering, View
from falaj.training.watch.reference import LEAST, columns_like, decoded


def score(model, batch):
    features, label = batch
    out = model(features)
    return {"loss": nn.functional.cross_entropy(out, label)}


def examples(count: int, seed: int = 1) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(6, generator=generator), torch.tensor(position % 3)) for position in range(count)]


def test_inputs_and_predictions_of_the_validation_data_are_in_the_reference():
    model, data = Tabular().train(), examples(300)
    found = observed(model, iter(data), score, section(), batch_size=64)
    assert found is not None
    assert model.training, "the mode it was in comes back"
    assert found.examples == 300
    assert list(found.inputs["features"].columns) == [f"features[{place}]" for place in range(6)]
    assert list(found.outputs["scores"].columns) == [*(f"scores[{place}]" for place in range(3)), "scores.largest"]
    scores = model.eval()(torch.stack([features for features, _ in data]))
    counted = dict(
        zip(
            found.outputs["scores"].columns["scores.largest"].labels,
            found.outputs["scores"].columns["scores.largest"].counts,
            strict=False,
        )
    )
    # Words of fewer than five examples are not kept, so all that are kept are compared.
    assert counted == {word: int((scores.argmax(1) == int(word)).sum()) for word in counted}
    assert decoded(found.encoded()) == found


def test_few_examples_make_no_reference():
    assert observed(Tabular(), examples(LEAST - 1), score, section(), batch_size=50) is None
    assert observed(Tabular(), examples(LEAST), score, section(), batch_size=50) is not None


def test_no_number_of_an_example_is_told_but_quantiles():
    found = observed(Tabular(), examples(1000), score, section(), batch_size=100)
    assert found is not None
    (column,) = [each for name, each in found.inputs["features"].columns.items() if name == "features[0]"]
    assert len(column.edges) == 9
    assert min(column.counts[:-1]) >= 90


def test_tensors_of_other_lengths_are_watched_by_mean_and_spread():
    data = [torch.randint(0, 40, (12,)) for _ in range(LEAST)]
    text = section(
        inputs=[table("tokens", ["length"], type="int64")], outputs=[table("logits", ["length", 40])], max_batch=8
    )
    found = observed(Text(), data, lambda model, tokens: {"loss": model(tokens)["logits"].mean()}, text, batch_size=16)
    assert found is not None
    assert list(found.inputs["tokens"].columns) == ["tokens.mean", "tokens.spread"]
    assert list(found.outputs["logits"].columns) == ["logits.mean", "logits.spread"]
    other = np.zeros((3, 5), dtype=np.int64)
    assert columns_like(found.inputs, {"tokens": other})[0] == 3, "any length will do"


def test_a_score_that_does_not_call_the_model_is_refused():
    with pytest.raises(RefusedError, match="must call the module once"):
        observed(Tabular(), examples(LEAST), lambda *_: {"loss": torch.zeros(())}, section(), batch_size=50)


def test_of_many_examples_a_fair_draw_is_kept():
    gathering = Gathering({"x": View(1)}, {}, seed=2)
    for begin in range(0, 5 * MOST_ROWS, 1000):
        gathering.add({"x": np.arange(begin, begin + 1000, dtype=np.float64)[:, None]}, {})
    found = gathering.reference(None)
    assert found is not None
    assert found.examples == 5 * MOST_ROWS
    column = found.inputs["x"].columns["x"]
    assert sum(column.counts) == MOST_ROWS
    assert np.allclose(column.edges, np.arange(1, 10) * MOST_ROWS / 2, rtol=0.1)


@pytest.mark.parametrize(
    ("shape", "each"), [((), 1), ((6,), 6), ((8, 8), 64), ((8, 9), 0), (("n",), 0), ((1,), 1), ((MOST_EACH,), 64)]
)
def test_a_tensor_of_few_numbers_has_a_column_for_each(shape, each):
    assert each_of(shape) == each


def test_columns_of_texts_are_words():
    given = np.array([[b"Muscat", b"a"], [b"\xff", b"b"]], dtype=object)
    found = columns_of("place", given, each=2, largest=False)
    assert found == {"place[0]": ["Muscat", "\ufffd"], "place[1]": ["a", "b"]}


def test_the_largest_of_scores_is_unknown_where_one_is_no_number():
    given = np.array([[0.1, 0.9], [np.nan, 1.0], [2.0, -np.inf]])
    assert columns_of("scores", given, each=2, largest=True)["scores.largest"] == ["1", None, "0"]


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({}, "other names"),
        ({"features": np.zeros((2, 6)), "more": np.zeros((2, 1))}, "other names"),
        ({"features": np.zeros((2, 5))}, "5 numbers in place of 6"),
        ({"features": np.zeros((0, 6))}, "one number of examples"),
        ({"features": np.float64(3)}, "no batch"),
    ],
)
def test_tensors_of_another_kind_are_told(tensors, said):
    found = observed(Tabular(), examples(LEAST), score, section(), batch_size=50)
    assert found is not None
    with pytest.raises(UnlikeError, match=said):
        columns_like(found.inputs, tensors)


def test_tensors_of_different_numbers_of_examples_are_told():
    with pytest.raises(UnlikeError):
        rows_of({"a": np.zeros((2, 1)), "b": np.zeros((3, 1))})


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 2}', b"\xff", b"[" * 100_000])
def test_what_is_no_reference_is_refused(content):
    with pytest.raises(RefusedError, match="must be a reference"):
        decoded(content)


def test_a_reference_with_a_strange_entry_is_refused():
    found = observed(Tabular(), examples(LEAST), score, section(), batch_size=50)
    assert found is not None
    with pytest.raises(RefusedError):
        decoded(json.dumps({**json.loads(found.encoded()), "more": 1}).encode())
