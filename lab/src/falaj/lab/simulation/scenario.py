"""What is simulated: pools, tenants with their shares, the work that comes, its tiers and deadlines, what fails."""

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path

from falaj.lab.errors import LabError
from falaj.lab.simulation.tables import Table, wrong

TIERS = {"scavenger": 0, "batch": 1000, "interactive": 2000, "production": 3000}
"""The priority of each tier, as the platform's components set it; a scenario may set others."""
SHIPPED = Path(str(resources.files("falaj.lab"))) / "scenarios"


@dataclass(frozen=True)
class Pool:
    """Nodes of one kind."""

    name: str
    nodes: int
    gpus_per_node: int
    zones: tuple[str, ...]
    cost_per_gpu_hour: float

    @property
    def gpus(self) -> int:
        """How many GPUs it has."""
        return self.nodes * self.gpus_per_node


@dataclass(frozen=True)
class Work:
    """How big and how long a tenant's jobs are: weights of GPU counts, and a distribution of minutes."""

    sizes: dict[int, float]
    durations: str
    """``philly``, ``uniform`` or ``lognormal``."""
    minutes: tuple[float, float]
    """Least and most, in simulated minutes: longer and shorter ones are drawn in."""
    median_minutes: float
    sigma: float


@dataclass(frozen=True)
class Tenant:
    """One tenant: its share of the GPUs, and what part of the work it brings."""

    name: str
    share: float
    demand: float
    department: str
    tiers: dict[str, float]
    work: str
    arrives: tuple[float, float]
    """When its work comes, as parts of the window of arrivals."""


@dataclass(frozen=True)
class Burst:
    """A part of all jobs that comes in a short time."""

    at: float
    lasts: float
    part: float


@dataclass(frozen=True)
class Failure:
    """Nodes that go down and come back, as parts of the window of arrivals."""

    at: float
    until: float
    zone: str
    nodes: int
    """How many nodes, of every pool; 0 for all of the zone."""


@dataclass(frozen=True)
class Deadlines:
    """How deadlines are given to a tier's jobs: to which part, and after how many times the run time."""

    part: float
    slack: tuple[float, float]


@dataclass(frozen=True)
class Scenario:
    """Everything that a run is made of, but the trace."""

    name: str
    title: str
    seed: int
    jobs: int
    load: float
    """GPU hours of all work, as a multiple of what the pools could do in the window of arrivals."""
    minutes: float
    """Real minutes that the window of arrivals takes: sets how fast simulated time passes."""
    drain: float
    """How long the run goes on after the last arrival, at most, as a multiple of ``minutes``."""
    checkpoint_minutes: float
    """Simulated minutes between two checkpoints of a job: what an eviction may cost it."""
    topology: bool
    """Whether Kueue chooses nodes (topology-aware scheduling), and does not admit what fits on none."""
    pools: tuple[Pool, ...]
    tenants: tuple[Tenant, ...]
    work: dict[str, Work]
    tiers: dict[str, int]
    deadlines: dict[str, Deadlines]
    bursts: tuple[Burst, ...]
    failures: tuple[Failure, ...]

    @property
    def gpus(self) -> int:
        """GPUs of all pools."""
        return sum(pool.gpus for pool in self.pools)

    @property
    def share_sum(self) -> float:
        """What the tenants' shares are parts of."""
        return sum(tenant.share for tenant in self.tenants)


@dataclass(frozen=True)
class Size:
    """What a person may set smaller or larger than the scenario says."""

    nodes: int | None = None
    jobs: int | None = None
    tenants: int | None = None
    minutes: float | None = None
    seed: int | None = None


def shipped() -> list[str]:
    """Return the names of the scenarios that come with the lab."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load(name: str, size: Size | None = None, *, small: bool = False) -> Scenario:
    """Read a scenario by its name or its file, in the size that is asked for.

    The small size, which a scenario names in ``[small]``, has nodes and tenants, and any other keys in place of the
    scenario's own; its kinds of work replace those of the same names.
    """
    path = Path(name) if name.endswith(".toml") else SHIPPED / f"{name}.toml"
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise wrong("SCENARIO", name, f"name one of {', '.join(shipped())}, or a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise LabError(f"{path}: {error}; correct the file") from None
    less = content.pop("small", {})
    told = size or Size()
    if small:
        table = Table(less, "small")
        own = Size(nodes=table.count("nodes"), tenants=table.count("tenants"))
        told = replace(own, **{name: value for name, value in asdict(told).items() if value is not None})
        content |= table.rest() | {"work": {**content.get("work", {}), **less.get("work", {})}}
    return sized(parse(content, path.stem), told)


def parse(content: dict[str, object], name: str) -> Scenario:
    """Check a scenario's tables and return what they say."""
    top = Table(content, "")
    tiers_table = top.table("tiers")
    tiers = {tier: tiers_table.count(tier, priority, least=0) for tier, priority in TIERS.items()}
    tiers_table.finish()
    work = {key: _work(table) for key, table in top.table("work").named()}
    deadlines = {tier: _deadlines(table) for tier, table in top.table("deadlines").named()}
    scenario = Scenario(
        name=name,
        title=top.take("title", str),
        seed=top.count("seed", 1, least=0),
        jobs=top.count("jobs"),
        load=top.number("load", 1.0, least=0.01),
        minutes=top.number("minutes", 20, least=0.05),
        drain=top.number("drain", 1.0),
        checkpoint_minutes=top.number("checkpoint_minutes", 30, least=1),
        topology=top.take("topology", bool, True),
        pools=tuple(map(_pool, top.tables("pools"))),
        tenants=tuple(tenant for table in top.tables("tenants") for tenant in _tenants(table)),
        work=work,
        tiers=tiers,
        deadlines=deadlines,
        bursts=tuple(map(_burst, top.tables("bursts"))),
        failures=tuple(map(_failure, top.tables("failures"))),
    )
    top.finish()
    check(scenario)
    return scenario


def check(scenario: Scenario) -> None:
    """Refuse what does not fit together."""
    if not scenario.pools:
        raise wrong("pools", [], "write at least one [[pools]] table")
    if not scenario.tenants:
        raise wrong("tenants", [], "write at least one [[tenants]] table")
    names = [tenant.name for tenant in scenario.tenants]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise wrong("tenants.name", twice, "give each tenant a name of its own")
    for tenant in scenario.tenants:
        if tenant.work not in scenario.work:
            raise wrong("tenants.work", tenant.work, f"name one of [work.…]: {', '.join(scenario.work) or 'none'}")
        for tier in [*tenant.tiers, *scenario.deadlines]:
            if tier not in scenario.tiers:
                raise wrong("tier", tier, f"the tiers are {', '.join(scenario.tiers)}")
    zones = {zone for pool in scenario.pools for zone in pool.zones}
    for failure in scenario.failures:
        if failure.zone and failure.zone not in zones:
            raise wrong("failures.zone", failure.zone, f"the pools' zones are {', '.join(sorted(zones))}")
        if failure.until <= failure.at:
            raise wrong("failures.until", failure.until, f"it has to come after {failure.at:g}")
    if sum(burst.part for burst in scenario.bursts) > 1:
        raise wrong("bursts.part", [burst.part for burst in scenario.bursts], "together they are at most 1")


def sized(scenario: Scenario, size: Size) -> Scenario:
    """Return a scenario with as many nodes, jobs, tenants and minutes as asked for, and all else alike."""
    pools = scenario.pools
    if size.nodes is not None:
        whole = sum(pool.nodes for pool in pools)
        pools = tuple(replace(pool, nodes=max(1, round(pool.nodes * size.nodes / whole))) for pool in pools)
    return replace(
        scenario,
        pools=pools,
        jobs=size.jobs if size.jobs is not None else scenario.jobs,
        tenants=_fewer(scenario.tenants, size.tenants) if size.tenants is not None else scenario.tenants,
        minutes=size.minutes if size.minutes is not None else scenario.minutes,
        seed=size.seed if size.seed is not None else scenario.seed,
    )


def _fewer(tenants: Sequence[Tenant], count: int) -> tuple[Tenant, ...]:
    """Return so many tenants of each kind that all kinds stay; alike ones keep together what they had as demand."""
    kinds: dict[str, list[Tenant]] = {}
    for tenant in tenants:
        kinds.setdefault(_kind(tenant), []).append(tenant)
    if count < len(kinds):
        raise wrong("--tenants", count, f"the scenario has {len(kinds)} kinds of tenants; choose as many or more")
    single = sum(len(alike) == 1 for alike in kinds.values())
    many = sum(len(alike) for alike in kinds.values() if len(alike) > 1)
    kept: list[Tenant] = []
    for alike in kinds.values():
        number = 1 if len(alike) == 1 else max(1, round((count - single) * len(alike) / many))
        part = alike[: min(number, len(alike))]
        kept += [replace(one, share=one.share * len(alike) / len(part)) for one in part]
    total = {kind: sum(one.demand for one in alike) for kind, alike in kinds.items()}
    now = {kind: sum(one.demand for one in kept if _kind(one) == kind) for kind in kinds}
    return tuple(replace(one, demand=one.demand * total[_kind(one)] / now[_kind(one)]) for one in kept)


def _kind(tenant: Tenant) -> str:
    return tenant.name.rstrip("0123456789")


def _pool(table: Table) -> Pool:
    pool = Pool(
        name=table.take("name", str),
        nodes=table.count("nodes"),
        gpus_per_node=table.count("gpus_per_node", 8),
        zones=table.names("zones", ("me-central-1a",)),
        cost_per_gpu_hour=table.number("cost_per_gpu_hour", 0),
    )
    table.finish()
    return pool


def _tenants(table: Table) -> list[Tenant]:
    """Return the tenants that one table stands for: ``count`` of them, numbered."""
    name, count = table.take("name", str), table.count("count", 1)
    share = table.number("share", 1, least=0.001)
    departments = table.names("departments")
    one = Tenant(
        name=name,
        share=share,
        demand=table.number("demand", share),
        department="",
        tiers=table.weights("tiers", {"batch": 1}),
        work=table.take("work", str, "default"),
        arrives=table.span("arrives", (0, 1), most=1),
    )
    table.finish()
    named = [replace(one, name=f"{name}{number + 1:02d}") for number in range(count)] if count > 1 else [one]
    if not departments:
        return named
    return [replace(tenant, department=departments[index % len(departments)]) for index, tenant in enumerate(named)]


def _work(table: Table) -> Work:
    sizes = table.weights("sizes", PHILLY_SIZES)
    durations = table.take("durations", str, "philly")
    if durations not in ("philly", "uniform", "lognormal"):
        raise wrong(table.field("durations"), durations, "it is philly, uniform or lognormal")
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise wrong(table.field("sizes"), list(sizes), "its keys are numbers of GPUs")
    work = Work(
        sizes={int(gpus): weight for gpus, weight in sizes.items()},
        durations=durations,
        minutes=table.span("minutes", (1, 24 * 60)),
        median_minutes=table.number("median_minutes", 60, least=0.1),
        sigma=table.number("sigma", 1),
    )
    table.finish()
    return work


PHILLY_SIZES = {"1": 0.70, "2": 0.10, "4": 0.15, "8": 0.05}
"""GPUs of a job, as Gavel (Narayanan et al., OSDI '20) draws them after Microsoft's Philly trace (Jeon et al., ATC
'19): https://github.com/stanford-futuredata/gavel, scheduler/utils.py."""


def _deadlines(table: Table) -> Deadlines:
    deadlines = Deadlines(part=table.number("part", 1, most=1), slack=table.span("slack", (2, 4)))
    table.finish()
    return deadlines


def _burst(table: Table) -> Burst:
    burst = Burst(
        at=table.number("at", most=1), lasts=table.number("lasts", 0.02, most=1), part=table.number("part", most=1)
    )
    table.finish()
    return burst


def _failure(table: Table) -> Failure:
    failure = Failure(
        at=table.number("at"),
        until=table.number("until"),
        zone=table.take("zone", str, ""),
        nodes=table.count("nodes", 0, least=0),
    )
    table.finish()
    if not failure.zone and not failure.nodes:
        raise wrong(table.name, "a failure of nothing", "write zone, nodes, or both")
    return failure
