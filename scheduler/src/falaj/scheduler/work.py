"""Work as the rules see it: what was said of it, how Kueue has it, and what was decided of it before."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from falaj.scheduler.placement import GPU, GPUS, pods_on
from falaj.scheduler.words import Words, read_progress

STANDING = "falaj.dev/standing"
DECIDED = "falaj.dev/decided-priority"
PROMISE = "falaj.dev/promise"
TURN = "falaj.dev/turn"
EXPLAINED = "falaj.dev/explained"
MEASURED = "falaj.dev/measured-progress"
MEASURED_AT = "falaj.dev/measured-at"
"""Annotations of a Workload, in which each decision and measured progress are kept: the cluster is the only memory."""


class Standing(StrEnum):
    """Why work has its priority."""

    OPEN = "open"
    """Nothing raises it: it has the base of its tier."""
    DUE = "due"
    """Its deadline raises it, the more the less slack there is."""
    LATE = "late"
    """Its deadline cannot be kept any more, so that it gives way to what can: it has the base of its tier."""
    OVERDUE = "overdue"
    """It waits longer than its tier promises."""
    KEEPS = "keeps"
    """It runs, and work of its own tier would displace it for less than it would lose."""
    BACKFILL = "backfill"
    """It waits and has room within its queue's share, and work before it has none."""
    RESCUE = "rescue"
    """It would miss its deadline, and work of its tier that can afford it makes room."""
    MOVED = "moved"
    """It was stopped, so that other work finds whole nodes, and is let in again as soon as it has left."""
    YIELDS = "yields"
    """It was stopped, so that work with a right to its GPUs finds whole nodes, and is let in again once it has left."""
    RETURNS = "returns"
    """It was moved, and waits for its place in room between other work."""
    TURN = "turn"
    """It has the turn of its queue: it has waited longest beyond all promises, and everything gives way."""


LEAVING = frozenset({Standing.MOVED, Standing.YIELDS})
"""Standings of work that was stopped to leave its node, and has not been let in again."""


class Promise(StrEnum):
    """How it stands with a deadline."""

    ON_TIME = "on-time"
    """There is slack."""
    AT_RISK = "at-risk"
    """There is hardly any, or none."""
    MISSED = "missed"
    """The deadline has passed."""
    REFUSED = "refused"
    """The deadline was in the past, or could not be read, when the work was made."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What a person made and knows the work by: a Job, for the most part."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Eviction:
    """How other work last took the work's place."""

    message: str
    """What Kueue says of it."""
    at: float
    """Since when Kueue says it."""
    count: int
    """How many times it has happened."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What was decided before."""

    priority: int | None = None
    standing: Standing = Standing.OPEN
    promise: Promise | None = None
    turn: float | None = None
    """When it last was given the turn."""
    explained: int = 0
    """How many displacements were explained."""
    progress: float | None = None
    """What the work itself told last, 0 to 1."""
    measured: float | None = None
    """When that was, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Work:
    """One Workload of Kueue that has not finished."""

    uid: str
    namespace: str
    name: str
    version: str
    owner: Owner
    queue: str
    """The ClusterQueue, which for falaj is the tenant."""
    tier: str
    priority: int
    created: float
    gpus: int = 0
    pods: int = 0
    """Pods that ask for GPUs, each for as many whole ones; 0 where they differ, or have to be near each other."""
    places: tuple[tuple[str, int], ...] = ()
    """GPUs on each node, where Kueue has said which."""
    flavors: frozenset[str] = frozenset()
    """The flavors that it was admitted with."""
    no_nodes: bool = False
    """Whether Kueue says that its queue has the GPUs and no nodes have the room."""
    makes_room: bool = False
    """Whether Kueue says that it is displacing other work for it."""
    ran: float = 0
    """Seconds that it ran before it lost its place."""
    admitted: float | None = None
    """Since when it runs; ``None`` when it waits."""
    without: float | None = None
    """Since when it has had no GPUs, by Kueue; ``None`` when it runs, and before Kueue has looked at it."""
    active: bool = True
    words: Words = field(default_factory=Words)
    deadline_text: str = ""
    eviction: Eviction | None = None
    noted: Noted = field(default_factory=Noted)

    @property
    def runs(self) -> bool:
        """Whether it has its GPUs."""
        return self.admitted is not None

    def waited(self, now: float) -> float:
        """Return the seconds that it has waited in all, before and after it was displaced."""
        return max(0.0, (now if self.admitted is None else self.admitted) - self.created - self.ran)


def seconds(text: str | None) -> float | None:
    """Return a timestamp of Kubernetes as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp() if text else None


def read_noted(annotations: Mapping[str, str]) -> Noted:
    """Read back what was decided; what somebody else has spoiled counts as not decided."""
    try:
        priority = annotations.get(DECIDED)
        promise = annotations.get(PROMISE)
        return Noted(
            priority=int(priority) if priority else None,
            standing=Standing(annotations.get(STANDING, Standing.OPEN)),
            promise=Promise(promise) if promise else None,
            turn=_real(annotations.get(TURN)),
            explained=int(annotations.get(EXPLAINED, 0)),
            progress=read_progress(annotations.get(MEASURED)),
            measured=seconds(annotations.get(MEASURED_AT)),
        )
    except ValueError:
        return Noted()


def _real(text: str | None) -> float | None:
    return float(text) if text else None


def gpus_of(pod_sets: list[Mapping[str, Any]]) -> int:
    """Return how many GPUs, or slices of them, the work asks for."""
    return sum(pods.get("count", 1) * gpus_each(pods) for pods in pod_sets)


def gpus_each(pods: Mapping[str, Any]) -> int:
    """Return how many GPUs, or slices of them, each pod of a set asks for."""
    return sum(_asked(pods).values())


def _asked(pods: Mapping[str, Any]) -> Counter[str]:
    """Return the GPUs, and slices of them by name, that each pod of a set asks for.

    Of GPUs a limit is a request as well, and in a template, unlike in a pod, nobody has written it out.
    """
    total: Counter[str] = Counter()
    for container in pods["template"]["spec"].get("containers", []):
        resources: Mapping[str, Any] = container.get("resources", {})
        asked = {**resources.get("limits", {}), **resources.get("requests", {})}
        total.update({name: int(amount) for name, amount in asked.items() if name.startswith(GPUS)})
    return total


def pods_of(pod_sets: list[Mapping[str, Any]]) -> int:
    """Return how many pods ask for GPUs; 0 where not all ask for as many whole ones, or they have to be near."""
    asking = [pods for pods in pod_sets if gpus_each(pods)]
    count = sum(pods.get("count", 1) for pods in asking)
    near = count > 1 and any((pods.get("topologyRequest") or {}).get("required") for pods in asking)
    alike = {gpus_each(pods) for pods in asking} == {_asked(asking[0])[GPU]} if asking else False
    return count if alike and not near else 0


def places_of(pod_sets: list[Mapping[str, Any]], admission: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Return the GPUs that the work has on each node, where Kueue has said which."""
    each = {pods.get("name", "main"): gpus_each(pods) for pods in pod_sets}
    held: Counter[str] = Counter()
    for name, counted in pods_on(admission).items():
        for node, count in counted.items():
            held[node] += count * each.get(name, 0)
    return tuple(sorted((node, gpus) for node, gpus in held.items() if gpus))
