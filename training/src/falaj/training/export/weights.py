"""A module's weights as safetensors, and the digest by which verdicts and exports know them."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_model
from torch import nn


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's parameters and buffers as safetensors; weights that are shared are written once."""
    save_model(module, str(path))


def weights_digest(module: nn.Module) -> str:
    """Return one digest over a module's parameters and buffers: names, types, shapes and values.

    It is the same on every device and in every format, and changes with a single bit of a single weight.
    """
    whole = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        whole.update(f"{len(name.encode())} {name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        whole.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return f"sha256:{whole.hexdigest()}"
