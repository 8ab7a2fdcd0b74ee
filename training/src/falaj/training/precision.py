"""Which numbers a step computes with, and whether it gives the same bits every time."""

import contextlib
import re
from collections.abc import Generator
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
    # Products of matrices heed the line before; cuDNN's convolutions would take TF32 in any case.
    torch.backends.cudnn.allow_tf32 = not table.deterministic


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


@contextlib.contextmanager
def refusing_chance() -> Generator[None]:
    """Raise ``RefusedError`` where an operation of a pass, forward or backward, has no deterministic form."""
    try:
        yield
    except RuntimeError as error:
        if found := re.search(r"(\S+) does not have a deterministic implementation", str(error)):
            remedy = f"must be false, or the model must do without {found[1]}: it has no deterministic form"
            raise RefusedError("precision.deterministic", True, remedy) from error
        raise
