"""Pods: what their rules look through."""

from typing import Any

import pytest
from policies.making import BY_ID, DEPLOYMENT, container, make, pod, verdict

from falaj.policies.model import Context, Verdict, judge
from falaj.policies.rules.workloads import POD_TYPES, pod_spec
from falaj.policies.values import UNKNOWN


@pytest.mark.parametrize("type_", POD_TYPES)
def test_one_view_finds_the_pod_in_every_type_that_makes_pods(type_: str) -> None:
    body: Any = {"hostNetwork": True}
    path = pod_spec(make(type_, {})).path
    for key in reversed(path.split(".")):
        body = {key: body}
    assert verdict("FJ-POD-002", [make(type_, body)]) is Verdict.FAIL


@pytest.mark.parametrize("kind", ["initContainers", "containers", "ephemeralContainers"])
def test_no_kind_of_container_is_overlooked(kind: str) -> None:
    unsafe = container(securityContext={"privileged": True})
    assert verdict("FJ-POD-001", [make(DEPLOYMENT, pod(**{kind: [unsafe]}))]) is Verdict.FAIL


def test_an_unknown_container_does_not_hide_an_unsafe_one() -> None:
    stack = [make(DEPLOYMENT, pod(UNKNOWN, container(securityContext={"privileged": True})))]  # type: ignore[arg-type]
    judgement = judge(BY_ID["FJ-POD-001"], stack[0], Context())
    assert judgement.verdict is Verdict.FAIL
    assert judgement.undecided


@pytest.mark.parametrize("name", ["SECRET_NAME", "TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "SECRET_ARN", "PATH"])
def test_a_variable_that_only_says_where_a_secret_is_does_not_fail(name: str) -> None:
    stack = [make(DEPLOYMENT, pod(container(env=[{"name": name, "value": "/var/run/it"}])))]
    assert verdict("FJ-POD-007", stack) is Verdict.PASS


@pytest.mark.parametrize(
    "value",
    [
        "AKIA" + "A" * 16,
        "-----BEGIN RSA PRIVATE KEY-----",
        "postgres://user:word@db/app",
        "hvs." + "a" * 24,
    ],
)
def test_a_value_that_looks_like_a_secret_fails_whatever_its_name(value: str) -> None:
    stack = [make(DEPLOYMENT, pod(container(env=[{"name": "SETTING", "value": value}])))]
    assert verdict("FJ-POD-007", stack) is Verdict.FAIL


def test_a_secret_from_a_secret_reference_passes() -> None:
    reference = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    assert verdict("FJ-POD-007", [make(DEPLOYMENT, pod(container(env=[reference])))]) is Verdict.PASS
