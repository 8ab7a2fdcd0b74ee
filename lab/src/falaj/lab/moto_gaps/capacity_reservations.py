"""EC2's on-demand capacity reservations, which moto lacks. Weaker than AWS: capacity is never short, with or without.

Capacity blocks cannot be bought here: AWS sells them from offers of its own. A reservation stands in for one.
"""

import datetime

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, EC2_RESOURCE_TO_PREFIX
from moto.moto_api._internal import mock_random

from falaj.lab.moto_gaps.kept import Kept, kept

_DEFAULTS = {
    "Tenancy": "default",
    "InstanceMatchCriteria": "open",
    "EndDateType": "unlimited",
    "EbsOptimized": False,
    "EphemeralStorage": False,
}


def serve() -> None:
    """Let moto's server answer what is asked about capacity reservations."""
    EC2_RESOURCE_TO_PREFIX["capacity-reservation"] = "cr"
    EC2_PREFIX_TO_RESOURCE["cr"] = "capacity-reservation"
    for name, operation in vars(CapacityReservations).items():
        if not name.startswith("__"):
            setattr(EC2Response, name, operation)


class CapacityReservations(EC2BaseResponse):
    """The operations on capacity reservations."""

    def create_capacity_reservation(self) -> ActionResult:
        """Reserve instances of one type in one zone that offers it."""
        instance_type, zone = self._get_param("InstanceType"), self._get_param("AvailabilityZone")
        offers = self.ec2_backend.describe_instance_type_offerings("availability-zone")
        if {"InstanceType": instance_type, "LocationType": "availability-zone", "Location": zone} not in offers:
            raise _refused("Unsupported", f"The requested configuration is not supported: {instance_type} in {zone}.")
        identifier = f"cr-{mock_random.get_random_hex(17)}"
        count = self._get_int_param("InstanceCount", 1)
        reservation: Kept = {
            **{name: self._get_param(name, default) for name, default in _DEFAULTS.items()},
            "CapacityReservationId": identifier,
            "CapacityReservationArn": f"arn:{self.partition}:ec2:{self.region}:{self.current_account}:"
            f"capacity-reservation/{identifier}",
            "OwnerId": self.current_account,
            "InstanceType": instance_type,
            "InstancePlatform": self._get_param("InstancePlatform"),
            "AvailabilityZone": zone,
            "TotalInstanceCount": count,
            "AvailableInstanceCount": count,
            "State": "active",
            "CreateDate": datetime.datetime.now(datetime.UTC),
            "ReservationType": "default",
        }
        for name in ("EndDate", "PlacementGroupArn"):
            if self._get_param(name):
                reservation[name] = self._get_param(name)
        _reservations(self.ec2_backend)[identifier] = reservation
        self.ec2_backend.create_tags(
            [identifier], self._parse_tag_specification("capacity-reservation").get("capacity-reservation", {})
        )
        return ActionResult({"CapacityReservation": self._answer(reservation)})

    def describe_capacity_reservations(self) -> ActionResult:
        """Tell of the reservations of these ids, or of all."""
        ids = self._get_param("CapacityReservationIds", [])
        found = [_found(self.ec2_backend, identifier) for identifier in ids or _reservations(self.ec2_backend)]
        return ActionResult({"CapacityReservations": [self._answer(each) for each in found]})

    def modify_capacity_reservation(self) -> ActionResult:
        """Change how many instances are reserved, until when, and for whom."""
        reservation = _found(self.ec2_backend, self._get_param("CapacityReservationId"))
        count = self._get_int_param("InstanceCount")
        if count is not None:
            reservation["TotalInstanceCount"] = reservation["AvailableInstanceCount"] = count
        for name in ("EndDate", "EndDateType", "InstanceMatchCriteria"):
            if self._get_param(name):
                reservation[name] = self._get_param(name)
        return ActionResult({"Return": True})

    def cancel_capacity_reservation(self) -> ActionResult:
        """Give the capacity back; AWS, too, goes on telling of the reservation."""
        reservation = _found(self.ec2_backend, self._get_param("CapacityReservationId"))
        reservation |= {"State": "cancelled", "TotalInstanceCount": 0, "AvailableInstanceCount": 0}
        return ActionResult({"Return": True})

    def _answer(self, reservation: Kept) -> Kept:
        tags = self.ec2_backend.tags.get(reservation["CapacityReservationId"], {})
        return {**reservation, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _reservations(backend: EC2Backend) -> dict[str, Kept]:
    """Return the reservations by id."""
    return kept(backend, "capacity_reservations")


def reservation_state(backend: EC2Backend, identifier: str) -> str | None:
    """Return the state of a reservation, nothing if there is none of this id."""
    return _reservations(backend).get(identifier, {}).get("State")


def _found(backend: EC2Backend, identifier: str) -> Kept:
    try:
        return _reservations(backend)[identifier]
    except KeyError:
        code = "InvalidCapacityReservationId.NotFound"
        raise _refused(code, f"The capacity reservation {identifier} does not exist.") from None


def _refused(code: str, message: str) -> ServiceException:
    return EC2ClientError(code, message)
