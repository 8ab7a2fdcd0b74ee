"""Which numbers a step computes with, and whether it gives the same bits every time."""

import contextlib
from typing import Any

import torch
from torch import nn

from falaj.training.errors import RefusedError
from falaj.training.tables import Compute, PrecisionTable


def prepare(table: PrecisionTable) -> None:
    """Choose the algorithms of this process."""
    torch.use_deterministic_algorithms(table.deterministic)
    torch.backends.cudnn.benchmark = not table.deterministic
    torch.set_float32_matmul_precision("highest" if table.deterministic else "high")


def compiled(model: nn.Module, table: PrecisionTable) -> nn.Module:
    """Return the model, compiled where the job says so; names of parameters stay what they are."""
    if table.compile:
        model.compile()
    return model


def computing(table: PrecisionTable, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Return the context of a forward pass."""
    if table.compute is Compute.BF16:
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def refuse_chance(error: RuntimeError) -> None:
    """Raise ``RefusedError`` where an operation of the model has no deterministic form."""
    if "does not have a deterministic implementation" in str(error):
        operation = str(error).split()[0]
        remedy = f"must be false, or the model must do without {operation}: it has no deterministic form"
        raise RefusedError("precision.deterministic", True, remedy) from error
