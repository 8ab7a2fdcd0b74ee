"""The table ``[gate]`` of a job file: what a model must show before it may be served."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from falaj.training.section import Section

Better = Literal["higher", "lower"]


class MetricBound(Section):
    """What a metric's mean must be (``[gate.metrics.NAME]``)."""

    model_config = ConfigDict(allow_inf_nan=False)

    minimum: float | None = None
    """The smallest mean that passes."""
    maximum: float | None = None
    """The largest mean that passes."""

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.minimum is None and self.maximum is None:
            raise ValueError("must have a minimum or a maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum: must be at most maximum, {self.maximum:g}")
        return self


class ChampionSection(Section):
    """How the model is held against the one that is served (``[gate.champion]``).

    The claim to be shown: on the same data, its mean of ``metric`` is not worse than the champion's by more than
    ``tolerance``, at ``confidence``.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    metric: str
    """A metric with one value for every example."""
    better: Better = "higher"
    """Whether a higher or a lower value is the better one."""
    tolerance: float = Field(ge=0)
    """How much worse it may be, in the metric's unit. Zero asks for proof that it is better or for no difference."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """How sure it must be, one-sided: 0.95 lets a model that is worse by ``tolerance`` pass in one case of twenty."""
    smallest: int = Field(default=100, ge=1)
    """Fewer examples than this prove nothing."""
    required: bool = True
    """Whether a model without a champion to be held against is undetermined; for the first model: false."""


class SliceSection(Section):
    """What must hold in every subgroup of one slice (``[gate.slices.NAME]`` for the score's ``slice/NAME``)."""

    model_config = ConfigDict(allow_inf_nan=False)

    metric: str
    """A metric with one value for every example."""
    better: Better = "higher"
    """Whether a higher or a lower value is the better one."""
    most_lost: float | None = Field(default=None, ge=0)
    """How much worse than the champion's the mean of any subgroup may be, at ``confidence``."""
    minimum: float | None = None
    """The smallest mean that passes in every subgroup."""
    maximum: float | None = None
    """The largest mean that passes in every subgroup."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """As of the champion, for each subgroup."""
    smallest: int = Field(default=50, ge=1)
    """A subgroup of fewer examples cannot be judged."""
    groups: Annotated[tuple[int, ...], Field(strict=False)] = ()
    """Subgroups that must be there; one that is missing cannot be judged."""
    accept_undetermined: bool = False
    """Whether a subgroup that cannot be judged is let through."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.most_lost is None and self.minimum is None and self.maximum is None:
            raise ValueError("must have most_lost, a minimum or a maximum")
        return self


class LatencySection(Section):
    """How fast one example must be answered, on the machine that evaluates (``[gate.latency]``)."""

    model_config = ConfigDict(allow_inf_nan=False)

    p99_ms: float = Field(gt=0)
    """The most milliseconds in which 99 of 100 passes through the model for one example must be over."""
    warmup: int = Field(default=50, ge=1)
    """Passes before anything is measured."""
    runs: int = Field(default=500, ge=300)
    """Passes that are measured. With fewer than 300 the slowest hundredth may well not be among them."""


class SizeSection(Section):
    """How large the model may be (``[gate.size]``)."""

    parameters: int | None = Field(default=None, ge=1)
    """The most parameters."""
    bytes: int | None = Field(default=None, ge=1)
    """The most bytes that parameters and buffers take in memory."""

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.parameters is None and self.bytes is None:
            raise ValueError("must have parameters or bytes")
        return self


class GateSection(Section):
    """What a model must show before it may be served (``[gate]``)."""

    metrics: dict[str, MetricBound] = Field(default_factory=dict[str, MetricBound])
    """Bounds of the means of metrics; ``loss`` is one of them."""
    champion: ChampionSection | None = None
    """The comparison with the model that is served now."""
    slices: dict[str, SliceSection] = Field(default_factory=dict[str, SliceSection])
    """What must hold in every subgroup."""
    latency: LatencySection | None = None
    """The budget of time."""
    size: SizeSection | None = None
    """The budget of size."""
    seed: int = Field(default=0, ge=0)
    """Of the resampling: the same evaluations and seed give the same verdict."""
    resamples: int = Field(default=4000, ge=1000)
    """How often the examples are drawn anew for a comparison."""
    valid_days: int = Field(default=30, ge=1)
    """For how many days serving may rely on a verdict."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not (self.metrics or self.champion or self.slices or self.latency or self.size):
            raise ValueError("must ask something of the model, for a gate that asks nothing passes everything")
        return self
