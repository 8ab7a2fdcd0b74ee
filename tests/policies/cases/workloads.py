"""Pods: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import DEPLOYMENT, Case, container, make, pod, pods, simple

from falaj.policies.values import UNKNOWN

CASES = [
    pods(
        "FJ-POD-001",
        pod(container(securityContext={"privileged": True})),
        pod(container(securityContext={"privileged": UNKNOWN})),
    ),
    pods("FJ-POD-002", pod(hostPID=True), pod(volumes=[{"hostPath": UNKNOWN}])),
    pods(
        "FJ-POD-003",
        pod(container(securityContext={"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}})),
        pod(container(securityContext={"capabilities": {"drop": [UNKNOWN]}})),
    ),
    pods(
        "FJ-POD-004",
        pod(container(securityContext={"runAsNonRoot": False}), securityContext={"runAsNonRoot": True}),
        pod(container(securityContext={"runAsUser": UNKNOWN})),
    ),
    pods("FJ-POD-005", pod(container(image="registry.example/app:1.0")), pod(container(image=UNKNOWN))),
    pods("FJ-POD-006", pod(automountServiceAccountToken=True), pod(automountServiceAccountToken=UNKNOWN)),
    pods(
        "FJ-POD-007",
        pod(container(env=[{"name": "DB_PASSWORD", "value": "hunter2"}])),
        pod(container(env=[{"name": "DB_PASSWORD", "value": UNKNOWN}])),
    ),
    pods("FJ-POD-009", pod(container(image="app@sha256:" + "0" * 64)), pod(container(image=UNKNOWN))),
    simple(
        "FJ-POD-009",
        "kubernetes:serving.knative.dev/v1:Service",
        pod(),
        pod(container(image="library/app@sha256:" + "0" * 64)),
        {"spec": UNKNOWN},
    ),
    Case(
        "FJ-POD-009",
        [make(DEPLOYMENT, pod())],
        [make(DEPLOYMENT, pod(container(image="registry.example.org/app")))],
        [make(DEPLOYMENT, pod(container(image=UNKNOWN)))],
        {"registries": ["registry.example"]},
    ),
    Case("FJ-POD-008", [make(DEPLOYMENT, {})], [make("kubernetes:apps/v1:DeploymentPatch", {})], []),
]

_CONTAINER: list[str | int] = ["spec", "template", "spec", "containers", 0]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("Deployment", [*_CONTAINER, "securityContext", "allowPrivilegeEscalation"], True, {"FJ-POD-001"}),
    ("Deployment", [*_CONTAINER, "securityContext", "allowPrivilegeEscalation"], None, {"FJ-POD-001"}),
    ("Deployment", ["spec", "template", "spec", "hostPID"], True, {"FJ-POD-002"}),
    ("Deployment", ["spec", "template", "spec", "hostIPC"], True, {"FJ-POD-002"}),
    ("Deployment", [*_CONTAINER, "ports"], [{"containerPort": 8000, "hostPort": 8000}], {"FJ-POD-002"}),
    ("Deployment", [*_CONTAINER, "securityContext", "capabilities"], None, {"FJ-POD-003"}),
    ("Deployment", [*_CONTAINER, "env"], [{"name": "SETTING", "value": "hvs." + "a" * 24}], {"FJ-POD-007"}),
]
