"""Where two values differ."""

from typing import Any

from compare import ABSENT, Difference, inventories, leaves, plans, states
from normalize import Names
from recorded import is_recorded


def step(name: str, op: str, **kinds: str) -> dict[str, Any]:
    detailed = {path: {"kind": kind, "inputDiff": False} for path, kind in kinds.items()}
    return {"urn": f"urn:pulumi:s::p::aws:ec2/vpc:Vpc::{name}", "op": op, "detailedDiff": detailed or None}


def refusal(message: str) -> dict[str, Any]:
    urn = "urn:pulumi:s::p::aws:kms/key:Key::key"
    return {"steps": [], "diagnostics": [{"urn": urn, "severity": "error", "message": message}]}


def test_only_the_leaves_that_differ_are_named() -> None:
    left, right = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}
    assert list(leaves(left, right)) == [("a.c", 2, 4), ("d", 3, ABSENT), ("e", ABSENT, 5)]


def test_the_order_of_a_list_does_not_matter_but_its_members_do() -> None:
    assert not list(leaves([1, 2, 2], [2, 1, 2]))
    assert list(leaves([1, 2, 2], [1, 2])) == [("[]", 2, ABSENT)]
    assert list(leaves([{"k": 1, "v": 1}, {"k": 2, "v": 1}], [{"k": 2, "v": 1}, {"k": 1, "v": 9}])) == [("[].v", 1, 9)]


def test_true_is_not_one_and_a_number_not_a_text() -> None:
    assert list(leaves({"a": True}, {"a": 1})) == [("a", True, 1)]
    assert list(leaves({"a": 1}, {"a": "1"})) == [("a", 1, "1")]


def test_a_thing_that_exists_on_one_side_only_is_a_difference() -> None:
    assert list(inventories({"VPC a": [{}]}, {})) == [("VPC a", "", 1, ABSENT)]
    assert list(inventories({"VPC a": [{"x": 1}]}, {"VPC a": [{"x": 1}, {"x": 1}]})) == [
        ("VPC a", "[]", ABSENT, {"x": 1})
    ]


def test_states_are_compared_by_what_each_resource_was_given_and_gives() -> None:
    def state(identity: str, **outputs: Any) -> list[dict[str, Any]]:
        urn = "urn:pulumi:s::p::aws:ec2/vpc:Vpc::vpc"
        return [{"urn": urn, "type": "aws:ec2/vpc:Vpc", "id": identity, "inputs": {"a": identity}, "outputs": outputs}]

    left, right = state("vpc-0123456789abcdef0", arn="x"), state("vpc-0fedcba9876543210", arnn="x")
    assert list(states(left, right, (Names(left), Names(right)))) == [
        ("vpc aws:ec2/vpc:Vpc", "outputs.arn", "x", ABSENT),
        ("vpc aws:ec2/vpc:Vpc", "outputs.arnn", ABSENT, "x"),
    ]


def recorded(**given: Any) -> list[dict[str, Any]]:
    """Return a state with a topic, which the emulated provider records."""
    urn = "urn:pulumi:s::p::aws:sns/topic:Topic::told"
    return [{"urn": urn, "type": "aws:sns/topic:Topic", "id": "told", **given}]


def test_of_a_recorded_type_the_inputs_are_compared_and_not_the_outputs() -> None:
    assert is_recorded("aws:sns/topic:Topic")
    made_up = recorded(inputs={"name": "a"}, outputs={"owner": "1"})
    real = recorded(inputs={"name": "a"}, outputs={"owner": "2"})
    changed = recorded(inputs={"name": "b"}, outputs={"owner": "2"})
    assert not list(states(made_up, real, (Names(), Names())))
    assert list(states(made_up, changed, (Names(), Names()))) == [("told aws:sns/topic:Topic", "inputs.name", "a", "b")]
    assert list(states(made_up, [], (Names(), Names()))) == [("told aws:sns/topic:Topic", "", "exists", ABSENT)]


def test_an_update_here_and_a_replacement_there_is_named_with_the_property() -> None:
    found = plans(
        {"steps": [step("a", "update", cidr="update")]}, {"steps": [step("a", "replace", cidr="update-replace")]}
    )
    assert list(found) == [("a aws:ec2/vpc:Vpc", "operation (cidr)", "update", "replace")]


def test_a_change_on_one_side_only_is_a_difference() -> None:
    found = plans({"steps": [step("a", "same")]}, {"steps": [step("a", "update", x="update")]})
    assert list(found) == [("a aws:ec2/vpc:Vpc", "operation (x)", "same", "update")]


def test_properties_are_compared_where_both_sides_name_some() -> None:
    left, right = {"steps": [step("a", "update", x="update")]}, {"steps": [step("a", "update", y="update")]}
    assert [path for _, path, _, _ in plans(left, right)] == ["x", "y"]
    assert not list(plans(left, {"steps": [step("a", "update")]}))


def test_of_a_list_it_counts_whether_it_changes_and_whether_that_replaces() -> None:
    def preview(**kinds: str) -> dict[str, Any]:
        return {"steps": [step("a", "update", **kinds)]}

    whole, members = preview(x="update"), preview(**{"x[0]": "delete", "x[2].y[1]": "add"})
    assert not list(plans(whole, members))
    again = preview(**{"x[0]": "delete-replace", "x[2].y[1]": "add"})
    assert list(plans(whole, again)) == [("a aws:ec2/vpc:Vpc", "x", "update", "update-replace")]
    assert list(plans(preview(x="add"), members)) == [("a aws:ec2/vpc:Vpc", "x", "add", "update")]
    assert list(plans(preview(**{'x["0"]': "add"}), members)) == [
        ("a aws:ec2/vpc:Vpc", "x", ABSENT, "update"),
        ("a aws:ec2/vpc:Vpc", 'x["0"]', "add", ABSENT),
    ]


def test_a_refusal_on_one_side_only_is_named_with_the_property() -> None:
    said = "key has a problem: expected 7 to 30, got 5. Examine values at 'key.deletionWindowInDays'."
    assert list(plans({"steps": []}, refusal(said))) == [
        ("key aws:kms/key:Key", "refused (deletionWindowInDays)", ABSENT, said)
    ]
    assert not list(plans(refusal("no"), refusal("never")))


def test_two_refusals_are_compared_by_the_property_that_they_name() -> None:
    ours = "aws:kms/key:Key resource 'key': property deletionWindowInDays value {5} has a problem: too small"
    theirs = "key has a problem: got 5. Examine values at 'key.deletionWindowInDays'."
    assert not list(plans(refusal(ours), refusal(theirs)))
    other = theirs.replace("deletionWindow", "rotationPeriod")
    assert list(plans(refusal(ours), refusal(other))) == [
        ("key aws:kms/key:Key", "refused property", "deletionWindowInDays", "rotationPeriodInDays")
    ]


def test_a_line_names_stack_phase_resource_property_and_values() -> None:
    line = str(Difference("local", "state", "vpc aws:ec2/vpc:Vpc", "outputs.arn", "x", ABSENT))
    assert line == 'local state: vpc aws:ec2/vpc:Vpc: outputs.arn: emulated "x", bridged (absent)'
