"""How a run goes: what its steps gave is collected, and told in lines."""

import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch

from falaj.training import events
from falaj.training.energy import find_meter
from falaj.training.errors import TrainingError
from falaj.training.flops import device_peak
from falaj.training.job import Job
from falaj.training.parallel import World

SLICE = "slice/"
"""How the names of a score's groups begin; they are no metrics."""


class DivergedError(TrainingError):
    """The loss is no number any more: to go on would only replace good checkpoints by bad ones."""


class Progress:
    """Collects what the steps of one worker give, and has the first worker tell what all of them did."""

    def __init__(self, job: Job, world: World) -> None:
        self._job, self._world = job, world
        uuid = str(torch.cuda.get_device_properties(world.device).uuid) if world.device.type == "cuda" else None
        self._meter = find_meter(uuid)
        self._peak = job.report.peak_flops or device_peak(world.device, job.precision)
        self._flops = job.report.flops_per_example
        self._losses: list[torch.Tensor] = []
        self._scored: Mapping[str, torch.Tensor] = {}
        self._begun = self._told = time.monotonic()
        self._told_step: int | None = None
        self._before = 0.0, 0.0

    @property
    def wants_flops(self) -> bool:
        """Whether the operations of an example have to be counted: they are not known, and there is use for them."""
        return self._peak is not None and self._flops is None

    @property
    def seconds(self) -> float:
        """Seconds of training, those before interruptions too."""
        return self._before[0] + time.monotonic() - self._begun

    def begin(self, step: int, seconds: float, joules: float) -> None:
        """Begin at a step, after what was spent on those before it."""
        self._before = seconds, joules
        self._begun = self._told = time.monotonic()
        self._told_step = step

    def joules(self) -> float:
        """Return the energy of all workers' GPUs so far, those before interruptions too; for all workers alike."""
        used = self._world.total([self._meter.joules() if self._meter else 0.0])[0]
        return self._before[1] + used

    def counted(self, flops: int) -> None:
        """Take how many operations this worker's share of a step took."""
        share = self._job.optimizer.batch_size / self._world.size
        self._flops = flops / share if flops else None

    def take(self, scored: Mapping[str, torch.Tensor]) -> None:
        """Take what a part of a step was scored."""
        detached = {name: value.detach() for name, value in scored.items()}
        self._losses.append(detached["loss"])
        self._scored = detached

    @property
    def due(self) -> bool:
        """Whether the first worker finds that a line is due, by the time."""
        report = self._job.report
        return (
            report.every_steps is None and self._world.first and time.monotonic() - self._told >= report.every_seconds
        )

    def due_by_step(self, step: int) -> bool:
        """Return whether a line is due after a step, which all workers know for themselves."""
        every = self._job.report.every_steps
        return every is not None and step % every == 0

    def check(self, step: int) -> None:
        """Raise `DivergedError` where the losses since the last line are no numbers."""
        if self._losses and not bool(torch.isfinite(torch.stack(self._losses)).all()):
            raise DivergedError(f"the loss is no finite number at step {step}; the last checkpoint is from before")

    def tell(self, step: int, steps: int | None, rate: float) -> None:
        """Write a line of progress; all workers come here together."""
        if step == self._told_step:
            return
        self.check(step)
        losses = torch.stack(self._losses)
        metrics = {name: value for name, value in self._scored.items() if name != "loss" and not name.startswith(SLICE)}
        means = [float(value.float().mean()) for value in metrics.values()]
        watts = self._meter.watts() if self._meter else 0.0
        total = self._world.total([float(losses.sum()), len(losses), watts, *means])
        memory = max(self._world.gather(self._memory()))
        joules = self.joules()
        now, size = time.monotonic(), self._world.size
        if self._world.first:
            per_second = (step - (self._told_step or 0)) * self._job.optimizer.batch_size / (now - self._told)
            events.append(
                self._job.folder,
                events.FILE,
                "progress",
                step=step,
                steps=steps,
                loss=total[0] / total[1],
                learning_rate=rate,
                samples_per_second=round(per_second, 3),
                mfu=self._mfu(per_second),
                memory_bytes=memory,
                power_watts=round(total[2], 1) if self._meter else None,
                energy_joules=round(joules, 1) if self._meter else None,
                seconds=round(self.seconds, 3),
                metrics={name: value / size for name, value in zip(metrics, total[3:], strict=True)} or None,
            )
        self._losses, self._told, self._told_step = [], now, step

    def _mfu(self, per_second: float) -> float | None:
        if self._flops is None or self._peak is None:
            return None
        return round(per_second * self._flops / (self._peak * self._world.size), 4)

    def _memory(self) -> int:
        if self._world.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._world.device)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used if sys.platform == "darwin" else used * 1024


def note(job: Job, world: World, event: str, **values: Any) -> None:
    """Have the first worker write a line."""
    if world.first:
        events.append(job.folder, events.FILE, event, **values)
