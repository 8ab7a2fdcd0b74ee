"""What shows that a comparison compared nothing."""

from typing import Any

from changes import CHANGES, Change, Disturbance
from judge import unseen, untouched
from pulumi import ComponentResource

from falaj import components


def preview(**operations: str) -> dict[str, Any]:
    return {
        "steps": [
            {"urn": f"urn:pulumi:s::p::falaj:index:Network$aws:ec2/vpc:Vpc::{name.replace('_', '-')}", "op": operation}
            for name, operation in operations.items()
        ]
    }


CHANGE = Change("change", {"Network": {"net": {"cidr": "10.0.0.0/16"}}})


def test_a_change_that_touches_nothing_of_its_component_is_named() -> None:
    assert untouched(CHANGE, (preview(net_vpc="same"), preview(net_vpc="same"))) == ["net Network"]
    assert untouched(CHANGE, (preview(net_vpc="same", other_vpc="update"), preview())) == ["net Network"]


def test_a_change_that_one_side_sees_tests_something() -> None:
    assert untouched(CHANGE, (preview(net_vpc="update"), preview(net_vpc="same"))) == []


def test_a_disturbance_that_shows_nowhere_is_named() -> None:
    vpc = Disturbance("tags", "net-vpc", lambda aws, outputs: None, seen="net-vpc")
    hidden = Disturbance("hidden", "net-vpc", lambda aws, outputs: None, seen=None)
    assert unseen([vpc, hidden], (preview(net_vpc="update"), preview())) == []
    assert unseen([vpc, hidden], (preview(net_vpc="same"), preview())) == ["tags"]


def test_every_component_has_a_changed_argument() -> None:
    exported = {name: getattr(components, name) for name in components.__all__}
    made = {name for name, each in exported.items() if isinstance(each, type) and issubclass(each, ComponentResource)}
    assert made
    assert made <= {component for changes in CHANGES.values() for change in changes for component in change.arguments}
