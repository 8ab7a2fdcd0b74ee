"""Understands nodes, pods and Kueue's Workloads as the API server tells of them: pure functions of plain data."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falaj.scheduler.autoscale_policy import NO_TIER, Policy, PoolPolicy
from falaj.scheduler.autoscale_state import Node, Work
from falaj.scheduler.placement import NO_NODES
from falaj.scheduler.words import TIER
from falaj.scheduler.work import seconds

Manifest = Mapping[str, Any]

EMPTY = "falaj.dev/empty-since"
"""Annotation of a node: since when nothing runs on it, in seconds since the epoch. A restart forgets nothing."""
CONDEMNED = "falaj.dev/given-back-since"
"""Annotation of a node: since when the autoscaler keeps work off it."""
GROUP = "eks.amazonaws.com/nodegroup"
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass(frozen=True)
class Found:
    """The cluster at one moment."""

    nodes: Mapping[str, Sequence[Node]]
    """Nodes by pool."""
    works: Sequence[Work]
    instances: Mapping[str, str]
    """Provider ids of the nodes, by name."""


class Queues:
    """What is known of Kueue's queues: which pool the work of one would go to."""

    def __init__(
        self, cluster_queues: Sequence[Manifest], local_queues: Sequence[Manifest], flavors: Sequence[Manifest]
    ) -> None:
        self._clusters = {each["metadata"]["name"]: each["spec"] for each in cluster_queues}
        self._locals = {
            (each["metadata"]["namespace"], each["metadata"]["name"]): each["spec"]["clusterQueue"]
            for each in local_queues
        }
        self._flavors = {each["metadata"]["name"]: each.get("spec", {}) for each in flavors}

    def tenant(self, workload: Manifest) -> str:
        """Return the ClusterQueue of a Workload, which is named as the tenant."""
        admission = workload.get("status", {}).get("admission") or {}
        queue = (workload["metadata"]["namespace"], workload["spec"].get("queueName", ""))
        return admission.get("clusterQueue") or self._locals.get(queue, "")

    def flavor(
        self, workload: Manifest, topology: str | None, selector: Mapping[str, str], known: set[str]
    ) -> str | None:
        """Return the first flavor of the Workload's queue that has this topology, or where none is named any."""
        groups = self._clusters.get(self.tenant(workload), {}).get("resourceGroups", [])
        for name in (flavor["name"] for group in groups for flavor in group["flavors"]):
            spec = self._flavors.get(name, {})
            labels: Mapping[str, str] = spec.get("nodeLabels") or {}
            fits = all(labels.get(key, value) == value for key, value in selector.items())
            placed: str | None = spec.get("topologyName")
            if name in known and placed and topology in (None, placed) and fits:
                return name
        return None


def found(
    policy: Policy,
    nodes: Sequence[Manifest],
    pods: Sequence[Manifest],
    workloads: Sequence[Manifest],
    *,
    queues: Queues,
    centres: Mapping[str, str],
) -> Found:
    """Put together what was read; ``centres`` are the cost centres of namespaces."""
    on_nodes: defaultdict[str, list[Manifest]] = defaultdict(list)
    of_owners: defaultdict[str, list[Manifest]] = defaultdict(list)
    for pod in pods:
        if name := pod["spec"].get("nodeName"):
            on_nodes[name].append(pod)
        of_owners[pod["metadata"]["uid"]].append(pod)
        for owner in pod["metadata"].get("ownerReferences", []):
            of_owners[owner["uid"]].append(pod)
    pools = {pool.node_group: pool for pool in policy.pools.values()}
    by_pool: dict[str, list[Node]] = {name: [] for name in policy.pools}
    for node in nodes:
        pool = pools[node["metadata"]["labels"][GROUP]]
        by_pool[pool.name].append(read_node(node, on_nodes[node["metadata"]["name"]], pool))
    unfinished = [workload for workload in workloads if not _holds(workload, "Finished")]
    works = [
        work
        for workload in unfinished
        for work in works_of(workload, of_owners, policy, queues=queues, centres=centres)
    ]
    instances = {node["metadata"]["name"]: node["spec"].get("providerID", "") for node in nodes}
    return Found(by_pool, works, instances)


def read_node(node: Manifest, pods: Sequence[Manifest], pool: PoolPolicy) -> Node:
    """Return a node of a pool with what is on it."""
    metadata, status = node["metadata"], node.get("status", {})
    marks: Mapping[str, str] = metadata.get("annotations") or {}
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or [])
    return Node(
        name=metadata["name"],
        units=amount((status.get("allocatable") or {}).get(pool.resource, "0")),
        used=sum(units_of(pod, pool.resource) for pod in pods),
        pods=sum(not stays(pod) for pod in pods),
        ready=ready,
        schedulable=not node["spec"].get("unschedulable", False),
        made=seconds(metadata.get("creationTimestamp")) or 0,
        empty_since=float(marks[EMPTY]) if EMPTY in marks else None,
        condemned_since=float(marks[CONDEMNED]) if CONDEMNED in marks else None,
    )


def works_of(
    workload: Manifest,
    of_owners: Mapping[str, Sequence[Manifest]],
    policy: Policy,
    *,
    queues: Queues,
    centres: Mapping[str, str],
) -> list[Work]:
    """Return a Workload's part in each pool: none while it waits for its share."""
    status, metadata = workload.get("status", {}), workload["metadata"]
    flavors = {pool.flavor: pool for pool in policy.pools.values()}
    if status.get("admission") and _holds(workload, "Admitted"):
        since = _since(workload, "Admitted")
        parts = _admitted(workload, of_owners, flavors)
    else:
        since = _since(workload, "QuotaReserved") or seconds(metadata["creationTimestamp"]) or 0
        parts = _without_nodes(workload, flavors, queues)
    spec = workload["spec"]
    tier = (spec.get("priorityClassRef") or {}).get("name") or (metadata.get("labels") or {}).get(TIER) or NO_TIER
    return [
        Work(
            namespace=metadata["namespace"],
            name=metadata["name"],
            pool=pool,
            tenant=queues.tenant(workload),
            tier=tier,
            since=since,
            cost_centre=centres.get(metadata["namespace"], ""),
            uid=metadata["uid"],
            unplaced=tuple(unplaced),
            placed=placed,
        )
        for pool, (unplaced, placed) in parts.items()
    ]


def _admitted(
    workload: Manifest, of_owners: Mapping[str, Sequence[Manifest]], flavors: Mapping[str, PoolPolicy]
) -> dict[str, tuple[list[int], int]]:
    """Return what of an admitted Workload is placed and what is not, by its pods: those that Kueue has let go.

    Whoever makes the pods makes one after the other. From the first on, those that are still to come ask for nodes as
    well: work is served as a whole or not at all.
    """
    pools: dict[str, PoolPolicy] = {}
    for assignment in workload["status"]["admission"]["podSetAssignments"]:
        for resource, flavor in (assignment.get("flavors") or {}).items():
            if flavor in flavors and flavors[flavor].resource == resource:
                pools[assignment["name"]] = flavors[flavor]
    owners = [owner["uid"] for owner in workload["metadata"].get("ownerReferences", [])]
    pods = {pod["metadata"]["uid"]: pod for owner in owners for pod in of_owners.get(owner, ())}
    parts: dict[str, tuple[list[int], int]] = {pool.name: ([], 0) for pool in pools.values()}
    present: Counter[str] = Counter()
    for pod in pods.values():
        told = (pod["metadata"].get("labels") or {}).get("kueue.x-k8s.io/podset", "")
        pod_set = told if told in pools else next(iter(pools), "")
        pool = pools.get(pod_set)
        units = units_of(pod, pool.resource) if pool else 0
        if not pool or not units:
            continue
        present[pod_set] += 1
        if pod["spec"].get("schedulingGates") or pod["metadata"].get("deletionTimestamp"):
            continue
        unplaced, placed = parts[pool.name]
        parts[pool.name] = (unplaced, placed + units) if pod["spec"].get("nodeName") else ([*unplaced, units], placed)
    begun = any(unplaced or placed for unplaced, placed in parts.values())
    for pod_set, missing in (_counts(workload) - present).items():
        if pod_set in pools and begun:
            unplaced, placed = parts[pools[pod_set].name]
            units = units_of(_template(workload, pod_set), pools[pod_set].resource)
            parts[pools[pod_set].name] = ([*unplaced, *[units] * missing], placed)
    return parts


def _counts(workload: Manifest) -> Counter[str]:
    """Return how many pods of each set an admitted Workload is to have, without those that have done their work."""
    status = workload["status"]
    counts = Counter({each["name"]: each.get("count", 0) for each in status["admission"]["podSetAssignments"]})
    counts.subtract({each["name"]: each["count"] for each in status.get("reclaimablePods") or []})
    return counts


def _template(workload: Manifest, pod_set: str) -> Manifest:
    return next((each["template"] for each in workload["spec"]["podSets"] if each["name"] == pod_set), {"spec": {}})


def _without_nodes(
    workload: Manifest, flavors: Mapping[str, PoolPolicy], queues: Queues
) -> dict[str, tuple[list[int], int]]:
    """Return the pods of a Workload that Kueue would admit if the topology of its flavor had nodes enough."""
    reserved = next((c for c in workload.get("status", {}).get("conditions", []) if c["type"] == "QuotaReserved"), None)
    said = NO_NODES.search(reserved["message"]) if reserved and reserved["status"] == "False" else None
    parts: dict[str, tuple[list[int], int]] = {}
    if not said or workload["spec"].get("active") is False:
        return parts
    for pod_set in workload["spec"]["podSets"]:
        template = pod_set["template"]
        selector = template["spec"].get("nodeSelector") or {}
        flavor = queues.flavor(workload, said["topology"], selector, set(flavors))
        units = units_of(template, flavors[flavor].resource) if flavor else 0
        if flavor and units:
            unplaced, _ = parts.get(flavors[flavor].name, ([], 0))
            parts[flavors[flavor].name] = ([*unplaced, *[units] * pod_set["count"]], 0)
    return parts


def stays(pod: Manifest) -> bool:
    """Tell whether a pod belongs to its node and goes with it: a DaemonSet's, or one of the kubelet's own."""
    mirrored = "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {})
    return mirrored or any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", []))


def units_of(pod: Manifest, resource: str) -> int:
    """Return the units that a pod asks for: of all its containers, or of the largest that runs before them."""

    def asked(container: Manifest) -> int:
        resources: Manifest = container.get("resources") or {}
        given = (resources.get("requests") or {}).get(resource) or (resources.get("limits") or {}).get(resource) or "0"
        return amount(given)

    spec = pod["spec"]
    first = [asked(each) for each in spec.get("initContainers") or []]
    return max([sum(asked(each) for each in spec.get("containers") or []), *first])


def amount(text: str | int) -> int:
    """Return a whole quantity of Kubernetes as a number."""
    match = re.fullmatch(r"(\d+)([A-Za-z]*)", str(text))
    return int(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else 0


def _holds(workload: Manifest, condition: str) -> bool:
    conditions = workload.get("status", {}).get("conditions") or []
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def _since(workload: Manifest, condition: str) -> float:
    conditions = workload.get("status", {}).get("conditions") or []
    return next((seconds(c["lastTransitionTime"]) or 0 for c in conditions if c["type"] == condition), 0)


def keep_pod(pod: Manifest) -> Manifest | None:
    """Return what is needed of a pod, and of one that has finished nothing; a thousand nodes have many."""
    if pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
        return None
    meta, spec = pod["metadata"], pod["spec"]
    return {
        "metadata": _only(meta, "uid", "name", "ownerReferences", "deletionTimestamp", "labels", "annotations"),
        "spec": _only(spec, "nodeName", "schedulingGates") | _asked(spec),
    }


def keep_workload(workload: Manifest) -> Manifest | None:
    """Return what is needed of a Workload, and of one that has finished nothing."""
    if _holds(workload, "Finished"):
        return None
    meta, spec = workload["metadata"], workload["spec"]
    pod_sets = [
        {
            "name": each["name"],
            "count": each["count"],
            "template": {"spec": _only(each["template"]["spec"], "nodeSelector") | _asked(each["template"]["spec"])},
        }
        for each in spec["podSets"]
    ]
    return {
        "metadata": _only(meta, "uid", "name", "namespace", "creationTimestamp", "ownerReferences", "labels"),
        "spec": _only(spec, "queueName", "priorityClassRef", "active") | {"podSets": pod_sets},
        "status": _only(workload.get("status", {}), "conditions", "admission", "reclaimablePods"),
    }


def _only(given: Manifest, *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _asked(spec: Manifest) -> dict[str, Any]:
    return {
        kind: [_only(container, "resources") for container in spec[kind]]
        for kind in ("containers", "initContainers")
        if spec.get(kind)
    }
