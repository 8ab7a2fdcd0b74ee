"""Whether a model is not worse than another by more than is tolerated, from both of their values on the same examples.

The examples are drawn anew, pair by pair, many times, and the mean difference of each draw gives the confidence bound
(paired bootstrap, percentile method: Efron and Tibshirani, An Introduction to the Bootstrap, 1993; Koehn, Statistical
Significance Tests for Machine Translation Evaluation, 2004). Where the lower bound is above ``-tolerance``, the
claim is shown; where the upper bound is below it, the opposite is; in between, the examples do not tell.

The bootstrap alone is sure of what it never saw: where two models agree on all of 20 examples, every draw agrees too.
So one example more is put in, as bad as it can be for the lower bound, as good as it can be for the upper one. For a
metric of zeros and ones this gives about the bound 3/n of the rule of three (Hanley and Lippman-Hand, If Nothing Goes
Wrong, Is Everything All Right?, 1983).
"""

from dataclasses import dataclass

import numpy as np

from falaj.training.gate.evaluation import Values
from falaj.training.gate.section import Better
from falaj.training.validation.outcome import Outcome

_GROUPS = 10_000
"""Of more examples than this, random groups are drawn: their means spread as the examples' do, in far less time."""
_AT_ONCE = 4_000_000
"""How many drawn numbers are held in memory."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much better one model is than another, in the metric's unit; negative where it is worse."""

    gain: float
    """The mean over all examples."""
    low: float
    """Lower confidence bound, one-sided."""
    high: float
    """Upper confidence bound, one-sided."""

    def outcome(self, tolerance: float) -> Outcome:
        """Return whether it is shown that the model is not worse by more than ``tolerance``."""
        if self.low >= -tolerance:
            return "pass"
        return "fail" if self.high < -tolerance else "undetermined"


def compare(
    model: Values, champion: Values, better: Better, *, confidence: float, resamples: int, seed: int
) -> Comparison:
    """Compare finite values of the same examples in the same order; there must be one at least."""
    gains = model - champion if better == "higher" else champion - model
    is_binary = bool(np.isin(model, (0, 1)).all() and np.isin(champion, (0, 1)).all())
    worst = 1.0 if is_binary else float(np.abs(gains).max())
    means, added = _drawn(gains, resamples, np.random.default_rng(seed))
    low = np.quantile(means - worst * added, 1 - confidence)
    high = np.quantile(means + worst * added, confidence)
    return Comparison(float(gains.mean()), float(low), float(high))


def _drawn(gains: Values, resamples: int, rng: np.random.Generator) -> tuple[Values, Values]:
    """Return for each draw the mean gain without the added example, and the share that this example has in it."""
    parts = np.array_split(rng.permutation(gains), min(gains.size, _GROUPS)) if gains.size > _GROUPS else None
    sums = gains if parts is None else np.array([part.sum() for part in parts])
    sizes = np.ones(gains.size) if parts is None else np.array([float(part.size) for part in parts])
    sums, sizes = np.append(sums, 0.0), np.append(sizes, 1.0)
    means, added = np.empty(resamples), np.empty(resamples)
    step = max(1, _AT_ONCE // sums.size)
    for start in range(0, resamples, step):
        drawn = rng.integers(sums.size, size=(min(step, resamples - start), sums.size))
        totals = sizes[drawn].sum(axis=1)
        rows = slice(start, start + len(drawn))
        means[rows] = sums[drawn].sum(axis=1) / totals
        added[rows] = (drawn == sums.size - 1).sum(axis=1) / totals
    return means, added
