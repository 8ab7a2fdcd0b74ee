"""Where work is, as Kueue has placed it, and what else would fit there."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from falaj.lab.simulation.objects import GPU, nodes
from falaj.lab.simulation.scenario import Scenario
from falaj.lab.simulation.trace import TraceJob


def placed(workload: Mapping[str, Any]) -> dict[str, int]:
    """Return how many pods of a Workload Kueue has assigned to each node; nothing without topology-aware placement.

    Read from ``topologyAssignment`` of ``kueue.x-k8s.io/v1beta2``, whose last level is the node.
    """
    found: Counter[str] = Counter()
    for pods in workload.get("status", {}).get("admission", {}).get("podSetAssignments", ()):
        for part in pods.get("topologyAssignment", {}).get("slices", ()):
            names, counts = part["valuesPerLevel"][-1], part["podCounts"]
            for number, name in enumerate(_names(names, part["domainCount"])):
                found[name] += counts["universal"] if "universal" in counts else counts["individual"][number]
    return dict(found)


def _names(values: Mapping[str, Any], count: int) -> Iterator[str]:
    if "universal" in values:
        yield from [values["universal"]] * count
        return
    each = values["individual"]
    for root in each["roots"]:
        yield f"{each.get('prefix', '')}{root}{each.get('suffix', '')}"


def written(pods: Mapping[str, int]) -> str:
    """Return a placement as an event's note has it."""
    return " ".join(f"{node}={count}" for node, count in sorted(pods.items()))


class Rooms:
    """GPUs of each node, and who has them."""

    def __init__(self, scenario: Scenario) -> None:
        self._all = {
            node["metadata"]["name"]: int(node["status"]["capacity"][GPU])
            for pool in scenario.pools
            for node in nodes(pool)
        }
        self._gone: set[str] = set()
        self._held: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._places: dict[str, dict[str, int]] = {}
        self.known = True
        """Whether it is known of all work where it is."""

    def place(self, job: TraceJob, note: str) -> None:
        """Note where a job is."""
        pods = {node: int(count) for node, _, count in (each.partition("=") for each in note.split())}
        self.known = self.known and bool(pods)
        self._places[job.name] = pods
        for node, count in pods.items():
            self._held[node][job.tenant] += count * job.gpus_per_pod

    def leave(self, job: TraceJob) -> None:
        """Note that a job is there no more."""
        for node, count in self._places.pop(job.name, {}).items():
            self._held[node][job.tenant] -= count * job.gpus_per_pod

    def lose(self, gone: Collection[str]) -> None:
        """Note which nodes are not there."""
        self._gone = set(gone)

    def room(self, beyond: Mapping[str, float]) -> Counter[int]:
        """Return how many nodes have how many GPUs that are free, or that tenants hold ``beyond`` their share.

        Of each tenant no more counts on a node than it holds beyond its share in all. Whether that is what whole jobs
        hold is not looked at, nor are zones: so there may be less room than is told, and never more.
        """
        counted: Counter[int] = Counter()
        for node, gpus in self._all.items():
            if node in self._gone:
                continue
            held = self._held[node]
            kept = sum(gpus_held - min(gpus_held, max(beyond.get(who, 0), 0)) for who, gpus_held in held.items())
            counted[int(gpus - kept)] += 1
        return counted


def fits(job: tuple[int, int], room: Mapping[int, int]) -> bool:
    """Say whether so many pods, of so many GPUs each, find a place."""
    pods, gpus = job
    return sum(free // gpus * count for free, count in room.items()) >= pods
