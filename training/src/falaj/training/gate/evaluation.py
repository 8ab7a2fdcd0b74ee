"""What an evaluation measured: values of every example, subgroups, time and size. It needs no torch to be judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Groups = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the model took for single examples."""

    p50_ms: float
    """Half of the passes were over in this time."""
    p99_ms: float
    """99 of 100 passes were over in this time."""
    runs: int
    """How many passes were measured, after the warm-up."""
    machine: str
    """What it was measured on; it says nothing of other machines."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model did on a data set."""

    count: int
    """How many examples there were."""
    data_digest: str | None
    """``sha256:…`` of the examples in their order; None where an example holds what has no digest."""
    metrics: Mapping[str, Values] = field(default_factory=dict[str, Values])
    """By metric one value for every example."""
    loss: float | None = None
    """The mean loss of an example; None where there were none."""
    slices: Mapping[str, Groups] = field(default_factory=dict[str, Groups])
    """By slice the group of every example."""
    parameters: int | None = None
    """Parameters of the model."""
    bytes: int | None = None
    """Bytes of its parameters and buffers in memory."""
    latency: Latency | None = None
    """How fast it is; None where that was not asked or could not be seen."""

    def mean(self, metric: str) -> float | None:
        """Return a metric's mean, None where it is not known: not measured, no examples, or not finite."""
        if metric in self.metrics:
            values: Any = self.metrics[metric]
            mean = float(values.mean()) if values.size else float("nan")
        elif metric == "loss" and self.loss is not None:
            mean = self.loss
        else:
            return None
        return mean if np.isfinite(mean) else None
