"""From what a pool needs, or from the instance types that it names, to the types that its zones offer, ranked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from falaj.components.checks import bounded
from falaj.components.errors import ConfigError
from falaj.components.instance_facts import InstanceFacts, instance_types
from falaj.components.offers import Offers

_MOST_FALLBACK_MEMORY = 2
"""A fallback's GPU has at most so many times the memory of the preferred one's: no H200 comes for an A10G."""


class GpuNeeds(TypedDict):
    """What a pool has to have, for example 16 H200: ``{"gpus": 16, "gpu_model": "H200"}``."""

    gpus: int
    """GPUs of the pool at its largest."""
    gpu_model: NotRequired[str]
    """Model of the GPUs as EC2 names it, for example ``H200``. Default: any that has the memory."""
    gpu_memory_gb: NotRequired[int]
    """Least memory of one GPU in GB, for example 24. Default: whatever the model has."""
    gpus_per_node: NotRequired[int]
    """Fewest GPUs of one node. Default: 1."""


@dataclass(frozen=True)
class Wanted:
    """What the pool's other arguments ask of an instance type."""

    zones: Sequence[str] | None
    """The zones in which it may be; none when the network is not known yet."""
    efa: bool = False
    one_model: bool = False
    """Whether all types have to have the same GPUs, since they are cut up alike."""
    one_type: bool = False
    """Whether there can be no second type, since a reservation is for one."""
    capacity_block: bool = False
    nvme: bool = False


@dataclass(frozen=True)
class Choice:
    """The instance types of a pool, the preferred one first, and the zones that offer all of them."""

    types: list[InstanceFacts]
    zones: list[str] | None

    @property
    def preferred(self) -> InstanceFacts:
        """The one that is tried first."""
        return self.types[0]


def check_needs(field: str, needs: GpuNeeds) -> GpuNeeds:
    """Return the needs, refusing none and more than any pool has."""
    bounded(f"{field}.gpus", needs["gpus"], 1, 40_000, "GPUs")
    bounded(f"{field}.gpus_per_node", needs.get("gpus_per_node", 1), 1, 8, "GPUs")
    bounded(f"{field}.gpu_memory_gb", needs.get("gpu_memory_gb", 1), 1, 300, "GB")
    if "gpu_model" not in needs and "gpu_memory_gb" not in needs:
        raise ConfigError(field, dict(needs), "must say gpu_model or gpu_memory_gb")
    known = dict.fromkeys(facts.gpu for facts in instance_types().values())
    if needs.get("gpu_model") not in (None, *known):
        raise ConfigError(f"{field}.gpu_model", needs.get("gpu_model"), f"must be one of {', '.join(known)}")
    return needs


def choose_needed(field: str, needs: GpuNeeds, wanted: Wanted, offers: Offers | None) -> Choice:
    """Return the types that serve the needs, best first; fallbacks have as many GPUs and lie in the same zones."""
    meets = [facts for facts in instance_types().values() if _meets(facts, needs)]
    if offers is not None:
        _check_region(field, needs, meets, offers)
    fits = [facts for facts in meets if not unfit(facts, wanted)]
    if not fits:
        lacks = "; ".join(f"{facts.name} {unfit(facts, wanted)}" for facts in meets) or "no instance type is so large"
        raise ConfigError(field, dict(needs), f"must be met by an instance type: {lacks}")
    offered = [facts for facts in fits if offers is None or _zones(facts, wanted, offers)]
    if not offered:
        assert offers is not None
        raise ConfigError(field, dict(needs), _elsewhere("offer what is needed", fits, wanted, offers))
    best, *others = sorted(offered, key=lambda facts: _rank(facts, needs["gpus"], wanted))
    zones = _zones(best, wanted, offers)
    alike = [facts for facts in others if _fallback(facts, best, wanted, offers)]
    return Choice([best, *([] if wanted.one_type else alike)], zones)


def choose_named(field: str, names: Sequence[str], wanted: Wanted, offers: Offers | None) -> Choice:
    """Return the named types, refusing those that are unknown, unfit, unlike each other, or not offered together."""
    types = [_known(field, name) for name in names]
    if wanted.one_type and len(types) > 1:
        raise ConfigError(field, list(names), "must be one instance type: a reservation is for one")
    for facts in types:
        lack = unfit(facts, wanted)
        if lack:
            raise ConfigError(field, facts.name, f"must be instance types that fit: it {lack}")
        unlike = _unlike(facts, types[0], wanted)
        if unlike:
            raise ConfigError(field, facts.name, f"must {unlike}")
        if offers is not None:
            _check_offered(field, facts, wanted, offers)
    zones = _zones(types[0], wanted, offers)
    if offers is not None:
        zones = [zone for zone in zones or [] if all(zone in offers.zones_of(facts.name) for facts in types)]
        if not zones:
            where = "; ".join(f"{facts.name} in {', '.join(offers.zones_of(facts.name))}" for facts in types)
            raise ConfigError(field, list(names), f"must be offered in one zone together, not {where}")
    return Choice(types, zones)


def unfit(facts: InstanceFacts, wanted: Wanted) -> str:
    """Return what an instance type lacks of what the pool's arguments ask for, if it lacks anything."""
    if wanted.efa and not facts.efa:
        return "has no EFA interface"
    if wanted.nvme and not facts.nvme_gb:
        return "has no local NVMe"
    if wanted.capacity_block and not facts.capacity_block:
        return "is not sold in capacity blocks"
    return ""


def nodes_for(gpus: int, facts: InstanceFacts) -> int:
    """Return how many nodes have so many GPUs."""
    return math.ceil(gpus / facts.gpus)


def _meets(facts: InstanceFacts, needs: GpuNeeds) -> bool:
    return (
        needs.get("gpu_model", facts.gpu) == facts.gpu
        and needs.get("gpu_memory_gb", 0) <= _gigabytes(facts)
        and needs.get("gpus_per_node", 1) <= facts.gpus
    )


def _rank(facts: InstanceFacts, gpus: int, wanted: Wanted) -> tuple[int, int, int, int, int, int, str]:
    """Order by what nobody asked for, least first: GPUs too many, GPU memory, nodes; then CPUs and memory.

    Whoever trains over EFA wants the fastest network before few CPUs. Prices, which differ by region, are not known.
    """
    nodes = nodes_for(gpus, facts)
    network = -facts.network_gbps if wanted.efa else 0
    return nodes * facts.gpus - gpus, facts.gpu_mib, nodes, network, facts.vcpus, facts.memory_mib, facts.name


def _fallback(facts: InstanceFacts, best: InstanceFacts, wanted: Wanted, offers: Offers | None) -> bool:
    zones = _zones(best, wanted, offers) or []
    return (
        _unlike(facts, best, wanted) == ""
        and facts.gpu_mib <= _MOST_FALLBACK_MEMORY * best.gpu_mib
        and (offers is None or set(zones) <= set(offers.zones_of(facts.name)))
    )


def _unlike(facts: InstanceFacts, first: InstanceFacts, wanted: Wanted) -> str:
    """Return in what a type differs from the first that must be the same, if in anything."""
    if facts.gpus != first.gpus:
        return f"have {first.gpus} GPUs as {first.name}, since a scheduler counts on each node for the same"
    if wanted.efa and (facts.efa, facts.first_efa_card) != (first.efa, first.first_efa_card):
        return f"have {first.efa} EFA interfaces as {first.name}, since one launch template makes them"
    if wanted.one_model and (facts.gpu, facts.gpu_mib) != (first.gpu, first.gpu_mib):
        return f"have the same GPUs as {first.name}, since they are cut up alike"
    return ""


def _check_region(field: str, needs: GpuNeeds, meets: Sequence[InstanceFacts], offers: Offers) -> None:
    """Refuse what no zone of the region has, saying what it has."""
    if any(offers.zones_of(facts.name) for facts in meets):
        return
    offered = offers.types()
    model, memory = needs.get("gpu_model"), needs.get("gpu_memory_gb")
    if model is not None and model not in {facts.gpu for facts in offered}:
        raise ConfigError(f"{field}.gpu_model", model, f"must be a GPU that {offers.region} offers: {offers.models()}")
    largest = max((_gigabytes(facts) for facts in offered), default=0)
    if memory is not None and memory > largest:
        remedy = f"must be at most {largest} GB, which is the largest GPU that {offers.region} offers"
        raise ConfigError(f"{field}.gpu_memory_gb", memory, remedy)
    has = ", ".join(f"{each.name} ({each.gpus})" for each in offered if model in (None, each.gpu))
    raise ConfigError(
        field, dict(needs), f"must be met by what {offers.region} offers (GPUs per node): {has or 'none'}"
    )


def _gigabytes(facts: InstanceFacts) -> int:
    """Return the memory of a GPU in the round GB in which it is sold, of which EC2 tells a little less or more."""
    return round(facts.gpu_mib * 2**20 / 10**9)


def _check_offered(field: str, facts: InstanceFacts, wanted: Wanted, offers: Offers) -> None:
    if not offers.zones_of(facts.name):
        has = ", ".join(each.name for each in offers.types()) or "no GPU type that is known"
        raise ConfigError(field, facts.name, f"must be instance types that {offers.region} offers: {has}")
    if not _zones(facts, wanted, offers):
        raise ConfigError(field, facts.name, _elsewhere("offer it", [facts], wanted, offers))


def _known(field: str, name: str) -> InstanceFacts:
    if name not in instance_types():
        raise ConfigError(field, name, f"must be among the GPU types that are known: {', '.join(instance_types())}")
    return instance_types()[name]


def _zones(facts: InstanceFacts, wanted: Wanted, offers: Offers | None) -> list[str] | None:
    """Return the zones of the pool that offer a type; with nothing known, nothing."""
    if offers is None:
        return list(wanted.zones) if wanted.zones is not None else None
    offered = offers.zones_of(facts.name)
    return offered if wanted.zones is None else [zone for zone in wanted.zones if zone in offered]


def _elsewhere(what: str, types: Sequence[InstanceFacts], wanted: Wanted, offers: Offers) -> str:
    places = "; ".join(
        f"{facts.name} in {', '.join(offers.zones_of(facts.name))}" for facts in types if offers.zones_of(facts.name)
    )
    mine = ", ".join(wanted.zones or [])
    return f"must lie in zones that {what}, which {mine} does not: {places or f'{offers.region} offers none'}"
