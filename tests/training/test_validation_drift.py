"""Drift: what counts as moved, what as chance, and that no data makes profile or index stumble."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from falaj.training.errors import RefusedError
from falaj.training.validation.drift import chi_square_above, drift, holm, shift
from falaj.training.validation.profile import (
    MOST_LABELS,
    ColumnProfile,
    Profile,
    counted_like,
    decoded,
    of_numbers,
    of_words,
)
from falaj.training.validation.section import DriftChecks

DIGEST = "sha256:" + "a" * 64
CHECKS = DriftChecks(accepted="profiles")


def profile(**columns: ColumnProfile) -> Profile:
    at = "2026-01-01T00:00:00+00:00"
    content = {"job": "j", "data_digest": DIGEST, "classification": "restricted", "at": at, "rows": 10}
    return Profile.model_validate(content | {"columns": columns})


def outcomes(checks: DriftChecks, reference: Profile | None, **columns: object) -> dict[str, str]:
    return {each.subject: each.outcome for each in drift(checks, columns, reference, DIGEST)}  # type: ignore[arg-type]


def moved(old: np.ndarray, new: np.ndarray) -> float:
    reference = of_numbers(old, 10)
    counts = counted_like(reference, new)
    assert counts is not None
    return shift(reference, counts).index


def test_the_same_data_has_not_moved_at_all() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=1000)

    assert moved(values, values) == 0
    assert moved(values, np.repeat(values, 3)) == pytest.approx(0, abs=1e-12), "sizes alone are no drift"


def test_the_index_is_the_one_of_the_books() -> None:
    reference = ColumnProfile(kind="words", labels=("a", "b"), counts=(5_000_000, 5_000_000, 0, 0))
    found = shift(reference, (7_500_000, 2_500_000, 0, 0))

    assert found.index == pytest.approx(0.25 * math.log(1.5) - 0.25 * math.log(0.5), rel=1e-6)


def test_data_from_where_it_came_before_is_seldom_refused() -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(200):
        reference = profile(**{f"c{n}": of_numbers(rng.normal(size=800), 10) for n in range(5)})
        found = outcomes(CHECKS, reference, **{f"c{n}": rng.normal(size=500) for n in range(5)})
        alarms += "fail" in found.values()
    assert alarms == 0, "0.25 is far from chance at this size"


@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (500, 5000), (4000, 400)])
def test_chance_explains_about_as_much_as_it_should(n: int, m: int) -> None:
    rng = np.random.default_rng(3)
    p = []
    for _ in range(400):
        reference = of_numbers(rng.gamma(2, size=n), 10)
        p.append(shift(reference, counted_like(reference, rng.gamma(2, size=m)) or []).p)
    rate = np.mean(np.array(p) < 0.05)
    assert 0.01 <= rate <= 0.08


@pytest.mark.parametrize("by", [0.8, -0.8])
def test_data_that_moved_is_refused(by: float) -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        reference = profile(x=of_numbers(rng.normal(size=1000), 10), y=of_numbers(rng.normal(size=1000), 10))
        new = rng.normal(size=1000)
        assert outcomes(CHECKS, reference, x=new + by, y=new) == {"x": "fail", "y": "pass"}


def test_a_small_move_is_told_and_accepted() -> None:
    rng = np.random.default_rng(5)
    reference = profile(x=of_numbers(rng.normal(size=5000), 10))
    found = list(drift(CHECKS, {"x": rng.normal(size=5000) + 0.42}, reference, DIGEST))

    assert found[0].outcome == "pass"
    assert found[0].measured is not None
    assert 0.1 < found[0].measured < 0.25
    assert "moved" in found[0].said


def test_too_few_rows_are_undetermined_unless_that_is_accepted() -> None:
    rng = np.random.default_rng(6)
    reference = profile(x=of_numbers(rng.normal(size=5000), 10))
    few = rng.normal(size=30)

    assert outcomes(CHECKS, reference, x=few) == {"x": "undetermined"}
    assert outcomes(CHECKS.model_copy(update={"accept_undetermined": True}), reference, x=few) == {"x": "pass"}


def test_an_index_that_chance_may_explain_is_undetermined_and_none_where_rows_rule_chance_out() -> None:
    checks = CHECKS.model_copy(update={"refused_above": 0.2})
    for times, outcome in ((1, "undetermined"), (20, "fail")):
        reference = profile(x=of_words(["a"] * 20 * times + ["b"] * 20 * times))
        found = next(drift(checks, {"x": ["a"] * 10 * times + ["b"] * 30 * times}, reference, DIGEST))
        assert found.measured is not None
        assert found.measured > checks.refused_above
        assert found.outcome == outcome


def test_without_accepted_data_only_the_data_that_is_named_is_accepted() -> None:
    values = np.arange(1000.0)
    named = CHECKS.model_copy(update={"accept_first": DIGEST})
    other = CHECKS.model_copy(update={"accept_first": "sha256:" + "b" * 64})

    assert outcomes(CHECKS, None, x=values) == {"x": "undetermined"}
    assert outcomes(other, None, x=values) == {"x": "undetermined"}
    assert outcomes(named, None, x=values) == {"x": "pass"}
    assert outcomes(named, profile(y=of_numbers(values, 10)), x=values, y=values + 700) == {"x": "pass", "y": "fail"}


def test_a_column_that_became_another_kind_cannot_be_compared() -> None:
    assert outcomes(CHECKS, profile(x=of_numbers(np.arange(1000.0), 10)), x=["a"] * 1000) == {"x": "undetermined"}


def test_words_that_were_never_seen_are_drift() -> None:
    reference = profile(x=of_words(["a", "b"] * 500))

    assert outcomes(CHECKS, reference, x=["a", "b"] * 300) == {"x": "pass"}
    assert outcomes(CHECKS, reference, x=["a", "c"] * 300) == {"x": "fail"}
    assert outcomes(CHECKS, reference, x=["a", "b", None] * 300) == {"x": "fail"}, "and so are values that go missing"


def test_a_constant_column_that_changes_its_constant_is_drift() -> None:
    constant = np.full(1000, 7.0)

    assert moved(constant, constant[:50]) == 0
    for other in (6.0, 8.0, 7.0 + 1e-9):
        assert moved(constant, np.full(500, other)) > 5


def test_zeros_among_amounts_have_a_bin_of_their_own() -> None:
    rng = np.random.default_rng(7)
    amounts = np.where(rng.random(4000) < 0.5, 0, rng.lognormal(size=4000))
    more = np.where(rng.random(4000) < 0.8, 0, rng.lognormal(size=4000))

    assert moved(amounts, np.where(rng.random(4000) < 0.5, 0, rng.lognormal(size=4000))) < 0.05
    assert moved(amounts, more) > 0.25


def test_rare_words_are_not_kept() -> None:
    made = of_words(["common"] * 100 + ["Khalid"] * 4 + [f"word {n % 60}" for n in range(600)])

    assert "Khalid" not in made.labels
    assert len(made.labels) == MOST_LABELS
    assert sum(made.counts) == 704


def test_a_profile_comes_back_as_it_was_and_damage_is_refused() -> None:
    made = profile(x=of_numbers(np.arange(100.0), 10), y=of_words(["a"] * 9 + ["b"]))
    content = made.encoded()

    assert decoded(content) == made
    for wrong in (b"", b"[]", b"{}", b"null", content[:-9], content.replace(b'"rows": 10', b'"rows": 11')):
        with pytest.raises(RefusedError, match="profile must be as it was written"):
            decoded(wrong)


@settings(max_examples=200)
@given(st.data())
def test_a_profile_with_any_changed_byte_is_refused_or_says_the_same(data: st.DataObject) -> None:
    made = profile(x=of_numbers(np.arange(50.0), 5))
    content = bytearray(made.encoded())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        found = decoded(bytes(content))
    except RefusedError:
        return
    assert found == made  # white space, or another way to write the same number


NUMBERS = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), max_size=60).map(
    lambda values: np.array(values, dtype=np.float64)
)
WORDS = st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=60)


@settings(max_examples=300)
@given(old=NUMBERS, new=NUMBERS, bins=st.integers(2, 100))
def test_any_numbers_have_a_profile_and_an_index(old: np.ndarray, new: np.ndarray, bins: int) -> None:
    made = of_numbers(old, bins)
    assert sum(made.counts) == len(old)
    assert made.counts[-1] == np.isnan(old).sum()
    assert decoded(profile(x=made).encoded()).columns["x"] == made
    counts = counted_like(made, new)
    assert counts is not None
    assert sum(counts) == len(new)
    found = shift(made, counts)
    assert found.index >= 0
    assert math.isfinite(found.index)
    assert 0 <= found.p <= 1
    assert shift(made, made.counts).index == pytest.approx(0, abs=1e-12)


@settings(max_examples=100)
@given(old=WORDS, new=WORDS)
def test_any_words_have_a_profile_and_an_index(old: list[str | None], new: list[str | None]) -> None:
    made = of_words(old)
    assert decoded(profile(x=made).encoded()).columns["x"] == made
    found = shift(made, counted_like(made, new) or [])
    assert found.index >= 0
    assert 0 <= found.p <= 1


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 10, 51])
@pytest.mark.parametrize("x", [0.01, 1.0, 9.0, 60.0, 900.0, 1e6])
def test_chi_square_is_that_of_scipy(freedom: int, x: float) -> None:
    assert chi_square_above(x, freedom) == pytest.approx(chi2.sf(x, freedom), rel=1e-9, abs=1e-300)


def test_holm_corrects_as_in_its_paper() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]
