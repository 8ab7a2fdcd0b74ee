"""How long a model takes for one example: the time inside its own forward pass, not that of scoring."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from falaj.training.gate.evaluation import Latency
from falaj.training.gate.section import LatencySection


def measure(
    model: nn.Module,
    batches: Sequence[Any],
    score: Callable[[Any, Any], Any],
    asked: LatencySection,
    device: torch.device,
) -> Latency | None:
    """Score batches of one example in turn and return how long the model took for each; the warm-up is left out.

    None where the score does not call the model itself, so that its time cannot be told from the score's.
    """
    watch = _Watch(device)
    hooks = [model.register_forward_pre_hook(watch.begin), model.register_forward_hook(watch.end)]
    try:
        for batch in islice(cycle(batches), asked.warmup + asked.runs):
            watch.next()
            score(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    taken = np.array(watch.taken[asked.warmup :]) / 1e6
    if not taken.all():
        return None
    p50, p99 = (float(each) for each in np.quantile(taken, [0.5, 0.99], method="higher"))
    return Latency(p50, p99, asked.runs, machine(device))


def machine(device: torch.device) -> str:
    """Return what computes on ``device``, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} threads"


class _Watch:
    """A watch that runs while the model does; passes of one score are added up."""

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._began = 0
        self.taken: list[int] = []

    def next(self) -> None:
        self.taken.append(0)

    def begin(self, *_: object) -> None:
        self._began = self._now()

    def end(self, *_: object) -> None:
        self.taken[-1] += self._now() - self._began

    def _now(self) -> int:
        if self._is_cuda:
            torch.cuda.synchronize()  # a GPU's work is over later than the call that began it
        return time.perf_counter_ns()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
