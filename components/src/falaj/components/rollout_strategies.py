"""How a new version takes over from the old one: by growing shares, at once after a look, or behind a mirror.

Written after ``argoproj.io/v1alpha1`` of Argo Rollouts 1.10, whose controller does it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NotRequired, TypedDict

import pulumi

from falaj.components.checks import bounded
from falaj.components.errors import ConfigError
from falaj.components.rollout_analysis import ENVOY_CLUSTER, Analysis, CheckedAnalysis, check_analysis, run_of

ROUTER = "argoproj-labs/gatewayAPI"
"""Argo's plugin that sets the weights of Gateway API routes."""
ROLE = "falaj.dev/role"
"""Label of pods, which Argo changes as a version takes over: ``shadow`` or ``serving``."""
KINDS = ("canary", "blue_green", "shadow")

_NO_SERVICE = "-"
"""What no Service is called; Argo drops an empty value, which an update would then take for a conflict."""
_PARTS = {
    "canary": ("rule/0/backend/1", "rule/0/backend/0"),
    "blue_green": ("rule/1", _NO_SERVICE),
    "shadow": ("rule/0-mirror-0", "rule/0/backend/0"),
}
"""Where `route_rules` has the new and the old version."""
_GONE_AFTER_ABORT = 60
"""Seconds for which the pods of a version that was rolled back end what they have begun."""


class CanaryStep(TypedDict):
    """A share of the traffic that the new version has until it was measured."""

    weight: int
    """Percent of the requests, 1 to 100."""
    measurements: NotRequired[int]
    """Measurements at this share. Default: those of the analysis."""


class Canary(TypedDict):
    """The new version gets growing shares of the traffic, and is measured at each of them."""

    steps: list[CanaryStep]
    """The shares, each larger than the one before; after the last one it gets all."""
    analysis: Analysis
    """How it is measured: no share grows unseen."""
    kept_seconds: NotRequired[int]
    """Seconds for which the old version's pods stay, for a way back at once, 0 to 86400. Default: 600."""


class BlueGreen(TypedDict):
    """The new version gets all of the traffic at once, and the old one stays until the new one was measured."""

    analysis: Analysis
    """How it is measured, once it has the traffic; the way back is at once, and for all."""
    preview: NotRequired[int]
    """Seconds for which it is seen only by requests with the header ``falaj-preview: true``, 0 to 86400. Default: 0."""
    soak: NotRequired[int]
    """Seconds for which it is measured while the old one stays, 60 to 86400. Default: 600."""


class Shadow(TypedDict):
    """The new version gets copies of requests, its answers are measured and thrown away, and then it takes over."""

    analysis: Analysis
    """How it is measured."""
    mirror: NotRequired[int]
    """Percent of the requests that are copied, 1 to 100. Default: 100."""
    replicas: NotRequired[int]
    """Pods that get the copies, 1 to 1000. Default: 1."""
    kept_seconds: NotRequired[int]
    """Seconds for which the old version's pods stay, for a way back at once, 0 to 86400. Default: 600."""


class RolloutStrategy(TypedDict):
    """How a new version takes over: exactly one of these."""

    canary: NotRequired[Canary]
    """By growing shares of the traffic. Default: not so."""
    blue_green: NotRequired[BlueGreen]
    """At once, with the old version ready to return. Default: not so."""
    shadow: NotRequired[Shadow]
    """Behind a mirror of the traffic. Default: not so."""


@dataclass(frozen=True)
class Strategy:
    """How a new version takes over, checked."""

    kind: str
    """One of ``KINDS``."""
    analysis: CheckedAnalysis
    steps: Sequence[tuple[int, int]] = ()
    """Of a canary: shares, and how often each is measured."""
    kept: int = 0
    preview: int = 0
    soak: int = 0
    mirror: int = 0
    replicas: int = 1
    parts: tuple[str, str] | None = None
    """What the gateway calls the shares of the new and of the old version, unless by their Services."""

    def second_service(self, service: str) -> str:
        """Return the name of the Service of the new version."""
        return f"{service}-preview" if self.kind == "blue_green" else f"{service}-canary"


def shadow_service(service: str) -> str:
    """Return the name of the Service of what gets copies of requests."""
    return f"{service}-shadow"


def check_strategy(field: str, given: RolloutStrategy) -> Strategy:
    """Return how a new version takes over, refusing what would do so unseen."""
    chosen = [kind for kind in KINDS if kind in given]
    if len(chosen) != 1:
        raise ConfigError(field, chosen, f"must have exactly one of {', '.join(KINDS)}")
    (kind,) = chosen
    said: Mapping[str, Any] = given[kind]
    field = f"{field}.{kind}"
    if "analysis" not in said:
        raise ConfigError(f"{field}.analysis", None, "must be given: a version that nobody measures takes over unseen")
    analysis = check_analysis(f"{field}.analysis", said["analysis"])
    if kind == "canary":
        steps = check_steps(f"{field}.steps", said["steps"], analysis)
        return Strategy(kind, analysis, steps=steps, kept=_kept(field, said))
    if kind == "blue_green":
        return _blue_green(field, said, analysis)
    return Strategy(
        kind,
        analysis,
        kept=_kept(field, said),
        mirror=bounded(f"{field}.mirror", said.get("mirror", 100), 1, 100, "percent"),
        replicas=bounded(f"{field}.replicas", said.get("replicas", 1), 1, 1000),
    )


def in_parts(field: str, strategy: Strategy, cluster: str) -> Strategy:
    """Return the strategy for a gateway that counts shares of a route by their places in it, as Envoy Gateway does."""
    if strategy.analysis.cluster_name != ENVOY_CLUSTER:
        remedy = "must be left out with envoy_gateway, whose names are known"
        raise ConfigError(f"{field}.{strategy.kind}.analysis.cluster_name", strategy.analysis.cluster_name, remedy)
    return replace(strategy, analysis=replace(strategy.analysis, cluster_name=cluster), parts=_PARTS[strategy.kind])


def check_steps(field: str, steps: Sequence[CanaryStep], analysis: CheckedAnalysis) -> list[tuple[int, int]]:
    """Return shares and measurements, refusing shares that do not grow, or that begin with everything."""
    checked = [
        (
            bounded(f"{field}[{number}].weight", step["weight"], 1, 100, "percent"),
            bounded(f"{field}[{number}].measurements", step.get("measurements", analysis.measurements), 1, 1000),
        )
        for number, step in enumerate(steps)
    ]
    weights = [weight for weight, _ in checked]
    if not weights or weights != sorted(set(weights)) or weights[0] == 100:
        remedy = "must be at least one share, the first below 100 and each larger than the one before"
        raise ConfigError(field, weights, remedy)
    for number, (_, measurements) in enumerate(checked):
        if measurements <= analysis.tolerated:
            remedy = f"must be more than the {analysis.tolerated} bad ones that the analysis tolerates"
            raise ConfigError(f"{field}[{number}].measurements", measurements, remedy)
    return checked


def strategy_spec(strategy: Strategy, service: str, namespace: pulumi.Input[str]) -> dict[str, Any]:
    """Return the Rollout's strategy; the analysis has the name of the service."""
    if strategy.kind == "blue_green":
        return {"blueGreen": _blue_green_spec(strategy, service)}
    spec: dict[str, Any] = {
        "stableService": service,
        "canaryService": strategy.second_service(service),
        "trafficRouting": {
            "plugins": {
                ROUTER: {
                    "namespace": namespace,
                    "httpRoutes": [{"name": service}],
                    "grpcRoutes": [{"name": grpc_route(service)}],
                }
            }
        },
        # All pods of the old version stay while the new one grows, so that the way back waits for none: that is so
        # unless dynamicStableScale is true. Argo drops it when it is false, which a refresh would take for a change.
        "scaleDownDelaySeconds": strategy.kept,
        "abortScaleDownDelaySeconds": _GONE_AFTER_ABORT,
        "steps": _shadow_steps(strategy, service) if strategy.kind == "shadow" else _canary_steps(strategy, service),
    }
    if strategy.kind == "shadow":
        spec |= {"canaryMetadata": {"labels": {ROLE: "shadow"}}, "stableMetadata": {"labels": {ROLE: "serving"}}}
    return {"canary": spec}


def grpc_route(service: str) -> str:
    """Return the name of a service's GRPCRoute; its HTTPRoute has the service's own."""
    return f"{service}-grpc"


def _blue_green(field: str, said: Mapping[str, Any], analysis: CheckedAnalysis) -> Strategy:
    soak = bounded(f"{field}.soak", said.get("soak", 600), 60, 86400, "seconds")
    if soak < analysis.seconds(analysis.tolerated + 1):
        remedy = f"must be at least {analysis.seconds(analysis.tolerated + 1)}: in less time no version could fail"
        raise ConfigError(f"{field}.soak", soak, remedy)
    preview = bounded(f"{field}.preview", said.get("preview", 0), 0, 86400, "seconds")
    return Strategy("blue_green", analysis, preview=preview, soak=soak)


def _kept(field: str, said: Mapping[str, Any]) -> int:
    return bounded(f"{field}.kept_seconds", said.get("kept_seconds", 600), 0, 86400, "seconds")


def _canary_steps(strategy: Strategy, service: str) -> list[dict[str, Any]]:
    """Return each share, and its measurements, which have to be good before the next one."""
    steps: list[dict[str, Any]] = []
    for number, (weight, measurements) in enumerate(strategy.steps):
        # Later steps have the traffic of the one before to look back on.
        delay = 0 if number else strategy.analysis.window
        new = strategy.second_service(service)
        run = run_of(service, new, service, parts=strategy.parts, measurements=measurements, delay=delay)
        steps += [{"setWeight": weight}, {"analysis": run}]
    return steps


def _shadow_steps(strategy: Strategy, service: str) -> list[dict[str, Any]]:
    """Return pods for the copies without any share of the answers, and the measurements of what they answered.

    The plugin cannot do Argo's ``setMirrorRoute`` (rollouts-plugin-trafficrouter-gatewayapi#32): the routes have their
    mirror always, to a Service of the pods with the role ``shadow``, which there are only during a rollout. The canary
    Service would not do, since between rollouts Argo points it at the stable pods, which would get all requests twice.
    """
    return [
        {"setCanaryScale": {"replicas": strategy.replicas}},
        {"setWeight": 0},
        {"analysis": run_of(service, shadow_service(service), service, parts=strategy.parts)},
    ]


def _blue_green_spec(strategy: Strategy, service: str) -> dict[str, Any]:
    analysis = strategy.analysis
    measurements = 1 + (strategy.soak - analysis.window) // analysis.interval
    spec: dict[str, Any] = {
        "activeService": service,
        "previewService": strategy.second_service(service),
        "autoPromotionEnabled": True,
        "abortScaleDownDelaySeconds": _GONE_AFTER_ABORT,
        # Without scaleDownDelaySeconds, which would end the measurements, the old version stays until they are done.
        # No other version has traffic meanwhile, so what clients do wrong counts too.
        "postPromotionAnalysis": run_of(service, service, _NO_SERVICE, parts=strategy.parts, measurements=measurements),
    }
    if strategy.preview:
        spec["autoPromotionSeconds"] = strategy.preview
    return spec
