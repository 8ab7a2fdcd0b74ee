"""What moto holds, by names."""

from typing import Any

import pytest
from inventory import LISTINGS, comparable, unlisted
from normalize import Names


def found(**kinds: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an inventory in which only these kinds hold something."""
    return {listing.kind: kinds.get(listing.kind.replace(" ", "_"), {}) for listing in LISTINGS}


def vpc(identity: str) -> dict[str, Any]:
    return {"urn": "urn:pulumi:s::p::aws:ec2/vpc:Vpc::net", "type": "aws:ec2/vpc:Vpc", "id": identity, "outputs": {}}


@pytest.mark.parametrize("digit", ["1", "2"])
def test_what_no_resource_made_is_named_by_its_kind_and_its_parent(digit: str) -> None:
    network, group, interface, default = (f"{kind}-{digit * 17}" for kind in ("vpc", "sg", "eni", "subnet"))
    things = comparable(
        found(
            VPC={network: {"VpcId": network, "CidrBlock": "10.0.0.0/16"}},
            subnet={default: {"SubnetId": default, "AvailabilityZone": "a", "VpcId": network}},
            security_group={group: {"GroupId": group, "VpcId": network}},
            network_interface={interface: {"NetworkInterfaceId": interface, "SubnetId": default}},
        ),
        Names([vpc(network)]),
    )
    assert things == {
        "VPC <net>": [{"VpcId": "<net>", "CidrBlock": "10.0.0.0/16"}],
        "subnet <subnet of a>": [{"SubnetId": "<subnet of a>", "AvailabilityZone": "a", "VpcId": "<net>"}],
        "security group <security group of <net>>": [{"GroupId": "<security group of <net>>", "VpcId": "<net>"}],
        "network interface <network interface of <subnet of a>>": [
            {"NetworkInterfaceId": "<network interface of <subnet of a>>", "SubnetId": "<subnet of a>"}
        ],
    }


def test_things_that_are_alike_in_everything_are_all_kept() -> None:
    interfaces = {f"eni-{digit * 17}": {"SubnetId": "subnet-a"} for digit in "12"}
    assert list(map(len, comparable(found(network_interface=interfaces), Names()).values())) == [2]


def test_a_type_that_no_listing_shows_is_named() -> None:
    assert unlisted(["aws:ec2/vpc:Vpc", "aws:sqs/queue:Queue", "aws:sqs/queue:Queue"]) == ["aws:sqs/queue:Queue"]
