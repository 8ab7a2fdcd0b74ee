"""What workers do in the tests of checkpoints; they find it by its name, as they cannot a test's own functions."""

import os
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard
from training.checkpoint_world import DyingStore, checkpoints, flat, plain_state

from falaj.training.checkpoints import manager
from falaj.training.errors import TrainingError


def parallel_model(kind: str) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(dist.get_rank() if dist.is_initialized() else 7)
    model: torch.nn.Module = torch.nn.Sequential(torch.nn.Linear(5, 9), torch.nn.Tanh(), torch.nn.Linear(9, 3))
    if kind == "fsdp" and dist.is_initialized():
        mesh = dist.device_mesh.init_device_mesh("cpu", (dist.get_world_size(),))
        fully_shard(model, mesh=mesh)
    elif kind == "ddp" and dist.is_initialized():
        model = torch.nn.parallel.DistributedDataParallel(model)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        model(torch.randn(6, 5, generator=generator)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def whole(value: Any) -> Any:
    """Return a state with its tensors put together from all workers."""
    if isinstance(value, torch.Tensor):
        full = getattr(value, "full_tensor", None)
        return (full() if full else value).tolist()
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def train_and_save(_rank: int, base: Path, kind: str, step: int) -> Any:
    model, optimizer = parallel_model(kind)
    with checkpoints(base) as made:
        state = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
        if step > 1:
            made.restore(state)
            set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        train(model, optimizer, 3)
        state = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
        made.save(step, state)
        saved = whole(state)
        train(model, optimizer, 2)  # what is trained while the checkpoint is written does not come into it
        return saved


def load(_rank: int, base: Path, kind: str) -> Any:
    model, optimizer = parallel_model(kind)
    state = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
    with checkpoints(base) as made:
        step = made.restore(state)
    set_state_dict(model, optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
    return step, whole(dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True)))


def save_plain(rank: int, base: Path, *steps: int) -> list[int]:
    with checkpoints(base) as made:
        for step in steps:
            made.save(step, plain_state(float(step), rank))
        made.wait()
        if dist.is_initialized():
            dist.barrier()
        return made.steps()


def restore_plain(rank: int, base: Path, key: str = "key") -> Any:
    state = plain_state(0.0, rank)
    with warnings.catch_warnings(record=True) as told, checkpoints(base, key=f"file:{key}") as made:
        warnings.simplefilter("always")
        try:
            step = made.restore(state)
        except TrainingError as error:
            return type(error), str(error)
    return step, flat(state), [str(one.message) for one in told if one.category is manager.DamagedCheckpointWarning]


def save_with(rank: int, base: Path, left: int, who: int) -> Any:
    """Save step 1 whole, then step 2 on a store that fails one worker, then step 3."""
    whole_store = manager.open_store
    outcome: list[Any] = []
    with checkpoints(base) as made:
        made.save(1, plain_state(1.0, rank))
    manager.open_store = lambda *told, **more: DyingStore(base / "store", left if rank == who else 1 << 40, kill=False)
    with checkpoints(base) as made:
        try:
            made.save(2, plain_state(2.0, rank))
            made.wait()
        except TrainingError as error:
            outcome.append(str(error))
    manager.open_store = whole_store
    with checkpoints(base) as made:
        made.save(3, plain_state(3.0, rank))
    return outcome


def save_and_die(rank: int, base: Path, left: int) -> Any:
    """Save step 1 whole, then step 2 until some bytes are written."""
    with checkpoints(base) as made:
        made.save(1, plain_state(1.0, rank))
    manager.open_store = lambda *told, **more: DyingStore(base / "store", left, kill=True)
    with checkpoints(base) as made:
        made.save(2, plain_state(2.0, rank))


def gather(rank: int, base: Path) -> Any:
    sent: list[bytes] = []
    pickled = distributed_c10d._object_to_tensor  # type: ignore[attr-defined]

    def recorded(value: Any, *told: Any, **more: Any) -> Any:
        tensor, size = pickled(value, *told, **more)
        sent.append(bytes(tensor.tolist()))
        return tensor, size

    distributed_c10d._object_to_tensor = recorded  # type: ignore[attr-defined]
    keys: list[bytes] = []
    unwrap = manager.open_keys

    def kept(*told: Any, **more: Any) -> Any:
        source = unwrap(*told, **more)
        new, old = source.new, source.unwrap
        source.new = lambda context: [made := new(context), keys.append(made[0])][0]
        source.unwrap = lambda wrapped, context: [made := old(wrapped, context), keys.append(made)][0]
        return source

    manager.open_keys = kept
    save_plain(rank, base, 1)
    restore_plain(rank, base)
    assert keys
    assert sent
    return [key in message for key in keys for message in sent]


def save_and_restore(rank: int, base: Path, variables: dict[str, str], told: dict[str, Any]) -> Any:
    os.environ.update(variables)
    with checkpoints(base, **told) as made:
        made.save(1, plain_state(1.0, rank))
        state = plain_state(0.0, rank)
        return made.restore(state), flat(state)


def restore_and_save(rank: int, base: Path) -> Any:
    return restore_plain(rank, base), save_plain(rank, base, 3)
