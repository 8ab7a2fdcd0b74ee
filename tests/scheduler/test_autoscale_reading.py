"""Pods, nodes and Workloads as the API server tells of them, turned into pools and work."""

from typing import Any

import pytest

from falaj.scheduler.autoscale_policy import Policy, PoolPolicy
from falaj.scheduler.autoscale_reading import (
    CONDEMNED,
    EMPTY,
    Found,
    Queues,
    amount,
    found,
    keep_pod,
    keep_workload,
    units_of,
)

GPU = "nvidia.com/gpu"
POLICY = Policy("falaj", {"gpu": PoolPolicy("gpu", GPU, 8, 100, node_group="group", flavor="h200")})
WHEN = "2030-01-01T00:00:00Z"
THEN = 1893456000.0


def pod(name: str, gpus: int = 8, node: str = "", owner: str = "job-1", **more: Any) -> dict[str, Any]:
    container = {"name": "main", "resources": {"limits": {GPU: str(gpus)}, "requests": {GPU: str(gpus)}}}
    metadata = {"name": name, "uid": name, "ownerReferences": [{"kind": more.pop("kind", "Job"), "uid": owner}]}
    return {
        "metadata": metadata | more.pop("metadata", {}),
        "spec": {"containers": [container], **({"nodeName": node} if node else {}), **more},
    }


def node(name: str, **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "labels": {"eks.amazonaws.com/nodegroup": "group"},
            "creationTimestamp": WHEN,
            "annotations": annotations,
        },
        "spec": {"providerID": f"aws:///me-central-1a/i-{name}"},
        "status": {"allocatable": {GPU: "8"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def condition(kind: str, status: str = "True", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "message": message, "lastTransitionTime": WHEN}


def workload(*conditions: dict[str, str], flavor: str = "h200", admitted: bool = True, **spec: Any) -> dict[str, Any]:
    assignment = {"name": "main", "flavors": {GPU: flavor}, "count": 2}
    status: dict[str, Any] = {"conditions": [*conditions]}
    if admitted:
        status["admission"] = {"clusterQueue": "vision", "podSetAssignments": [assignment]}
    return {
        "metadata": {
            "namespace": "vision",
            "name": "job-train",
            "uid": "w-1",
            "creationTimestamp": WHEN,
            "ownerReferences": [{"kind": "Job", "uid": "job-1"}],
        },
        "spec": {
            "queueName": "default",
            "priorityClassRef": {"name": "batch"},
            "podSets": [{"name": "main", "count": 2, "template": pod("template")}],
            **spec,
        },
        "status": status,
    }


def queues(topology: str | None = None) -> Queues:
    return Queues(
        [
            {
                "metadata": {"name": "vision"},
                "spec": {"resourceGroups": [{"flavors": [{"name": "cpu"}, {"name": "h200"}]}]},
            }
        ],
        [{"metadata": {"namespace": "vision", "name": "default"}, "spec": {"clusterQueue": "vision"}}],
        [
            {"metadata": {"name": "cpu"}, "spec": {"topologyName": topology}},
            {"metadata": {"name": "h200"}, "spec": {"topologyName": topology, "nodeLabels": {"pool": "gpu"}}},
        ],
    )


def read(*pods: dict[str, Any], work: dict[str, Any] | None = None, nodes: Any = (), topology: str = "") -> Found:
    given = keep_workload(work or workload(condition("QuotaReserved"), condition("Admitted")))
    kept = [each for each in map(keep_pod, pods) if each]
    return found(
        POLICY, nodes, kept, [given] if given else [], queues=queues(topology or None), centres={"vision": "cc-1"}
    )


def test_an_admitted_works_pods_are_placed_or_not():
    (work,) = read(pod("a"), pod("b", node="n0"), pod("c", owner="another")).works
    assert (work.key, work.pool, work.tenant, work.tier) == ("vision/job-train", "gpu", "vision", "batch")
    assert (work.unplaced, work.placed, work.since, work.cost_centre) == ((8,), 8, THEN, "cc-1")


def test_pods_that_are_still_to_be_made_ask_for_nodes_from_the_first_on():
    (work,) = read(pod("a")).works
    assert (work.unplaced, work.placed) == ((8, 8), 0)
    (none_yet,) = read().works
    assert none_yet.unplaced == ()


def test_pods_that_have_done_their_work_are_not_missed():
    work = workload(condition("Admitted"))
    work["status"]["reclaimablePods"] = [{"name": "main", "count": 1}]
    (found_work,) = read(pod("a", node="n0"), work=work).works
    assert (found_work.unplaced, found_work.placed) == ((), 8)


def test_a_work_that_is_its_own_pod_is_found():
    work = workload(condition("Admitted"))
    work["status"]["admission"]["podSetAssignments"][0]["count"] = 1
    work["metadata"]["ownerReferences"] = [{"kind": "Pod", "uid": "single"}]
    (found_work,) = read(pod("single", owner="replica-set"), work=work).works
    assert found_work.unplaced == (8,)


@pytest.mark.parametrize(
    "more", [{"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}, {"metadata": {"deletionTimestamp": WHEN}}]
)
def test_a_pod_that_is_held_back_or_leaves_asks_for_no_node(more: dict[str, Any]):
    (work,) = read(pod("a", **more)).works
    assert work.unplaced == ()


def test_work_without_quota_asks_for_nothing():
    message = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor h200"
    waiting = workload(condition("QuotaReserved", "False", message), admitted=False)
    assert read(work=waiting, topology="zones").works == []


@pytest.mark.parametrize(
    "said",
    [
        'topology "zones" doesn\'t allow to fit any of 2 pod(s)',
        'topology "zones" allows to fit only 1 out of 2 pod(s)',
        "no topology domains at level: kubernetes.io/hostname",
    ],
)
def test_work_that_only_its_topology_holds_back_asks_for_all_its_nodes(said: str):
    message = f"couldn't assign flavors to pod set main: {said}"
    waiting = workload(condition("QuotaReserved", "False", message), admitted=False)
    (work,) = read(work=waiting, topology="zones").works
    assert (work.pool, work.tenant, work.unplaced, work.placed) == ("gpu", "vision", (8, 8), 0)
    if said.startswith("topology"):
        assert read(work=waiting, topology="racks").works == []
    assert read(work=waiting).works == []
    elsewhere = pod("template", nodeSelector={"pool": "another"})
    other = workload(
        condition("QuotaReserved", "False", message),
        admitted=False,
        podSets=[{"name": "main", "count": 2, "template": elsewhere}],
    )
    assert read(work=other, topology="zones").works == []


def test_finished_work_and_work_of_other_flavors_is_left_out():
    assert read(work=workload(condition("Admitted"), condition("Finished"))).works == []
    assert read(pod("a"), work=workload(condition("Admitted"), flavor="cpu")).works == []


def test_a_pod_that_has_ended_holds_nothing():
    done = pod("a", node="n0") | {"status": {"phase": "Succeeded"}}
    assert read(done, nodes=[node("n0")]).nodes["gpu"][0].pods == 0


def test_a_node_is_read_with_what_is_on_it_and_its_marks():
    marks = {EMPTY: "7.5", CONDEMNED: "9.25"}
    plugin = pod("plugin", gpus=0, node="n0", kind="DaemonSet")
    read_nodes = read(pod("a", gpus=3, node="n0"), plugin, nodes=[node("n0"), node("n1", **marks)])
    first, second = read_nodes.nodes["gpu"]
    assert (first.units, first.used, first.pods, first.ready, first.made) == (8, 3, 1, True, THEN)
    assert (second.used, second.pods, second.empty_since, second.condemned_since) == (0, 0, 7.5, 9.25)
    assert read_nodes.instances["n1"] == "aws:///me-central-1a/i-n1"


def test_a_pod_asks_for_what_its_containers_need_together_or_one_that_runs_before_them():
    spec: Any = {"containers": [{"resources": {"limits": {GPU: "2"}}}] * 2, "initContainers": []}
    assert units_of({"spec": spec}, GPU) == 4
    spec["initContainers"] = [{"resources": {"limits": {GPU: 6}}}, {}]
    assert units_of({"spec": spec}, GPU) == 6
    assert (amount("1k"), amount("2Gi"), amount("0")) == (1000, 2**31, 0)
