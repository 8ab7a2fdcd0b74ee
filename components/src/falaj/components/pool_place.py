"""Where the nodes of a GPU pool are: in any zone of the network, or all in one, close together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from falaj.components.capacity import FROM_RESERVATION, Capacity
from falaj.components.errors import ConfigError
from falaj.components.refs import NetworkRef, pick


@dataclass(frozen=True)
class Place:
    """The place of a pool; the network may be known at deployment only."""

    network: pulumi.Input[NetworkRef]
    zones: Sequence[str] | None
    """Zones in which nodes may be. None: those of the network, which are not known yet."""
    efa: bool
    grouped: bool
    """Whether the nodes are in the network's placement group."""

    def subnet_ids(self, field: str, zones: Sequence[str] | None) -> pulumi.Output[list[str]] | None:
        """Return the private subnets of these zones; none for all that the network has."""
        if zones is None:
            return None

        def select(known: list[list[str]]) -> list[str]:
            found = [subnet for zone, subnet in zip(known[0], known[1], strict=True) if zone in zones]
            if not found:
                raise ConfigError(field, known[0], f"must have a subnet in {' or '.join(zones)}")
            return found

        return pulumi.Output.all(pick(self.network, "zones"), pick(self.network, "subnet_ids")).apply(select)

    def placement_group(self, field: str) -> pulumi.Output[str] | None:
        """Return the network's placement group, once more refusing another zone than it is in."""
        if not self.grouped:
            return None
        zone = (self.zones or [""])[0]

        def checked(known: list[str]) -> str:
            _check_grouped(field, zone, known[0])
            return known[1]

        return pulumi.Output.all(pick(self.network, "placement_zone"), pick(self.network, "placement_group")).apply(
            checked
        )


def check_place(
    name: str, network: pulumi.Input[NetworkRef], zone: str | None, capacity: Capacity, *, efa: bool
) -> Place:
    """Return where the pool is, refusing zones that contradict each other or that the network does not have."""
    field, known, placement = f"{name}.zone", _plain_zones(network), _plain_placement(network)
    if zone is not None and capacity.zone not in (None, zone):
        raise ConfigError(field, zone, f"must be the reservation's zone {capacity.zone}, or be left out")
    # A reservation places its nodes itself; it is in a placement group only if it was made there.
    grouped = efa and capacity.bought not in FROM_RESERVATION
    one = capacity.zone or zone or (placement if efa else None)
    if one is None:
        if efa:
            raise ConfigError(field, zone, "must be given with efa, since the network is known at deployment only")
        return Place(network, known, efa, grouped)
    if known is not None and one not in known:
        raise ConfigError(field, one, f"must be a zone of the network: {', '.join(known)}")
    if grouped and placement is not None:
        _check_grouped(field, one, placement)
    return Place(network, [one], efa, grouped)


def _check_grouped(field: str, zone: str, placement: str) -> None:
    if zone != placement:
        raise ConfigError(
            field, zone, f"must be {placement} with efa, or the network's placement_zone be another: its group is there"
        )


def _plain_zones(network: pulumi.Input[NetworkRef]) -> list[str] | None:
    zones = network["zones"] if isinstance(network, Mapping) else None
    return [str(zone) for zone in zones] if isinstance(zones, list) and _plain(*zones) else None


def _plain_placement(network: pulumi.Input[NetworkRef]) -> str | None:
    zone = network["placement_zone"] if isinstance(network, Mapping) else None
    return zone if isinstance(zone, str) else None


def _plain(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)
