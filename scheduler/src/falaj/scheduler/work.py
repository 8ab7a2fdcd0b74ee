"""Work as the rules see it: what was said of it, how Kueue has it, and what was decided of it before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

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
    RESCUE = "rescue"
    """It would miss its deadline, and work of its tier that can afford it makes room."""
    TURN = "turn"
    """It has the turn of its queue: it has waited longest beyond all promises, and everything gives way."""


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
    ran: float = 0
    """Seconds that it ran before it lost its place."""
    admitted: float | None = None
    """Since when it runs; ``None`` when it waits."""
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
    """Return how many GPUs, or slices of them, the work asks for.

    Of GPUs a limit is a request as well, and in a template, unlike in a pod, nobody has written it out.
    """
    total = 0
    for pods in pod_sets:
        for container in pods["template"]["spec"].get("containers", []):
            resources: Mapping[str, Any] = container.get("resources", {})
            asked = {**resources.get("limits", {}), **resources.get("requests", {})}
            amounts = [amount for name, amount in asked.items() if name.startswith("nvidia.com/")]
            total += pods.get("count", 1) * sum(int(amount) for amount in amounts)
    return total
