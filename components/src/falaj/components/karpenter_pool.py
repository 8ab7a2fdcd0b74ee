"""A GPU pool whose nodes Karpenter makes when work waits for them, and gives back when there is none."""

import json
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from falaj.components.capacity import FROM_RESERVATION, Capacity, CapacityType, Reservation, check_capacity
from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.documents import service_trust
from falaj.components.errors import ConfigError
from falaj.components.gpu_needs import Choice, GpuNeeds, Wanted, check_needs, choose_named, choose_needed
from falaj.components.gpu_node_pool import GPU_LABEL, GPU_TAINT
from falaj.components.gpu_sharing import GPU
from falaj.components.karpenter_objects import (
    DisruptionBudget,
    NodeSettings,
    PoolSettings,
    check_alias,
    check_budgets,
    check_span,
    node_class,
    node_pool,
)
from falaj.components.node_pool import check_instance_types
from falaj.components.offers import Offers, find_offers
from falaj.components.ownership import Ownership, labels
from falaj.components.pool_place import Place, check_place
from falaj.components.refs import ClusterRef, KeyRef, NetworkRef, PoolRef, key_arn, pick

# To join and to pull images; addresses of pods are the business of vpc-cni, which has a role of its own.
_MANAGED_POLICIES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")


class KarpenterPoolArgs(TypedDict):
    """What may be said of a pool of Karpenter's."""

    cluster: pulumi.Input[ClusterRef]
    """The cluster that the nodes join: ``ref`` of a ``Cluster``."""
    network: pulumi.Input[NetworkRef]
    """Where the nodes live: ``ref`` of a ``Network``."""
    key: pulumi.Input[KeyRef]
    """Key of the disks: ``ref`` of a ``ResidencyKey`` used by ebs."""
    ownership: Ownership
    """Who answers for the nodes and pays for them."""
    image_alias: str
    """Release of the image, for example ``al2023@v20261106``; a new one replaces nodes as the budgets let it."""
    needs: NotRequired[GpuNeeds]
    """What the pool has to have; the instance types follow from it. Default: ``instance_types`` say it."""
    instance_types: NotRequired[list[str]]
    """GPU instance types; Karpenter takes the cheapest that is to be had. Default: those that ``needs`` finds."""
    max_gpus: NotRequired[int]
    """Most GPUs the pool may have. Default: ``needs.gpus``."""
    zone: NotRequired[str]
    """The one zone of the nodes. Default: a reservation's, with ``efa`` the network's placement zone, else all."""
    efa: NotRequired[bool]
    """Whether nodes train together over EFA: one zone, one placement group. Default: ``false``."""
    capacity_types: NotRequired[list[CapacityType]]
    """How capacity may be bought; Karpenter takes reserved before spot before on demand. Default: on demand."""
    reservation: NotRequired[Reservation]
    """The reservation or block that capacity comes from, as ``capacity_types`` says. Default: none."""
    local_nvme: NotRequired[bool]
    """Whether images and pods live on local NVMe, as RAID 0, and not on the disk under our key. Default: ``false``."""
    idle_for: NotRequired[str]
    """How long a node without work is kept. Default: ``10m``."""
    expires: NotRequired[str]
    """Age at which a node goes whatever runs on it, for example ``720h``. Default: ``Never``."""
    disruption_budgets: NotRequired[list[DisruptionBudget]]
    """How many nodes may go at the same time. Default: one."""
    classification: NotRequired[Classification]
    """Classification of what runs on the nodes. Default: ``restricted``."""
    pool_name: NotRequired[str]
    """Name of the pool, which nodes carry as the label ``pool``. Default: the component's name."""
    node_labels: NotRequired[dict[str, str]]
    """Further labels of the nodes. Default: none."""
    disk_gib: NotRequired[int]
    """Size of a node's encrypted disk in GiB, 20 to 16384. Default: 500, since images with CUDA are large."""


class KarpenterPool(pulumi.ComponentResource):
    """A ``NodePool`` and an ``EC2NodeClass`` of Karpenter, and the role by which their nodes join the cluster.

    Serves ISO/IEC 27001:2022 A.8.5, A.8.6, A.8.14, A.8.18 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists but the component itself.
    """

    pool_name: pulumi.Output[str]
    """Name of the pool: of both objects and of the nodes' label ``pool``."""
    role_arn: pulumi.Output[str]
    """ARN of the nodes' role, which Karpenter's own has to be allowed to pass."""
    instance_types: pulumi.Output[list[str]]
    """The instance types."""
    ref: PoolRef
    """The pool as other components take it."""

    def __init__(self, name: str, args: KarpenterPoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        bought = _bought(name, args)
        capacity = check_capacity(name, bought[0], args.get("reservation"))
        alias = check_alias(f"{name}.image_alias", args["image_alias"])
        pool_name = dns_label(f"{name}.pool_name", args.get("pool_name", name))
        place = check_place(name, args["network"], args.get("zone"), capacity, efa=args.get("efa", False))
        most = _most(name, args)
        disk = bounded(f"{name}.disk_gib", args.get("disk_gib", 500), 20, 16384, "GiB")
        idle = check_span(f"{name}.idle_for", args.get("idle_for", "10m"))
        expires = check_span(f"{name}.expires", args.get("expires", "Never"))
        budgets = check_budgets(f"{name}.disruption_budgets", args.get("disruption_budgets", [{"nodes": "1"}]))
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        tags = labels(f"{name}.ownership", args["ownership"], classification) | {"pool": pool_name}
        key = key_arn(f"{name}.key", args["key"], classification)

        super().__init__("falaj:index:KarpenterPool", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        choice = _choose(name, args, capacity, place, find_offers(self))
        role, profile, joins = _identity(name, pool_name, pick(args["cluster"], "cluster_name"), tags, child)
        subnets = place.subnet_ids(f"{name}.network", choice.zones)
        nodes = pulumi.Output.all(
            profile=profile.name,
            subnets=pick(args["network"], "subnet_ids") if subnets is None else subnets,
            groups=pulumi.Output.all(*_groups(args)),
            key=key,
            placement_group=place.placement_group(f"{name}.zone"),
            reservation=capacity.reservation["id"] if capacity.reservation else None,
        ).apply(
            lambda known: node_class(
                NodeSettings(alias=alias, disk_gib=disk, nvme=args.get("local_nvme", False), tags=tags, **known)
            )
        )
        types = [facts.name for facts in choice.types]
        made = k8s.apiextensions.CustomResource(
            f"{name}-class",
            api_version="karpenter.k8s.aws/v1",
            kind="EC2NodeClass",
            metadata={"name": pool_name, "labels": tags},
            spec=nodes,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=joins)),
        )
        pool = PoolSettings(
            name=pool_name,
            labels={**args.get("node_labels", {}), "pool": pool_name, GPU_LABEL: "true"},
            taint={"key": GPU_TAINT["key"], "value": GPU_TAINT["value"]},
            types=types,
            zones=choice.zones,
            bought=bought,
            max_gpus=most,
            idle_for=idle,
            expires=expires,
            budgets=budgets,
        )
        k8s.apiextensions.CustomResource(
            f"{name}-pool",
            api_version="karpenter.sh/v1",
            kind="NodePool",
            metadata={"name": pool_name, "labels": tags},
            spec=node_pool(pool),
            # Nodes go before the class that says what they are.
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[made])),
        )

        self.pool_name = pulumi.Output.from_input(pool_name)
        self.role_arn = role.arn
        self.instance_types = pulumi.Output.from_input(types)
        self.ref = {
            "pool_name": pool_name,
            "node_labels": {"pool": pool_name},
            "resource": GPU,
            "max_gpus": most,
            "gpu_model": choice.preferred.gpu,
        }
        self.register_outputs(
            {
                "poolName": self.pool_name,
                "roleArn": self.role_arn,
                "instanceTypes": self.instance_types,
                "ref": self.ref,
            }
        )


def _bought(name: str, args: KarpenterPoolArgs) -> list[CapacityType]:
    """Return how capacity may be bought, reserved first, refusing two reservations."""
    field = f"{name}.capacity_types"
    given = [CapacityType(each) for each in args.get("capacity_types", [CapacityType.ON_DEMAND])]
    if not given or len(set(given)) != len(given) or len(set(given) & set(FROM_RESERVATION)) > 1:
        raise ConfigError(field, given, "must be different ways to buy, at most one of them from a reservation")
    return sorted(given, key=lambda each: each not in FROM_RESERVATION)


def _most(name: str, args: KarpenterPoolArgs) -> int:
    """Return the most GPUs of the pool; also refuse a pool that says too little, or the same thing twice."""
    types = args.get("instance_types")
    if "needs" in args:
        check_needs(f"{name}.needs", args["needs"])
        if types is not None:
            raise ConfigError(f"{name}.instance_types", types, "must be left out where needs is given")
        if "max_gpus" in args:
            raise ConfigError(f"{name}.max_gpus", args["max_gpus"], "must be left out: needs.gpus says it")
        return int(args["needs"]["gpus"])
    if types is None:
        raise ConfigError(f"{name}.instance_types", None, "must name instance types, or needs say what for")
    check_instance_types(f"{name}.instance_types", types)
    if "max_gpus" not in args:
        raise ConfigError(f"{name}.max_gpus", None, "must be given with instance_types")
    return bounded(f"{name}.max_gpus", args["max_gpus"], 1, 40_000, "GPUs")


def _choose(name: str, args: KarpenterPoolArgs, capacity: Capacity, place: Place, offers: Offers | None) -> Choice:
    wanted = Wanted(
        zones=place.zones,
        efa=place.efa,
        nvme=args.get("local_nvme", False),
        one_type=capacity.bought in FROM_RESERVATION,
        capacity_block=capacity.bought is CapacityType.CAPACITY_BLOCK,
    )
    if "needs" in args:
        return choose_needed(f"{name}.needs", args["needs"], wanted, offers)
    return choose_named(f"{name}.instance_types", args.get("instance_types", []), wanted, offers)


def _groups(args: KarpenterPoolArgs) -> Sequence[pulumi.Output[str]]:
    cluster = pick(args["cluster"], "security_group_id")
    return [cluster, pick(args["network"], "efa_security_group_id")] if args.get("efa", False) else [cluster]


def _identity(
    name: str, pool_name: str, cluster: pulumi.Output[str], tags: dict[str, str], opts: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, aws.iam.InstanceProfile, list[pulumi.Resource]]:
    """Make the nodes' role and profile; return them with what has to be there before a node can join."""
    role = aws.iam.Role(
        f"{name}-role",
        description=f"Nodes of the pool {pool_name}",
        assume_role_policy=json.dumps(service_trust("ec2.amazonaws.com")),
        tags=tags,
        opts=opts,
    )
    # By its name Karpenter's own role is told which profiles it may hand out: those of its cluster.
    named = pulumi.Output.concat(cluster, "-", pool_name)
    profile = aws.iam.InstanceProfile(f"{name}-profile", name=named, role=role.name, tags=tags, opts=opts)
    joins: list[pulumi.Resource] = [
        aws.iam.RolePolicyAttachment(
            f"{name}-role-{policy}", role=role.name, policy_arn=f"arn:aws:iam::aws:policy/{policy}", opts=opts
        )
        for policy in _MANAGED_POLICIES
    ]
    joins.append(
        aws.eks.AccessEntry(
            f"{name}-access", cluster_name=cluster, principal_arn=role.arn, type="EC2_LINUX", tags=tags, opts=opts
        )
    )
    return role, profile, joins
