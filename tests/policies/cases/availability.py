"""Work that runs when it is needed and ends when it is done: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import DEPLOYMENT, Case, container, make, pod, simple

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

STATEFUL = "kubernetes:apps/v1:StatefulSet"
ROLLOUT = "kubernetes:argoproj.io/v1alpha1:Rollout"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
JOB = "kubernetes:batch/v1:Job"
CRON_JOB = "kubernetes:batch/v1:CronJob"
TRAINING = "kubernetes:kubeflow.org/v1:PyTorchJob"
NEEDS = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
PORTS = [{"containerPort": 8080}]
PROBE = {"httpGet": {"path": "/ready", "port": 8080}}
ENDS = {"activeDeadlineSeconds": 3600, "ttlSecondsAfterFinished": 600}


def replicas(count: Any, **changes: Any) -> dict[str, Any]:
    """Return so many replicas of a pod that is labelled app=one."""
    body = pod(**changes)
    labels = {"metadata": {"labels": {"app": "one"}}}
    return body | {"spec": {"replicas": count, "template": body["spec"]["template"] | labels}}


def budget(spec: dict[str, Any], namespace: str = "team") -> Resource:
    """Return a disruption budget."""
    return make(BUDGET, {"metadata": {"name": "one", "namespace": namespace}, "spec": spec}, name="budget")


def choosing(value: Any) -> dict[str, Any]:
    """Return the specification of a budget for pods with this label."""
    return {"maxUnavailable": 1, "selector": {"matchLabels": {"app": value}}}


SPREAD = [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1}]
ANTI = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}}
CASES: list[Case] = [
    *(
        simple(
            "FJ-POD-022",
            DEPLOYMENT,
            pod(container(resources=NEEDS)),
            pod(container(resources=bad)),
            pod(container(resources=NEEDS | {"limits": UNKNOWN})),
        )
        for bad in ({"requests": {"cpu": "1", "memory": "1Gi"}}, {"limits": {"memory": "1Gi"}})
    ),
    simple(
        "FJ-POD-023",
        DEPLOYMENT,
        pod(volumes=[{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]),
        pod(volumes=[{"name": "tmp", "emptyDir": {}}]),
        pod(volumes=[{"name": "tmp", "emptyDir": {"sizeLimit": UNKNOWN}}]),
    ),
    *(
        simple(
            "FJ-POD-024",
            type_,
            pod(container(ports=PORTS, readinessProbe=PROBE), container()),
            pod(container(ports=PORTS)),
            pod(container(ports=PORTS, readinessProbe=UNKNOWN)),
        )
        for type_ in (DEPLOYMENT, STATEFUL, ROLLOUT)
    ),
    *(
        simple(
            "FJ-POD-025",
            type_,
            replicas(2, topologySpreadConstraints=SPREAD),
            replicas(2),
            replicas(UNKNOWN),
        )
        for type_ in (DEPLOYMENT, STATEFUL, ROLLOUT)
    ),
    simple("FJ-POD-025", DEPLOYMENT, replicas(3, affinity=ANTI), replicas(3), replicas(3, affinity=UNKNOWN)),
    *(
        Case(
            "FJ-POD-026",
            [make(type_, replicas(2)), budget(choosing("one"))],
            [make(type_, replicas(2)), budget(choosing("another")), budget(choosing("one"), "elsewhere")],
            [make(type_, replicas(2)), budget(choosing(UNKNOWN))],
        )
        for type_ in (DEPLOYMENT, STATEFUL, ROLLOUT)
    ),
    Case("FJ-POD-026", [make(DEPLOYMENT, replicas(1))], [make(DEPLOYMENT, replicas(2))], []),
    *(
        simple(
            "FJ-PDB-001", BUDGET, {"spec": {"minAvailable": 1}}, {"spec": bad}, {"spec": {"maxUnavailable": UNKNOWN}}
        )
        for bad in ({"maxUnavailable": 0.0}, {"maxUnavailable": "0%"}, {"minAvailable": "100%"})
    ),
    simple("FJ-JOB-001", JOB, {"spec": ENDS}, {"spec": {"activeDeadlineSeconds": 60}}, {"spec": UNKNOWN}),
    simple(
        "FJ-JOB-001",
        CRON_JOB,
        {"spec": {"jobTemplate": {"spec": {"activeDeadlineSeconds": 60}}}},
        {"spec": {"jobTemplate": {"spec": {}}}},
        {"spec": {"jobTemplate": UNKNOWN}},
    ),
    simple("FJ-JOB-001", TRAINING, {"spec": {"runPolicy": ENDS}}, {"spec": {}}, {"spec": {"runPolicy": UNKNOWN}}),
    simple(
        "FJ-JOB-002",
        CRON_JOB,
        {"spec": {"concurrencyPolicy": "Forbid"}},
        {"spec": {"schedule": "0 1 * * *"}},
        {"spec": {"concurrencyPolicy": UNKNOWN}},
    ),
]

_POD: list[str | int] = ["spec", "template", "spec"]
_CONTAINER: list[str | int] = [*_POD, "containers", 0]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("Deployment", [*_CONTAINER, "resources", "limits"], None, {"FJ-POD-022"}),
    ("Deployment", [*_CONTAINER, "resources", "requests"], None, {"FJ-POD-022"}),
    ("Deployment", [*_POD, "volumes"], [{"name": "scratch", "emptyDir": {}}], {"FJ-POD-023"}),
    ("Deployment", [*_CONTAINER, "readinessProbe"], None, {"FJ-POD-024"}),
    ("Deployment", [*_POD, "topologySpreadConstraints"], None, {"FJ-POD-025"}),
    ("PodDisruptionBudget", ["spec", "selector"], {"matchLabels": {"app": "another"}}, {"FJ-POD-026"}),
    ("PodDisruptionBudget", ["metadata", "namespace"], "elsewhere", {"FJ-POD-026"}),
    ("PodDisruptionBudget", ["spec", "maxUnavailable"], 0, {"FJ-PDB-001"}),
]
