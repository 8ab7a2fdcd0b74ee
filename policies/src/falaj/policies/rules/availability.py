"""Work that runs when it is needed and ends when it is done: resources, probes, spread, budgets, deadlines."""

from collections.abc import Iterator

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.namespaced import beside, namespace_of, near, selects
from falaj.policies.pods import pod_rule, pod_specs
from falaj.policies.values import View, any_of

_SERVING = (
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:argoproj.io/v1alpha1:Rollout",
)
_BUDGETS = ("kubernetes:policy/v1:PodDisruptionBudget",)
_JOB = "kubernetes:batch/v1:Job"
_CRON_JOB = "kubernetes:batch/v1:CronJob"
_KUBEFLOW_JOBS = tuple(
    f"kubernetes:kubeflow.org/{kind}"
    for kind in ("v1:PyTorchJob", "v1:TFJob", "v1:JAXJob", "v1:XGBoostJob", "v1:PaddleJob", "v2beta1:MPIJob")
)


@pod_rule(
    "FJ-POD-022",
    "Containers say what they need, and are held to it",
    Severity.MEDIUM,
    ("A.8.6", "CE-4"),
    "Set resources.requests for cpu and memory, and resources.limits for memory.",
)
def resources(pod: View) -> Checks:
    """A program that leaks memory is stopped alone, and the scheduler knows what fits."""
    for container in [*pod["initContainers"].each(), *pod["containers"].each()]:
        needs, bounds = container["resources"]["requests"], container["resources"]["limits"]
        # Where a request is left out, the limit stands for it.
        yield must(needs["cpu"].is_set() | bounds["cpu"].is_set(), "the container says no need of cpu")
        yield must(bounds["memory"].is_set(), "the container's memory has no bound")


@pod_rule(
    "FJ-POD-023",
    "Scratch space has a bound",
    Severity.LOW,
    ("A.8.6", "CE-4"),
    "Set sizeLimit of the emptyDir.",
)
def scratch(pod: View) -> Checks:
    """A node whose disk is full puts out every pod on it."""
    for volume in pod["volumes"].each():
        directory = volume["emptyDir"]
        present = directory.test(lambda _: True)
        yield never(present & ~directory["sizeLimit"].is_set(), "scratch space has no bound")


@rule(
    "FJ-POD-024",
    "Pods get requests when they are ready for them",
    Severity.MEDIUM,
    ("A.8.14", "A.8.16"),
    _SERVING,
    "Set readinessProbe on each container that has ports.",
)
def ready(resource: Resource, _: Context) -> Checks:
    """Without a probe every pod counts as ready, and an update goes on over pods that do not answer."""
    for pod in pod_specs(resource):
        for container in pod["containers"].each():
            yield must(container["readinessProbe"].is_set() | ~container["ports"].is_set(), "is not probed")


@rule(
    "FJ-POD-025",
    "Replicas do not stand on one node",
    Severity.MEDIUM,
    ("A.8.14",),
    _SERVING,
    "Set topologySpreadConstraints over zones, or podAntiAffinity.",
)
def spread(resource: Resource, _: Context) -> Checks:
    """Replicas that one failure takes are one replica."""
    several = resource["spec"]["replicas"].test(lambda count: count > 1)
    for pod in pod_specs(resource):
        apart = pod["topologySpreadConstraints"].is_set() | pod["affinity"]["podAntiAffinity"].is_set()
        yield must(apart | ~several, "nothing keeps the replicas apart")


@rule(
    "FJ-POD-026",
    "Replicas survive the drain of a node",
    Severity.MEDIUM,
    ("A.8.14", "A.8.32"),
    _SERVING,
    "Declare a PodDisruptionBudget that selects the pods.",
    reads=_BUDGETS,
)
def budgeted(resource: Resource, context: Context) -> Checks:
    """Nodes are drained at each update: without a budget all replicas may go at once."""
    several = resource["spec"]["replicas"].test(lambda count: count > 1)
    if several.truth is False:
        return
    labels = resource["spec"]["template"]["metadata"]["labels"]
    budgets = near(context.graph, _BUDGETS, namespace_of(resource))
    found = any_of(beside(resource, budget) & selects(budget["spec"]["selector"], labels) for budget in budgets)
    yield must(found | ~several, "no PodDisruptionBudget selects its pods")


@rule(
    "FJ-PDB-001",
    "Disruption budgets let nodes be drained",
    Severity.MEDIUM,
    ("A.8.8", "A.8.14", "CE-1"),
    _BUDGETS,
    "Set maxUnavailable to 1 or more, or minAvailable below the number of replicas.",
)
def drains(budget: Resource, _: Context) -> Checks:
    """A node that cannot be drained is never patched, nor given back."""
    spec = budget["spec"]
    yield never(spec["maxUnavailable"].test(lambda bound: str(bound) in ("0", "0.0", "0%")), "nothing may ever stop")
    yield never(spec["minAvailable"].equals("100%"), "nothing may ever stop")


@rule(
    "FJ-JOB-001",
    "Jobs end",
    Severity.MEDIUM,
    ("CE-1", "A.8.6"),
    (_JOB, _CRON_JOB, *_KUBEFLOW_JOBS),
    "Set activeDeadlineSeconds, and ttlSecondsAfterFinished.",
)
def deadlines(job: Resource, _: Context) -> Checks:
    """A job that hangs holds its machines until somebody looks; one that is done is in the way until it is removed."""
    for spec in _job_specs(job):
        yield must(spec["activeDeadlineSeconds"].is_set(), "may run for ever")
        # A CronJob removes its jobs by its history.
        if job.type != _CRON_JOB:
            yield must(spec["ttlSecondsAfterFinished"].is_set(), "stays for ever when it is done")


def _job_specs(job: Resource) -> Iterator[View]:
    if job.type == _JOB:
        yield job["spec"]
    elif job.type == _CRON_JOB:
        yield job["spec"]["jobTemplate"]["spec"]
    else:
        yield job["spec"]["runPolicy"]


@rule(
    "FJ-JOB-002",
    "Repeated jobs do not pile up",
    Severity.LOW,
    ("A.8.6", "CE-4"),
    (_CRON_JOB,),
    "Set concurrencyPolicy to Forbid or Replace.",
)
def overlap(job: Resource, _: Context) -> Checks:
    """Allow is the default: a job that takes longer than its turn meets itself."""
    yield must(job["spec"]["concurrencyPolicy"].among(("Forbid", "Replace")), "starts beside one that still runs")


RULES: tuple[Rule, ...] = (
    resources,
    scratch,
    ready,
    spread,
    budgeted,
    drains,
    deadlines,
    overlap,
)
