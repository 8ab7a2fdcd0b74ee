"""How a GPU is handed out: whole, cut into MIG partitions, or in time slices; and what a pod then asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from falaj.components.checks import bounded
from falaj.components.errors import ConfigError
from falaj.components.instance_facts import InstanceFacts, mig_partitions

GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class GpuSharing:
    """What the nodes of a pool offer to pods."""

    resource: str = GPU
    """The extended resource that a pod asks for."""
    per_gpu: int = 1
    """How many of it one GPU is."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels by which NVIDIA's MIG manager and device plugin know what to do on the node."""


def check_sharing(
    name: str, types: Sequence[InstanceFacts], mig_profile: str | None, time_slices: float | None
) -> GpuSharing:
    """Return how GPUs are shared, refusing what the GPUs of these instance types cannot do."""
    if mig_profile is not None and time_slices is not None:
        raise ConfigError(f"{name}.time_slices", time_slices, "must be left out where mig_profile cuts the GPUs up")
    if mig_profile is not None:
        return _partitions(f"{name}.mig_profile", types, mig_profile)
    if time_slices is not None:
        slices = bounded(f"{name}.time_slices", time_slices, 2, 16)
        # A name of its own: who asks for a GPU must not be given a slice of one.
        return GpuSharing(f"{GPU}.shared", slices, {"nvidia.com/device-plugin.config": f"time-slices-{slices}"})
    return GpuSharing()


def _partitions(field_name: str, types: Sequence[InstanceFacts], profile: str) -> GpuSharing:
    for facts in types:
        partitions = mig_partitions(facts.gpu, facts.gpu_mib)
        if not partitions:
            raise ConfigError(field_name, profile, f"must be left out: the {facts.gpu} of {facts.name} is not cut up")
        if profile not in partitions:
            known = ", ".join(partitions)
            raise ConfigError(field_name, profile, f"must be a profile of the {facts.gpu} of {facts.name}: {known}")
    count = mig_partitions(types[0].gpu, types[0].gpu_mib)[profile]
    # The device plugin's strategy `mixed`, by which each profile is a resource of its own.
    return GpuSharing(f"nvidia.com/mig-{profile}", count, {"nvidia.com/mig.config": f"all-{profile}"})
