"""Pods: what their rules look through."""

from typing import Any

import pytest
from policies.making import BY_ID, DEPLOYMENT, container, make, pod, verdict

from falaj.policies.model import Context, Verdict, judge
from falaj.policies.pods import POD_TYPES
from falaj.policies.values import UNKNOWN

# Where an object of some type has its pods: "*" stands for one entry of a list, "name" for one of an object.
PLACES = {
    "kubernetes:core/v1:Pod": ["spec"],
    "kubernetes:core/v1:PodTemplate": ["template.spec"],
    "kubernetes:batch/v1:CronJob": ["spec.jobTemplate.spec.template.spec"],
    "kubernetes:jobset.x-k8s.io/v1alpha2:JobSet": ["spec.replicatedJobs.*.template.spec.template.spec"],
    "kubernetes:trainer.kubeflow.org/v1alpha1:TrainingRuntime": [
        "spec.template.spec.replicatedJobs.*.template.spec.template.spec"
    ],
    "kubernetes:kubeflow.org/v1:PyTorchJob": ["spec.pytorchReplicaSpecs.name.template.spec"],
    "kubernetes:kubeflow.org/v1:TFJob": ["spec.tfReplicaSpecs.name.template.spec"],
    "kubernetes:kubeflow.org/v1:JAXJob": ["spec.jaxReplicaSpecs.name.template.spec"],
    "kubernetes:kubeflow.org/v1:XGBoostJob": ["spec.xgbReplicaSpecs.name.template.spec"],
    "kubernetes:kubeflow.org/v1:PaddleJob": ["spec.paddleReplicaSpecs.name.template.spec"],
    "kubernetes:kubeflow.org/v2beta1:MPIJob": ["spec.mpiReplicaSpecs.name.template.spec"],
    "kubernetes:ray.io/v1:RayCluster": ["spec.headGroupSpec.template.spec", "spec.workerGroupSpecs.*.template.spec"],
    "kubernetes:ray.io/v1:RayJob": [
        "spec.rayClusterSpec.headGroupSpec.template.spec",
        "spec.rayClusterSpec.workerGroupSpecs.*.template.spec",
    ],
    "kubernetes:ray.io/v1:RayService": [
        "spec.rayClusterConfig.headGroupSpec.template.spec",
        "spec.rayClusterConfig.workerGroupSpecs.*.template.spec",
    ],
    "kubernetes:leaderworkerset.x-k8s.io/v1:LeaderWorkerSet": [
        "spec.leaderWorkerTemplate.leaderTemplate.spec",
        "spec.leaderWorkerTemplate.workerTemplate.spec",
    ],
}


@pytest.mark.parametrize("type_", POD_TYPES)
def test_one_view_finds_every_pod_in_every_type_that_makes_pods(type_: str) -> None:
    for place in PLACES.get(type_, ["spec.template.spec"]):
        body: Any = {"hostNetwork": True}
        for key in reversed(place.split(".")):
            body = [{}, body] if key == "*" else {key: body}
        assert verdict("FJ-POD-002", [make(type_, body)]) is Verdict.FAIL, place


@pytest.mark.parametrize("type_", ["kubernetes:ray.io/v1:RayCluster", "kubernetes:kubeflow.org/v1:PyTorchJob"])
def test_pods_whose_place_is_not_known_are_undetermined(type_: str) -> None:
    assert verdict("FJ-POD-002", [make(type_, {"spec": UNKNOWN})]) is Verdict.UNDETERMINED


def test_a_rollout_that_takes_the_template_of_a_deployment_makes_no_pods_of_its_own() -> None:
    rollout = make("kubernetes:argoproj.io/v1alpha1:Rollout", {"spec": {"workloadRef": {"name": "app"}}})
    assert verdict("FJ-POD-006", [rollout]) is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("kind", ["initContainers", "containers", "ephemeralContainers"])
def test_no_kind_of_container_is_overlooked(kind: str) -> None:
    unsafe = container(securityContext={"privileged": True})
    assert verdict("FJ-POD-001", [make(DEPLOYMENT, pod(**{kind: [unsafe]}))]) is Verdict.FAIL


def test_an_unknown_container_does_not_hide_an_unsafe_one() -> None:
    stack = [make(DEPLOYMENT, pod(UNKNOWN, container(securityContext={"privileged": True})))]  # type: ignore[arg-type]
    judgement = judge(BY_ID["FJ-POD-001"], stack[0], Context())
    assert judgement.verdict is Verdict.FAIL
    assert judgement.undecided


@pytest.mark.parametrize(
    "name",
    ["SECRET_NAME", "TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "SECRET_ARN", "PATH", "MAX_TOKENS", "TOKENIZER"],
)
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
