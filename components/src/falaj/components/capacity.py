"""How a pool's capacity is bought: from the general supply, as spare capacity, or from a reservation."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypedDict

import pulumi

from falaj.components.errors import ConfigError

_RESERVATION = re.compile(r"cr-[0-9a-f]{8,17}")


class CapacityType(StrEnum):
    """How capacity is bought."""

    ON_DEMAND = "ON_DEMAND"
    """Paid by the second, kept until given back."""
    SPOT = "SPOT"
    """Cheaper, taken back at two minutes' notice."""
    CAPACITY_RESERVATION = "CAPACITY_RESERVATION"
    """On demand, from an on-demand capacity reservation and from nowhere else."""
    CAPACITY_BLOCK = "CAPACITY_BLOCK"
    """GPUs booked and paid ahead for a span of time, from a capacity block."""


FROM_RESERVATION = (CapacityType.CAPACITY_RESERVATION, CapacityType.CAPACITY_BLOCK)


class Reservation(TypedDict):
    """Capacity that is reserved already: an on-demand capacity reservation or a capacity block."""

    id: pulumi.Input[str]
    """Id of the reservation, for example ``cr-0123456789abcdef0``."""
    zone: str
    """Zone of the reservation, for example ``me-central-1c``; its nodes can start nowhere else."""


@dataclass(frozen=True)
class Capacity:
    """How the capacity of a node group is bought, as EKS and a launch template want it."""

    bought: CapacityType = CapacityType.ON_DEMAND
    reservation: Reservation | None = None

    @property
    def of_group(self) -> str:
        """What EKS calls it: of an on-demand reservation only the launch template knows."""
        return "ON_DEMAND" if self.bought is CapacityType.CAPACITY_RESERVATION else self.bought.value

    @property
    def zone(self) -> str | None:
        """The one zone in which it is, if it is bound to one."""
        return self.reservation["zone"] if self.reservation else None

    def of_template(self) -> dict[str, Any]:
        """Return what a launch template says of it."""
        if not self.reservation:
            return {}
        # A target, unlike a preference, never falls back to unreserved capacity.
        target = {"capacity_reservation_target": {"capacity_reservation_id": self.reservation["id"]}}
        market = {"instance_market_options": {"market_type": "capacity-block"}}
        return {"capacity_reservation_specification": target} | (
            market if self.bought is CapacityType.CAPACITY_BLOCK else {}
        )


def check_capacity(name: str, bought: str, reservation: Reservation | None) -> Capacity:
    """Return how capacity is bought, refusing a reservation that is missing, of no use, or none."""
    capacity = CapacityType(bought)
    field = f"{name}.reservation"
    if capacity in FROM_RESERVATION and reservation is None:
        raise ConfigError(field, None, f"must name the reservation and its zone, since capacity_type is {capacity}")
    if reservation is not None and capacity not in FROM_RESERVATION:
        kinds = " or ".join(FROM_RESERVATION)
        raise ConfigError(field, reservation["id"], f"must be left out, or capacity_type be {kinds}")
    if reservation is not None and isinstance(reservation["id"], str) and not _RESERVATION.fullmatch(reservation["id"]):
        raise ConfigError(
            f"{field}.id", reservation["id"], "must be the id of a reservation such as cr-0123456789abcdef0"
        )
    return Capacity(capacity, reservation)
