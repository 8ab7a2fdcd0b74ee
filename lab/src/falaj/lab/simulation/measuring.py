"""What a run shows, from its trace and its events alone: pure functions, the same for a live run and a recorded one."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from falaj.lab.simulation.events import Event, Seen
from falaj.lab.simulation.fairness import entitled, jain
from falaj.lab.simulation.placement import Rooms, fits
from falaj.lab.simulation.scenario import Scenario
from falaj.lab.simulation.trace import TraceJob

STEP = 0.5
"""Real seconds between two looks at the state that the events make; what is in between counts as the next look's."""
PEAK = 10.0
"""Real seconds over which the highest rate of admissions is taken."""


@dataclass
class Story:
    """What became of one job; all times are real seconds of the run."""

    job: TraceJob
    submitted: float | None = None
    first_admitted: float | None = None
    admitted: float | None = None
    """When it was let in last, until all its pods ran."""
    starts: list[float] = field(default_factory=list[float])
    """How long each time from then until all its pods ran."""
    finished: float | None = None
    failed: bool = False
    held: bool = False
    ready: float = 0.0


@dataclass
class Spell:
    """How long something was so, in all and at a stretch, in real seconds."""

    all: float = 0.0
    now: float = 0.0
    longest: float = 0.0

    def see(self, *, so: bool) -> None:
        """Count one step."""
        self.now = self.now + STEP if so else 0.0
        self.all += STEP if so else 0.0
        self.longest = max(self.longest, self.now)


@dataclass
class Tenancy:
    """What one tenant has at a moment, and what has added up until then (in GPU seconds of real time)."""

    held: float = 0.0
    running: float = 0.0
    waiting: Counter[tuple[int, int]] = field(default_factory=Counter[tuple[int, int]])
    """How many jobs of so many pods, with so many GPUs each, wait."""
    got: float = 0.0
    was_entitled: float = 0.0
    below: Spell = field(default_factory=Spell)
    """While a job waits that fits into what is left of its nominal share."""
    below_with_room: Spell = field(default_factory=Spell)
    """While there is, beside that, room for it on nodes."""
    left_out: Spell = field(default_factory=Spell)
    """While that is so and none of its work is let in: who fills a share with small work needs one round for each."""

    @property
    def wanted(self) -> float:
        """GPUs that it has or waits for."""
        return self.held + sum(pods * gpus * count for (pods, gpus), count in self.waiting.items())


@dataclass
class Totals:
    """What adds up over a run."""

    seconds: float = 0.0
    contended: float = 0.0
    running: float = 0.0
    capacity: float = 0.0
    contended_running: float = 0.0
    contended_held: float = 0.0
    contended_capacity: float = 0.0
    jain: float = 0.0


class Replay:
    """Goes through the events and looks at the state every `STEP` seconds."""

    def __init__(self, scenario: Scenario, trace: Sequence[TraceJob]):
        self.stories = {job.name: Story(job) for job in trace}
        self.tenants = {tenant.name: Tenancy() for tenant in scenario.tenants}
        self.shares = {tenant.name: tenant.share for tenant in scenario.tenants}
        self.share_sum = scenario.share_sum
        self.gpus = scenario.gpus
        self.rooms = Rooms(scenario)
        self.capacity = float(scenario.gpus)
        self.totals = Totals()
        self.series: list[dict[str, float]] = []

    def run(self, events: Iterable[Event], end: float) -> None:
        """Go through events, in their order, up to the end of the run."""
        look = STEP
        for event in events:
            while event.at > look:
                self.look(look)
                look += STEP
            self.take(event)
        while look <= end:
            self.look(look)
            look += STEP

    def take(self, event: Event) -> None:
        """Let one event change the state."""
        if event.seen is Seen.CAPACITY:
            self.capacity = event.value
        if event.seen is Seen.GONE:
            self.rooms.lose(event.note.split())
        if not event.job:
            return
        story = self.stories[event.job]
        tenant, gpus = self.tenants[story.job.tenant], story.job.all_gpus
        shape = (story.job.pods, story.job.gpus_per_pod)
        if event.seen is Seen.SUBMITTED:
            story.submitted = event.at
            tenant.waiting[shape] += 1
        elif event.seen is Seen.ADMITTED and not story.held:
            story.held = True
            story.admitted = event.at
            story.first_admitted = story.first_admitted if story.first_admitted is not None else event.at
            tenant.waiting[shape] -= 1
            tenant.held += gpus
            tenant.left_out.now = 0.0
            self.rooms.place(story.job, event.note)
        elif event.seen is Seen.EVICTED and story.held:
            story.held = False
            tenant.held -= gpus
            self.rooms.leave(story.job)
            tenant.waiting[shape] += 1
        elif event.seen is Seen.READY:
            tenant.running += (event.value - story.ready) * story.job.gpus_per_pod
            story.ready = event.value
            if story.admitted is not None and story.ready >= story.job.pods:
                story.starts.append(event.at - story.admitted)
                story.admitted = None
        elif event.seen in (Seen.FINISHED, Seen.FAILED) and story.finished is None:
            story.finished, story.failed = event.at, event.seen is Seen.FAILED
            tenant.running -= story.ready * story.job.gpus_per_pod
            story.ready = 0
            if story.held:
                tenant.held -= gpus
                self.rooms.leave(story.job)
            else:
                tenant.waiting[shape] -= 1
            story.held = False

    def look(self, at: float) -> None:
        """Add up what the state is now, for one step."""
        wanted = {name: tenant.wanted for name, tenant in self.tenants.items()}
        running = sum(tenant.running for tenant in self.tenants.values())
        held = sum(tenant.held for tenant in self.tenants.values())
        contended = sum(wanted.values()) > self.capacity
        totals = self.totals
        totals.seconds += STEP
        totals.running += running * STEP
        totals.capacity += self.capacity * STEP
        index = 1.0
        if contended:
            index = self.share_out(wanted)
            totals.contended += STEP
            totals.contended_running += running * STEP
            totals.contended_held += held * STEP
            totals.contended_capacity += self.capacity * STEP
            totals.jain += index * STEP
        self.see_nominal()
        waiting = sum(wanted.values()) - held
        self.series.append(
            {"at": at, "running": running, "held": held, "waiting": waiting, "capacity": self.capacity, "jain": index}
        )

    def share_out(self, wanted: Mapping[str, float]) -> float:
        """Add to what each tenant got and was entitled to, and return Jain's index of this moment."""
        due = entitled(self.capacity, self.shares, wanted)
        for name, tenant in self.tenants.items():
            tenant.got += min(tenant.held, wanted[name]) * STEP
            tenant.was_entitled += due[name] * STEP
        return jain(self.tenants[name].held / gpus for name, gpus in due.items() if gpus > 0)

    def see_nominal(self) -> None:
        """Count the time in which tenants wait with a job that fits into what is left of their nominal share."""
        left = {
            name: self.shares[name] / self.share_sum * self.gpus - tenant.held for name, tenant in self.tenants.items()
        }
        fitting = {
            name: [shape for shape, count in tenant.waiting.items() if count > 0 and shape[0] * shape[1] <= left[name]]
            for name, tenant in self.tenants.items()
        }
        # Most of the time nobody is below its share, and the nodes need not be gone through.
        room = self.rooms.room({name: -gpus for name, gpus in left.items()}) if any(fitting.values()) else {}
        for name, tenant in self.tenants.items():
            tenant.below.see(so=bool(fitting[name]))
            with_room = any(fits(shape, room) for shape in fitting[name])
            tenant.below_with_room.see(so=with_room)
            tenant.left_out.see(so=with_room)


def measure(
    scenario: Scenario, trace: Sequence[TraceJob], events: Sequence[Event], scale: float, end: float
) -> dict[str, Any]:
    """Return all figures of a run; ``scale`` is how many simulated seconds pass in a real one."""
    in_order = sorted(events, key=lambda event: event.at)
    replay = Replay(scenario, trace)
    replay.run(in_order, end)
    stories = list(replay.stories.values())
    return {
        "jobs": outcome(stories),
        "run_seconds_mean": rounded(sum(job.seconds for job in trace) / len(trace) / scale),
        "start_seconds": spread(sorted(start for story in stories for start in story.starts)),
        "utilization": utilization(replay.totals),
        "waits": by_tier(scenario, stories, lambda some: waits(some, scale)),
        "deadlines": {
            "all": deadlines(stories, scale, end),
            **by_tier(scenario, stories, lambda some: deadlines(some, scale, end)),
        },
        "fairness": fairness(replay),
        "nominal": nominal(replay),
        "evictions": evictions(in_order, scenario, scale),
        "admissions": admissions(stories),
        "capacity_changes": returns(in_order, replay.series),
        "said": dict(Counter(event.note for event in in_order if event.seen is Seen.WARNED)),
        "series": replay.series,
    }


def outcome(stories: Sequence[Story]) -> dict[str, int]:
    """Return what became of the jobs."""
    return {
        "in_trace": len(stories),
        "submitted": sum(story.submitted is not None for story in stories),
        "admitted": sum(story.first_admitted is not None for story in stories),
        "finished": sum(story.finished is not None and not story.failed for story in stories),
        "failed": sum(story.failed for story in stories),
    }


def utilization(totals: Totals) -> dict[str, float | None]:
    """Return which part of the GPUs ran work: always, and while there was work for all of them."""
    return {
        "overall": ratio(totals.running, totals.capacity),
        "while_work_waits": ratio(totals.contended_running, totals.contended_capacity),
        "quota_given_while_work_waits": ratio(totals.contended_held, totals.contended_capacity),
        "seconds_while_work_waits": round(totals.contended, 1),
        "seconds": round(totals.seconds, 1),
    }


def waits(stories: Sequence[Story], scale: float) -> dict[str, Any]:
    """Return how long jobs waited for their first admission; those never admitted are counted, not guessed."""
    known = sorted(
        story.first_admitted - story.submitted
        for story in stories
        if story.first_admitted is not None and story.submitted is not None
    )
    return {
        "admitted": len(known),
        "never_admitted": sum(story.submitted is not None and story.first_admitted is None for story in stories),
        "seconds": spread(known),
        "simulated_minutes": spread([value * scale / 60 for value in known]),
        "seconds_of_each": [round(value, 2) for value in known],
    }


def deadlines(stories: Sequence[Story], scale: float, end: float) -> dict[str, Any]:
    """Return how many deadlines were met and missed; one that lies after the end of the run is neither."""
    met = missed = undetermined = 0
    lateness: list[float] = []
    for story in stories:
        if story.job.deadline is None:
            continue
        due = story.job.deadline / scale
        if story.finished is not None and not story.failed:
            met, missed = (met + 1, missed) if story.finished <= due else (met, missed + 1)
            lateness += [(story.finished - due) * scale / 60] if story.finished > due else []
        elif story.failed or due < end:
            missed += 1
        else:
            undetermined += 1
    known = met + missed
    return {
        "met": met,
        "missed": missed,
        "undetermined": undetermined,
        "missed_part": rounded(missed / known) if known else None,
        "late_simulated_minutes_p50": rounded(percentile(sorted(lateness), 0.5)),
    }


def fairness(replay: Replay) -> dict[str, Any]:
    """Return Jain's index over what tenants got of what they were entitled to while there was work for all GPUs."""
    tenants = {
        name: {
            "share": replay.shares[name] / replay.share_sum,
            "gpu_seconds": round(tenant.got, 1),
            "entitled_gpu_seconds": round(tenant.was_entitled, 1),
            "got_of_entitled": rounded(ratio(tenant.got, tenant.was_entitled)),
        }
        for name, tenant in replay.tenants.items()
    }
    parts = [tenant.got / tenant.was_entitled for tenant in replay.tenants.values() if tenant.was_entitled > 0]
    return {
        "jain": rounded(jain(parts)) if parts else None,
        "jain_of_each_moment": rounded(ratio(replay.totals.jain, replay.totals.contended)),
        "tenants": tenants,
    }


def nominal(replay: Replay) -> dict[str, Any]:
    """Return how long tenants were below their nominal share with a job waiting that fitted into it.

    ``with_room`` counts only while it fitted on nodes too, and ``left_out`` anew from each work that is let in; nothing
    where it is not known where work was.
    """
    tenants = replay.tenants.items()
    where_known = {
        "with_room": {name: tenant.below_with_room for name, tenant in tenants},
        "left_out": {name: tenant.left_out for name, tenant in tenants},
    }
    return spells({name: tenant.below for name, tenant in tenants}) | {
        what: spells(told) if replay.rooms.known else None for what, told in where_known.items()
    }


def spells(by_tenant: Mapping[str, Spell]) -> dict[str, Any]:
    """Return the longest stretches of all tenants, and how long it was so in all."""
    longest = sorted(spell.longest for spell in by_tenant.values())
    return {
        "longest_seconds": {"p50": percentile(longest, 0.5), "max": percentile(longest, 1.0)},
        "longest_seconds_by_tenant": {name: spell.longest for name, spell in by_tenant.items()},
        "seconds_by_tenant": {name: spell.all for name, spell in by_tenant.items()},
    }


def evictions(events: Iterable[Event], scenario: Scenario, scale: float) -> dict[str, Any]:
    """Return how often work was evicted and why, and what that cost, in simulated GPU hours.

    A preemption takes as long as from Kueue's decision until the quota is free, in real seconds.
    """
    reasons: Counter[str] = Counter()
    took: list[float] = []
    lost: defaultdict[str, float] = defaultdict(float)
    series: list[tuple[float, int]] = []
    for event in events:
        if event.seen is Seen.EVICTED:
            reasons[event.note] += 1
            if event.note.startswith("Preempted"):
                series.append((event.at, len(series) + 1))
                took.append(event.value)
        elif event.seen is Seen.LOST:
            lost[event.note] += event.value / 3600
    price = sum(pool.cost_per_gpu_hour * pool.gpus for pool in scenario.pools) / scenario.gpus
    return {
        "by_reason": dict(reasons),
        "preemptions": len(series),
        "preemption_seconds": spread(sorted(took)),
        "gpu_hours_lost": rounded(sum(lost.values())),
        "gpu_hours_lost_by": {why: rounded(hours) for why, hours in lost.items()},
        "cost_of_lost": rounded(sum(lost.values()) * price),
        "preemptions_over_time": series,
        "scale": scale,
    }


def admissions(stories: Sequence[Story]) -> dict[str, Any]:
    """Return how many workloads were admitted in a second: on average, and in the best ten seconds."""
    times = sorted(story.first_admitted for story in stories if story.first_admitted is not None)
    sent = sorted(story.submitted for story in stories if story.submitted is not None)
    return {
        "per_second": rounded(rate(times)),
        "peak_per_second": rounded(peak(times)),
        "submitted_per_second": rounded(rate(sent)),
        "peak_submitted_per_second": rounded(peak(sent)),
    }


def returns(events: Iterable[Event], series: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Return, for each change of capacity, how long it took until as good as all of what was there ran work."""
    changed = [event for event in events if event.seen is Seen.CAPACITY]
    told: list[dict[str, Any]] = []
    for number, event in enumerate(changed):
        until = changed[number + 1].at if number + 1 < len(changed) else math.inf
        full = next((one["at"] for one in series if event.at <= one["at"] < until and busy(one)), None)
        told.append(
            {
                "at": round(event.at, 1),
                "gpus": event.value,
                "note": event.note,
                "seconds_until_95_percent_ran": None if full is None else round(full - event.at, 1),
            }
        )
    return told


def busy(moment: Mapping[str, float]) -> bool:
    """Say whether as good as all GPUs ran work at a moment."""
    return moment["capacity"] > 0 and moment["running"] >= 0.95 * moment["capacity"]


def by_tier(
    scenario: Scenario, stories: Sequence[Story], told: Callable[[Sequence[Story]], dict[str, Any]]
) -> dict[str, Any]:
    """Return what is told of each tier that has jobs."""
    groups = {tier: [story for story in stories if story.job.tier == tier] for tier in scenario.tiers}
    return {tier: told(group) for tier, group in groups.items() if group}


def rate(times: Sequence[float]) -> float | None:
    """Return how many a second there were from the first to the last."""
    return ratio(len(times), times[-1] - times[0]) if len(times) > 1 else None


def peak(times: Sequence[float]) -> float | None:
    """Return how many a second there were in the best `PEAK` seconds."""
    best, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] > PEAK:
            first += 1
        best = max(best, last - first + 1)
    return best / PEAK if times else None


def spread(ordered: Sequence[float]) -> dict[str, float | None]:
    """Return the median of values, what 95 of 100 do not exceed, and the most."""
    return {name: rounded(percentile(ordered, part)) for name, part in {"p50": 0.5, "p95": 0.95, "max": 1.0}.items()}


def percentile(ordered: Sequence[float], part: float) -> float | None:
    """Return the value below which a part of the values is (nearest rank)."""
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else None


def ratio(above: float, below: float) -> float | None:
    """Return a quotient, and nothing where there is none."""
    return above / below if below > 0 else None


def rounded(value: float | None) -> float | None:
    """Return a figure as a report shows it."""
    return None if value is None else round(value, 4)
