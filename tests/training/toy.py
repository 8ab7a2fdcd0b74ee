"""A user's package of the smallest kind, with everything in it that a resume could get wrong."""

import contextlib
import itertools
import random
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

HOLD = Path(__file__).with_name("hold")
"""Says after how many batches a worker waits, as long as it is there: `runs.hold` and `runs.let_go`."""
SCORED = itertools.count(1)


def model(settings):
    """Running averages and dropout; without them where the settings ask for a model of no chance."""
    if settings.get("plain"):
        return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3)).double()
    return Blocks()


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.ReLU()) for _ in range(2)])
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(self.dropout(x))


class Examples(Dataset):
    """Examples to which all three sources of chance add something, and each of which takes its time."""

    def __init__(self, settings):
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(83, 6, generator=generator, dtype=torch.float64)
        self.y = self.x[:, :3].argmax(1)
        self.noise = 0.0 if settings.get("plain") else 0.01
        self.type = torch.float64 if settings.get("plain") else torch.float32
        self.pause = settings.get("pause", 0.0)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        time.sleep(self.pause)
        noise = random.random() + np.random.random() + torch.rand(())  # noqa: S311 - augmentation
        return (self.x[index] + self.noise * noise).to(self.type), self.y[index]


def data(settings, split):
    examples = Examples(settings)
    return (examples[index] for index in range(len(examples))) if settings.get("stream") else examples


def score(model, batch):
    number, end = next(SCORED), time.monotonic() + 600
    with contextlib.suppress(FileNotFoundError):
        while number > int(HOLD.read_text()) and time.monotonic() < end:
            time.sleep(0.01)
    x, y = batch
    out = model(x)
    return {"loss": nn.functional.cross_entropy(out, y), "accuracy": (out.argmax(1) == y).float(), "slice/label": y}
