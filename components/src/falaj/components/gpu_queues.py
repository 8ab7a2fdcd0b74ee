"""Kueue's queues: who has which share of the GPUs, who lends to whom, and what displaces what."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels
from falaj.components.queue_admission import admission_policies, binding_of
from falaj.components.queue_shares import (
    MOST,
    ROOT,
    Department,
    Held,
    Member,
    QueueTenant,
    check_departments,
    check_lending,
    check_sums,
    check_tenants,
    downwards,
    nominal,
)
from falaj.components.queue_specs import Spec, cohort_spec, flavor_spec, queue_spec
from falaj.components.refs import PoolRef, QueuesRef, by_name, pick
from falaj.components.tiers import Tier, check_tiers, rules_of_tier

API = "kueue.x-k8s.io/v1beta2"
PLATFORM_USERS = (
    "system:serviceaccount:kueue-system:kueue-controller-manager",
    "system:serviceaccount:falaj-system:sla-scheduler",
)
"""Who changes workloads besides the cluster's own controllers: Kueue as its chart installs it, the SLA scheduler."""


class TopologyLevel(StrEnum):
    """A label of nodes by which they are near each other, the widest first."""

    ZONE = "topology.kubernetes.io/zone"
    """One availability zone."""
    NETWORK_1 = "topology.k8s.aws/network-node-layer-1"
    """The top of a zone's network, which EKS writes on nodes of the types that tell EC2 where they are."""
    NETWORK_2 = "topology.k8s.aws/network-node-layer-2"
    """The layer below."""
    NETWORK_3 = "topology.k8s.aws/network-node-layer-3"
    """The layer below, and the nearest of most types (p5en, g6e and the like)."""
    NETWORK_4 = "topology.k8s.aws/network-node-layer-4"
    """The nearest of the few types that have four (p6-b200)."""
    HOST = "kubernetes.io/hostname"
    """One node."""


class QueuePool(TypedDict):
    """A pool of GPUs that is shared out."""

    name: str
    """What shares call the pool, and the name of its ResourceFlavor."""
    pool: pulumi.Input[PoolRef]
    """The pool: ``ref`` of a ``GpuNodePool``."""
    topology: NotRequired[list[str]]
    """Levels by which work is placed near itself, members of ``TopologyLevel``, the widest first. Nodes without one of
    the labels get no work, and no work is let in for nodes that are yet to come. Default: the scheduler places."""


class GpuQueuesArgs(TypedDict):
    """What may be said of the queues."""

    pools: list[QueuePool]
    """The pools that are shared out."""
    tenants: list[QueueTenant]
    """Who has which share of them."""
    ownership: Ownership
    """Who answers for the shares."""
    departments: NotRequired[list[Department]]
    """Tenants that lend to each other before they lend to others. Default: none."""
    common: NotRequired[dict[str, int]]
    """What of each pool is nobody's and everybody's to borrow, by pool. Default: none."""
    tiers: NotRequired[list[str]]
    """Tiers that work may name: members of ``Tier``. Default: all."""
    priority_classes: NotRequired[list[str]]
    """PriorityClasses that tenants' pods may name, which displace pods whatever the queues say. Default: none."""
    platform_users: NotRequired[list[str]]
    """Users that change workloads besides the cluster's own controllers. Default: the service accounts of Kueue and the
    SLA scheduler."""


class GpuQueues(pulumi.ComponentResource):
    """One ClusterQueue for each tenant in one tree of cohorts, a flavor for each pool, a priority for each tier.

    A tenant gets its nominal share whenever it wants it, borrows what others leave idle, and gives it back when they
    want it, whatever the tiers. Within its own queue, work displaces work of lower tiers.
    In tenants' namespaces the API server refuses tiers that the namespace may not use, and ways around the queue.
    One for each cluster, after Kueue. Needs the ``kubernetes`` provider in its options.
    Serves ISO/IEC 27001:2022 A.5.15, A.8.6 and A.8.18.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists if the values are known by then.
    """

    queues: pulumi.Output[dict[str, str]]
    """Name of the ClusterQueue of each tenant, by tenant."""
    unassigned: pulumi.Output[dict[str, int]]
    """What of each pool at its largest is neither a share nor common, by pool: nobody can use it."""
    ref: QueuesRef
    """The queues as other components take them."""

    def __init__(self, name: str, args: GpuQueuesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        pools = check_pools(f"{name}.pools", args["pools"])
        departments = check_departments(f"{name}.departments", args.get("departments", []), list(pools))
        cohorts = [each.name for each in departments]
        tenants = check_tenants(f"{name}.tenants", args["tenants"], cohorts, list(pools))
        check_lending(name, tenants, departments)
        common = check_common(f"{name}.common", args.get("common", {}), list(pools))
        for pool, size in _known_sizes(f"{name}.pools", pools).items():
            check_sums(name, pool, size, [*tenants, *departments], common.get(pool, 0))
        tiers = check_tiers(f"{name}.tiers", args.get("tiers", [str(tier) for tier in Tier]))
        tags = labels(f"{name}.ownership", args["ownership"], Classification.INTERNAL)
        policies = admission_policies(
            tiers, args.get("priority_classes", []), args.get("platform_users", list(PLATFORM_USERS))
        )

        super().__init__("falaj:index:GpuQueues", name, dict(args), opts)
        known = _known_pools(name, pools, [*tenants, *departments], common)
        resources = known.apply(lambda each: {pool: resource for pool, (resource, _) in each.items()})
        kueue = _Kueue(name, tags, self)
        flavors = [kueue.flavor(pool, given) for pool, given in pools.items()]
        everyone = Member(ROOT, "", tuple(Held(pool, amount) for pool, amount in common.items()), 1)
        made: dict[str, pulumi.Resource] = {}
        for each in [everyone, *downwards(departments)]:
            spec = resources.apply(partial(cohort_spec, each))
            above = [made[each.parent]] if each.parent else []
            made[each.name] = kueue.make("Cohort", f"cohort-{each.name}", each.name, spec, [*flavors, *above])
        queues: dict[str, pulumi.Output[str]] = {}
        for each in tenants:
            spec = resources.apply(partial(queue_spec, each))
            queue = kueue.make("ClusterQueue", f"queue-{each.name}", each.name, spec, [*flavors, made[each.parent]])
            queues[each.name] = pulumi.Output.from_input(pulumi.get(queue, "metadata")).apply(
                partial(_named, each.name)
            )
        for tier in tiers:
            kueue.tier(tier)
        for policy, its_spec in policies.items():
            _enforce(f"{name}-policy-{policy}", policy, its_spec, tags, pulumi.ResourceOptions(parent=self))

        self.queues = by_name(queues)
        self.unassigned = known.apply(lambda each: {pool: left for pool, (_, left) in each.items()})
        self.ref = {
            "queues": self.queues,
            "departments": {each.name: each.parent for each in tenants if each.parent != ROOT},
            "tiers": [str(tier) for tier in tiers],
        }
        self.register_outputs({"queues": self.queues, "unassigned": self.unassigned, "ref": self.ref})


def check_pools(field: str, pools: Sequence[QueuePool]) -> dict[str, QueuePool]:
    """Return the pools by name, refusing none, names twice, and levels that are none or out of order."""
    names = [dns_label(f"{field}.name", each["name"]) for each in pools]
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"{field}.name", names, "must name at least one pool, and each once")
    order = list(TopologyLevel)
    for each in pools:
        levels = each.get("topology", [])
        where = f"{field}.{each['name']}.topology"
        for level in levels:
            if level not in set(TopologyLevel):
                raise ConfigError(where, level, f"must be among {', '.join(TopologyLevel)}")
        places = [order.index(TopologyLevel(level)) for level in levels]
        if places != sorted(set(places)):
            raise ConfigError(where, list(levels), f"must be in this order, each once: {', '.join(TopologyLevel)}")
    return dict(zip(names, pools, strict=True))


def check_common(field: str, common: Mapping[str, int], pools: Sequence[str]) -> dict[str, int]:
    """Return what is nobody's, refusing pools that do not exist."""
    for pool in common:
        if pool not in pools:
            raise ConfigError(field, pool, f"must be one of the pools: {', '.join(pools)}")
    return {pool: bounded(f"{field}.{pool}", amount, 0, MOST) for pool, amount in common.items()}


class _Kueue:
    """Makes Kueue's objects as children of one component."""

    def __init__(self, name: str, tags: dict[str, str], parent: pulumi.Resource) -> None:
        self._name, self._tags, self._parent = name, tags, parent

    def make(
        self, kind: str, part: str, object_name: str, spec: pulumi.Input[Spec], after: Sequence[pulumi.Resource] = ()
    ) -> k8s.apiextensions.CustomResource:
        """Make an object that has a specification."""
        return k8s.apiextensions.CustomResource(
            f"{self._name}-{part}",
            api_version=API,
            kind=kind,
            metadata={"name": object_name, "labels": self._tags},
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self._parent, depends_on=list(after)),
        )

    def flavor(self, pool: str, given: QueuePool) -> pulumi.Resource:
        """Make a pool's flavor, and its topology if it has one."""
        levels = given.get("topology")
        topology = pool if levels else None
        spec = {"levels": [{"nodeLabel": level} for level in levels or []]}
        after = [self.make("Topology", f"topology-{pool}", pool, spec)] if levels else []
        field = f"{self._name}.pools.{pool}.pool.node_labels"
        node_labels = pick(given["pool"], "node_labels")
        spec = node_labels.apply(lambda known: flavor_spec(field, known, topology))
        return self.make("ResourceFlavor", f"flavor-{pool}", pool, spec, after)

    def tier(self, tier: Tier) -> None:
        """Make a tier's priority, the base of its band."""
        rules = rules_of_tier(tier)
        # The SDK's class takes a specification, which this kind does not have.
        pulumi.CustomResource(
            f"kubernetes:{API}:WorkloadPriorityClass",
            f"{self._name}-tier-{tier}",
            {
                "apiVersion": API,
                "kind": "WorkloadPriorityClass",
                "metadata": {"name": str(tier), "labels": self._tags},
                "value": rules.priority,
                "description": rules.title,
            },
            pulumi.ResourceOptions(parent=self._parent, version=version("pulumi-kubernetes")),
        )


def _enforce(
    name: str,
    policy: str,
    spec: k8s.admissionregistration.v1.ValidatingAdmissionPolicySpecArgsDict,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Make an admission policy and put it into force."""
    made = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
        name, metadata={"name": policy, "labels": tags}, spec=spec, opts=opts
    )
    k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
        f"{name}-binding",
        metadata={"name": policy, "labels": tags},
        spec=binding_of(policy),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[made])),
    )


def _known_sizes(field: str, pools: Mapping[str, QueuePool]) -> dict[str, int]:
    """Return the sizes that are known before anything is made."""
    sizes: dict[str, int] = {}
    for name, given in pools.items():
        size = given["pool"]["max_gpus"] if isinstance(given["pool"], Mapping) else None
        if isinstance(size, int | float):
            sizes[name] = bounded(f"{field}.{name}.pool.max_gpus", size, 0, MOST)
    return sizes


def _known_pools(
    name: str, pools: Mapping[str, QueuePool], members: Sequence[Member], common: Mapping[str, int]
) -> pulumi.Output[dict[str, tuple[str, int]]]:
    """Return each pool's resource and what of it is left over, when they are known and the shares add up."""

    def checked(known: list[list[Any]]) -> dict[str, tuple[str, int]]:
        found: dict[str, tuple[str, int]] = {}
        for pool, (resource, largest) in zip(pools, known, strict=True):
            size = bounded(f"{name}.pools.{pool}.pool.max_gpus", largest, 0, MOST)
            check_sums(name, pool, size, members, common.get(pool, 0))
            held = sum(nominal(each, pool) for each in members) + common.get(pool, 0)
            found[pool] = (str(resource), size - held)
        return found

    return pulumi.Output.all(
        *(
            pulumi.Output.all(pick(given["pool"], "resource"), pick(given["pool"], "max_gpus"))
            for given in pools.values()
        )
    ).apply(checked)


def _named(name: str, _: Any) -> str:
    """Return the name that an object was given, once it is made."""
    return name
