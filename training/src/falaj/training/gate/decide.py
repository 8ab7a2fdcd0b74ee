"""The decision: what an evaluation comes to by what the job file asks, and against the champion where there is one."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from falaj.training.gate.compare import compare
from falaj.training.gate.evaluation import Evaluation, Values
from falaj.training.gate.section import Better, ChampionSection, GateSection, SliceSection
from falaj.training.gate.verdict import Check, Verdict, outcome_of
from falaj.training.validation.outcome import Outcome


def decide(evaluation: Evaluation, champion: Evaluation | None, section: GateSection) -> Verdict:
    """Judge ``evaluation``; ``champion`` is the evaluation of the model that is served now, on the same data.

    The same arguments give the same verdict.
    """
    checks = tuple(_Gate(evaluation, champion, section).checks())
    return Verdict(outcome=outcome_of(checks), checks=checks)


_Bounds = tuple[float | None, float | None]
"""The least and the most that passes."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """Not worse than the champion by more than a tolerance."""

    metric: str
    better: Better
    tolerance: float
    confidence: float


class _Gate:
    def __init__(self, evaluation: Evaluation, champion: Evaluation | None, section: GateSection) -> None:
        self.evaluation = evaluation
        self.champion = champion
        self.section = section

    def checks(self) -> Iterator[Check]:
        count = self.evaluation.count
        outcome: Outcome = "pass" if count else "undetermined"
        yield Check(check="examples", subject="", outcome=outcome, measured=count, minimum=1)
        for name, bound in self.section.metrics.items():
            yield _bounded("metric", name, self.evaluation.mean(name), (bound.minimum, bound.maximum), self._why(name))
        if self.section.champion:
            yield self._against_champion(self.section.champion)
        for name, asked in self.section.slices.items():
            yield from self._slice(name, asked)
        yield from self._budgets()

    def _budgets(self) -> Iterator[Check]:
        if self.section.latency:
            latency = self.evaluation.latency
            said = f"{latency.runs} passes of one example on {latency.machine}" if latency else "it was not measured"
            measured = latency.p99_ms if latency else None
            yield _bounded("latency", "p99_ms", measured, (None, self.section.latency.p99_ms), said)
        size = self.section.size
        if size and size.parameters is not None:
            yield _bounded("size", "parameters", self.evaluation.parameters, (None, size.parameters), "")
        if size and size.bytes is not None:
            yield _bounded("size", "bytes", self.evaluation.bytes, (None, size.bytes), "")

    def _against_champion(self, asked: ChampionSection) -> Check:
        doubt = Check(
            check="champion",
            subject=asked.metric,
            outcome="undetermined",
            minimum=-asked.tolerance,
            said=f"not worse than the champion by more than {asked.tolerance:g}, at {asked.confidence:g}",
        )
        if self.champion is None:
            return _because(doubt, "there is no champion", accepted=not asked.required)
        if self.evaluation.count < asked.smallest:
            return _because(doubt, f"{self.evaluation.count} examples are fewer than {asked.smallest}")
        claim = _Claim(asked.metric, asked.better, asked.tolerance, asked.confidence)
        return self._compared(doubt, claim, np.ones(self.evaluation.count, dtype=bool))

    def _slice(self, name: str, asked: SliceSection) -> Iterator[Check]:
        groups = self.evaluation.slices.get(name)
        if groups is None or not groups.size:
            said = f"the score has no slice/{name}" if groups is None else "there are no examples"
            yield Check(check="slice", subject=f"{name}: {asked.metric}", outcome="undetermined", said=said)
            return
        for group in sorted({*map(int, np.unique(groups)), *asked.groups}):
            members = groups == group
            subject = f"{name}={group}: {asked.metric}"
            doubt = Check(check="slice", subject=subject, outcome="undetermined", said="")
            if members.sum() < asked.smallest:
                why = f"{members.sum()} examples are fewer than {asked.smallest}"
                yield _because(doubt, why, accepted=asked.accept_undetermined)
                continue
            if asked.minimum is not None or asked.maximum is not None:
                values = self.evaluation.metrics.get(asked.metric)
                mean = float(values[members].mean()) if values is not None else None
                yield _bounded("slice", subject, mean, (asked.minimum, asked.maximum), self._why(asked.metric))
            if asked.most_lost is not None:
                yield self._group_against_champion(doubt, name, members, asked, asked.most_lost)

    def _group_against_champion(
        self, doubt: Check, name: str, members: np.ndarray, asked: SliceSection, most: float
    ) -> Check:
        said = f"loses no more than {most:g} against the champion, at {asked.confidence:g}"
        doubt = doubt.model_copy(update={"minimum": -most, "said": said})
        if self.champion is None:
            spelled_out = self.section.champion is not None and not self.section.champion.required
            return _because(doubt, "there is no champion", accepted=spelled_out)
        others = self.champion.slices.get(name)
        if others is None or not np.array_equal(others, self.evaluation.slices[name]):
            return _because(doubt, "the champion's examples are in other groups")
        return self._compared(doubt, _Claim(asked.metric, asked.better, most, asked.confidence), members)

    def _compared(self, doubt: Check, claim: _Claim, members: np.ndarray) -> Check:
        """Hold the examples that are ``members`` against the champion's; return ``doubt`` where that cannot be."""
        assert self.champion is not None
        digest = self.evaluation.data_digest
        if digest is None or digest != self.champion.data_digest:
            return _because(doubt, "it is not shown that the champion saw the same data")
        model, champion = (_known(each.metrics.get(claim.metric), members) for each in (self.evaluation, self.champion))
        if model is None or champion is None:
            return _because(doubt, "the metric needs a finite value for every example, of both models")
        found = compare(
            model,
            champion,
            claim.better,
            confidence=claim.confidence,
            resamples=self.section.resamples,
            seed=self.section.seed,
        )
        measured = {"measured": found.gain, "low": found.low, "high": found.high}
        return doubt.model_copy(update={"outcome": found.outcome(claim.tolerance), **measured})

    def _why(self, metric: str) -> str:
        """Return why a metric is not known, or nothing."""
        values = self.evaluation.metrics.get(metric)
        if values is None:
            return "" if metric == "loss" and self.evaluation.mean(metric) is not None else "it was not measured"
        wrong = int((~np.isfinite(values)).sum())
        return f"{wrong} of {values.size} values are not finite" if wrong else ""


def _bounded(check: str, subject: str, measured: float | None, bounds: _Bounds, said: str) -> Check:
    minimum, maximum = bounds
    outcome: Outcome = "pass"
    if measured is None or not np.isfinite(measured):
        measured, outcome = None, "undetermined"
    elif (minimum is not None and measured < minimum) or (maximum is not None and measured > maximum):
        outcome = "fail"
    content = {"check": check, "subject": subject, "outcome": outcome, "measured": measured, "said": said}
    return Check.model_validate(content | {"minimum": minimum, "maximum": maximum})


def _because(doubt: Check, why: str, accepted: bool = False) -> Check:
    said = f"{doubt.said}: {why}" if doubt.said else why
    return doubt.model_copy(update={"said": said, "accepted": accepted})


def _known(values: Values | None, members: np.ndarray) -> Values | None:
    """Return the members' values, None where not every one of them is known."""
    if values is None or values.shape != members.shape:
        return None
    chosen = values[members]
    return chosen if chosen.size and np.isfinite(chosen).all() else None
