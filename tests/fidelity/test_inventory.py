"""What moto holds, by names."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from inventory import LISTINGS, RECORDED, comparable, flat, unlisted, unshown
from listing import REFUSED, Listing, answers, listed, shows
from normalize import Names
from recorded import enacted, is_recorded

from falaj.lab.provider.aws import ENACTED, recorded


def found(**kinds: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an inventory in which only these kinds hold something."""
    return {listing.kind: kinds.get(listing.kind.replace(" ", "_"), {}) for listing in LISTINGS}


def vpc(identity: str) -> dict[str, Any]:
    return {"urn": "urn:pulumi:s::p::aws:ec2/vpc:Vpc::net", "type": "aws:ec2/vpc:Vpc", "id": identity, "outputs": {}}


@pytest.mark.parametrize("digit", ["1", "2"])
def test_what_no_resource_made_is_named_by_its_kind_and_its_parent(digit: str) -> None:
    network, group, interface, default = (f"{kind}-{digit * 17}" for kind in ("vpc", "sg", "eni", "subnet"))
    held = comparable(
        found(
            VPC={network: {"VpcId": network, "CidrBlock": "10.0.0.0/16"}},
            subnet={default: {"SubnetId": default, "AvailabilityZone": "a", "VpcId": network}},
            security_group={group: {"GroupId": group, "VpcId": network}},
            network_interface={interface: {"NetworkInterfaceId": interface, "SubnetId": default}},
        ),
        Names([vpc(network)]),
    )
    assert flat(held) == {
        "VPC <net>": [{"VpcId": "<net>", "CidrBlock": "10.0.0.0/16"}],
        "subnet <subnet of a>": [{"SubnetId": "<subnet of a>", "AvailabilityZone": "a", "VpcId": "<net>"}],
        "security group <security group of <net>>": [{"GroupId": "<security group of <net>>", "VpcId": "<net>"}],
        "network interface <network interface of <subnet of a>>": [
            {"NetworkInterfaceId": "<network interface of <subnet of a>>", "SubnetId": "<subnet of a>"}
        ],
    }


def test_things_that_are_alike_in_everything_are_all_kept() -> None:
    interfaces = {f"eni-{digit * 17}": {"SubnetId": "subnet-a"} for digit in "12"}
    assert list(map(len, flat(comparable(found(network_interface=interfaces), Names())).values())) == [2]


def test_a_type_that_no_listing_shows_is_named() -> None:
    assert unlisted(["aws:ec2/vpc:Vpc", "aws:sqs/queue:Queue", "aws:sqs/queue:Queue"]) == ["aws:sqs/queue:Queue"]


def test_kinds_have_names_of_their_own() -> None:
    assert len({listing.kind for listing in LISTINGS}) == len(LISTINGS)


def test_every_type_that_a_listing_shows_is_one_of_the_sdk() -> None:
    known = {*ENACTED, *recorded()}
    assert {token for listing in LISTINGS for token in listing.shows if token not in known} == set()


def test_a_kind_is_compared_where_the_emulated_provider_enacts_one_of_its_types() -> None:
    assert {"VPC", "bucket", "network interface"}.isdisjoint(RECORDED)
    for listing in LISTINGS:
        assert (listing.kind in RECORDED) == (bool(listing.shows) and all(map(is_recorded, listing.shows)))
        assert (listing.kind in RECORDED) == (bool(listing.shows) and not enacted(listing.shows))


def test_the_guide_names_the_kinds_that_are_not_compared() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "fidelity.md").read_text()
    assert f"\n\n{', '.join(sorted(RECORDED))}.\n" in guide


def test_what_is_left_out_of_the_comparison_is_left_out_by_its_kind_not_by_how_its_name_begins() -> None:
    held = {"network firewall": {"<a>": [{}]}, "network firewall policy": {"<b>": [{}]}}
    assert flat(held, left_out={"network firewall"}) == {"network firewall policy <b>": [{}]}


def test_a_type_whose_listing_stays_as_it_was_is_named() -> None:
    empty = comparable(found(), Names())
    one = comparable(found(VPC={"vpc-1": {"CidrBlock": "10.0.0.0/16"}}), Names())
    assert unshown(["aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"], empty, one) == ["aws:ec2/subnet:Subnet"]


class Refusing:
    """A client that answers nothing."""

    def can_paginate(self, operation: str) -> bool:
        del operation
        return False

    def list_queues(self) -> Any:
        raise ClientError({"Error": {"Code": "NotImplemented"}}, "ListQueues")

    def get_queue(self, **parameters: Any) -> Any:
        raise ClientError({"Error": {"Code": f"No{parameters}"}}, "GetQueue")


def test_a_listing_that_cannot_be_asked_is_a_fact() -> None:
    listing = Listing("queue", "sqs", listed("list_queues", "Queues", "Name"), shows("sqs/queue:Queue"))
    assert listing.found(Refusing()) == {REFUSED: {"error": "NotImplemented"}}


def test_so_is_a_question_that_is_refused() -> None:
    questions = {"one": ("get_queue", {"Name": "name"}), "many": ("get_queue", {"Names[]": "name"})}
    assert answers(Refusing(), {"name": "a"}, questions) == {
        "one": {"error": "No{'Name': 'a'}"},
        "many": {"error": "No{'Names': ['a']}"},
    }
