"""NodePool and GpuNodePool: nodes that keep their identity to themselves."""

import json

import pytest
from component_samples import CLUSTER, KEY, NETWORK, OWNERSHIP

from falaj.components import CapacityType, ConfigError, GpuNodePool, NodePool
from falaj.components.node_pool import check_size

ARGS = {
    "cluster": CLUSTER,
    "network": NETWORK,
    "key": KEY,
    "ownership": OWNERSHIP,
    "instance_types": ["g5.12xlarge"],
    "max_nodes": 4,
    "nodes": 2,
}


def test_instance_metadata_wants_a_token_and_does_not_reach_pods(run, engine, providers):
    run(lambda: NodePool("pool", ARGS, providers()).role_arn)
    options = engine.one("LaunchTemplate")["metadataOptions"]
    assert options["httpTokens"] == "required"
    assert options["httpPutResponseHopLimit"] == 1


def test_disks_are_encrypted_with_the_customers_key(run, engine, providers):
    run(lambda: NodePool("pool", ARGS, providers()).role_arn)
    (device,) = engine.one("LaunchTemplate")["blockDeviceMappings"]
    assert device["ebs"]["encrypted"] == "true"
    assert device["ebs"]["kmsKeyId"] == KEY["arn"]
    assert device["ebs"]["volumeType"] == "gp3"


def test_instances_disks_and_interfaces_say_whose_they_are(run, engine, providers):
    run(lambda: NodePool("pool", ARGS, providers()).role_arn)
    for specification in engine.one("LaunchTemplate")["tagSpecifications"]:
        assert specification["tags"]["owner"] == "ml-platform"
        assert specification["tags"]["classification"] == "restricted"


def test_nodes_hold_the_managed_policies_that_they_need_and_no_other(run, engine, providers):
    run(lambda: NodePool("pool", ARGS, providers()).role_arn)
    assert {each["policyArn"].rsplit("/", 1)[1] for each in engine.all("RolePolicyAttachment")} == {
        "AmazonEKSWorkerNodeMinimalPolicy",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEKS_CNI_Policy",
    }
    (trust,) = json.loads(engine.one("Role")["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_gpu_nodes_take_only_pods_that_ask_for_gpus(run, engine, providers):
    name = run(lambda: GpuNodePool("gpu", ARGS, providers()).pool_name)
    group = engine.one("NodeGroup")
    assert name == group["nodeGroupName"] == "gpu"
    assert group["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
    assert group["labels"] == {"pool": "gpu", "nvidia.com/gpu.present": "true"}
    assert group["amiType"] == "AL2023_x86_64_NVIDIA"
    assert group["scalingConfig"] == {"minSize": 0, "desiredSize": 2, "maxSize": 4}


def test_a_pool_says_how_its_capacity_is_bought(run, engine, providers):
    run(lambda: GpuNodePool("gpu", {**ARGS, "capacity_type": CapacityType.SPOT}, providers()).role_arn)
    assert engine.one("NodeGroup")["capacityType"] == "SPOT"


def test_ordinary_nodes_have_no_taint(run, engine, providers):
    run(lambda: NodePool("system", {**ARGS, "instance_types": ["m6i.large"]}, providers()).role_arn)
    assert engine.one("NodeGroup")["taints"] == []


def test_a_pool_starts_at_its_least_size():
    assert check_size("gpu", 4, 1, None) == (1, 1, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_nodes": 0}, "gpu.max_nodes must be a whole number from 1 to 5000 nodes (got 0)"),
        ({"min_nodes": 5}, "gpu.min_nodes must be a whole number from 0 to 4 nodes (max_nodes) (got 5)"),
        ({"nodes": 9}, "gpu.nodes must be a whole number from 0 to 4 nodes (min_nodes to max_nodes) (got 9)"),
        ({"instance_types": []}, "gpu.instance_types must name at least one instance type (got [])"),
        (
            {"instance_types": ["H200"]},
            "gpu.instance_types must be instance types such as g5.12xlarge (got 'H200')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: GpuNodePool("gpu", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
