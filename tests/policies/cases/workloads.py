"""Pods: what passes, what fails, and what cannot be decided."""

from policies.making import DEPLOYMENT, Case, container, make, pod, pods

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
    Case("FJ-POD-008", [make(DEPLOYMENT, {})], [make("kubernetes:apps/v1:DeploymentPatch", {})], []),
]
