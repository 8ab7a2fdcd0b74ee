"""A managed node group from a launch template that leaves a pod no way to the node's identity."""

import json
import re
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.capacity import CapacityType, check_capacity
from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.documents import service_trust
from falaj.components.errors import ConfigError
from falaj.components.launch_template import make_launch_template
from falaj.components.machine import Machine
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import ClusterRef, KeyRef, NetworkRef, key_arn, pick

_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
# What a node needs and no more: to join, to pull images, to give pods addresses.
_MANAGED_POLICIES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy")


class Taint(TypedDict):
    """Keeps pods off a node unless they tolerate it."""

    key: str
    """Key of the taint."""
    value: str
    """Value of the taint."""


class NodePoolArgs(TypedDict):
    """What may be said of a node pool."""

    cluster: pulumi.Input[ClusterRef]
    """The cluster that the nodes join: ``ref`` of a ``Cluster``."""
    network: pulumi.Input[NetworkRef]
    """Where the nodes live: ``ref`` of a ``Network``."""
    key: pulumi.Input[KeyRef]
    """Key of the disks: ``ref`` of a ``ResidencyKey`` used by ebs."""
    ownership: Ownership
    """Who answers for the nodes and pays for them."""
    instance_types: list[str]
    """EC2 instance types, the preferred one first, for example ``["g5.12xlarge"]``."""
    max_nodes: int
    """Most nodes the pool may have."""
    min_nodes: NotRequired[int]
    """Fewest nodes the pool may have. Default: 0."""
    nodes: NotRequired[int]
    """Nodes it has now. Default: ``min_nodes``."""
    autoscaled: NotRequired[bool]
    """Whether an autoscaler sets the nodes; ``nodes`` is then how many there are at first. Default: ``false``."""
    classification: NotRequired[Classification]
    """Classification of what runs on the nodes. Default: ``restricted``."""
    pool_name: NotRequired[str]
    """Name of the pool, which nodes carry as the label ``pool``. Default: the component's name."""
    node_labels: NotRequired[dict[str, str]]
    """Further labels of the nodes. Default: none."""
    taints: NotRequired[list[Taint]]
    """Taints with the effect NoSchedule. Default: none."""
    ami_type: NotRequired[str]
    """Kind of EKS image. Default: ``AL2023_x86_64_STANDARD``."""
    capacity_type: NotRequired[CapacityType]
    """How capacity is bought: ``ON_DEMAND`` or ``SPOT``. Default: on demand."""
    disk_gib: NotRequired[int]
    """Size of a node's encrypted disk in GiB, 20 to 16384. Default: 100."""


class NodePool(pulumi.ComponentResource):
    """One group of nodes: instance metadata only by session token and not from pods, disks encrypted with our key.

    Serves ISO/IEC 27001:2022 A.8.5, A.8.18 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    pool_name: pulumi.Output[str]
    """Name of the pool: of the node group and of the nodes' label ``pool``."""
    role_arn: pulumi.Output[str]
    """ARN of the nodes' role."""

    def __init__(
        self,
        name: str,
        args: NodePoolArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        machine: Machine | None = None,
    ) -> None:
        """``machine`` is how a component that makes a pool of a special kind says of which."""
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        pool_name = dns_label(f"{name}.pool_name", args.get("pool_name", name))
        low, now, high = check_size(name, args["max_nodes"], args.get("min_nodes", 0), args.get("nodes"))
        machine = machine or Machine(
            check_instance_types(f"{name}.instance_types", args["instance_types"]),
            check_capacity(name, args.get("capacity_type", CapacityType.ON_DEMAND), None),
        )
        ami_type = args.get("ami_type", "AL2023_x86_64_STANDARD")
        disk = bounded(f"{name}.disk_gib", args.get("disk_gib", 100), 20, 16384, "GiB")
        tags = labels(f"{name}.ownership", args["ownership"], classification) | {"pool": pool_name}
        disk_key = key_arn(f"{name}.key", args["key"], classification)

        super().__init__("falaj:index:NodePool", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            description=f"Nodes of the pool {pool_name}",
            assume_role_policy=json.dumps(service_trust("ec2.amazonaws.com")),
            tags=tags,
            opts=child,
        )
        grants = [
            aws.iam.RolePolicyAttachment(
                f"{name}-role-{policy}", role=role.name, policy_arn=f"arn:aws:iam::aws:policy/{policy}", opts=child
            )
            for policy in _MANAGED_POLICIES
        ]
        template = make_launch_template(
            name, machine, key=disk_key, disk_gib=disk, ami_type=ami_type, tags=tags, opts=child
        )
        update: aws.eks.NodeGroupUpdateConfigArgsDict = {"max_unavailable": 1}
        if machine.scarce:
            update["update_strategy"] = "MINIMAL"
        in_template = machine.capacity.bought is CapacityType.CAPACITY_BLOCK
        group = aws.eks.NodeGroup(
            f"{name}-nodes",
            cluster_name=pick(args["cluster"], "cluster_name"),
            node_group_name=pool_name,
            node_role_arn=role.arn,
            subnet_ids=pick(args["network"], "subnet_ids") if machine.subnet_ids is None else machine.subnet_ids,
            ami_type=ami_type,
            release_version=machine.release,
            capacity_type=machine.capacity.of_group,
            instance_types=None if in_template else [*machine.instance_types],
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={"min_size": low, "desired_size": now, "max_size": high},
            update_config=update,
            node_repair_config={"enabled": True},
            labels=args.get("node_labels", {}) | {"pool": pool_name},
            taints=[
                {"key": taint["key"], "value": taint["value"], "effect": "NO_SCHEDULE"}
                for taint in args.get("taints", [])
            ],
            tags={**tags, **machine.group_tags},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=grants,
                ignore_changes=["scalingConfig.desiredSize"] if args.get("autoscaled", False) else None,
                # Scarce capacity seldom exists twice: give it back before asking for its replacement.
                delete_before_replace=True,
            ),
        )

        self.pool_name = group.node_group_name
        self.role_arn = role.arn
        self.register_outputs({"poolName": self.pool_name, "roleArn": self.role_arn})


def check_size(name: str, high: float, low: float, now: float | None) -> tuple[int, int, int]:
    """Return the fewest, present and most nodes, refusing an order that EKS would refuse."""
    most = bounded(f"{name}.max_nodes", high, 1, 5000, "nodes")
    fewest = bounded(f"{name}.min_nodes", low, 0, most, "nodes (max_nodes)")
    present = bounded(f"{name}.nodes", fewest if now is None else now, fewest, most, "nodes (min_nodes to max_nodes)")
    return fewest, present, most


def check_instance_types(field: str, types: Sequence[str]) -> list[str]:
    """Return the instance types if each looks like one; whether the zone offers them is for AWS to say."""
    if not types:
        raise ConfigError(field, list(types), "must name at least one instance type")
    for instance_type in types:
        if not _INSTANCE_TYPE.fullmatch(instance_type):
            raise ConfigError(field, instance_type, "must be instance types such as g5.12xlarge")
    return list(types)
