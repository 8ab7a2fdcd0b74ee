"""How gradients become steps: the optimizer, and the learning rate as a function of the step alone."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from falaj.training.tables import Optimizer, OptimizerTable, Schedule


def make_optimizer(parameters: Iterable[nn.Parameter], table: OptimizerTable) -> torch.optim.Optimizer:
    """Return the optimizer of the parameters that learn; on a GPU its fused form."""
    learning = [each for each in parameters if each.requires_grad]
    fused = True if all(each.is_cuda for each in learning) else None
    rate, decay = table.learning_rate, table.weight_decay
    match table.name:
        case Optimizer.ADAMW:
            return torch.optim.AdamW(learning, lr=rate, betas=table.betas, weight_decay=decay, fused=fused)
        case Optimizer.ADAM:
            return torch.optim.Adam(learning, lr=rate, betas=table.betas, weight_decay=decay, fused=fused)
        case Optimizer.SGD:
            return torch.optim.SGD(learning, lr=rate, momentum=table.momentum, weight_decay=decay, fused=fused)


def learning_rate(step: int, table: OptimizerTable, steps: int | None) -> float:
    """Return the learning rate of a step, from 0; ``steps`` is the budget, where it is known."""
    if step < table.warmup_steps:
        return table.learning_rate * (step + 1) / table.warmup_steps
    if table.schedule is Schedule.CONSTANT:
        return table.learning_rate
    assert steps is not None  # a budget in minutes allows no other schedule
    done = min(1.0, (step - table.warmup_steps) / max(1, steps - table.warmup_steps))
    left = 1 - done if table.schedule is Schedule.LINEAR else (1 + math.cos(math.pi * done)) / 2
    return table.learning_rate * (table.final + (1 - table.final) * left)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Have the next step take this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip(parameters: list[nn.Parameter], norm: float) -> torch.Tensor:
    """Bring the gradient's norm down to ``norm`` where it is larger, and return what it was."""
    found = nn.utils.clip_grad_norm_(parameters, norm)
    return found.full_tensor() if isinstance(found, DTensor) else found
