"""Selectors choose pods as Kubernetes does, and objects are known to lie together before names are known."""

import pytest
from policies.making import DEPLOYMENT, NAMESPACE, NETWORK_POLICY, make, urn

from falaj.policies.namespaced import beside, selects
from falaj.policies.values import UNKNOWN, View

LABELS = {"app": "one", "tier": "batch"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        (None, False),
        ({"matchLabels": {"app": "one"}}, True),
        ({"matchLabels": {"app": "two"}}, False),
        ({"matchLabels": {"other": "one"}}, False),
        ({"matchLabels": {"app": UNKNOWN}}, None),
        ({"matchLabels": UNKNOWN}, None),
        ({"matchLabels": {"app": "two"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]}, False),
        ({"matchLabels": {"app": "one"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]}, None),
        (UNKNOWN, None),
    ],
)
def test_a_selector_chooses_by_its_labels_and_leaves_expressions_open(selector: object, expected: bool | None) -> None:
    assert selects(View(selector), View(LABELS)).truth is expected


def test_objects_whose_unknown_namespace_is_the_same_lie_together() -> None:
    unknown = {"metadata": {"namespace": UNKNOWN}}
    one = make(DEPLOYMENT, unknown, metadata=urn(NAMESPACE))
    assert beside(one, make(NETWORK_POLICY, unknown, metadata=urn(NAMESPACE))).truth is True
    assert beside(one, make(NETWORK_POLICY, unknown, metadata=urn(NAMESPACE, "another"))).truth is None
    assert beside(one, make(NETWORK_POLICY, unknown)).truth is None
