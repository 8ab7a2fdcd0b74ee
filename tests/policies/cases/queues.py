"""Scarce machines: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import DEPLOYMENT, NAMESPACE, Case, container, make, namespace, pod, simple

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

GROUPS = ["kubernetes:kueue.x-k8s.io/v1beta1", "kubernetes:kueue.x-k8s.io/v1beta2"]
POOL = "kubernetes:karpenter.sh/v1:NodePool"
CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
RAY = "kubernetes:ray.io/v1:RayCluster"


def spec(**parts: Any) -> dict[str, Any]:
    """Return an object with a specification."""
    return {"metadata": {"name": "it"}, "spec": parts}


def work(amount: Any, labels: Any = None) -> dict[str, Any]:
    """Return work that asks for GPUs."""
    body = pod(container(resources={"limits": {"nvidia.com/gpu": amount}}))
    return body | {"metadata": {"name": "app", "namespace": "team", "labels": labels or {}}}


def on_ray(amount: Any) -> dict[str, Any]:
    """Return a Ray cluster whose workers ask for GPUs."""
    template = work(amount)["spec"]["template"]
    return {"metadata": {"namespace": "team"}, "spec": {"workerGroupSpecs": [{"template": template}]}}


def queue(name: Any = "default", group: str = GROUPS[1]) -> Resource:
    """Return a tenant's queue."""
    return make(f"{group}:LocalQueue", {"metadata": {"name": name, "namespace": "team"}}, name="queue")


TEAM = make(NAMESPACE, namespace(), name="team")
QUEUE = "kueue.x-k8s.io/queue-name"
EBS = {"encrypted": True, "kmsKeyID": "arn:aws:kms:me-central-1:123456789012:key/one"}
CASES: list[Case] = [
    *(
        case
        for group in GROUPS
        for case in (
            simple(
                "FJ-QUE-001",
                f"{group}:ClusterQueue",
                spec(namespaceSelector={"matchLabels": {"team": "one"}}),
                spec(namespaceSelector={}),
                spec(namespaceSelector=UNKNOWN),
            ),
            simple(
                "FJ-QUE-003",
                f"{group}:ClusterQueue",
                spec(preemption={"borrowWithinCohort": {"policy": "LowerPriority", "maxPriorityThreshold": 100}}),
                spec(preemption={"borrowWithinCohort": {"policy": "LowerPriority"}}),
                spec(preemption={"borrowWithinCohort": UNKNOWN}),
            ),
            simple(
                "FJ-QUE-004",
                f"{group}:ResourceFlavor",
                spec(nodeLabels={"pool": "training"}),
                spec(),
                spec(nodeLabels=UNKNOWN),
            ),
            Case(
                "FJ-QUE-005",
                [make(DEPLOYMENT, work("1")), queue(group=group), TEAM],
                [make(DEPLOYMENT, work("1")), queue("another", group=group), TEAM],
                [make(DEPLOYMENT, work("1")), queue(UNKNOWN, group=group), TEAM],
            ),
        )
    ),
    *(
        simple(
            "FJ-QUE-002",
            f"{group}:ClusterQueue",
            spec(**cohort, preemption={"reclaimWithinCohort": "Any"}),
            spec(**cohort),
            spec(**cohort, preemption={"reclaimWithinCohort": UNKNOWN}),
        )
        for group, cohort in zip(GROUPS, ({"cohort": "all"}, {"cohortName": "all"}), strict=True)
    ),
    simple("FJ-QUE-002", f"{GROUPS[1]}:ClusterQueue", spec(), spec(cohortName="all"), spec(cohortName=UNKNOWN)),
    Case(
        "FJ-QUE-005",
        [make(DEPLOYMENT, work("1", {QUEUE: "mine"})), TEAM],
        [make(DEPLOYMENT, work("1")), TEAM],
        [make(DEPLOYMENT, work("1"))],
    ),
    Case(
        "FJ-QUE-005",
        [make(DEPLOYMENT, work("0")), TEAM],
        [make(DEPLOYMENT, work(2.0)), TEAM],
        [make(DEPLOYMENT, work(UNKNOWN)), TEAM],
    ),
    Case(
        "FJ-QUE-005",
        [make(RAY, on_ray("8")), queue(), TEAM],
        [make(RAY, on_ray("8")), TEAM],
        [make(RAY, {"metadata": {"namespace": "team"}, "spec": UNKNOWN}), TEAM],
    ),
    *(
        simple("FJ-KRP-001", POOL, spec(limits={"cpu": 64}), bad, spec(limits=UNKNOWN))
        for bad in (spec(), spec(limits={"cpu": 64}, disruption={"consolidateAfter": "Never"}))
    ),
    *(
        simple("FJ-KRP-002", CLASS, spec(), spec(metadataOptions=bad), spec(metadataOptions=UNKNOWN))
        for bad in ({"httpTokens": "optional"}, {"httpTokens": "required", "httpPutResponseHopLimit": 2})
    ),
    simple(
        "FJ-KRP-003",
        CLASS,
        spec(amiSelectorTerms=[{"alias": "al2023@v20261106"}, {"id": "ami-1"}]),
        spec(amiSelectorTerms=[{"alias": "al2023@latest"}]),
        spec(amiSelectorTerms=[{"alias": UNKNOWN}]),
    ),
    simple(
        "FJ-KRP-003",
        CLASS,
        spec(amiSelectorTerms=[{"id": "ami-1"}]),
        spec(amiSelectorTerms=[{"tags": {"team": "one"}}]),
        spec(amiSelectorTerms=UNKNOWN),
    ),
    *(
        simple(
            "FJ-KRP-004",
            CLASS,
            spec(blockDeviceMappings=[{"ebs": EBS}]),
            bad,
            spec(blockDeviceMappings=[{"ebs": EBS | {"encrypted": UNKNOWN}}]),
        )
        for bad in (spec(), spec(blockDeviceMappings=[{"ebs": EBS}, {"ebs": {"encrypted": True}}]))
    ),
]

_QUEUE, _FLAVOR, _LOCAL = (f"{GROUPS[1]}:{kind}" for kind in ("ClusterQueue", "ResourceFlavor", "LocalQueue"))
_PREEMPTION: list[str | int] = ["spec", "preemption"]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (_QUEUE, ["spec", "namespaceSelector"], {}, {"FJ-QUE-001"}),
    (_QUEUE, [*_PREEMPTION, "reclaimWithinCohort"], "Never", {"FJ-QUE-002"}),
    (_QUEUE, [*_PREEMPTION, "borrowWithinCohort"], {"policy": "LowerPriority"}, {"FJ-QUE-003"}),
    (_FLAVOR, ["spec", "nodeLabels"], {}, {"FJ-QUE-004"}),
    (_LOCAL, ["metadata", "name"], "another", {"FJ-QUE-005"}),
]
