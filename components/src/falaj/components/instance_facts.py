"""What is known of EC2's GPU instance types: GPUs, memory, network, local disks, and how their GPUs are cut up."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class InstanceFacts:
    """One instance type, as ``instance_types.toml`` has it."""

    name: str
    gpu: str
    """Model of the GPUs as EC2 names it, for example ``H200``."""
    gpus: int
    gpu_mib: int
    """Memory of one GPU, MiB."""
    vcpus: int
    memory_mib: int
    network_gbps: int
    efa: int
    """EFA interfaces that a node may have."""
    nvme_gb: int
    """Local NVMe of a node together, GB."""
    first_efa_card: int = 0
    """First network card that takes EFA."""
    capacity_block: bool = False
    """Whether EC2 sells it in capacity blocks."""

    @property
    def size(self) -> tuple[int, int, int, int]:
        """What it is worth, to compare it with others: of two that do, the smaller is taken."""
        return self.gpus, self.gpu_mib, self.vcpus, self.memory_mib


@functools.cache
def instance_types() -> Mapping[str, InstanceFacts]:
    """Return the facts by the name of the instance type."""
    return {name: InstanceFacts(name=name, **facts) for name, facts in _data()["instance_types"].items()}


@functools.cache
def mig_partitions(gpu: str, gpu_mib: int) -> Mapping[str, int]:
    """Return how many partitions of each MIG profile a GPU has; none for a GPU that cannot be cut, or is not known."""
    found = [each["partitions"] for each in _data()["mig"] if (each["gpu"], each["gpu_mib"]) == (gpu, gpu_mib)]
    return found[0] if found else {}


def _data() -> dict[str, Any]:
    text = resources.files("falaj.components").joinpath("instance_types.toml").read_text()
    return tomllib.loads(text)
