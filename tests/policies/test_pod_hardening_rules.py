"""Pods: what the rules over sandboxes, secrets and availability look through."""

import pytest
from policies.cases.availability import BUDGET, budget, choosing, replicas
from policies.cases.sandbox import secured
from policies.making import DEPLOYMENT, NAMESPACE, container, make, pod, urn, verdict

from falaj.policies.model import Verdict
from falaj.policies.values import UNKNOWN


def test_a_container_s_own_profile_comes_before_its_pod_s() -> None:
    profile = {"type": "RuntimeDefault"}
    body = secured(of_pod={"seccompProfile": {"type": "Unconfined"}}, seccompProfile=profile)
    assert verdict("FJ-POD-010", [make(DEPLOYMENT, body)]) is Verdict.PASS


def test_the_lowest_user_can_be_set() -> None:
    stack = [make(DEPLOYMENT, secured(runAsUser=1000))]
    assert verdict("FJ-POD-014", stack) is Verdict.FAIL
    assert verdict("FJ-POD-014", stack, lowestUser=1000) is Verdict.PASS


@pytest.mark.parametrize("kind", ["kubernetes:core/v1:Pod", "kubernetes:apps/v1:DaemonSet"])
def test_what_the_scheduler_or_an_agent_must_have_is_not_judged(kind: str) -> None:
    rule = "FJ-POD-017" if kind.endswith("Pod") else "FJ-POD-016"
    body = {"nodeName": "one", "tolerations": [{"operator": "Exists"}]}
    spec = {"spec": body} if kind.endswith("Pod") else {"spec": {"template": {"spec": body}}}
    assert verdict(rule, [make(kind, spec)]) is Verdict.NOT_APPLICABLE


def test_a_flag_whose_word_is_a_reference_or_a_file_holds_no_secret() -> None:
    for word in ("$(PASSWORD)", "/etc/password", "--verbose"):
        body = pod(container(args=["--password", word]))
        assert verdict("FJ-POD-019", [make(DEPLOYMENT, body)]) is Verdict.PASS, word


def test_a_sub_path_of_settings_is_no_secret_s() -> None:
    mount = {"name": "it", "mountPath": "/etc/it", "subPath": "one"}
    body = pod(container(volumeMounts=[mount]), volumes=[{"name": "it", "configMap": {"name": "settings"}}])
    assert verdict("FJ-POD-020", [make(DEPLOYMENT, body)]) is not Verdict.FAIL


def test_a_limit_stands_for_a_request_that_is_left_out() -> None:
    body = pod(container(resources={"limits": {"cpu": "1", "memory": "1Gi"}}))
    assert verdict("FJ-POD-022", [make(DEPLOYMENT, body)]) is Verdict.PASS


def test_a_container_without_ports_needs_no_probe() -> None:
    assert verdict("FJ-POD-024", [make(DEPLOYMENT, pod(container()))]) is Verdict.PASS


def test_a_budget_is_found_before_the_namespace_is_known() -> None:
    body = replicas(2) | {"metadata": {"namespace": UNKNOWN}}
    spec = {"metadata": {"namespace": UNKNOWN}, "spec": choosing("one")}
    ours = make(BUDGET, spec, name="budget", metadata=urn(NAMESPACE))
    theirs = make(BUDGET, spec, name="budget", metadata=urn(NAMESPACE, "another"))
    work = make(DEPLOYMENT, body, metadata=urn(NAMESPACE))
    assert verdict("FJ-POD-026", [work, ours]) is Verdict.PASS
    assert verdict("FJ-POD-026", [work, theirs]) is Verdict.UNDETERMINED


def test_a_budget_that_selects_every_pod_selects_these() -> None:
    stack = [make(DEPLOYMENT, replicas(2)), budget({"selector": {}, "maxUnavailable": 1})]
    assert verdict("FJ-POD-026", stack) is Verdict.PASS
