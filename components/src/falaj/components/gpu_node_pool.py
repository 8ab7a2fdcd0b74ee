"""A node pool whose nodes carry GPUs and take only pods that ask for them."""

from typing import NotRequired, TypedDict

import pulumi

from falaj.components.capacity import FROM_RESERVATION, Capacity, CapacityType, Reservation, check_capacity
from falaj.components.checks import dns_label
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.gpu_needs import Choice, GpuNeeds, Wanted, check_needs, choose_named, choose_needed, nodes_for
from falaj.components.gpu_sharing import GpuSharing, check_sharing
from falaj.components.instance_facts import InstanceFacts
from falaj.components.launch_template import efa_interfaces
from falaj.components.machine import Machine
from falaj.components.node_images import GpuImage, check_release, release_parameter, user_data
from falaj.components.node_pool import NodePool, NodePoolArgs, Taint, check_instance_types, check_size
from falaj.components.offers import Offers, find_offers
from falaj.components.ownership import Ownership
from falaj.components.pool_place import Place, check_place
from falaj.components.refs import ClusterRef, KeyRef, NetworkRef, PoolRef, pick

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
    needs: NotRequired[GpuNeeds]
    """What the pool has to have; the instance types follow from it. Default: ``instance_types`` say it."""
    instance_types: NotRequired[list[str]]
    """GPU instance types, the preferred first, for example ``["g5.12xlarge"]``. Default: those that ``needs`` finds."""
    max_nodes: NotRequired[int]
    """Most nodes the pool may have. Default: as many as ``needs.gpus`` takes."""
    min_nodes: NotRequired[int]
    """Fewest nodes the pool may have. Default: 0."""
    nodes: NotRequired[int]
    """Nodes it has now. Default: ``min_nodes``."""
    autoscaled: NotRequired[bool]
    """Whether an autoscaler sets the nodes; ``nodes`` is then how many there are at first. Default: ``false``."""
    zone: NotRequired[str]
    """The one zone of the nodes. Default: a reservation's, with ``efa`` the network's placement zone, else all."""
    efa: NotRequired[bool]
    """Whether nodes train together over EFA: its interfaces, one zone, one placement group. Default: ``false``."""
    capacity_type: NotRequired[CapacityType]
    """How capacity is bought. Default: on demand."""
    reservation: NotRequired[Reservation]
    """The reservation or block that capacity comes from, as ``capacity_type`` says. Default: none."""
    image: NotRequired[GpuImage]
    """Image of the nodes. Default: ``AL2023_x86_64_NVIDIA``."""
    image_release: NotRequired[str]
    """Release of the image, for example ``1.35.0-20251120``. Default: the one that EKS recommends at the time."""
    local_nvme: NotRequired[bool]
    """Whether images and pods live on local NVMe, as RAID 0, and not on the disk under our key. Default: ``false``."""
    mig_profile: NotRequired[str]
    """MIG profile into which every GPU is cut, for example ``1g.18gb``. Default: GPUs stay whole."""
    time_slices: NotRequired[int]
    """Pods that take turns on one GPU, unprotected from each other, 2 to 16. Default: a GPU has one pod."""
    classification: NotRequired[Classification]
    """Classification of what runs on the nodes. Default: ``restricted``."""
    pool_name: NotRequired[str]
    """Name of the pool, which nodes carry as the label ``pool``. Default: the component's name."""
    node_labels: NotRequired[dict[str, str]]
    """Further labels of the nodes. Default: none."""
    disk_gib: NotRequired[int]
    """Size of a node's encrypted disk in GiB, 20 to 16384. Default: 500, since images with CUDA are large."""


class GpuNodePool(pulumi.ComponentResource):
    """One pool of GPU nodes, labelled ``nvidia.com/gpu.present`` and tainted ``nvidia.com/gpu=present:NoSchedule``.

    EC2 is asked what the region and its zones offer, at preview too, and what is not offered is refused.
    Serves ISO/IEC 27001:2022 A.8.6, A.8.14 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists but the component itself.
    """

    pool_name: pulumi.Output[str]
    """Name of the pool: of the node group and of the nodes' label ``pool``."""
    role_arn: pulumi.Output[str]
    """ARN of the nodes' role."""
    instance_types: pulumi.Output[list[str]]
    """The instance types, the preferred one first."""
    release_parameter: pulumi.Output[str]
    """Name of AWS's public SSM parameter that tells the newest ``image_release``."""
    ref: PoolRef
    """The pool as other components take it."""

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        capacity = check_capacity(name, args.get("capacity_type", CapacityType.ON_DEMAND), args.get("reservation"))
        image = GpuImage(args.get("image", GpuImage.AL2023))
        release = check_release(f"{name}.image_release", image, args.get("image_release"))
        _check_parts(f"{name}.image", image, args)
        pool_name = dns_label(f"{name}.pool_name", args.get("pool_name", name))
        place = check_place(name, args["network"], args.get("zone"), capacity, efa=args.get("efa", False))
        _check_stated(name, args)

        super().__init__("falaj:index:GpuNodePool", name, dict(args), opts)
        choice = _choose(name, args, capacity, place, find_offers(self))
        best = choice.preferred
        sharing = check_sharing(name, choice.types, args.get("mig_profile"), args.get("time_slices"))
        most = args["max_nodes"] if "max_nodes" in args else nodes_for(args.get("needs", {"gpus": 1})["gpus"], best)
        nvme = args.get("local_nvme", False)
        group_tags = scaling_tags(best, sharing, efa=place.efa, nvme=nvme) if args.get("autoscaled", False) else {}
        pool = NodePool(
            name,
            _node_pool_args(args, pool_name, most, image, sharing),
            pulumi.ResourceOptions(parent=self),
            machine=Machine(
                [facts.name for facts in choice.types],
                capacity,
                subnet_ids=place.subnet_ids(f"{name}.network", choice.zones),
                interfaces=efa_interfaces(best, _efa_groups(args)) if place.efa else (),
                placement_group=place.placement_group(f"{name}.zone"),
                user_data=user_data(image, nvme),
                release=release,
                scarce=True,
                group_tags=group_tags,
            ),
        )

        self.pool_name = pool.pool_name
        self.role_arn = pool.role_arn
        self.instance_types = pulumi.Output.from_input([facts.name for facts in choice.types])
        self.release_parameter = pick(args["cluster"], "version").apply(
            lambda version: release_parameter(image, version)
        )
        self.ref = {
            "pool_name": self.pool_name,
            "node_labels": {"pool": pool_name},
            "resource": sharing.resource,
            "max_gpus": int(most) * best.gpus * sharing.per_gpu,
            "gpu_model": best.gpu,
        }
        self.register_outputs(
            {
                "poolName": self.pool_name,
                "roleArn": self.role_arn,
                "instanceTypes": self.instance_types,
                "releaseParameter": self.release_parameter,
                "ref": self.ref,
            }
        )


def scaling_tags(facts: InstanceFacts, sharing: GpuSharing, *, efa: bool, nvme: bool) -> dict[str, str]:
    """Return the tags by which Kubernetes' cluster autoscaler knows a node of a pool that has none.

    Labels and taints it asks EKS for; what a node offers it learns from these alone.
    https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md
    """
    offered = {sharing.resource: str(facts.gpus * sharing.per_gpu)}
    if efa:
        offered["vpc.amazonaws.com/efa"] = str(facts.efa)
    if nvme:
        offered["ephemeral-storage"] = f"{facts.nvme_gb}G"
    return {f"k8s.io/cluster-autoscaler/node-template/resources/{name}": count for name, count in offered.items()}


def _check_stated(name: str, args: GpuNodePoolArgs) -> None:
    """Refuse what can be refused before anything is asked: a pool that says too little, or the same thing twice."""
    types = args.get("instance_types")
    if "needs" not in args:
        if types is None:
            raise ConfigError(f"{name}.instance_types", None, "must name instance types, or needs say what for")
        check_instance_types(f"{name}.instance_types", types)
        if "max_nodes" not in args:
            raise ConfigError(f"{name}.max_nodes", None, "must be given with instance_types")
        check_size(name, args["max_nodes"], args.get("min_nodes", 0), args.get("nodes"))
        return
    check_needs(f"{name}.needs", args["needs"])
    if types is not None:
        raise ConfigError(f"{name}.instance_types", types, "must be left out where needs is given")
    if "max_nodes" in args:
        raise ConfigError(f"{name}.max_nodes", args["max_nodes"], "must be left out: needs.gpus says it")


def _check_parts(field: str, image: GpuImage, args: GpuNodePoolArgs) -> None:
    if image is GpuImage.BOTTLEROCKET and ("mig_profile" in args or "time_slices" in args):
        # Its device plugin is part of the image, and is told by settings of Bottlerocket's own.
        remedy = f"must be {GpuImage.AL2023} with mig_profile or time_slices, which NVIDIA's operator carries out"
        raise ConfigError(field, image.value, remedy)


def _choose(name: str, args: GpuNodePoolArgs, capacity: Capacity, place: Place, offers: Offers | None) -> Choice:
    wanted = Wanted(
        zones=place.zones,
        efa=place.efa,
        nvme=args.get("local_nvme", False),
        one_model="mig_profile" in args,
        one_type=capacity.bought in FROM_RESERVATION,
        capacity_block=capacity.bought is CapacityType.CAPACITY_BLOCK,
    )
    if "needs" in args:
        return choose_needed(f"{name}.needs", args["needs"], wanted, offers)
    return choose_named(f"{name}.instance_types", args.get("instance_types", []), wanted, offers)


def _node_pool_args(
    args: GpuNodePoolArgs, pool_name: str, most: float, image: GpuImage, sharing: GpuSharing
) -> NodePoolArgs:
    """Return what the node pool within is told; of its machines it is told apart."""
    pool: NodePoolArgs = {
        "cluster": args["cluster"],
        "network": args["network"],
        "key": args["key"],
        "ownership": args["ownership"],
        "instance_types": [],
        "max_nodes": int(most),
        "min_nodes": args.get("min_nodes", 0),
        "autoscaled": args.get("autoscaled", False),
        "classification": args.get("classification", Classification.RESTRICTED),
        "pool_name": pool_name,
        "disk_gib": args.get("disk_gib", 500),
        "ami_type": image.value,
        "node_labels": args.get("node_labels", {}) | {GPU_LABEL: "true", **sharing.labels},
        "taints": [GPU_TAINT],
    }
    return {**pool, "nodes": args["nodes"]} if "nodes" in args else pool


def _efa_groups(args: GpuNodePoolArgs) -> list[pulumi.Output[str]]:
    # Who names groups gets no others: without the cluster's own no node joins it.
    return [pick(args["cluster"], "security_group_id"), pick(args["network"], "efa_security_group_id")]
