"""Rights inside a cluster: what their rules look through."""

import pytest
from policies.cases.accounts import bound, endless
from policies.cases.rbac import BINDING, CLUSTER_ROLE, ROLE, granting, to
from policies.making import make, verdict

from falaj.policies.model import Resource, Verdict
from falaj.policies.values import UNKNOWN


@pytest.mark.parametrize("rule", ["FJ-RBC-005", "FJ-RBC-006", "FJ-RBC-007", "FJ-RBC-009"])
def test_a_role_of_one_namespace_may_do_there_what_no_role_may_everywhere(rule: str) -> None:
    granted = granting(["secrets", "pods/exec"], ["get", "create"])
    assert verdict(rule, [make(ROLE, granted)]) is Verdict.NOT_APPLICABLE


def test_a_wildcard_is_told_by_the_rule_about_wildcards_alone() -> None:
    every = [make(CLUSTER_ROLE, granting(["*"], ["*"]))]
    failed = {rule for rule in (f"FJ-RBC-{number:03}" for number in range(1, 10)) if _fails(rule, every)}
    assert failed == {"FJ-RBC-001", "FJ-RBC-003"}


def _fails(rule: str, stack: list[Resource]) -> bool:
    return verdict(rule, stack) is Verdict.FAIL


def test_a_right_on_named_objects_is_no_right_on_all() -> None:
    named = granting(["secrets"], ["get"], resourceNames=["one"])
    assert verdict("FJ-RBC-005", [make(CLUSTER_ROLE, named)]) is Verdict.PASS
    unknown = granting(["secrets"], ["get"], resourceNames=UNKNOWN)
    assert verdict("FJ-RBC-005", [make(CLUSTER_ROLE, unknown)]) is Verdict.UNDETERMINED


def test_namespaces_of_shared_controllers_can_be_named() -> None:
    stack = [make(BINDING, to("watcher", namespace="operators"))]
    assert verdict("FJ-RBC-010", stack) is Verdict.FAIL
    assert verdict("FJ-RBC-010", stack, platformNamespaces=["operators"]) is Verdict.PASS


def test_people_and_groups_live_in_no_namespace() -> None:
    assert verdict("FJ-RBC-010", [make(BINDING, to("viewers", "Group"))]) is Verdict.PASS


def test_an_endless_token_of_another_account_of_that_name_does_not_matter() -> None:
    stack = [endless(), bound("system:auth-delegator"), bound("cluster-admin", namespace="another")]
    assert verdict("FJ-SAC-002", stack) is Verdict.PASS
