"""Namespaces of Kubernetes and their policies: what their rules look through."""

import pytest
from policies.making import DEPLOYMENT, NAMESPACE, make, namespace, network_policy, pod, urn, verdict

from falaj.policies.model import Resource, Verdict
from falaj.policies.values import UNKNOWN


def test_pods_in_a_namespace_of_another_stack_are_undetermined() -> None:
    assert verdict("FJ-NSP-002", [make(DEPLOYMENT, pod())]) is Verdict.UNDETERMINED


def test_pods_in_a_declared_namespace_are_judged_by_it() -> None:
    assert verdict("FJ-NSP-002", [make(DEPLOYMENT, pod()), make(NAMESPACE, namespace())]) is Verdict.PASS


def test_pods_in_the_namespace_default_fail() -> None:
    body = pod() | {"metadata": {"name": "app"}}
    assert verdict("FJ-NSP-002", [make(DEPLOYMENT, body)]) is Verdict.FAIL
    assert verdict("FJ-NSP-002", [make(DEPLOYMENT, body, provider={"namespace": "team"})]) is Verdict.UNDETERMINED


def test_a_default_that_stands_for_an_unknown_namespace_is_undetermined() -> None:
    body = pod() | {"metadata": {"name": "app", "namespace": "default"}}
    stack = [make(DEPLOYMENT, body, metadata=urn(NAMESPACE)), make(NAMESPACE, namespace())]
    assert verdict("FJ-NSP-002", stack) is Verdict.UNDETERMINED


def test_a_namespace_that_is_not_known_yet_is_found_by_where_it_comes_from() -> None:
    body = pod() | {"metadata": {"name": "app", "namespace": UNKNOWN}}
    stack = [make(DEPLOYMENT, body, metadata=urn(NAMESPACE)), make(NAMESPACE, namespace())]
    assert verdict("FJ-NSP-002", stack) is Verdict.PASS


@pytest.mark.parametrize(
    "policy",
    [
        network_policy(podSelector={"matchLabels": {"app": "one"}}),
        network_policy(egress=[{}]),
        network_policy(space="another"),
    ],
    ids=["selects some pods", "allows egress", "in another namespace"],
)
def test_a_policy_that_lets_something_through_is_no_default_deny(policy: Resource) -> None:
    assert verdict("FJ-NSP-002", [make(NAMESPACE, namespace()), policy]) is Verdict.FAIL


def test_two_policies_together_can_deny_both_directions() -> None:
    stack = [make(NAMESPACE, namespace()), network_policy(("Ingress",)), network_policy(("Egress",))]
    assert verdict("FJ-NSP-002", stack) is Verdict.PASS
