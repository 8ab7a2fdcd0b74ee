"""How far data has moved from the data that was accepted last, by the population stability index.

The index of a column is Σ (q - p) · ln(q / p) over its bins, p and q the shares of the two data sets (Siddiqi, Credit
Risk Scorecards, 2006, whose rule of thumb is 0.1 and 0.25; it is Jeffreys' divergence). It is a measure of how large
a change is, which p-values of Kolmogorov-Smirnov or chi-square tests are not: with a million rows those refuse what
matters to nobody. But by chance alone it is about (1/n + 1/m) times a chi-square with one degree of freedom less than
bins (Yurdakul, Statistical Properties of Population Stability Index, 2018). So a column is refused where its index is
above the threshold *and* chance does not explain it, after Holm's correction for the number of columns; where it is
above and chance may explain it, or where chance alone is expected to reach the threshold, nothing is known.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from falaj.training.validation.outcome import Outcome
from falaj.training.validation.profile import ColumnProfile, Floats, Profile, counted_like
from falaj.training.validation.report import Finding
from falaj.training.validation.section import DriftChecks

Columns = Mapping[str, Floats | Sequence[str | None]]
"""What is watched, by name: numbers with NaN, or words with None, where there is no value."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one column moved."""

    index: float
    """The population stability index."""
    chance: float
    """What the index is expected to be by chance, where nothing moved."""
    p: float
    """How likely chance is to make it at least as large."""


def drift(checks: DriftChecks, columns: Columns, reference: Profile | None, digest: str | None) -> Iterator[Finding]:
    """Yield one finding for each column; ``digest`` is of the data that is looked at."""
    known = reference.columns if reference else {}
    first = digest is not None and checks.accept_first == digest
    shifts: dict[str, Shift] = {}
    for name, values in columns.items():
        counts = counted_like(known[name], values) if name in known else None
        if counts is not None:
            shifts[name] = shift(known[name], counts)
        elif first:
            yield Finding("drift", name, "pass", "is accepted as the first of its kind, as the job file says")
        else:
            remedy = f'accept_first = "{digest}" accepts this data' if digest else "and the data has no digest"
            yield Finding("drift", name, "undetermined", f"there is no accepted data to compare it with: {remedy}")
    for (name, moved), p in zip(shifts.items(), holm([moved.p for moved in shifts.values()]), strict=True):
        yield _judged(checks, name, moved, p)


def shift(reference: ColumnProfile, counts: Sequence[int]) -> Shift:
    """Return how far ``counts`` are from those of ``reference``, which are in the same bins."""
    pairs = [(old, new) for old, new in zip(reference.counts, counts, strict=True) if old or new]
    old, new = (np.array(side, dtype=np.float64) for side in zip(*pairs, strict=True)) if pairs else (np.zeros(0),) * 2
    n, m, bins = old.sum(), new.sum(), len(pairs)
    if not n or not m:
        return Shift(0.0, math.inf, 1.0)
    # An empty bin would make the index infinite. One row for each bin is added to either side, spread as both data
    # sets together are: equal shares stay equal, whatever the two sizes are.
    pooled = (old + new) / (n + m) * bins
    p, q = (old + pooled) / (n + bins), (new + pooled) / (m + bins)
    index = float(np.sum((q - p) * np.log(q / p)))
    noise = 1 / n + 1 / m
    return Shift(index, float((bins - 1) * noise), chi_square_above(index / noise, bins - 1))


def chi_square_above(x: float, freedom: int) -> float:
    """Return how likely a chi-square with that many degrees of freedom is above ``x``.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    if freedom < 1 or x <= 0:
        return 1.0
    half = x / 2
    odd = freedom % 2
    total = math.erfc(math.sqrt(half)) if odd else math.exp(-half)
    # Each term is the one before times half / k; logarithms keep them finite for large x.
    for k in range(1, (freedom + 1) // 2):
        power = k - 0.5 if odd else float(k)
        total += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
    return min(total, 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm, 1979: it bounds the chance of any false alarm at all)."""
    adjusted = [1.0] * len(p_values)
    so_far = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = so_far
    return adjusted


def outcome_of(moved: Shift, p: float, *, bound: float, confidence: float) -> Outcome:
    """Return what an index comes to; ``p`` is corrected for the number of columns.

    ``fail``: it is above ``bound``, and chance is ruled out at ``confidence``. ``undetermined``: it is above, and
    chance may explain it, or chance alone is expected to reach the bound.
    """
    if moved.index > bound and p <= 1 - confidence:
        return "fail"
    return "undetermined" if moved.index > bound or moved.chance > bound else "pass"


def _judged(checks: DriftChecks, name: str, moved: Shift, p: float) -> Finding:
    index, bound = moved.index, checks.refused_above
    outcome = outcome_of(moved, p, bound=bound, confidence=checks.confidence)

    def found(outcome: Outcome, said: str) -> Finding:
        return Finding("drift", name, outcome, said, measured=index, bound=bound)

    if outcome == "fail":
        return found("fail", "it moved away from the last accepted data: index")
    if outcome == "undetermined":
        accepted = "pass" if checks.accept_undetermined else "undetermined"
        return found(accepted, "there are too few rows to tell drift from chance: index")
    return found("pass", "it moved, within what is accepted: index" if index > checks.told_above else "index")
