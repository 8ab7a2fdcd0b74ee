"""The three functions of the example: a model, its data, and how it is scored."""

from collections.abc import Mapping
from typing import Any

import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn
from torch.utils.data import TensorDataset


def model(settings: Mapping[str, Any]) -> nn.Module:
    """Return a perceptron with one hidden layer."""
    return nn.Sequential(nn.Linear(30, settings["hidden"]), nn.ReLU(), nn.Linear(settings["hidden"], 2))


def data(settings: Mapping[str, Any], split: str) -> TensorDataset:
    """Return the measurements, in units of their spread, and whether a tumour is benign; a fifth is for validation."""
    measured, benign = load_breast_cancer(return_X_y=True)
    x, y = torch.tensor(measured, dtype=torch.float32), torch.tensor(benign)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    held_back, learned = order[: len(x) // 5], order[len(x) // 5 :]
    # What is held back has no say in the units: validation must not leak into training.
    x = (x - x[learned].mean(0)) / x[learned].std(0)
    chosen = held_back if split == "validation" else learned
    return TensorDataset(x[chosen], y[chosen])


def score(model: nn.Module, batch: list[Tensor]) -> dict[str, Tensor]:
    """Return what training minimises, and for each example whether it was told right."""
    x, benign = batch
    told = model(x)
    return {
        "loss": nn.functional.cross_entropy(told, benign),
        "accuracy": (told.argmax(1) == benign).float(),
        "slice/benign": benign,
    }
