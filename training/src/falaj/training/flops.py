"""Floating-point operations: how many a step takes, and how many a device could do."""

from collections.abc import Callable
from typing import Any

import torch

from falaj.training.tables import Compute

_PEAKS = {
    # Dense bfloat16 on tensor cores and single precision beside them, by NVIDIA's data sheets.
    "H200": (989e12, 67e12),
    "H100 PCIe": (756e12, 51e12),
    "H100": (989e12, 67e12),
    "A100": (312e12, 19.5e12),
    "L40S": (362e12, 91.6e12),
    "L4": (121e12, 30.3e12),
    "A10G": (70e12, 35e12),
    "T4": (65e12, 8.1e12),
    "V100": (125e12, 15.7e12),
}


def peak(name: str, compute: Compute) -> float | None:
    """Return the operations a second that a GPU does at most, by its name; nothing for one that is not known."""
    for part, (half, single) in _PEAKS.items():
        if all(word in name for word in part.split()):
            return half if compute is Compute.BF16 else single
    return None


def device_peak(device: torch.device, compute: Compute) -> float | None:
    """Return the operations a second that the device does at most, where they are known."""
    return peak(torch.cuda.get_device_name(device), compute) if device.type == "cuda" else None


def counted(work: Callable[[], Any]) -> int:
    """Do the work, and return how many operations its matrix products and convolutions took."""
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 - it brings triton along, a second of it

    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()
