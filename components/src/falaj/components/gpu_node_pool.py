"""A node pool whose nodes carry GPUs and take only pods that ask for them."""

from typing import NotRequired, TypedDict

import pulumi

from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.instance_facts import InstanceFacts, instance_types
from falaj.components.node_pool import CapacityType, NodePool, NodePoolArgs, Taint, check_instance_types
from falaj.components.ownership import Ownership
from falaj.components.refs import ClusterRef, KeyRef, NetworkRef, PoolRef

# The label and the taint that NVIDIA's own operator and most charts use.
GPU_LABEL = "nvidia.com/gpu.present"
GPU_TAINT: Taint = {"key": "nvidia.com/gpu", "value": "present"}


class GpuNodePoolArgs(TypedDict):
    """What may be said of a GPU node pool."""

    cluster: pulumi.Input[ClusterRef]
    """The cluster that the nodes join: ``ref`` of a ``Cluster``."""
    network: pulumi.Input[NetworkRef]
    """Where the nodes live: ``ref`` of a ``Network``."""
    key: pulumi.Input[KeyRef]
    """Key of the disks: ``ref`` of a ``ResidencyKey`` used by ebs."""
    ownership: Ownership
    """Who answers for the nodes and pays for them."""
    instance_types: list[str]
    """GPU instance types, the preferred one first, for example ``["p5en.48xlarge"]``."""
    max_nodes: int
    """Most nodes the pool may have."""
    min_nodes: NotRequired[int]
    """Fewest nodes the pool may have. Default: 0."""
    nodes: NotRequired[int]
    """Nodes it has now. Default: ``min_nodes``."""
    classification: NotRequired[Classification]
    """Classification of what runs on the nodes. Default: ``restricted``."""
    pool_name: NotRequired[str]
    """Name of the pool, which nodes carry as the label ``pool``. Default: the component's name."""
    node_labels: NotRequired[dict[str, str]]
    """Further labels of the nodes. Default: none."""
    capacity_type: NotRequired[CapacityType]
    """How capacity is bought. Default: on demand."""
    disk_gib: NotRequired[int]
    """Size of a node's encrypted disk in GiB, 20 to 16384. Default: 500, since images with CUDA are large."""


class GpuNodePool(pulumi.ComponentResource):
    """One pool of GPU nodes, labelled ``nvidia.com/gpu.present`` and tainted ``nvidia.com/gpu=present:NoSchedule``.

    How many GPUs a node has is the instance type's affair; no count is assumed here.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    pool_name: pulumi.Output[str]
    """Name of the pool: of the node group and of the nodes' label ``pool``."""
    role_arn: pulumi.Output[str]
    """ARN of the nodes' role."""
    ref: PoolRef
    """The pool as other components take it."""

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        types = check_instance_types(f"{name}.instance_types", args["instance_types"])
        facts = [_facts(f"{name}.instance_types", each) for each in types]
        super().__init__("falaj:index:GpuNodePool", name, dict(args), opts)
        defaults: NodePoolArgs = {"pool_name": name, "disk_gib": 500, **args}
        pool = NodePool(
            name,
            {
                **defaults,
                "ami_type": "AL2023_x86_64_NVIDIA",
                "node_labels": args.get("node_labels", {}) | {GPU_LABEL: "true"},
                "taints": [GPU_TAINT],
            },
            pulumi.ResourceOptions(parent=self),
        )
        self.pool_name = pool.pool_name
        self.role_arn = pool.role_arn
        self.ref = {
            "pool_name": self.pool_name,
            "node_labels": {"pool": defaults.get("pool_name", name)},
            "resource": "nvidia.com/gpu",
            "max_gpus": int(args["max_nodes"]) * min(each.gpus for each in facts),
            "gpu_model": facts[0].gpu,
        }
        self.register_outputs({"poolName": self.pool_name, "roleArn": self.role_arn, "ref": self.ref})


def _facts(field: str, instance_type: str) -> InstanceFacts:
    if instance_type not in instance_types():
        raise ConfigError(field, instance_type, f"must be among the GPU types {', '.join(instance_types())}")
    return instance_types()[instance_type]
