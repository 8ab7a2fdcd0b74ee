"""Who has which share of which pool: what may be said of it, and the checks that it adds up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NotRequired, TypedDict

from falaj.components.checks import bounded, dns_label
from falaj.components.errors import ConfigError

ROOT = "falaj"
"""The cohort in which all tenants lend to each other."""
COMMON = "common"
"""What the part of a pool that is nobody's is called in messages."""
MOST = 1_000_000
"""More than any pool has; what a pool really has is checked against it."""


class Queueing(StrEnum):
    """Which of a tenant's waiting work is tried first."""

    BEST_EFFORT = "BestEffortFIFO"
    """By priority and age; what does not fit lets smaller work pass, so that nothing idles for its sake."""
    STRICT = "StrictFIFO"
    """By priority and age; what does not fit holds everything behind it, so that it is surely next."""


class Share(TypedDict):
    """What somebody has of one pool, in units of the pool's resource."""

    pool: str
    """Name of the pool. The order of shares ranks the pools: work goes to the first that has room."""
    nominal: int
    """What is theirs whenever they want it; 0 for who only borrows."""
    borrowing_limit: NotRequired[int]
    """Most that they take beyond it while others leave it idle. Default: all that is idle."""
    lending_limit: NotRequired[int]
    """Most of it that others take while it is idle. Default: all of it."""


class QueueTenant(TypedDict):
    """A tenant and its shares."""

    name: str
    """Name of the tenant, and of its ClusterQueue."""
    shares: list[Share]
    """Its share of each pool that it may use, the preferred pool first."""
    department: NotRequired[str]
    """Department within which it borrows and lends first. Default: none."""
    namespaces: NotRequired[list[str]]
    """Namespaces whose work it is. Default: the one named as the tenant."""
    weight: NotRequired[int]
    """How much of what is idle it gets beside others who borrow, 1 to 1000. Default: 1."""
    queueing: NotRequired[Queueing]
    """Which of its waiting work is tried first. Default: best effort."""


class Department(TypedDict):
    """Tenants that lend to each other before they lend to others."""

    name: str
    """Name of the department, and of its cohort."""
    parent: NotRequired[str]
    """Department that it is part of. Default: none."""
    shares: NotRequired[list[Share]]
    """What its tenants have in common beside their own, and what they borrow and lend together. Default: none."""
    weight: NotRequired[int]
    """How much of what is idle its tenants get together beside others who borrow, 1 to 1000. Default: 1."""


@dataclass(frozen=True)
class Held:
    """A share whose figures were checked; no limit is none."""

    pool: str
    nominal: int
    borrowing_limit: int | None = None
    lending_limit: int | None = None


@dataclass(frozen=True)
class Member:
    """A tenant or a department whose words were checked; ``parent`` is the cohort that it belongs to."""

    name: str
    parent: str
    shares: tuple[Held, ...]
    weight: int
    namespaces: tuple[str, ...] = ()
    queueing: Queueing = Queueing.BEST_EFFORT


def check_departments(field: str, departments: Sequence[Department], pools: Sequence[str]) -> list[Member]:
    """Return the departments, refusing names twice, parents that do not exist and circles of them."""
    names = [dns_label(f"{field}.name", each["name"]) for each in departments]
    _each_once(f"{field}.name", names)
    if ROOT in names:
        raise ConfigError(f"{field}.name", ROOT, "must be another name: that is the cohort of all tenants")
    parents = {each["name"]: each["parent"] for each in departments if "parent" in each}
    for child, parent in parents.items():
        if parent not in names:
            raise ConfigError(f"{field}.{child}.parent", parent, f"must be a department: {_listed(names)}")
        above = _ancestors(child, parents)
        if above[-1] == child:
            raise ConfigError(f"{field}.{child}.parent", parent, f"must not lead back to {child}: {' in '.join(above)}")
    return [
        Member(
            each["name"],
            parents.get(each["name"], ROOT),
            check_shares(f"{field}.{each['name']}.shares", each.get("shares", []), pools),
            _weight(f"{field}.{each['name']}.weight", each.get("weight", 1)),
        )
        for each in departments
    ]


def check_tenants(
    field: str, tenants: Sequence[QueueTenant], departments: Sequence[str], pools: Sequence[str]
) -> list[Member]:
    """Return the tenants, refusing names and namespaces twice, and departments and pools that do not exist."""
    names = [dns_label(f"{field}.name", each["name"]) for each in tenants]
    _each_once(f"{field}.name", names)
    for name in names:
        if name in departments or name == ROOT:
            raise ConfigError(f"{field}.name", name, "must be another name than a cohort's")
    checked = [_tenant(f"{field}.{each['name']}", each, departments, pools) for each in tenants]
    _each_once(f"{field}.namespaces", [namespace for each in checked for namespace in each.namespaces])
    return checked


def check_shares(field: str, shares: Sequence[Share], pools: Sequence[str]) -> tuple[Held, ...]:
    """Return the shares, refusing pools that do not exist or are named twice, and numbers that no share can be."""
    for share in shares:
        if share["pool"] not in pools:
            raise ConfigError(f"{field}.pool", share["pool"], f"must be one of the pools: {_listed(pools)}")
    _each_once(f"{field}.pool", [share["pool"] for share in shares])
    return tuple(
        Held(
            share["pool"],
            bounded(f"{field}.{share['pool']}.nominal", share["nominal"], 0, MOST),
            _limit(f"{field}.{share['pool']}.borrowing_limit", share.get("borrowing_limit")),
            _limit(f"{field}.{share['pool']}.lending_limit", share.get("lending_limit")),
        )
        for share in shares
    )


def check_lending(field: str, tenants: Sequence[Member], departments: Sequence[Member]) -> None:
    """Refuse to lend more than there is: of a tenant its own, of a department what its tenants and it have together."""
    for kind, members in (("tenants", tenants), ("departments", departments)):
        for member in members:
            for share in member.shares:
                has = sum(nominal(each, share.pool) for each in (member, *_below(member, tenants, departments)))
                if share.lending_limit is not None and share.lending_limit > has:
                    where = f"{field}.{kind}.{member.name}.shares.{share.pool}.lending_limit"
                    remedy = f"must be at most what {member.name} has of the pool, {has}"
                    raise ConfigError(where, share.lending_limit, remedy)


def check_sums(field: str, pool: str, size: int, members: Sequence[Member], common: int) -> None:
    """Refuse shares that together are above what the pool has at its largest, and limits that nobody could reach."""
    held = {each.name: nominal(each, pool) for each in members} | {COMMON: common}
    total = sum(held.values())
    if total > size:
        largest = sorted(held.items(), key=lambda item: (-item[1], item[0]))
        who = ", ".join(f"{name} {count}" for name, count in largest if count)
        remedy = f"must share out at most what pool {pool} has at its largest, {size}: {who}"
        raise ConfigError(f"{field}.tenants", total, remedy)
    for each in members:
        own, limit = (
            nominal(each, pool),
            next((share.borrowing_limit for share in each.shares if share.pool == pool), None),
        )
        # Whoever writes such a limit takes it for the total.
        if limit is not None and limit > size - own:
            remedy = f"must be at most {size - own}, as it comes on top of {own} of the {size} in pool {pool}"
            kind = "tenants" if each.namespaces else "departments"
            raise ConfigError(f"{field}.{kind}.{each.name}.shares.{pool}.borrowing_limit", limit, remedy)


def downwards(departments: Sequence[Member]) -> list[Member]:
    """Return the departments, each after the one that it is part of."""
    parents = {each.name: each.parent for each in departments}
    return sorted(departments, key=lambda each: len(_ancestors(each.name, parents)))


def nominal(member: Member, pool: str) -> int:
    """Return what the member itself has of a pool."""
    return sum(share.nominal for share in member.shares if share.pool == pool)


def _tenant(field: str, tenant: QueueTenant, departments: Sequence[str], pools: Sequence[str]) -> Member:
    parent = tenant.get("department", ROOT)
    if parent != ROOT and parent not in departments:
        raise ConfigError(f"{field}.department", parent, f"must be a department: {_listed(departments)}")
    if not tenant["shares"]:
        raise ConfigError(f"{field}.shares", [], "must name at least one pool, with 0 for a tenant that only borrows")
    namespaces = tenant.get("namespaces", [tenant["name"]])
    if not namespaces:
        raise ConfigError(f"{field}.namespaces", [], "must name at least one namespace, else nothing gets in")
    queueing = tenant.get("queueing", Queueing.BEST_EFFORT)
    if queueing not in set(Queueing):
        raise ConfigError(f"{field}.queueing", queueing, f"must be {' or '.join(Queueing)}")
    return Member(
        tenant["name"],
        parent,
        check_shares(f"{field}.shares", tenant["shares"], pools),
        _weight(f"{field}.weight", tenant.get("weight", 1)),
        tuple(dns_label(f"{field}.namespaces", each) for each in namespaces),
        Queueing(queueing),
    )


def _ancestors(name: str, parents: Mapping[str, str]) -> list[str]:
    """Return the way up from a department, itself first, as far as it does not meet itself."""
    way = [name]
    while (above := parents.get(way[-1])) is not None:
        way.append(above)
        if above in way[:-1]:
            break
    return way


def _below(above: Member, tenants: Sequence[Member], departments: Sequence[Member]) -> list[Member]:
    """Return all that belongs to a department; to a tenant nothing does."""
    if above in tenants:
        return []
    parts = [each for each in departments if each.parent == above.name]
    own = [each for each in tenants if each.parent == above.name]
    return [*own, *parts, *(each for part in parts for each in _below(part, tenants, departments))]


def _limit(field: str, limit: int | None) -> int | None:
    return None if limit is None else bounded(field, limit, 0, MOST)


def _weight(field: str, weight: int) -> int:
    return bounded(field, weight, 1, 1000)


def _each_once(field: str, names: Sequence[str]) -> None:
    for name in names:
        if list(names).count(name) > 1:
            raise ConfigError(field, name, "must be named once")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "there is none"
