"""EC2's on-demand capacity reservations."""

from falaj.lab.provider.aws_types.ec2 import TAGS, find_created, tag_specifications
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, resource
from falaj.lab.provider.kind import GoneError
from falaj.lab.provider.values import Props

_ENDED = ("cancelled", "expired")


def _there(aws: Aws, identifier: str, props: Props) -> Props:
    """Leave out what EC2 goes on telling of after its end."""
    del aws, identifier
    if props.pop("state") in _ENDED:
        raise GoneError
    return props


CAPACITY_RESERVATION = resource(
    "aws:ec2/capacityReservation:CapacityReservation",
    create=Call(
        "ec2.create_capacity_reservation",
        {
            "AvailabilityZone": "@availabilityZone",
            "EbsOptimized": "@ebsOptimized",
            "EndDate": "@endDate",
            "EndDateType": "@endDateType",
            "EphemeralStorage": "@ephemeralStorage",
            "InstanceCount": "@instanceCount",
            "InstanceMatchCriteria": "@instanceMatchCriteria",
            "InstancePlatform": "@instancePlatform",
            "InstanceType": "@instanceType",
            "OutpostArn": "@outpostArn",
            "PlacementGroupArn": "@placementGroupArn",
            "Tenancy": "@tenancy",
            "TagSpecifications": tag_specifications("capacity-reservation"),
        },
        "CapacityReservation.CapacityReservationId",
    ),
    read=Look(
        "ec2.describe_capacity_reservations",
        {"CapacityReservationIds": ["@id"]},
        "CapacityReservations[0]",
        "state availabilityZone ebsOptimized endDate endDateType ephemeralStorage instanceMatchCriteria "
        "instancePlatform instanceType ownerId outpostArn placementGroupArn tenancy tags "
        "instanceCount=TotalInstanceCount arn=CapacityReservationArn",
    ),
    update=[
        Put(
            "instanceCount endDate endDateType",
            Call(
                "ec2.modify_capacity_reservation",
                {
                    "CapacityReservationId": "@id",
                    "InstanceCount": "@instanceCount",
                    "EndDate": "@endDate",
                    "EndDateType": "@endDateType",
                },
            ),
        ),
        TAGS,
    ],
    delete=Call("ec2.cancel_capacity_reservation", {"CapacityReservationId": "@id"}),
    finish=_there,
    find=find_created,
    replace="availabilityZone ebsOptimized ephemeralStorage instanceMatchCriteria instancePlatform instanceType "
    "outpostArn placementGroupArn tenancy",
    defaults={
        "ebsOptimized": False,
        "endDateType": "unlimited",
        "ephemeralStorage": False,
        "instanceMatchCriteria": "open",
        "tenancy": "default",
    },
)

KINDS = [CAPACITY_RESERVATION]
