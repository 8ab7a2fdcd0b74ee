"""The loop against an API server in memory: what it reads, how it writes, what a kill or a conflict leaves."""

import threading
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from prometheus_client import CollectorRegistry, generate_latest

from falaj.scheduler.cluster import KUEUE, Cluster, read_work
from falaj.scheduler.controller import Controller
from falaj.scheduler.metrics import Metrics
from falaj.scheduler.policy import Policy
from falaj.scheduler.work import Standing, gpus_of, pods_of

NOW = 1_800_000_000.0
MADE = "2027-01-15T07:59:50Z"
"""Ten seconds before now."""


class Killed(BaseException):
    """A kill -9 at a chosen moment."""


def node(name: str) -> dict[str, Any]:
    ready = [{"type": "Ready", "status": "True"}]
    return {
        "metadata": {"uid": name, "name": name, "labels": {"pool": "gpu"}},
        "spec": {},
        "status": {"allocatable": {"nvidia.com/gpu": "8", "cpu": "96"}, "conditions": ready},
    }


class Api:
    """Holds Workloads and Jobs; a patch of an old version is a conflict, an event of the same name exists."""

    def __init__(self) -> None:
        self.workloads: dict[str, Any] = {}
        self.jobs: dict[str, Any] = {}
        self.local = {
            "metadata": {"uid": "q", "name": "default", "namespace": "vision"},
            "spec": {"clusterQueue": "vision"},
        }
        quota = {"name": "nvidia.com/gpu", "nominalQuota": "16"}
        self.queue = {
            "metadata": {"uid": "c", "name": "vision"},
            "spec": {"resourceGroups": [{"flavors": [{"name": "gpu", "resources": [quota]}]}]},
        }
        self.nodes = {name: node(name) for name in ("gpu-1", "gpu-2")}
        self.events: dict[str, Any] = {}
        self.log: list[str] = []
        self.dies_after = 10**6
        self.version = 0

    def add(self, name: str, tier: str = "batch", *, runs: bool = False, **said: str) -> None:
        self.version += 1
        priority = {"batch": 1000, "production": 3000}[tier]
        conditions = [{"type": "QuotaReserved", "status": "True", "lastTransitionTime": MADE}] if runs else []
        limits = {"nvidia.com/gpu": "8"}
        self.jobs[name] = {
            "metadata": {
                "uid": f"job-{name}",
                "name": name,
                "annotations": {f"falaj.dev/{key.replace('_', '-')}": value for key, value in said.items()},
            }
        }
        self.workloads[name] = {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "metadata": {
                "uid": f"uid-{name}",
                "name": f"job-{name}",
                "namespace": "vision",
                "resourceVersion": str(self.version),
                "creationTimestamp": MADE,
                "ownerReferences": [
                    {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": f"job-{name}", "controller": True}
                ],
            },
            "spec": {
                "priority": priority,
                "queueName": "default",
                "priorityClassRef": {"name": tier},
                "podSets": [{"count": 1, "template": {"spec": {"containers": [{"resources": {"requests": limits}}]}}}],
            },
            "status": {"conditions": conditions, **({"admission": {"clusterQueue": "vision"}} if runs else {})},
        }

    def get(self, path: str, accept: str = "", **query: Any) -> Any:
        kinds = {
            "workloads": self.workloads,
            "jobs": self.jobs,
            "localqueues": {"default": self.local},
            "clusterqueues": {"vision": self.queue},
            "resourceflavors": {
                "gpu": {"metadata": {"uid": "f", "name": "gpu"}, "spec": {"nodeLabels": {"pool": "gpu"}}}
            },
            "nodes": self.nodes,
        }
        held = kinds[path.rpartition("/")[2]]
        items = deepcopy(list(held.values())) or None  # the API server says null of none
        return {"items": items, "metadata": {"resourceVersion": str(self.version)}}

    def watch(self, path: str, accept: str = "", **query: Any) -> Iterator[Any]:
        raise OSError("no watch here")
        yield

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        if len(self.log) >= self.dies_after:
            raise Killed
        name = path.rpartition("/")[2]
        if name == "events":
            told = body["metadata"]["name"]
            self.log.append(f"tell {body['involvedObject']['name']} {body['reason']}")
            if told in self.events:
                raise ApiException(status=409, reason="AlreadyExists")
            self.events[told] = body
            return {}
        work = self.workloads[name.removeprefix("job-")]
        self.log.append(f"write {name.removeprefix('job-')}")
        if body["metadata"]["resourceVersion"] != work["metadata"]["resourceVersion"]:
            raise ApiException(status=409, reason="Conflict")
        self.version += 1
        work["metadata"]["resourceVersion"] = str(self.version)
        kept = {**work["metadata"].get("annotations", {}), **body["metadata"]["annotations"]}
        work["metadata"]["annotations"] = {key: value for key, value in kept.items() if value is not None}
        work["spec"].update(body["spec"])
        return {}

    def priorities(self) -> dict[str, int]:
        return {name: work["spec"]["priority"] for name, work in self.workloads.items()}


class Leads:
    leads = True


def look(api: Api, *, leads: bool = True, registry: CollectorRegistry | None = None) -> None:
    """Start a scheduler anew, let it look once, and forget it."""
    connection: Any = api
    leader: Any = Leads()
    leader.leads = leads
    cluster = Cluster(connection, "test")
    stop = threading.Event()
    cluster.follow(stop)
    try:
        assert cluster.changed.wait(60)
        while cluster.silent > 5:
            pass
        metrics = Metrics(registry or CollectorRegistry())
        Controller(cluster, leader, Policy(), metrics, writes_per_second=10_000, writers=1, clock=lambda: NOW).round(
            stop
        )
    finally:
        stop.set()


@pytest.fixture
def api() -> Api:
    made = Api()
    made.add("holds", runs=True, expected_seconds="90000")
    made.add("tight", deadline="2027-01-15T12:00:00Z", expected_seconds="3600")
    made.add("loose", deadline="2027-01-18T12:00:00Z", expected_seconds="3600")
    made.add("hopeless", deadline="2027-01-15T08:30:00Z", expected_seconds="36000")
    made.add("past", deadline="2027-01-15T07:00:00Z")
    return made


def test_it_writes_protection_first_and_priorities_by_deadline(api):
    look(api)
    found = api.priorities()
    assert found["holds"] > found["tight"] > found["loose"] > found["hopeless"] == 1000
    writes = [line for line in api.log if line.startswith("write")]
    assert writes[0] == "write holds"
    assert writes.index("write tight") < writes.index("write loose")
    assert api.workloads["past"]["spec"]["active"] is False
    assert sorted(event["reason"] for event in api.events.values()) == [
        "DeadlineAtRisk",
        "DeadlineRefused",
        "PriorityLowered",
    ]


def test_a_second_look_finds_nothing_to_do(api):
    look(api)
    api.log.clear()
    look(api)
    assert api.log == []


@pytest.mark.parametrize("after", range(9))
def test_a_kill_after_any_write_ends_in_the_same_cluster_and_tells_nothing_twice(api, after):
    whole = deepcopy(api)
    look(whole)

    api.dies_after = after
    try:
        look(api)
    except Killed:
        api.dies_after = 10**6
        look(api)
    assert api.priorities() == whole.priorities()
    assert {each["metadata"]["name"] for each in api.workloads.values()} == {
        each["metadata"]["name"] for each in whole.workloads.values()
    }
    assert api.events.keys() == whole.events.keys()


def test_who_does_not_lead_writes_nothing_and_still_tells_its_figures(api):
    registry = CollectorRegistry()
    look(api, leads=False, registry=registry)
    assert api.log == []
    assert b'falaj_scheduler_works{state="running",tenant="vision",tier="batch"} 1.0' in generate_latest(registry)


def test_a_work_that_changed_meanwhile_is_left_for_the_next_look(api, monkeypatch):
    read = Cluster.works

    def works(cluster: Cluster) -> Any:
        found = read(cluster)
        api.workloads["tight"]["metadata"]["resourceVersion"] = "changed"
        return found

    monkeypatch.setattr(Cluster, "works", works)
    registry = CollectorRegistry()
    look(api, registry=registry)
    assert api.priorities()["tight"] == 1000
    assert b'writes_total{outcome="changed"} 1.0' in generate_latest(registry)
    monkeypatch.undo()
    api.workloads["tight"]["metadata"]["resourceVersion"] = "9"
    look(api)
    assert api.priorities()["tight"] > 1000


def test_a_work_that_cannot_be_written_does_not_stop_the_others(api):
    send = api.send

    def refuses(method: str, path: str, body: Mapping[str, Any]) -> Any:
        if path.endswith("job-tight"):
            raise ApiException(status=422, reason="Invalid")
        return send(method, path, body)

    api.send = refuses
    registry = CollectorRegistry()
    look(api, registry=registry)
    assert api.priorities()["tight"] == 1000
    assert api.priorities()["loose"] > 1000
    assert b'writes_total{outcome="refused"} 1.0' in generate_latest(registry)


def test_a_workload_is_read_as_kueue_writes_it(api):
    workload = api.workloads["holds"]
    workload["status"]["accumulatedPastExecutionTimeSeconds"] = 40
    workload["status"]["schedulingStats"] = {"evictions": [{"reason": "Preempted", "underlyingCause": "", "count": 2}]}
    workload["status"]["conditions"].append(
        {"type": "Preempted", "status": "False", "message": "Previously: x", "lastTransitionTime": MADE}
    )
    work = read_work(workload, {"job-holds": {"falaj.dev/expected-seconds": "60"}}, {})
    assert work
    assert (work.gpus, work.ran, work.queue, work.tier, work.words.expected) == (8, 40, "vision", "batch", 60)
    assert work.runs
    assert work.eviction
    assert work.eviction.count == 2
    assert work.noted.standing is Standing.OPEN


def test_what_somebody_spoiled_counts_as_not_decided(api):
    api.workloads["holds"]["metadata"]["annotations"] = {"falaj.dev/standing": "king", "falaj.dev/turn": "x"}
    work = read_work(api.workloads["holds"], {}, {})
    assert work
    assert work.noted.standing is Standing.OPEN


def test_finished_work_is_no_work(api):
    api.workloads["holds"]["status"]["conditions"] = [{"type": "Finished", "status": "True"}]
    assert read_work(api.workloads["holds"], {}, {}) is None


def test_the_queue_of_what_waits_is_its_local_queues(api):
    work = read_work(api.workloads["tight"], {}, {"vision/default": "vision"})
    assert work
    assert work.queue == "vision"
    assert KUEUE.endswith("v1beta2")


def test_gpus_that_a_template_limits_count_as_asked_for_though_no_request_says_so() -> None:
    def pods(count: int, **resources: dict[str, str]) -> dict[str, Any]:
        return {"count": count, "template": {"spec": {"containers": [{"resources": resources}]}}}

    gpus = {"nvidia.com/gpu": "8", "cpu": "4"}
    assert gpus_of([pods(2, limits=gpus)]) == gpus_of([pods(2, limits=gpus, requests=gpus)]) == 16
    assert gpus_of([pods(1, requests={"nvidia.com/mig-1g.10gb": "3"}), pods(1)]) == 3


@pytest.fixture
def split(api: Api) -> Api:
    """Two nodes with small work, beside which work of a whole node waits."""
    api.workloads.clear()
    api.add("small", runs=True, expected_seconds="90000", checkpoint_seconds="600")
    api.add("large", runs=True, expected_seconds="90000")
    api.add("whole", expected_seconds="90000")
    place(api, "small", 2, "gpu-1")
    place(api, "large", 5, "gpu-2")
    message = "couldn't assign flavors: topology \"gpu\" doesn't allow to fit any of 1 pod(s)"
    waits = {"type": "QuotaReserved", "status": "False", "message": message, "lastTransitionTime": MADE}
    api.workloads["whole"]["status"]["conditions"] = [waits]
    api.workloads["whole"]["metadata"]["creationTimestamp"] = "2027-01-15T07:00:00Z"
    return api


def test_what_kueue_says_of_work_that_waits_is_read(split):
    def read(name: str = "whole") -> tuple[bool, bool, float | None]:
        found = read_work(split.workloads[name], {}, {})
        assert found
        return found.no_nodes, found.makes_room, found.without

    since = datetime.fromisoformat(MADE).timestamp()
    assert read("small") == (False, False, None)
    assert read() == (True, False, since)
    needed = "insufficient unused quota for nvidia.com/gpu in flavor gpu, 3 more needed"
    said = split.workloads["whole"]["status"]["conditions"][0]
    said["message"] = f"couldn't assign flavors to pod set main: {needed}. Pending the preemption of 2 workload(s)"
    assert read() == (False, True, since)


def test_small_work_moves_for_work_that_waits_for_a_whole_node(split):
    look(split)
    assert split.log == ["tell small Moved", "write small"]
    assert split.workloads["small"]["spec"]["active"] is False
    look(split)
    assert len(split.log) == 2, "it has not left yet"

    split.workloads["small"]["status"] = {"conditions": [{"type": "QuotaReserved", "status": "False", "message": ""}]}
    look(split)
    assert split.workloads["small"]["spec"]["active"] is True
    assert split.workloads["small"]["metadata"]["annotations"]["falaj.dev/standing"] == "returns"


@pytest.mark.parametrize("after", range(2))
def test_a_kill_while_work_is_moved_moves_it_once_and_tells_it_once(split, after):
    split.dies_after = after
    with pytest.raises(Killed):
        look(split)
    split.dies_after = 10**6
    look(split)
    look(split)

    assert split.log.count("write small") == len(split.events) == 1
    assert split.workloads["small"]["spec"]["active"] is False


def place(api: Api, name: str, gpus: int, on: str) -> None:
    """Have work run on a node since long ago."""
    limits = {"nvidia.com/gpu": str(gpus)}
    pods = {"name": "main", "count": 1, "template": {"spec": {"containers": [{"resources": {"requests": limits}}]}}}
    api.workloads[name]["spec"]["podSets"] = [pods]
    levels = [{"universal": "zone-a"}, {"individual": {"prefix": "gpu-", "roots": [on.removeprefix("gpu-")]}}]
    slices = [{"domainCount": 1, "valuesPerLevel": levels, "podCounts": {"universal": 1}}]
    assigned = {"name": "main", "flavors": {"nvidia.com/gpu": "gpu"}, "topologyAssignment": {"slices": slices}}
    api.workloads[name]["status"]["admission"]["podSetAssignments"] = [assigned]
    api.workloads[name]["status"]["conditions"][0]["lastTransitionTime"] = "2027-01-15T04:00:00Z"


def test_pods_count_where_each_asks_for_as_many_whole_gpus() -> None:
    def pods(count: int, near: str | None = None, **resources: str) -> dict[str, Any]:
        asked = {f"nvidia.com/{name.replace('_', '-')}": amount for name, amount in resources.items()}
        template = {"spec": {"containers": [{"resources": {"requests": asked}}]}}
        return {"count": count, "template": template, "topologyRequest": {"required": near} if near else {}}

    assert pods_of([pods(2, gpu="8"), pods(1)]) == 2
    assert pods_of([pods(2, gpu="8"), pods(1, gpu="8")]) == 3
    assert pods_of([pods(2, gpu="8"), pods(1, gpu="4")]) == pods_of([pods(1)]) == pods_of([]) == 0
    assert pods_of([pods(2, mig_1g="1")]) == pods_of([pods(1, gpu="1", mig_1g="1")]) == 0
    assert (pods_of([pods(2, "rack", gpu="8")]), pods_of([pods(1, "rack", gpu="8")])) == (0, 1)
