"""Where Kueue has placed work, and what nodes there are to place it on: read from Kueue's objects and from Nodes."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kubernetes.utils import parse_quantity

NO_NODES = re.compile(
    r'topology "(?P<topology>[^"]+)" (?:doesn\'t allow to fit|allows to fit only)|no topology domains at level'
)
"""What Kueue says of work that has quota, and whose topology has no nodes or too few: it is not admitted before."""
MAKES_ROOM = "Pending the preemption of"
"""What Kueue says of work for which it is displacing other work."""
GPUS = "nvidia.com/"
"""How the names of GPUs, and of slices of them, begin among resources."""
GPU = "nvidia.com/gpu"
"""The name of whole GPUs; of slices of different sizes one does not make room for the other."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that work may be placed on."""

    name: str
    gpus: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Queue:
    """A ClusterQueue."""

    flavors: frozenset[str]
    """Those that it has GPUs of."""
    nominal: int = 0
    """GPUs that it has without borrowing, of all flavors."""
    cohort: str = ""
    takes_back: bool = False
    """Whether it takes back what others of its cohort borrow, whatever their priority."""
    strict: bool = False
    """Whether nothing is to go before the first, with room or without (``StrictFIFO``)."""


@dataclass(frozen=True)
class Pools:
    """The nodes, and which of them each ClusterQueue may use."""

    nodes: Sequence[Node] = ()
    flavors: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """The labels that each flavor's nodes have."""
    queues: Mapping[str, Queue] = field(default_factory=dict[str, Queue])

    def of(self, queue: str) -> list[Node]:
        """Return the nodes that work of a queue may be placed on."""
        flavors = self.queues[queue].flavors if queue in self.queues else ()
        return [node for node in self.nodes if self._has(node, flavors)]

    def without(self, flavors: Iterable[str]) -> "Pools":
        """Return the pools without the nodes of these flavors."""
        gone = frozenset(flavors)
        return replace(self, nodes=[node for node in self.nodes if not self._has(node, gone)]) if gone else self

    def _has(self, node: Node, flavors: Iterable[str]) -> bool:
        labels = [self.flavors[name] for name in flavors if name in self.flavors]
        return any(all(node.labels.get(key) == value for key, value in each.items()) for each in labels)


def read_node(node: Mapping[str, Any]) -> Node | None:
    """Return a node, unless it has no whole GPUs, is not ready or takes no new pods."""
    status: Mapping[str, Any] = node.get("status", {})
    gpus = int(parse_quantity((status.get("allocatable") or {}).get(GPU, "0")))
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or [])
    if not gpus or not ready or node["spec"].get("unschedulable"):
        return None
    return Node(node["metadata"]["name"], gpus, node["metadata"].get("labels") or {})


def read_queue(queue: Mapping[str, Any]) -> tuple[str, Queue]:
    """Return a ClusterQueue with its name."""
    spec = queue["spec"]
    quotas = [
        (flavor["name"], int(parse_quantity(resource["nominalQuota"])))
        for group in spec.get("resourceGroups", [])
        for flavor in group["flavors"]
        for resource in flavor["resources"]
        if resource["name"].startswith(GPUS)
    ]
    cohort = spec.get("cohortName") or ""
    takes_back = (spec.get("preemption") or {}).get("reclaimWithinCohort") == "Any"
    flavors, nominal = frozenset(name for name, _ in quotas), sum(gpus for _, gpus in quotas)
    strict = spec.get("queueingStrategy") == "StrictFIFO"
    return queue["metadata"]["name"], Queue(flavors, nominal, cohort, takes_back, strict)


def read_labels(flavor: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    """Return the name of a ResourceFlavor, and the labels of its nodes."""
    return flavor["metadata"]["name"], (flavor.get("spec") or {}).get("nodeLabels") or {}


def flavors_of(admission: Mapping[str, Any]) -> frozenset[str]:
    """Return the flavors that admitted work has GPUs of."""
    given = [pods.get("flavors") or {} for pods in admission.get("podSetAssignments", ())]
    return frozenset(flavor for each in given for resource, flavor in each.items() if resource.startswith(GPUS))


def pods_on(admission: Mapping[str, Any]) -> Mapping[str, Mapping[str, int]]:
    """Return how many pods of each set are on each node; without topology-aware placement nothing is known of it.

    Read from ``topologyAssignment`` of ``kueue.x-k8s.io/v1beta2``, whose last level is the node.
    """
    found: dict[str, Counter[str]] = {}
    for pods in admission.get("podSetAssignments", ()):
        counted = found.setdefault(pods["name"], Counter())
        for part in (pods.get("topologyAssignment") or {}).get("slices", ()):
            names, counts = part["valuesPerLevel"][-1], part["podCounts"]
            for number, name in enumerate(_names(names, part["domainCount"])):
                counted[name] += counts["universal"] if "universal" in counts else counts["individual"][number]
    return found


def _names(values: Mapping[str, Any], count: int) -> Iterator[str]:
    if "universal" in values:
        yield from [values["universal"]] * count
        return
    each = values["individual"]
    for root in each["roots"]:
        yield f"{each.get('prefix', '')}{root}{each.get('suffix', '')}"
