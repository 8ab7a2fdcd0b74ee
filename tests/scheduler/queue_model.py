"""A model of one ClusterQueue as Kueue runs it, in the time that it is given: for properties of the rules.

Highest priority first, then the longest waiting; what does not fit lets others by (BestEffortFIFO); work displaces what
has lower priority (withinClusterQueue: LowerPriority), lowest and then latest admitted first, if that makes room.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

from falaj.scheduler.decide import Decision, decide
from falaj.scheduler.policy import Policy
from falaj.scheduler.words import Words
from falaj.scheduler.work import Eviction, Noted, Owner, Work


def work(
    name: str, *, tier: str = "batch", created: float = 0, gpus: int = 1, queue: str = "vision", **more: object
) -> Work:
    """Make work with its tier's priority, as Kueue does."""
    said = {key: more.pop(key) for key in ("deadline", "expected", "progress", "measured", "checkpoint") if key in more}
    made = Work(
        uid=f"uid-{name}",
        namespace=queue,
        name=f"job-{name}",
        version="1",
        owner=Owner("batch/v1", "Job", name, f"job-uid-{name}"),
        queue=queue,
        tier=tier,
        priority=Policy().tiers[tier].priority,
        created=created,
        gpus=gpus,
        words=Words(**said),  # pyright: ignore[reportArgumentType]
    )
    return replace(made, **more)  # pyright: ignore[reportArgumentType]


def written(decision: Decision) -> Work:
    """Return the work as it is once the decision is in the cluster."""
    each = decision.work
    noted = Noted(decision.priority, decision.standing, decision.promise, decision.turn, decision.explained)
    return replace(each, priority=decision.priority, active=decision.active, noted=noted)


@dataclass
class Queue:
    """One queue with so many GPUs; ``runs`` says how long each work takes, by uid."""

    gpus: int
    runs: dict[str, float]
    policy: Policy | None
    """The rules; ``None`` is plain Kueue."""
    now: float = 0
    works: dict[str, Work] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    finished: dict[str, float] = field(default_factory=dict)
    displaced: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By whom, whom, and how many times."""
    lost: float = 0
    writes: int = 0

    def submit(self, *works: Work) -> None:
        """Let work come."""
        self.works |= {each.uid: each for each in works}

    def pass_time(self, until: float, step: float) -> None:
        """Run the queue until then, a decision each step."""
        while self.now < until:
            self._finish()
            if self.policy:
                came = [each for each in self.works.values() if each.created <= self.now]
                for decision in decide(came, self.now, self.policy):
                    self.works[decision.work.uid] = written(decision)
                    self.writes += 1
            self._admit()
            self.now += step

    def _finish(self) -> None:
        for each in [each for each in self.works.values() if each.runs]:
            if self.now - (each.admitted or 0) >= self.runs[each.uid]:
                self.finished[each.uid] = (each.admitted or 0) + self.runs[each.uid]
                del self.works[each.uid]

    def _admit(self) -> None:
        waiting = [each for each in self.works.values() if not each.runs and each.active and each.created <= self.now]
        for each in sorted(waiting, key=lambda each: (-each.priority, each.created + each.ran)):
            missing = each.gpus - self.free
            victims = self._victims(each, missing) if missing > 0 else []
            if victims is None:
                continue
            for victim in victims:
                self._displace(victim, each)
            self.works[each.uid] = replace(each, admitted=self.now)
            self.started.setdefault(each.uid, self.now)

    @property
    def free(self) -> int:
        """GPUs that nobody has."""
        return self.gpus - sum(each.gpus for each in self.works.values() if each.runs)

    def _victims(self, waits: Work, missing: int) -> list[Work] | None:
        lower = [each for each in self.works.values() if each.runs and each.priority < waits.priority]
        victims: list[Work] = []
        for each in sorted(lower, key=lambda each: (each.priority, -(each.admitted or 0))):
            if missing <= 0:
                break
            victims.append(each)
            missing -= each.gpus
        return victims if missing <= 0 else None

    def _displace(self, victim: Work, by: Work) -> None:
        ran = self.now - (victim.admitted or 0)
        self.lost += ran * victim.gpus
        self.displaced[by.uid, victim.uid] += 1
        count = victim.eviction.count + 1 if victim.eviction else 1
        message = (
            f"Preempted to accommodate a workload (UID: {by.uid}, JobUID: {by.owner.uid}) due to prioritization in the "
            "ClusterQueue; preemptor path: /vision; preemptee path: /vision"
        )
        self.works[victim.uid] = replace(
            victim, admitted=None, ran=victim.ran + ran, eviction=Eviction(message, self.now, count)
        )
