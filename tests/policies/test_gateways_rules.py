"""Listeners in plain text: what counts as nothing but a way to TLS."""

import pytest
from policies.cases.gateways import CALLS, plain, route
from policies.making import make, verdict

from falaj.policies.model import Resource, Verdict


def judged(*stack: Resource) -> Verdict:
    return verdict("FJ-GTW-001", list(stack))


def test_one_route_that_answers_in_plain_text_is_enough_to_fail() -> None:
    answers = make(route().type, {"metadata": {"namespace": "web"}, "spec": {"parentRefs": [{"name": "edge"}]}})
    assert judged(plain(), route()) is Verdict.PASS
    assert judged(plain(), route(), answers) is Verdict.FAIL


def test_calls_over_http_are_in_plain_text() -> None:
    assert judged(plain(), route(), route(type_=CALLS, name="calls")) is Verdict.FAIL


@pytest.mark.parametrize(
    "parent", [{"name": "another"}, {"namespace": "other"}, {"sectionName": "tls"}, {"port": 443}, {"kind": "Service"}]
)
def test_a_route_of_another_parent_does_not_count(parent: dict[str, str | int]) -> None:
    other = route()
    spec = {**other["spec"].value, "parentRefs": [{"name": "edge", **parent}]}
    elsewhere = make(other.type, {"metadata": {"namespace": "web"}, "spec": spec}, name="elsewhere")
    assert judged(plain(), elsewhere) is Verdict.FAIL
    assert judged(plain(), route(), elsewhere) is Verdict.PASS


@pytest.mark.parametrize(
    ("taken", "expected"), [("Same", Verdict.PASS), ("Selector", Verdict.UNDETERMINED), ("All", Verdict.FAIL)]
)
def test_routes_of_other_namespaces_are_in_no_stack_for_sure(taken: str, expected: Verdict) -> None:
    assert judged(plain(allowedRoutes={"namespaces": {"from": taken}}), route()) is expected


def test_no_other_protocol_is_led_to_tls() -> None:
    assert judged(plain(protocol="TCP"), route()) is Verdict.FAIL
