"""The Kubernetes objects of a simulated cluster: its nodes, its tenants with their queues, and their jobs."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from falaj.lab.simulation.scenario import Pool, Scenario, Tenant
from falaj.lab.simulation.trace import TraceJob

Manifest = dict[str, Any]
GPU = "nvidia.com/gpu"
KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
COHORT = "falaj"
QUEUE = "default"
DELAY = "pod-complete.stage.kwok.x-k8s.io/delay"
HOST = "kubernetes.io/hostname"
JITTER = "pod-complete.stage.kwok.x-k8s.io/jitter-delay"
NEAR = "kueue.x-k8s.io/podset-preferred-topology"
ANYWHERE = "kueue.x-k8s.io/podset-unconstrained-topology"
ZONE = "topology.kubernetes.io/zone"


# As the platform has it: a tenant takes back what others borrow of its share, whatever their work; within a
# tenant the tiers rule; and nothing is displaced while another pool has room.
PREEMPTION: Manifest = {
    "withinClusterQueue": "LowerPriority",
    "reclaimWithinCohort": "Any",
    "borrowWithinCohort": {"policy": "Never"},
}
FUNGIBILITY: Manifest = {
    "whenCanBorrow": "TryNextFlavor",
    "whenCanPreempt": "TryNextFlavor",
    "preference": "BorrowingOverPreemption",
}


def nodes(pool: Pool) -> list[Manifest]:
    """Return a pool's nodes, spread over its zones."""
    return [_node(pool, number) for number in range(pool.nodes)]


def _node(pool: Pool, number: int) -> Manifest:
    name = f"{pool.name}-{number:04d}"
    labels = {"pool": pool.name, HOST: name, ZONE: pool.zones[number % len(pool.zones)]}
    capacity = {"cpu": "192", "memory": "2Ti", "pods": "110", GPU: str(pool.gpus_per_node)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def quotas(scenario: Scenario, pool: Pool) -> dict[str, int]:
    """Return each tenant's nominal GPUs of a pool: by share, whole ones, and together exactly the pool's."""
    exact = {tenant.name: pool.gpus * tenant.share / scenario.share_sum for tenant in scenario.tenants}
    whole = {name: math.floor(gpus) for name, gpus in exact.items()}
    by_rest = sorted(exact, key=lambda name: (whole[name] - exact[name], name))
    for name in by_rest[: pool.gpus - sum(whole.values())]:
        whole[name] += 1
    return whole


def cluster(scenario: Scenario) -> Iterator[tuple[str, Manifest]]:
    """Yield what has to be there before the first job, as pairs of a collection's path and an object."""
    for tier, priority in scenario.tiers.items():
        yield f"{KUEUE}/workloadpriorityclasses", _kueue("WorkloadPriorityClass", tier, value=priority)
    for pool in scenario.pools:
        spec: Manifest = {"nodeLabels": {"pool": pool.name}}
        if scenario.topology:
            levels = [{"nodeLabel": ZONE}, {"nodeLabel": HOST}]
            yield f"{KUEUE}/topologies", _kueue("Topology", pool.name, spec={"levels": levels})
            spec["topologyName"] = pool.name
        yield f"{KUEUE}/resourceflavors", _kueue("ResourceFlavor", pool.name, spec=spec)
    yield f"{KUEUE}/cohorts", _kueue("Cohort", COHORT, spec={})
    for department in sorted({tenant.department for tenant in scenario.tenants} - {""}):
        weight = sum(tenant.share for tenant in scenario.tenants if tenant.department == department)
        spec = {"parentName": COHORT, "fairSharing": {"weight": f"{weight:g}"}}
        yield f"{KUEUE}/cohorts", _kueue("Cohort", department, spec=spec)
    by_pool = {pool.name: quotas(scenario, pool) for pool in scenario.pools}
    for tenant in scenario.tenants:
        yield "/api/v1/namespaces", _namespace(tenant)
        quota = {pool: numbers[tenant.name] for pool, numbers in by_pool.items()}
        yield f"{KUEUE}/clusterqueues", _cluster_queue(tenant, quota)
    for tenant in scenario.tenants:
        queue = _kueue("LocalQueue", QUEUE, spec={"clusterQueue": tenant.name})
        yield f"{KUEUE}/namespaces/{tenant.name}/localqueues", queue


def _namespace(tenant: Tenant) -> Manifest:
    labels = {"falaj.dev/tenant": tenant.name, **{f"tier.falaj.dev/{tier}": "allowed" for tier in tenant.tiers}}
    if tenant.department:
        labels["falaj.dev/department"] = tenant.department
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": tenant.name, "labels": labels}}


def _cluster_queue(tenant: Tenant, quota: Mapping[str, int]) -> Manifest:
    flavors = [{"name": pool, "resources": [{"name": GPU, "nominalQuota": str(gpus)}]} for pool, gpus in quota.items()]
    spec = {
        "cohortName": tenant.department or COHORT,
        "namespaceSelector": {"matchLabels": {"falaj.dev/tenant": tenant.name}},
        "queueingStrategy": "BestEffortFIFO",
        "resourceGroups": [{"coveredResources": [GPU], "flavors": flavors}],
        "preemption": PREEMPTION,
        "flavorFungibility": FUNGIBILITY,
        "fairSharing": {"weight": f"{tenant.share:g}"},
    }
    return _kueue("ClusterQueue", tenant.name, spec=spec)


def _kueue(kind: str, name: str, **more: Any) -> Manifest:
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": {"name": name}, **more}


def job(traced: TraceJob, scale: float, began: float, *, checkpoint_minutes: float, topology: bool) -> Manifest:
    """Return a trace's job; its deadline is an hour on the clock, ``began`` that of the beginning of the run."""
    real = max(traced.seconds / scale, 0.1)
    annotations = {
        "falaj.dev/expected-seconds": f"{real:.1f}",
        "falaj.dev/checkpoint-seconds": f"{max(checkpoint_minutes * 60 / scale, 1):.1f}",
    }
    if traced.deadline is not None:
        due = datetime.fromtimestamp(began + traced.deadline / scale, UTC)
        annotations["falaj.dev/deadline"] = due.isoformat(timespec="seconds").replace("+00:00", "Z")
    places = {} if not topology else {NEAR: ZONE} if traced.pods > 1 else {ANYWHERE: "true"}
    limits = {GPU: str(traced.gpus_per_pod)}
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [{"name": "work", "image": "simulated", "resources": {"limits": limits}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": traced.name,
            "namespace": traced.tenant,
            "labels": {"kueue.x-k8s.io/queue-name": QUEUE, "kueue.x-k8s.io/priority-class": traced.tier},
            "annotations": annotations,
        },
        "spec": {
            "suspend": True,
            "parallelism": traced.pods,
            "completions": traced.pods,
            # Pods that go with their node are no fault of the job's.
            "backoffLimit": 1000,
            "template": {"metadata": {"annotations": {**delay(real), **places}}, "spec": pod},
        },
    }


def first_pods(annotations: Mapping[str, str]) -> list[Manifest]:
    """Return the steps of a patch that annotate the pods of a Workload."""
    place = "/spec/podSets/0/template/metadata/annotations"
    return [
        {"op": "add", "path": f"{place}/{name.replace('~', '~0').replace('/', '~1')}", "value": value}
        for name, value in annotations.items()
    ]


def delay(seconds: float) -> dict[str, str]:
    """Return the annotations by which KWOK ends a pod after so many seconds, and not at random."""
    return {DELAY: f"{seconds:.3f}s", JITTER: f"{seconds:.3f}s"}
