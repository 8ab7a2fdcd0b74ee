"""All that the autoscaler does in Kubernetes: follow it, mark and cordon nodes, and look once more before one goes."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from kubernetes.client.exceptions import ApiException

from falaj.scheduler.autoscale_policy import Policy
from falaj.scheduler.autoscale_reading import (
    CONDEMNED,
    EMPTY,
    GROUP,
    Found,
    Manifest,
    Queues,
    found,
    keep_pod,
    keep_workload,
    stays,
)
from falaj.scheduler.connection import Connection
from falaj.scheduler.errors import SchedulerError
from falaj.scheduler.feed import Feed

KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
COST_CENTRE = "cost-centre"
"""Label of a tenant's namespace."""
SILENCE = 150.0
"""Seconds without a word after which what is known counts as too old to act on."""
_GONE = 404
_UNFINISHED = "status.phase!=Succeeded,status.phase!=Failed"


class SilentError(SchedulerError):
    """The cluster was not heard of for too long."""


class Cluster:
    """The cluster that the connection reaches, followed by list and watch."""

    def __init__(self, connection: Connection, policy: Policy) -> None:
        self._connection, self._policy = connection, policy
        self._groups = {pool.node_group for pool in policy.pools.values()}
        changed = threading.Event()  # nobody waits for it: the looks have a pace of their own
        self._nodes = Feed(connection, "/api/v1/nodes", self._keep_node, changed)
        self._pods = Feed(connection, "/api/v1/pods", keep_pod, changed)
        self._workloads = Feed(connection, f"{KUEUE}/workloads", keep_workload, changed)
        self._spaces = Feed(connection, "/api/v1/namespaces", _keep_space, changed)
        self._queues = [
            Feed[Manifest](connection, f"{KUEUE}/{plural}", _whole, changed)
            for plural in ("clusterqueues", "localqueues", "resourceflavors")
        ]
        self._feeds: list[Feed[Any]] = [self._nodes, self._pods, self._workloads, self._spaces, *self._queues]

    def follow(self, stop: threading.Event) -> None:
        """Begin to follow the cluster, in threads of their own."""
        for feed in self._feeds:
            threading.Thread(target=feed.follow, args=(stop,), daemon=True).start()

    @property
    def silent(self) -> float:
        """Seconds since the quietest of the feeds was heard of; infinite before all were."""
        return max(time.monotonic() - feed.heard if feed.heard else float("inf") for feed in self._feeds)

    def read(self) -> Found:
        """Return everything; nothing is decided on a part of it."""
        if self.silent > SILENCE:
            raise SilentError(f"nothing was heard of the cluster for {self.silent:.0f} s")
        # Work before its pods: what was admitted in between asks for its nodes at the next look.
        workloads = [*self._workloads.items().values()]
        pods = [*self._pods.items().values()]
        nodes = [*self._nodes.items().values()]
        queues = Queues(*([*feed.items().values()] for feed in self._queues))
        centres = dict(self._spaces.items().values())
        return found(self._policy, nodes, pods, workloads, queues=queues, centres=centres)

    def is_empty(self, node: str) -> bool:
        """Ask the API server itself, at the last moment, whether nothing runs on a node."""
        answer: Any = self._connection.get("/api/v1/pods", fieldSelector=f"spec.nodeName={node},{_UNFINISHED}")
        return all(stays(pod) for pod in answer["items"])

    def mark(self, node: str, now: float | None) -> None:
        """Note since when a node is empty, or that it no longer is."""
        self._patch(node, {"metadata": {"annotations": {EMPTY: None if now is None else f"{now:.3f}"}}})

    def condemn(self, node: str, now: float) -> None:
        """Keep work off a node."""
        self._patch(node, {"metadata": {"annotations": {CONDEMNED: f"{now:.3f}"}}, "spec": {"unschedulable": True}})

    def pardon(self, node: str) -> None:
        """Let work onto it again."""
        self._patch(node, {"metadata": {"annotations": {CONDEMNED: None}}, "spec": {"unschedulable": None}})

    def _patch(self, node: str, patch: Manifest) -> None:
        try:
            self._connection.send("PATCH", f"/api/v1/nodes/{node}", patch)
        except ApiException as error:
            if error.status != _GONE:  # a node may go between being seen and being changed
                raise

    def _keep_node(self, node: Manifest) -> Manifest | None:
        labels: Mapping[str, str] = node["metadata"].get("labels") or {}
        return node if labels.get(GROUP) in self._groups else None


def _whole(thing: Manifest) -> Manifest:
    return thing


def _keep_space(space: Manifest) -> tuple[str, str]:
    meta = space["metadata"]
    return meta["name"], (meta.get("labels") or {}).get(COST_CENTRE, "")
