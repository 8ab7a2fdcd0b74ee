"""Modules of the kinds that the examples train, to be exported: their entry points are found by name too."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from falaj.training.export.folder import Module
from falaj.training.export.section import ExportSection


class Tabular(nn.Module):
    """A classifier of rows of numbers."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(), nn.Linear(width, 3)
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


class Text(nn.Module):
    """A small causal transformer over tokens, of any length up to its longest."""

    def __init__(self, longest: int = 32) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(40, 16), nn.Embedding(longest, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Linear(16, 40)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        length = tokens.shape[1]
        mask = torch.full((length, length), float("-inf")).triu(1)
        inside = self.tokens(tokens) + self.places(torch.arange(length))
        return {"logits": self.head(self.body(inside, mask=mask, is_causal=True))}


class Mixing(nn.Module):
    """One example's answer depends on the others."""

    def forward(self, features: Tensor) -> Tensor:
        return features - features.mean(0)


class Branching(nn.Module):
    """Python decides by the data: no exporter can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.layer(features) if float(features.sum()) > -1e9 else features[:, :3]


def tabular(settings: Mapping[str, Any]) -> nn.Module:
    return Tabular(settings["width"])


def branching(settings: Mapping[str, Any]) -> nn.Module:
    return Branching()


def table(name: str, shape: list[int | str], **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, **more}


def section(**more: Any) -> ExportSection:
    given: dict[str, Any] = {"inputs": [table("features", [6])], "outputs": [table("scores", [3])], "max_batch": 8}
    return ExportSection.model_validate_json(json.dumps({**given, **more}))


def trained(module: nn.Module | None = None, entry: str = "tabular", **more: Any) -> Module:
    """A module with weights that nobody has by chance, and statistics that are not those of the beginning."""
    torch.manual_seed(3)
    made = module or Tabular()
    with torch.no_grad():
        for each in [*made.parameters(), *(b for b in made.buffers() if b.is_floating_point())]:
            each.add_(torch.rand_like(each) * 0.1)
    given: dict[str, Any] = {
        "examples": {"features": torch.randn(5, 6)},
        "name": "income.v2",
        "entry": f"training.export_examples:{entry}",
        "settings": {"width": 16},
    }
    return Module(module=made, **{**given, **more})


TEXT = {
    "inputs": [table("tokens", ["length"], type="int64")],
    "outputs": [table("logits", ["length", 40])],
    "preferred_batch_sizes": [4],
}


def text() -> Module:
    return trained(Text(), examples={"tokens": torch.randint(0, 40, (3, 12))}, name="text")
