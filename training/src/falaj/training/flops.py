"""Floating-point operations: how many a step takes, and how many a device could do."""

import re
from collections.abc import Callable
from typing import Any

import torch

from falaj.training.tables import Compute, PrecisionTable

_PEAKS = {
    # Dense bfloat16 and TF32 on tensor cores, and single precision beside them, by NVIDIA's data sheets. Those before
    # Ampere have no TF32.
    "GH200": (989e12, 494e12, 67e12),
    "H200": (989e12, 494e12, 67e12),
    "H100 PCIe": (756e12, 378e12, 51e12),
    "H100": (989e12, 494e12, 67e12),
    "A100": (312e12, 156e12, 19.5e12),
    "L40S": (362e12, 183e12, 91.6e12),
    "L4": (121e12, 60e12, 30.3e12),
    "A10G": (70e12, 35e12, 35e12),
    "T4": (65e12, 8.1e12, 8.1e12),
    "V100": (125e12, 15.7e12, 15.7e12),
}


def peak(name: str, table: PrecisionTable) -> float | None:
    """Return the operations a second that a GPU does at most, by its name; nothing for one that is not known."""
    words = re.split(r"[\s-]", name)
    for known, (half, tensor, single) in _PEAKS.items():
        if all(word in words for word in known.split()):
            if table.compute is Compute.BF16:
                return half
            return single if table.deterministic else tensor
    return None


def device_peak(device: torch.device, table: PrecisionTable) -> float | None:
    """Return the operations a second that the device does at most, where they are known."""
    return peak(torch.cuda.get_device_name(device), table) if device.type == "cuda" else None


def counted(work: Callable[[], Any]) -> int:
    """Do the work, and return how many operations its matrix products and convolutions took."""
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 - it brings triton along, a second of it

    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()
