"""Tensors as the raw bytes that they consist of, in the machine's (little-endian) order, as safetensors has them."""

import torch

from falaj.training.errors import TrainingError


def raw_bytes(tensor: torch.Tensor) -> memoryview:
    """Return a dense tensor's bytes in row-major order, copied only where they lie otherwise."""
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise TrainingError("only dense tensors can be saved in a checkpoint, no sparse and no quantized ones")
    dense = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return dense.reshape(-1).view(torch.uint8).numpy().data


def memory_of(tensor: torch.Tensor) -> memoryview | None:
    """Return a tensor's own memory, to be read into; None where it does not lie there as its raw bytes do."""
    if tensor.device.type != "cpu" or not tensor.is_contiguous() or tensor.is_conj() or tensor.is_neg():
        return None
    return tensor.detach().view(-1).view(torch.uint8).numpy().data
