"""Power and energy of a GPU, by NVML."""

import contextlib
import time
from collections.abc import Callable
from typing import Any


class Meter:
    """Reads one GPU's power, and its energy since the meter was made.

    GPUs since Volta count their energy themselves; for older ones the power that is read is summed up over time, which
    is as good as it is read often.
    """

    def __init__(self, nvml: Any, uuid: str, clock: Callable[[], float] = time.monotonic) -> None:
        nvml.nvmlInit()
        self._nvml, self._clock = nvml, clock
        self._device = nvml.nvmlDeviceGetHandleByUUID(uuid)
        self._begun = self._counter()
        self._summed = 0.0
        self._last = self._clock(), self.watts()

    def watts(self) -> float:
        """Return the power that is drawn now."""
        return self._nvml.nvmlDeviceGetPowerUsage(self._device) / 1000

    def joules(self) -> float:
        """Return the energy since the meter was made."""
        counter = self._counter()
        if counter is not None and self._begun is not None:
            return counter - self._begun
        (before, power), now = self._last, (self._clock(), self.watts())
        self._summed += (now[0] - before) * (now[1] + power) / 2
        self._last = now
        return self._summed

    def _counter(self) -> float | None:
        try:
            return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._device) / 1000
        except self._nvml.NVMLError:
            return None


def find_meter(uuid: str | None) -> Meter | None:
    """Return the meter of the GPU with the UUID, or nothing where there is no GPU or it tells nothing."""
    if uuid is None:
        return None
    import pynvml  # noqa: PLC0415 - only where there is a GPU

    with contextlib.suppress(pynvml.NVMLError):
        return Meter(pynvml, uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}")
    return None
