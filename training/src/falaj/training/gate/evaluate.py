"""The evaluation of a model on a data set: once through the data, then the same few examples one by one for time."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from falaj.training.errors import RefusedError
from falaj.training.gate.evaluation import Evaluation
from falaj.training.gate.latency import measure
from falaj.training.gate.section import LatencySection
from falaj.training.loop import moved
from falaj.training.validation.examples import ExamplesDigest, parts_of, walk

Score = Callable[[Any, Any], Mapping[str, Tensor]]
"""The user's function: ``loss``, and for every other entry one value per example."""

Collate = Callable[[list[Any]], Any]
"""Makes a batch of examples."""

SLICE = "slice/"
_TIMED = 32
"""How many of the first examples are kept for measuring time."""


def evaluate(
    model: nn.Module,
    data: Any,
    score: Score,
    batch_size: int,
    device: torch.device | str,
    *,
    latency: LatencySection | None = None,
    collate: Collate = default_collate,
) -> Evaluation:
    """Score every example of ``data`` in its order and return what was measured.

    The model is put on ``device`` and into its mode for evaluation; the mode it was in comes back. ``latency`` asks
    how fast it is. Raises `RefusedError` where a score has not one value per example.
    """
    device = torch.device(device)
    was_training = model.training
    model.to(device).eval()
    try:
        with torch.inference_mode():
            run = _Run(score, model, device, collate)
            for examples in _batches(data, batch_size):
                run.add(examples)
            timed = None
            if latency is not None and run.kept:
                timed = measure(model, [run.batch([each]) for each in run.kept], score, latency, device)
    finally:
        model.train(was_training)
    held = [*model.parameters(), *model.buffers()]
    return Evaluation(
        count=run.count,
        data_digest=run.digest.value,
        metrics={name: np.concatenate(found) for name, found in run.metrics.items()},
        loss=run.loss / run.count if run.count and run.has_loss else None,
        slices={name: np.concatenate(found) for name, found in run.slices.items()},
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in held),
        latency=timed,
    )


class _Run:
    """What one pass over the data gathers."""

    def __init__(
        self, score: Score, model: nn.Module, device: torch.device, collate: Callable[[list[Any]], Any]
    ) -> None:
        self._score, self._model, self._device, self._collate = score, model, device, collate
        self.digest = ExamplesDigest()
        self.count = 0
        self.loss = 0.0
        self.has_loss = True
        self.metrics: dict[str, list[Any]] = {}
        self.slices: dict[str, list[Any]] = {}
        self.kept: list[Any] = []

    def batch(self, examples: list[Any]) -> Any:
        return moved(self._collate(examples), self._device)

    def add(self, examples: list[Any]) -> None:
        for example in examples:
            self.digest.add(parts_of(example))
        self.kept += examples[: _TIMED - len(self.kept)]
        found = self._score(self._model, self.batch(examples))
        names = {name for name in found if name != "loss"}
        if self.count and names != self.metrics.keys() | {SLICE + name for name in self.slices}:
            raise RefusedError("model.score", sorted(names), "must have the same entries for every batch")
        self.has_loss = self.has_loss and "loss" in found
        self.loss += float(found["loss"]) * len(examples) if "loss" in found else 0.0
        for name in names:
            self._keep(name, found[name], len(examples))
        self.count += len(examples)

    def _keep(self, name: str, values: Any, examples: int) -> None:
        shape = tuple(getattr(values, "shape", ()))
        if shape != (examples,):
            raise RefusedError(f"model.score: {name}", shape, f"must have one value per example, shape ({examples},)")
        if not name.startswith(SLICE):
            self.metrics.setdefault(name, []).append(values.detach().to("cpu", torch.float64).numpy())
        elif values.is_floating_point() or values.is_complex():
            raise RefusedError(f"model.score: {name}", str(values.dtype), "must hold integers")
        else:
            groups = values.detach().to("cpu", torch.int64).numpy()
            self.slices.setdefault(name.removeprefix(SLICE), []).append(groups)


def _batches(data: Any, size: int) -> Iterator[list[Any]]:
    examples = walk(data)
    while batch := list(islice(examples, size)):
        yield batch
