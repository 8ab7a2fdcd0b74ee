"""Sixteen GPUs that train together over EFA, reserved if that is asked for, and others in slices of time."""

import pulumi
import pulumi_aws as aws

from falaj.components import (
    CapacityType,
    Cluster,
    GpuNodePool,
    GpuNodePoolArgs,
    KeyUse,
    Network,
    Ownership,
    Regime,
    ResidencyKey,
)

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
tags = {"owner": "ml-platform", "cost-centre": "cc-1000", "environment": "dev", "classification": "restricted"}
ZONE = "me-central-1c"


def key(purpose: str, *uses: KeyUse) -> ResidencyKey:
    """Make the key of one purpose."""
    return ResidencyKey(purpose, {"purpose": purpose, "used_by": [*uses], "regime": regime, "ownership": ownership})


network = Network(
    "network",
    {
        "cidr": "10.68.0.0/16",
        "zones": ["me-central-1b", ZONE],
        "placement_zone": ZONE,
        "key": key("flows", KeyUse.LOGS).ref,
        "regime": regime,
        "ownership": ownership,
    },
)
cluster = Cluster(
    "gpus",
    {
        "version": "1.35",
        # A cluster that is tried out must be easy to remove.
        "protected": False,
        "as_of": "2026-11-26",
        "network": network.ref,
        "key": key("cluster", KeyUse.EKS, KeyUse.LOGS).ref,
        "regime": regime,
        "ownership": ownership,
    },
)
disks = key("nodes", KeyUse.EBS).ref
training: GpuNodePoolArgs = {
    "cluster": cluster.ref,
    "network": network.ref,
    "key": disks,
    "ownership": ownership,
    "needs": {"gpus": 16, "gpu_model": config.get("model") or "H200"},
    "nodes": config.get_int("nodes") or 0,
    "efa": True,
    "local_nvme": True,
    "autoscaled": config.get_bool("autoscaled") or False,
}
if config.get_bool("reserved"):
    reserved = aws.ec2.CapacityReservation(
        "training",
        instance_type="p5en.48xlarge",
        instance_platform="Linux/UNIX",
        availability_zone=ZONE,
        instance_count=2,
        # Only who names the reservation gets its instances.
        instance_match_criteria="targeted",
        tags=tags,
    )
    training["capacity_type"] = CapacityType.CAPACITY_RESERVATION
    training["reservation"] = {"id": reserved.id, "zone": ZONE}
if profile := config.get("mig"):
    training["mig_profile"] = profile
pool = GpuNodePool("training", training)
GpuNodePool(
    "inference",
    {
        "cluster": cluster.ref,
        "network": network.ref,
        "key": disks,
        "ownership": ownership,
        "instance_types": ["g6e.12xlarge", "g6.12xlarge"],
        "max_nodes": 3,
        "time_slices": 4,
    },
)
pulumi.export("training", pool.ref)
pulumi.export("instanceTypes", pool.instance_types)
pulumi.export("releaseParameter", pool.release_parameter)
