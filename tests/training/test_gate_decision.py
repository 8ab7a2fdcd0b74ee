"""The gate's decision: each check on its own, how the comparison behaves, and that what is unknown never passes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from falaj.training.gate.compare import compare
from falaj.training.gate.decide import decide
from falaj.training.gate.evaluation import Evaluation, Latency
from falaj.training.gate.section import GateSection
from falaj.training.gate.verdict import Check, Verdict

DIGEST = "sha256:" + "a" * 64
CHAMPION = {"champion": {"metric": "right", "tolerance": 0.03}}


def right(share: float, count: int = 1000, seed: int = 0) -> np.ndarray:
    """Values of a metric of zeros and ones."""
    return (np.random.default_rng(seed).random(count) < share).astype(float)


def measured(values: np.ndarray, **more: Any) -> Evaluation:
    content: dict[str, Any] = {"metrics": {"right": values}, "loss": 0.5, "parameters": 1000, "bytes": 4000}
    latency = Latency(1.0, 2.0, 500, "a machine")
    return Evaluation(**({"count": values.size, "data_digest": DIGEST, "latency": latency} | content | more))


def verdict(evaluation: Evaluation, against: Evaluation | None = None, **asked: Any) -> Verdict:
    return decide(evaluation, against, GateSection.model_validate(asked))


def outcomes(found: Verdict) -> dict[str, str]:
    return {f"{each.check} {each.subject}".strip(): each.outcome for each in found.checks if each.check != "examples"}


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        ({"metrics": {"right": {"minimum": 0.7}}}, "pass"),
        ({"metrics": {"right": {"minimum": 0.9}}}, "fail"),
        ({"metrics": {"right": {"maximum": 0.7}}}, "fail"),
        ({"metrics": {"right": {"minimum": 0.7, "maximum": 0.9}}}, "pass"),
        ({"metrics": {"loss": {"maximum": 0.6}}}, "pass"),
        ({"metrics": {"loss": {"maximum": 0.4}}}, "fail"),
        ({"metrics": {"loss": {"minimum": 0.5, "maximum": 0.5}}}, "pass"),
        ({"metrics": {"f1": {"minimum": 0.1}}}, "undetermined"),
        ({"latency": {"p99_ms": 2.0}}, "pass"),
        ({"latency": {"p99_ms": 1.9}}, "fail"),
        ({"size": {"parameters": 1000}}, "pass"),
        ({"size": {"parameters": 999}}, "fail"),
        ({"size": {"bytes": 3999}}, "fail"),
        ({"size": {"bytes": 4000, "parameters": 999}}, "fail"),
    ],
)
def test_each_bound_is_held(asked: Any, outcome: str) -> None:
    assert verdict(measured(right(0.8)), **asked).outcome == outcome


def test_every_check_says_what_was_measured_and_its_bound() -> None:
    found = verdict(measured(right(0.8)), metrics={"right": {"minimum": 0.7}}, latency={"p99_ms": 1.5})
    metric, latency = (each for each in found.checks if each.check != "examples")

    assert (metric.measured, metric.minimum) == (right(0.8).mean(), 0.7)
    assert (latency.measured, latency.maximum) == (2.0, 1.5)
    assert "a machine" in latency.said


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_metric_that_is_not_finite_anywhere_is_unknown(wrong: float) -> None:
    values = right(0.8)
    values[7] = wrong
    found = verdict(measured(values), measured(right(0.8)), metrics={"right": {"minimum": 0.0}}, **CHAMPION)

    assert outcomes(found) == {"metric right": "undetermined", "champion right": "undetermined"}
    assert "1 of 1000 values are not finite" in found.checks[1].said
    champion = measured(values)
    assert outcomes(verdict(measured(right(0.8)), champion, **CHAMPION)) == {"champion right": "undetermined"}


def test_a_loss_that_is_not_a_number_is_unknown() -> None:
    found = verdict(measured(right(0.8), loss=float("nan")), metrics={"loss": {"maximum": 9}})

    assert found.outcome == "undetermined"


def test_no_examples_prove_nothing() -> None:
    empty = measured(np.zeros(0), loss=None)
    section = {"metrics": {"right": {"minimum": 0.0}, "loss": {"maximum": 9.0}}, **CHAMPION}
    found = verdict(empty, empty, **section, slices={"town": {"metric": "right", "minimum": 0}})

    assert {each.outcome for each in found.checks} == {"undetermined"}
    assert verdict(empty, size={"parameters": 1000}).outcome == "undetermined", "also where nothing of data is asked"


def test_what_was_not_measured_is_unknown() -> None:
    found = verdict(measured(right(0.8), latency=None, parameters=None), latency={"p99_ms": 9}, size={"parameters": 9})

    assert set(outcomes(found).values()) == {"undetermined"}


def test_a_model_without_a_champion_passes_only_where_none_is_demanded() -> None:
    assert verdict(measured(right(0.8)), **CHAMPION).outcome == "undetermined"
    first = {"champion": {"metric": "right", "tolerance": 0.03, "required": False}}
    found = verdict(measured(right(0.8)), **first)
    assert found.outcome == "pass"
    assert [(each.outcome, each.accepted) for each in found.checks if each.check == "champion"] == [
        ("undetermined", True)
    ]
    assert verdict(measured(right(0.2)), measured(right(0.9)), **first).outcome == "fail", "one that is there counts"


@pytest.mark.parametrize("digest", [None, "sha256:" + "b" * 64])
def test_a_champion_that_saw_other_data_is_no_comparison(digest: str | None) -> None:
    values = right(0.8)

    assert verdict(measured(values), measured(values, data_digest=digest), **CHAMPION).outcome == "undetermined"
    both = measured(values, data_digest=digest)
    assert verdict(both, both, **CHAMPION).outcome == ("undetermined" if digest is None else "pass")


def test_a_champion_of_other_length_is_no_comparison() -> None:
    assert verdict(measured(right(0.8)), measured(right(0.8, 999)), **CHAMPION).outcome == "undetermined"


def test_the_same_model_as_the_champion_passes() -> None:
    values = right(0.8)

    assert verdict(measured(values), measured(values), **CHAMPION).outcome == "pass"


def test_a_model_that_is_as_good_in_other_places_passes_nearly_always() -> None:
    passed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        lot = rng.random(2000)
        model, champion = (lot > 0.10).astype(float), ((lot < 0.05) | (lot > 0.15)).astype(float)
        passed += verdict(measured(model), measured(champion), **CHAMPION, resamples=1000).outcome == "pass"
    assert passed >= 38


def test_a_champion_that_is_clearly_better_refuses_the_model() -> None:
    for seed in range(20):
        found = verdict(
            measured(right(0.75, 1500, seed)), measured(right(0.90, 1500, seed)), **CHAMPION, resamples=1000
        )
        assert outcomes(found) == {"champion right": "fail"}


def test_a_model_at_the_edge_of_what_is_tolerated_passes_as_seldom_as_was_said() -> None:
    passed = 0
    for seed in range(200):
        lot = np.random.default_rng(seed).random(600)
        model, champion = (lot > 0.07).astype(float), ((lot < 0.04) | (lot > 0.08)).astype(float)
        model[(lot > 0.07) & (lot < 0.10)] = 0
        champion[(lot > 0.07) & (lot < 0.10)] = 1
        # Apart in 14 of 100 examples; the model is worse by 0.06 - 0.04 = 0.02 or more.
        gap = float((champion - model).mean())
        found = compare(model, champion, "higher", confidence=0.95, resamples=1000, seed=seed)
        passed += found.outcome(0.06) == "pass"
        assert found.gain == pytest.approx(-gap)
    assert passed <= 20, "0.95 allows about 10 of 200"


def test_too_few_examples_prove_nothing_even_where_all_agree() -> None:
    few = np.ones(99)
    assert verdict(measured(few), measured(few), **CHAMPION).outcome == "undetermined"
    # The rule of three: none of 60 examples was lost, which does not show that fewer than 3/60 are.
    some = np.ones(60)
    for tolerance, outcome in ((0.04, "undetermined"), (0.06, "pass")):
        asked = {"champion": {"metric": "right", "tolerance": tolerance, "smallest": 1}}
        assert verdict(measured(some), measured(some), **asked).outcome == outcome


def test_lower_is_better_where_that_is_said() -> None:
    rng = np.random.default_rng(3)
    errors = rng.gamma(2, size=800)
    asked = {"champion": {"metric": "right", "tolerance": 0.1, "better": "lower"}}

    assert verdict(measured(errors), measured(errors + 1), **asked).outcome == "pass"
    assert verdict(measured(errors + 1), measured(errors), **asked).outcome == "fail"


def test_the_same_seed_gives_the_same_verdict_and_another_one_other_bounds() -> None:
    model, champion = measured(right(0.8)), measured(right(0.8, seed=1))

    assert verdict(model, champion, **CHAMPION) == verdict(model, champion, **CHAMPION)
    assert (
        verdict(model, champion, **CHAMPION, seed=1).checks[1].low != verdict(model, champion, **CHAMPION).checks[1].low
    )


@pytest.mark.parametrize("count", [9_000, 200_000])
def test_bounds_are_as_wide_as_they_should_be_also_for_many_examples(count: int) -> None:
    gains = np.random.default_rng(5).normal(size=count)
    found = compare(gains, np.zeros(count), "higher", confidence=0.95, resamples=1000, seed=0)
    half = 1.645 / np.sqrt(count)

    assert found.gain - found.low == pytest.approx(half, rel=0.2)
    assert found.high - found.gain == pytest.approx(half, rel=0.2)


def with_groups(model: np.ndarray, champion: np.ndarray, groups: np.ndarray) -> tuple[Evaluation, Evaluation]:
    return measured(model, slices={"town": groups}), measured(champion, slices={"town": groups})


def test_a_subgroup_that_loses_refuses_a_model_that_is_better_on_the_whole() -> None:
    groups = np.repeat([0, 1], [1800, 200])
    champion = right(0.80, 2000)
    model = np.where(groups == 0, right(0.90, 2000), right(0.50, 2000))
    pair = with_groups(model, champion, groups)

    found = verdict(*pair, **CHAMPION, slices={"town": {"metric": "right", "most_lost": 0.05}})
    assert outcomes(found) == {
        "champion right": "pass",
        "slice town=0: right": "pass",
        "slice town=1: right": "fail",
    }
    assert found.outcome == "fail"


def test_subgroups_have_bounds_of_their_own_without_a_champion_too() -> None:
    groups = np.repeat([0, 1], 500)
    values = np.where(groups == 0, right(0.9), right(0.6))

    found = verdict(measured(values, slices={"town": groups}), slices={"town": {"metric": "right", "minimum": 0.7}})
    assert outcomes(found) == {"slice town=0: right": "pass", "slice town=1: right": "fail"}


@pytest.mark.parametrize(("accept", "outcome"), [(False, "undetermined"), (True, "pass")])
def test_a_small_subgroup_is_undetermined_and_refuses_unless_that_is_spelled_out(accept: bool, outcome: str) -> None:
    groups = np.repeat([0, 1], [980, 20])
    pair = with_groups(right(0.9), right(0.7), groups)
    asked = {"metric": "right", "most_lost": 0.05, "smallest": 30, "accept_undetermined": accept}

    found = verdict(*pair, slices={"town": asked})
    assert outcomes(found) == {"slice town=0: right": "pass", "slice town=1: right": "undetermined"}
    assert found.outcome == outcome
    assert "20 examples are fewer than 30" in found.checks[-1].said


def test_a_group_or_slice_that_is_asked_for_and_missing_is_unknown() -> None:
    evaluation = measured(right(0.9), slices={"town": np.zeros(1000, dtype=np.int64)})
    found = verdict(
        evaluation,
        slices={"town": {"metric": "right", "minimum": 0, "groups": [0, 7]}, "sex": {"metric": "right", "minimum": 0}},
    )

    assert outcomes(found) == {
        "slice town=0: right": "pass",
        "slice town=7: right": "undetermined",
        "slice sex: right": "undetermined",
    }


def test_subgroups_without_a_champion_or_in_other_groups_are_unknown() -> None:
    groups = np.repeat([0, 1], 500)
    asked = {"slices": {"town": {"metric": "right", "most_lost": 0.1}}}
    evaluation = measured(right(0.9), slices={"town": groups})

    assert verdict(evaluation, **asked).outcome == "undetermined"
    first = {"champion": {"metric": "right", "tolerance": 0.1, "required": False}}
    assert verdict(evaluation, **asked, **first).outcome == "pass"
    other = measured(right(0.9), slices={"town": groups[::-1].copy()})
    assert verdict(evaluation, other, **asked).outcome == "undetermined"
    assert verdict(evaluation, replace(other, slices={}), **asked).outcome == "undetermined"


FLOATS = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=0, max_size=8)


@settings(max_examples=80)
@given(model=FLOATS, champion=FLOATS, groups=st.lists(st.integers(-2, 2), min_size=8, max_size=8))
def test_whatever_was_measured_there_is_a_verdict_and_nothing_unknown_passes(
    model: list[float], champion: list[float], groups: list[int]
) -> None:
    asked = {
        "metrics": {"right": {"minimum": -1e300}},
        "champion": {"metric": "right", "tolerance": 0.5, "smallest": 1},
        "slices": {"town": {"metric": "right", "most_lost": 0.5, "minimum": -1e300, "smallest": 1}},
        "resamples": 1000,
    }
    pair = [
        measured(np.array(values, dtype=float), slices={"town": np.array(groups[: len(values)], dtype=np.int64)})
        for values in (model, champion)
    ]
    with np.errstate(all="ignore"):
        found = verdict(*pair, **asked)

    if not model or not np.isfinite(np.array(model)).all():
        assert found.outcome != "pass"
    if found.outcome == "pass":
        assert len(model) == len(champion)
        assert np.isfinite(np.array(champion)).all()


def test_a_verdict_cannot_say_other_than_its_checks() -> None:
    failed = Check(check="metric", subject="x", outcome="fail")
    with pytest.raises(ValidationError, match="what the checks come to"):
        Verdict(outcome="pass", checks=(failed,))
    with pytest.raises(ValidationError, match="what the checks come to"):
        Verdict(outcome="pass", checks=())
    with pytest.raises(ValidationError, match="only what is undetermined"):
        Check(check="metric", subject="x", outcome="fail", accepted=True)


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ({}, ()),
        ({"metrics": {"a": {}}}, ("metrics", "a")),
        ({"metrics": {"a": {"minimum": float("nan")}}}, ("metrics", "a", "minimum")),
        ({"metrics": {"a": {"minimum": 2, "maximum": 1}}}, ("metrics", "a")),
        ({"champion": {"metric": "a"}}, ("champion", "tolerance")),
        ({"champion": {"metric": "a", "tolerance": -1}}, ("champion", "tolerance")),
        ({"champion": {"metric": "a", "tolerance": float("inf")}}, ("champion", "tolerance")),
        ({"slices": {"a": {"metric": "a"}}}, ("slices", "a")),
        ({"latency": {"p99_ms": 1, "runs": 100}}, ("latency", "runs")),
        ({"size": {}}, ("size",)),
        ({"size": {"parameters": 1}, "sise": {}}, ("sise",)),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused(written: dict[str, Any], field: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as refusal:
        GateSection.model_validate(written)
    assert refusal.value.errors()[0]["loc"] == field
