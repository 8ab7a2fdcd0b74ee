"""The workers: who they are, what they compute on, and how they share one model."""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from falaj.training.errors import RefusedError
from falaj.training.tables import Compute, Device, ParallelTable, PrecisionTable, Strategy


@dataclass(frozen=True)
class World:
    """All workers, seen by one of them."""

    rank: int
    """Which this one is, from 0."""
    size: int
    """How many there are."""
    local_rank: int
    """Which this one is on its node."""
    device: torch.device
    """What it computes on."""
    control: dist.ProcessGroup | None
    """The group in which small things are settled on the processor; none where it is alone."""

    @property
    def first(self) -> bool:
        """Whether this is the worker that tells what happens."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Return what each worker gave, in the order of their ranks."""
        if self.control is None:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.control)
        return values

    def total(self, values: Iterable[float]) -> list[float]:
        """Return the sum over all workers of each value."""
        given = torch.tensor(list(values), dtype=torch.float64)
        if self.control is not None:
            dist.all_reduce(given, group=self.control)
        return given.tolist()


def join(table: ParallelTable) -> World:
    """Meet the other workers as torchrun's variables say; without them this worker is alone."""
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    device = _device(table, local_rank)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.set_num_threads(table.threads or max(1, (os.cpu_count() or 1) // table.workers))
    if size == 1:
        return World(rank, size, local_rank, device, None)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    # A group of its own: what is settled here must not get between the collectives of the gradients.
    control = dist.new_group(backend="gloo")
    assert isinstance(control, dist.ProcessGroup)  # every worker is in it
    return World(rank, size, local_rank, device, control)


def _device(table: ParallelTable, local_rank: int) -> torch.device:
    count = torch.cuda.device_count() if table.device is not Device.CPU and torch.cuda.is_available() else 0
    if count >= table.workers:
        return torch.device("cuda", local_rank)
    if table.device is Device.CUDA:
        remedy = f"must be at most {count}, the GPUs that torch sees here" if count else "needs a GPU that torch sees"
        raise RefusedError("parallel.workers", table.workers, remedy)
    return torch.device("cpu")


def share(model: nn.Module, world: World, strategy: Strategy, precision: PrecisionTable) -> nn.Module:
    """Return the model as this worker goes through it."""
    if world.size == 1:
        return model
    if strategy is Strategy.FSDP:
        return _shard(model, world, precision.compute)
    return DistributedDataParallel(
        model,
        device_ids=[world.device.index] if world.device.type == "cuda" else None,
        # They are aligned after every step, also where gradients are accumulated, where DDP would not.
        broadcast_buffers=False,
        gradient_as_bucket_view=True,
        # DDP puts its buckets in another order after the first step, and so adds more than two workers' gradients in
        # another order: but a resumed run has another first step. Looking for unused parameters keeps them as they are.
        find_unused_parameters=precision.deterministic and world.size > 2,
    )


def _shard(model: nn.Module, world: World, compute: Compute) -> nn.Module:
    """Shard each element of the model's module lists (a transformer's blocks) and then what is left."""
    mesh = dist.device_mesh.init_device_mesh(world.device.type, (world.size,))
    policy = MixedPrecisionPolicy()
    if compute is Compute.BF16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    blocks = [block for module in model.modules() if isinstance(module, nn.ModuleList) for block in module]
    for each in [*reversed(blocks), model]:
        fully_shard(each, mesh=mesh, mp_policy=policy)
    return model


def accumulating(model: nn.Module, *, last: bool) -> contextlib.AbstractContextManager[Any]:
    """Have gradients exchanged in the last part of a step alone."""
    if isinstance(model, DistributedDataParallel) and not last:
        return model.no_sync()
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(last)
    return contextlib.nullcontext()


def align(buffers: Iterable[torch.Tensor], world: World) -> None:
    """Give every worker the first one's buffers, such as running averages, so that one checkpoint holds for all."""
    if world.size > 1:
        for buffer in buffers:
            dist.broadcast(buffer, 0)


class Agreement:
    """What all workers decide together, one step after one of them wished for it and without waiting for the others.

    A stop, or a line of progress, must come at the same step everywhere, or the workers would wait for each other
    for ever. What each wishes is exchanged while the next step is computed.
    """

    def __init__(self, world: World) -> None:
        self._group = world.control
        self._pending: tuple[torch.Tensor, Any] | None = None

    def settle(self, *wishes: bool) -> list[bool]:
        """Take this worker's wishes, and return which of them any worker had a step ago (alone: has now)."""
        if self._group is None:
            return list(wishes)
        settled = self.settled() or [False] * len(wishes)
        flags = torch.tensor(wishes, dtype=torch.uint8)
        self._pending = flags, dist.all_reduce(flags, dist.ReduceOp.MAX, group=self._group, async_op=True)
        return settled

    def settled(self) -> list[bool]:
        """Return what was exchanged last, once it is; nothing is exchanged any more."""
        if self._pending is None:
            return []
        flags, work = self._pending
        self._pending = None
        work.wait()
        return [bool(each) for each in flags.tolist()]
