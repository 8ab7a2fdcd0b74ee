"""What the configuration says of how a new version of a model takes over; the component says what may be."""

from section import Section


class QualityConfig(Section):
    """A figure of the model itself, from Prometheus."""

    name: str
    query: str
    at_least: float | None = None
    at_most: float | None = None


class AnalysisConfig(Section):
    """How a new version is measured."""

    prometheus: str
    quality: QualityConfig | None = None
    interval_seconds: int | None = None
    measurements: int | None = None
    tolerated: int | None = None
    unanswered: int | None = None
    window_seconds: int | None = None
    cluster_name: str | None = None


class CanaryStepConfig(Section):
    """A share of the traffic that the new version has until it was measured."""

    weight: int
    measurements: int | None = None


class CanaryConfig(Section):
    """By growing shares of the traffic."""

    steps: list[CanaryStepConfig]
    analysis: AnalysisConfig
    kept_seconds: int | None = None


class BlueGreenConfig(Section):
    """At once, with the old version ready to return."""

    analysis: AnalysisConfig
    preview: int | None = None
    soak: int | None = None


class ShadowConfig(Section):
    """Behind a mirror of the traffic."""

    analysis: AnalysisConfig
    mirror: int | None = None
    replicas: int | None = None
    kept_seconds: int | None = None


class StrategyConfig(Section):
    """How a new version takes over: exactly one of these."""

    canary: CanaryConfig | None = None
    blue_green: BlueGreenConfig | None = None
    shadow: ShadowConfig | None = None
