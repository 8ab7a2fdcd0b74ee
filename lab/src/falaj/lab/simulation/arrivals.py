"""Generates a trace from a scenario: the same seed gives the same trace, on every machine.

Sizes and run times follow published statistics where a scenario says ``philly``; tenants, tiers and deadlines are drawn
by the scenario's own rules.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from falaj.lab.simulation.scenario import Scenario, Tenant, Work
from falaj.lab.simulation.trace import TraceJob, ordered, window


def generate(scenario: Scenario) -> list[TraceJob]:
    """Return the scenario's jobs, spread over the window in which they make the scenario's load."""
    random_numbers = random.Random(scenario.seed)  # noqa: S311 (a simulation, no secret)
    mine = _tenants_of_jobs(scenario, random_numbers)
    bare = [_job(scenario, tenant, number, random_numbers) for number, tenant in enumerate(mine)]
    length = window(bare, scenario.gpus, scenario.load)
    jobs = [
        replace(job, arrival=round(_arrival(scenario, tenant, random_numbers) * length, 3))
        for job, tenant in zip(bare, mine, strict=True)
    ]
    return ordered([assign_deadline(scenario, job, random_numbers) for job in jobs])


def adopt(scenario: Scenario, jobs: Sequence[TraceJob]) -> list[TraceJob]:
    """Give a public trace's jobs tenants, tiers and deadlines by the scenario's rules, and its length to the load.

    The order of arrivals, sizes and run times are the trace's own; who sent much there sends much here. Arrivals are
    drawn together or apart so that the work makes the scenario's load on the scenario's pools.
    """
    random_numbers = random.Random(scenario.seed)  # noqa: S311 (a simulation, no secret)
    taken = ordered(jobs)[: scenario.jobs]
    names = sorted({job.tenant for job in taken})
    random_numbers.shuffle(names)
    tenant_of = {name: scenario.tenants[index % len(scenario.tenants)] for index, name in enumerate(names)}
    first, last = taken[0].arrival, taken[-1].arrival
    stretch = window(taken, scenario.gpus, scenario.load) / max(last - first, 1)
    adopted: list[TraceJob] = []
    for number, job in enumerate(taken):
        tenant = tenant_of[job.tenant]
        here = replace(
            job,
            name=f"job-{number:05d}",
            tenant=tenant.name,
            tier=_draw(tenant.tiers, random_numbers),
            arrival=round((job.arrival - first) * stretch, 3),
        )
        adopted.append(assign_deadline(scenario, here, random_numbers))
    return ordered(adopted)


def assign_deadline(scenario: Scenario, job: TraceJob, random_numbers: random.Random) -> TraceJob:
    """Return a job with the deadline that its tier's rule draws; two draws each, so that rules shift no others."""
    chance, slack = random_numbers.random(), random_numbers.random()
    rule = scenario.deadlines.get(job.tier)
    if rule is None or chance >= rule.part:
        return job
    least, most = rule.slack
    return replace(job, deadline=round(job.arrival + job.seconds * (least + slack * (most - least)), 3))


def _tenants_of_jobs(scenario: Scenario, random_numbers: random.Random) -> list[Tenant]:
    """Return whose each job is: by demand, in jobs."""
    whole = sum(tenant.demand for tenant in scenario.tenants)
    exact = [tenant.demand * scenario.jobs / whole for tenant in scenario.tenants]
    counts = [int(number) for number in exact]
    by_rest = sorted(range(len(exact)), key=lambda index: exact[index] - counts[index], reverse=True)
    for index in by_rest[: scenario.jobs - sum(counts)]:
        counts[index] += 1
    mine = [tenant for tenant, count in zip(scenario.tenants, counts, strict=True) for _ in range(count)]
    random_numbers.shuffle(mine)
    return mine


def _job(scenario: Scenario, tenant: Tenant, number: int, random_numbers: random.Random) -> TraceJob:
    work = scenario.work[tenant.work]
    return TraceJob(
        name=f"job-{number:05d}",
        tenant=tenant.name,
        tier=_draw(tenant.tiers, random_numbers),
        arrival=0,
        seconds=round(60 * _minutes(work, random_numbers), 1),
        gpus=int(_draw({str(gpus): weight for gpus, weight in work.sizes.items()}, random_numbers)),
    )


def _minutes(work: Work, random_numbers: random.Random) -> float:
    least, most = work.minutes
    if work.durations == "uniform":
        return random_numbers.uniform(least, most)
    if work.durations == "lognormal":
        drawn = random_numbers.lognormvariate(math.log(work.median_minutes), work.sigma)
    else:
        # As Gavel (OSDI '20) draws run times after Microsoft's Philly trace: scheduler/utils.py, _generate_duration.
        long = random_numbers.random() >= 0.8
        drawn = 10 ** (random_numbers.uniform(3, 4) if long else random_numbers.uniform(1.5, 3))
    return min(max(drawn, least), most)


def _arrival(scenario: Scenario, tenant: Tenant, random_numbers: random.Random) -> float:
    """Return when a job comes, as a part of the window: in a burst, or at any time that its tenant is active."""
    chance, place = random_numbers.random(), random_numbers.random()
    for burst in scenario.bursts:
        if chance < burst.part:
            return min(burst.at + place * burst.lasts, 1)
        chance -= burst.part
    begin, end = tenant.arrives
    return begin + place * (end - begin)


def _draw(weights: dict[str, float], random_numbers: random.Random) -> str:
    return random_numbers.choices(list(weights), list(weights.values()))[0]
