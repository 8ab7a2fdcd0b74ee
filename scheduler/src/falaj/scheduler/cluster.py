"""The cluster as the rules need it: works read from Workloads and Jobs, decisions and events written."""

import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubernetes.client.exceptions import ApiException

from falaj.scheduler.connection import Connection, Manifest
from falaj.scheduler.decide import Decision, Notice
from falaj.scheduler.feed import Feed
from falaj.scheduler.placement import MAKES_ROOM, NO_NODES, Pools, flavors_of, read_labels, read_node, read_queue
from falaj.scheduler.words import DEADLINE, moment, read_words
from falaj.scheduler.work import (
    DECIDED,
    EXPLAINED,
    MEASURED,
    MEASURED_AT,
    PROMISE,
    STANDING,
    TURN,
    Eviction,
    Owner,
    Work,
    gpus_of,
    places_of,
    pods_of,
    read_noted,
    seconds,
)

KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
_EXISTS = 409
_COMPONENT = "falaj-scheduler"


@dataclass(frozen=True, slots=True)
class _Read:
    """A work as its Workload tells it, with what its pods say in place of its Job."""

    work: Work
    pod_words: Mapping[str, str]


class Cluster:
    """Follows Workloads, Jobs, queues and nodes, and writes what was decided."""

    def __init__(self, connection: Connection, identity: str) -> None:
        self._connection, self._identity = connection, identity
        self.changed = threading.Event()
        """Set when anything has changed."""
        self._workloads = Feed(connection, f"{KUEUE}/workloads", _read_workload, self.changed)
        self._jobs = Feed(connection, "/apis/batch/v1/jobs", _annotations, self.changed, metadata=True)
        self._queues = Feed(connection, f"{KUEUE}/localqueues", _read_local_queue, self.changed)
        self._nodes = Feed(connection, "/api/v1/nodes", read_node, self.changed)
        self._flavors = Feed(connection, f"{KUEUE}/resourceflavors", read_labels, self.changed)
        self._cluster_queues = Feed(connection, f"{KUEUE}/clusterqueues", read_queue, self.changed)
        self._feeds = (self._workloads, self._jobs, self._queues, self._nodes, self._flavors, self._cluster_queues)

    def follow(self, stop: threading.Event) -> None:
        """Begin to follow the cluster, in threads of their own."""
        for feed in self._feeds:
            threading.Thread(target=feed.follow, args=(stop,), daemon=True).start()

    @property
    def silent(self) -> float:
        """Seconds since the quietest of the feeds was heard of; infinite before all were."""
        return max(time.monotonic() - feed.heard if feed.heard else float("inf") for feed in self._feeds)

    def works(self) -> list[Work]:
        """Return the works that have not finished."""
        jobs = self._jobs.items()
        queues = dict(self._queues.items().values())
        return [_complete(read, jobs, queues) for read in self._workloads.items().values()]

    def pools(self) -> Pools:
        """Return the nodes with GPUs, and which of them each queue may use."""
        flavors, queues = self._flavors.items().values(), self._cluster_queues.items().values()
        return Pools(list(self._nodes.items().values()), dict(flavors), dict(queues))

    def write(self, decision: Decision) -> None:
        """Write a decision, unless the Workload has changed since it was read."""
        work = decision.work
        annotations = {
            DECIDED: str(decision.priority),
            STANDING: decision.standing.value,
            PROMISE: decision.promise.value if decision.promise else None,
            TURN: f"{decision.turn:.3f}" if decision.turn is not None else None,
            EXPLAINED: str(decision.explained) if decision.explained else None,
        }
        spec: dict[str, Any] = {"priority": decision.priority}
        if decision.active != work.active:
            spec["active"] = decision.active
        self._connection.send(
            "PATCH",
            f"{KUEUE}/namespaces/{work.namespace}/workloads/{work.name}",
            {"metadata": {"resourceVersion": work.version, "annotations": annotations}, "spec": spec},
        )

    def first_pod(self, work: Work) -> str | None:
        """Return the address of the pod of index 0 of the work's Job, where it runs."""
        chosen = f"batch.kubernetes.io/job-name={work.owner.name},batch.kubernetes.io/job-completion-index=0"
        path = f"/api/v1/namespaces/{work.namespace}/pods"
        found = self._connection.get(path, labelSelector=chosen, fieldSelector="status.phase=Running")
        return next((pod["status"].get("podIP") for pod in found["items"] or []), None)

    def note_progress(self, work: Work, share: float, now: float) -> None:
        """Keep what the work told of itself."""
        self._connection.send(
            "PATCH",
            f"{KUEUE}/namespaces/{work.namespace}/workloads/{work.name}",
            {"metadata": {"annotations": {MEASURED: f"{share:.4f}", MEASURED_AT: moment(now)}}},
        )

    def tell(self, work: Work, notice: Notice, now: float) -> None:
        """Make the event; its name is that of what it tells, so that it is there once however often it is told."""
        told = hashlib.sha256(f"{work.uid} {notice.reason} {notice.once}".encode()).hexdigest()[:16]
        at = moment(now)
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{work.owner.name[:200]}.{told}", "namespace": work.namespace},
            "involvedObject": {
                "apiVersion": work.owner.api_version,
                "kind": work.owner.kind,
                "name": work.owner.name,
                "namespace": work.namespace,
                "uid": work.owner.uid,
            },
            "reason": notice.reason,
            "message": notice.text[:1024],
            "type": "Warning" if notice.warning else "Normal",
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "source": {"component": _COMPONENT},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._identity,
        }
        try:
            self._connection.send("POST", f"/api/v1/namespaces/{work.namespace}/events", event)
        except ApiException as error:
            if error.status != _EXISTS:
                raise


def read_work(workload: Manifest, said: Mapping[str, Mapping[str, str]], queues: Mapping[str, str]) -> Work | None:
    """Return the work of a Workload, with what its Job says, by uid; ``None`` when it has finished."""
    read = _read_workload(workload)
    return None if read is None else _complete(read, said, queues)


def _complete(read: _Read, said: Mapping[str, Mapping[str, str]], queues: Mapping[str, str]) -> Work:
    """Add what is not in the Workload itself: the words, and the ClusterQueue of what waits."""
    work = read.work
    words = said.get(work.owner.uid, read.pod_words)
    queue = work.queue if work.runs else queues.get(work.queue, work.queue)
    said_of_it = read_words(words)
    if said_of_it.progress is None and said_of_it.refused is None:
        said_of_it = replace(said_of_it, progress=work.noted.progress, measured=work.noted.measured)
    return replace(work, queue=queue, words=said_of_it, deadline_text=words.get(DEADLINE, ""))


def _annotations(job: Manifest) -> Mapping[str, str]:
    said: Mapping[str, str] = job["metadata"].get("annotations") or {}
    return {name: value for name, value in said.items() if name.startswith("falaj.dev/")}


def _read_local_queue(queue: Manifest) -> tuple[str, str]:
    meta = queue["metadata"]
    return f"{meta['namespace']}/{meta['name']}", queue["spec"]["clusterQueue"]


def _read_workload(workload: Manifest) -> _Read | None:
    meta, spec = workload["metadata"], workload["spec"]
    status: Mapping[str, Any] = workload.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    if _holds(conditions, "Finished"):
        return None
    owners = [each for each in meta.get("ownerReferences", []) if each.get("controller")]
    owner = (owners or meta.get("ownerReferences") or [{}])[0]
    admission: Mapping[str, Any] = status.get("admission") or {}
    runs = _holds(conditions, "QuotaReserved") and not _holds(conditions, "Evicted")
    quota: Mapping[str, Any] = conditions.get("QuotaReserved", {})
    held_back: str = "" if runs else quota.get("message", "")
    since = seconds(quota.get("lastTransitionTime"))
    pods: Mapping[str, Any] = spec["podSets"][0]["template"].get("metadata") or {}
    work = Work(
        uid=meta["uid"],
        namespace=meta["namespace"],
        name=meta["name"],
        version=meta["resourceVersion"],
        owner=Owner(
            owner.get("apiVersion", workload["apiVersion"]),
            owner.get("kind", "Workload"),
            owner.get("name", meta["name"]),
            owner.get("uid", meta["uid"]),
        ),
        queue=admission["clusterQueue"] if runs and admission else f"{meta['namespace']}/{spec.get('queueName', '')}",
        tier=(spec.get("priorityClassRef") or {}).get("name", ""),
        priority=spec.get("priority", 0),
        created=seconds(meta["creationTimestamp"]) or 0.0,
        gpus=gpus_of(spec["podSets"]),
        pods=pods_of(spec["podSets"]),
        places=places_of(spec["podSets"], admission) if runs else (),
        flavors=flavors_of(admission) if runs else frozenset(),
        no_nodes=bool(NO_NODES.search(held_back)),
        makes_room=MAKES_ROOM in held_back,
        ran=float(status.get("accumulatedPastExecutionTimeSeconds") or 0),
        admitted=since if runs else None,
        without=since if quota.get("status") == "False" else None,
        active=spec.get("active", True),
        eviction=_eviction(conditions, status),
        noted=read_noted(meta.get("annotations") or {}),
    )
    return _Read(work, _annotations({"metadata": pods}))


def _eviction(conditions: Mapping[str, Any], status: Mapping[str, Any]) -> Eviction | None:
    """Return how often the work was displaced; Kueue leaves the last message when the work runs again."""
    preempted = conditions.get("Preempted")
    if preempted is None:
        return None
    evictions: list[Mapping[str, Any]] = (status.get("schedulingStats") or {}).get("evictions", [])
    count = sum(each["count"] for each in evictions if each["reason"] == "Preempted")
    return Eviction(preempted.get("message", ""), seconds(preempted["lastTransitionTime"]) or 0.0, max(1, count))


def _holds(conditions: Mapping[str, Any], name: str) -> bool:
    return conditions.get(name, {}).get("status") == "True"
