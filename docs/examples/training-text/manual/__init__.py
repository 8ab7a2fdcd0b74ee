"""The three functions of the example: a transformer over bytes, the text, and how it is scored."""

from collections.abc import Mapping
from pydoc_data.topics import topics
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset


class Block(nn.Module):
    """Attention to what came before, and a perceptron; what comes in is added to what each of them gives."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_thought = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked, self.answered = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.thought = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return what each place becomes."""
        examples, places, width = x.shape
        asked = self.asked(self.before_attention(x)).view(examples, places, 3, self.heads, width // self.heads)
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.answered(seen.transpose(1, 2).reshape(examples, places, width))
        return x + self.thought(self.before_thought(x))


class Transformer(nn.Module):
    """Tells the next byte at every place."""

    def __init__(self, layers: int, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.bytes, self.places = nn.Embedding(256, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.last, self.told = nn.LayerNorm(width), nn.Linear(width, 256)

    def forward(self, text: Tensor) -> Tensor:
        """Return, for each place of each example, how likely each byte comes next."""
        x = self.bytes(text) + self.places(torch.arange(text.shape[1], device=text.device))
        for block in self.blocks:
            x = block(x)
        return self.told(self.last(x))


class Passages(Dataset[Tensor]):
    """Passages of a text, each one byte longer than the model looks back, one after the other."""

    def __init__(self, text: bytes, context: int) -> None:
        self.text = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        self.context = context

    def __len__(self) -> int:
        """Return how many there are."""
        return (len(self.text) - 1) // self.context

    def __getitem__(self, index: int) -> Tensor:
        """Return one of them."""
        begin = index * self.context
        return self.text[begin : begin + self.context + 1].long()


def model(settings: Mapping[str, Any]) -> nn.Module:
    """Return the transformer."""
    return Transformer(settings["layers"], settings["width"], settings["heads"], settings["context"])


def data(settings: Mapping[str, Any], split: str) -> Passages:
    """Return passages of the manual; its last tenth is for validation."""
    text = "\n".join(topics.values()).encode()
    tenth = len(text) // 10
    return Passages(text[-tenth:] if split == "validation" else text[:-tenth], settings["context"])


def score(model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    """Return what training minimises, and for each passage which share of its bytes was told right."""
    seen, following = batch[:, :-1], batch[:, 1:]
    told = model(seen)
    loss = nn.functional.cross_entropy(told.flatten(0, 1), following.flatten())
    return {"loss": loss, "accuracy": (told.argmax(-1) == following).float().mean(1)}
