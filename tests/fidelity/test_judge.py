"""What shows that a comparison compared nothing."""

from dataclasses import replace
from typing import Any

from changes import CHANGES, Change, Disturbance
from inventory import LISTINGS
from judge import Judge, pointless, unseen
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
REFUSAL = {"steps": [], "diagnostics": [{"severity": "error", "message": "no"}]}


def test_a_change_that_touches_nothing_of_its_component_is_named() -> None:
    nothing = {"net Network": "changes nothing"}
    assert pointless(CHANGE, (preview(net_vpc="same"), preview(net_vpc="same"))) == nothing
    assert pointless(CHANGE, (preview(net_vpc="same", other_vpc="update"), preview())) == nothing


def test_a_change_that_one_side_sees_tests_something() -> None:
    assert pointless(CHANGE, (preview(net_vpc="update"), preview(net_vpc="same"))) == {}


def test_a_change_that_both_sides_refuse_tests_something_only_where_that_is_wanted() -> None:
    assert pointless(CHANGE, (REFUSAL, REFUSAL)) == {"(program)": "both refuse it"}
    assert pointless(replace(CHANGE, refused=True), (REFUSAL, REFUSAL)) == {}


def test_a_disturbance_that_shows_nowhere_is_named() -> None:
    vpc = Disturbance("tags", "net-vpc", lambda aws, outputs: None, seen="net-vpc")
    hidden = Disturbance("hidden", "net-vpc", lambda aws, outputs: None, seen=None)
    assert unseen([vpc, hidden], (preview(net_vpc="update"), preview())) == {}
    assert unseen([vpc, hidden], (preview(net_vpc="same"), preview())) == {"tags": "shows nowhere"}
    assert unseen([vpc], (REFUSAL, REFUSAL)) == {"(program)": "both previews fail"}


def test_a_recorded_type_is_to_exist_on_the_judges_side_and_an_enacted_one_on_both() -> None:
    judge = Judge("s", progress=lambda line: None)
    none: dict[str, dict[str, list[Any]]] = {listing.kind: {} for listing in LISTINGS}
    topic, vpc = {"topic": {"<told>": [{}]}}, {"VPC": {"<net>": [{}]}}
    stack = [{"type": "aws:sns/topic:Topic"}, {"type": "aws:ec2/vpc:Vpc"}]

    judge._exist((stack, stack), (none, none), ({**none, **vpc}, {**none, **vpc, **topic}))
    assert judge.differences == []

    judge._exist((stack, stack), (none, none), (none, vpc | {k: v for k, v in none.items() if k != "VPC"}))
    assert [(each.resource, each.emulated, each.bridged) for each in judge.differences] == [
        ("aws:ec2/vpc:Vpc", "nothing shows it", ""),
        ("aws:sns/topic:Topic", "", "nothing shows it"),
    ]


NOTHING_TO_COMPARE = {"TenantAdmission", "GpuOperators", "KarpenterPool", "TrainingJob", "SweepJob"}
"""Components without an argument that AWS could see; all but the first are composed in no environment of a lab."""


def test_every_component_has_a_changed_argument() -> None:
    exported = {name: getattr(components, name) for name in components.__all__}
    made = {name for name, each in exported.items() if isinstance(each, type) and issubclass(each, ComponentResource)}
    assert made
    changed = {component for changes in CHANGES.values() for change in changes for component in change.arguments}
    assert made - NOTHING_TO_COMPARE <= changed
