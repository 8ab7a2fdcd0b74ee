"""How a service stands: which versions it serves, how far an update is, and what its analyses measured.

The fields are Argo Rollouts': https://argo-rollouts.readthedocs.io/en/stable/features/specification/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falaj.training.errors import RefusedError
from falaj.training.serving.cluster import HASH_LABEL, Cluster, Object

VERSION, DIGEST = "falaj.dev/model-version", "falaj.dev/model-digest"
"""Annotations of the pod template: the version that its pods fetch, and the digest of its manifest."""


@dataclass(frozen=True)
class Side:
    """One of the two sets of pods."""

    version: int | None
    """The model's version that they serve; None where the pods do not say."""
    digest: str | None
    """Digest of that version's manifest."""
    pod_hash: str
    """Argo's hash of their template."""
    ready: int
    """How many are ready."""
    wanted: int
    """How many there should be."""


@dataclass(frozen=True)
class Metric:
    """What an analysis found of one metric."""

    name: str
    """Its name in the AnalysisTemplate."""
    phase: str
    """What came of it so far."""
    values: tuple[str, ...]
    """The latest measurements, as Prometheus answered, the oldest first."""
    successful: int
    """Measurements that passed."""
    failed: int
    """Measurements that did not."""
    inconclusive: int
    """Measurements that say neither."""
    errors: int
    """Measurements that could not be made."""
    message: str
    """What Argo says of it."""


@dataclass(frozen=True)
class Analysis:
    """An analysis of the new version's pods."""

    name: str
    """Its name."""
    kind: str
    """When it runs: Background, Step, PrePromotion or PostPromotion."""
    phase: str
    """What came of it so far."""
    message: str
    """What Argo says of it."""
    metrics: tuple[Metric, ...]
    """What was measured."""


@dataclass(frozen=True)
class Standing:
    """How a service stands."""

    service: str
    """NAMESPACE/NAME."""
    phase: str
    """Argo's word: Healthy, Progressing, Paused or Degraded."""
    message: str
    """Argo's reason."""
    strategy: str
    """`canary` or `blue-green`."""
    aborted: bool
    """Whether the update was stopped and traffic is back with the stable version."""
    weight: int | None
    """Percent of traffic that the new version gets; None where traffic is not split by weight."""
    step: int | None
    """Steps that are done."""
    steps: int
    """Steps in all."""
    stable: Side | None
    """What is served when no update runs; None before the first pods."""
    canary: Side | None
    """The version that is being tried, or was refused; None where there is none beside the stable one."""
    wanted_version: int | None
    """The version that the Rollout asks for."""
    wanted_digest: str | None
    """Digest of its manifest."""
    analyses: tuple[Analysis, ...]
    """The analyses of the new version, or of the stable one where there is no other."""

    @property
    def updating(self) -> bool:
        """Whether an update runs, which was not aborted."""
        return self.canary is not None and not self.aborted


def standing(cluster: Cluster, rollout: Object | None = None) -> Standing:
    """Return how a service stands now; raise `RefusedError` for a Rollout that serves no falaj model."""
    rollout = cluster.rollout() if rollout is None else rollout
    wanted = annotations(cluster.service, rollout)
    status: Mapping[str, Any] = rollout.get("status") or {}
    current, stable = status.get("currentPodHash") or "", status.get("stableRS") or ""
    sides = _sides(cluster, [each for each in (stable, current) if each])
    observed = str(rollout["metadata"].get("generation", "")) == str(status.get("observedGeneration", ""))
    canary: Mapping[str, Any] | None = rollout["spec"].get("strategy", {}).get("canary")
    other = current if current and current != stable else None
    judged = other or stable
    return Standing(
        service=cluster.service,
        phase=str(status.get("phase") or "Progressing") if observed else "Progressing",
        message=str(status.get("message") or "") if observed else "the controller has not seen the latest change yet",
        strategy="blue-green" if canary is None else "canary",
        aborted=bool(status.get("abort")),
        weight=None if canary is None else _weight(status, other is not None),
        step=None if canary is None else status.get("currentStepIndex"),
        steps=len((canary or {}).get("steps") or []),
        stable=sides.get(stable),
        canary=None if other is None or stable == "" else sides.get(other),
        wanted_version=_number(wanted.get(VERSION)),
        wanted_digest=wanted.get(DIGEST),
        analyses=tuple(_analysis(each) for each in cluster.analysis_runs(judged)) if judged else (),
    )


def annotations(service: str, rollout: Object) -> Mapping[str, str]:
    """Return the annotations of a Rollout's pods; refuse one whose pods are not told which version to serve."""
    template: Mapping[str, Any] | None = rollout["spec"].get("template")
    found: Mapping[str, str] = ((template or {}).get("metadata") or {}).get("annotations") or {}
    if VERSION not in found:
        remedy = f"must be the Rollout of a served model: its pod template has no annotation {VERSION}"
        raise RefusedError("--service", service, remedy)
    return found


def in_words(found: Standing) -> list[str]:
    """Say how a service stands, for people."""
    steps = f", step {found.step} of {found.steps}" if found.step is not None and found.canary else ""
    reason = f" ({found.message})" if found.message else ""
    lines = [f"{found.service}: {found.phase}{reason}{steps}"]
    for name, side in (("stable", found.stable), ("new", found.canary)):
        if side is None:
            continue
        share = None if found.weight is None else (100 - found.weight if name == "stable" else found.weight)
        traffic = "" if share is None else f", {share} % of traffic"
        refused = ", refused" if name == "new" and found.aborted else ""
        lines.append(
            f"  {name:<7} version {_said(side.version)}{refused}: {side.ready} of {side.wanted} ready{traffic}"
        )
    for analysis in found.analyses:
        message = f" ({analysis.message})" if analysis.message else ""
        lines.append(f"  {analysis.kind} analysis {analysis.name}: {analysis.phase}{message}")
        for metric in analysis.metrics:
            values = ", ".join(metric.values[-3:]) or "nothing measured"
            count = f"{metric.successful} passed, {metric.failed} failed, {metric.inconclusive + metric.errors} unknown"
            lines.append(f"    {metric.name:<14} {metric.phase}: {count}; last {values}")
    return lines


def _sides(cluster: Cluster, hashes: Sequence[str]) -> dict[str, Side]:
    if not hashes:
        return {}
    found: dict[str, Side] = {}
    for each in cluster.replica_sets(hashes):
        pod_hash = each["metadata"]["labels"][HASH_LABEL]
        told = (each["spec"]["template"]["metadata"].get("annotations")) or {}
        status: Mapping[str, Any] = each.get("status") or {}
        found[pod_hash] = Side(
            version=_number(told.get(VERSION)),
            digest=told.get(DIGEST),
            pod_hash=pod_hash,
            ready=int(status.get("readyReplicas") or 0),
            wanted=int(each["spec"].get("replicas") or 0),
        )
    return found


def _weight(status: Mapping[str, Any], updating: bool) -> int | None:
    weights: Mapping[str, Any] | None = (status.get("canary") or {}).get("weights")
    if weights is None:
        return None if updating else 0
    return int((weights.get("canary") or {}).get("weight") or 0)


def _analysis(run: Object) -> Analysis:
    status: Mapping[str, Any] = run.get("status") or {}
    labels: Mapping[str, str] = run["metadata"].get("labels") or {}
    return Analysis(
        name=run["metadata"]["name"],
        kind=labels.get("rollout-type", "Unknown"),
        phase=str(status.get("phase") or "Pending"),
        message=str(status.get("message") or ""),
        metrics=tuple(_metric(each) for each in status.get("metricResults") or []),
    )


def _metric(result: Object) -> Metric:
    measured = [each for each in result.get("measurements") or [] if "value" in each]
    return Metric(
        name=result["name"],
        phase=str(result.get("phase") or "Pending"),
        values=tuple(str(each["value"]) for each in measured),
        successful=int(result.get("successful") or 0),
        failed=int(result.get("failed") or 0),
        inconclusive=int(result.get("inconclusive") or 0),
        errors=int(result.get("error") or 0),
        message=str(result.get("message") or ""),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _said(version: int | None) -> str:
    return "unknown" if version is None else str(version)
