"""What the user's functions must give; anything else is refused before it does harm."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from falaj.training.errors import RefusedError
from falaj.training.job import Job
from falaj.training.user import User, call


def make_model(job: Job, user: User) -> nn.Module:
    """Return the user's model; refuse what is none."""
    model = call("model.entry", user.model, job.model.settings)
    if not isinstance(model, nn.Module):
        raise RefusedError("model.entry", type(model).__name__, "must return a torch.nn.Module")
    if not any(each.requires_grad for each in model.parameters()):
        raise RefusedError("model.entry", type(model).__name__, "must have parameters that learn")
    return model


def check_score(job: Job, scored: Any) -> None:
    """Refuse a score that training can do nothing with."""
    if not isinstance(scored, Mapping) or not isinstance(scored.get("loss"), torch.Tensor):
        remedy = 'must return a mapping whose "loss" is a tensor'
        raise RefusedError("model.score", job.model.score, remedy)
    if scored["loss"].ndim:
        remedy = f'must return a "loss" that is one number, and it has shape {tuple(scored["loss"].shape)}'
        raise RefusedError("model.score", job.model.score, remedy)
    for name, value in scored.items():
        if name != "loss" and (not isinstance(value, torch.Tensor) or value.ndim != 1):
            raise RefusedError("model.score", name, "must be a tensor with one value for each example")
