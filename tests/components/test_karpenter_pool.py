"""KarpenterPool: objects that Karpenter's types take, nodes as a GpuNodePool has them, and what is refused."""

import json

import pytest
from component_samples import CLUSTER, KEY, NETWORK, OWNERSHIP
from karpenter_schema import NODE_CLASS, NODE_POOL, wrong

from falaj.components import CapacityType, ConfigError, KarpenterPool

NETWORK_IN_C = {**NETWORK, "zones": ["me-central-1b", "me-central-1c"], "placement_zone": "me-central-1c"}
ARGS = {
    "cluster": CLUSTER,
    "network": NETWORK_IN_C,
    "key": KEY,
    "ownership": OWNERSHIP,
    "image_alias": "al2023@v20261106",
}
H200 = {**ARGS, "needs": {"gpus": 16, "gpu_model": "H200"}}
NAMED = {**ARGS, "network": NETWORK, "instance_types": ["g5.12xlarge"], "max_gpus": 8}
RESERVED = {"id": "cr-0123456789abcdef0", "zone": "me-central-1c"}
VARIANTS = {
    "needed": H200,
    "named": NAMED,
    "over EFA": {**H200, "efa": True},
    "reserved": {**H200, "capacity_types": [CapacityType.CAPACITY_RESERVATION], "reservation": RESERVED},
    "on Bottlerocket": {**NAMED, "image_alias": "bottlerocket@v1.50.0", "local_nvme": True},
    "held in office hours": {
        **NAMED,
        "disruption_budgets": [
            {"nodes": "10%", "reasons": ["Drifted"]},
            {"nodes": "0", "schedule": "0 8 * * 1-5", "duration": "9h"},
        ],
    },
}


@pytest.fixture
def made(run, engine, providers):
    """Make a pool and return its reference and the specifications of both objects."""

    def make(args, **more):
        ref = run(lambda: KarpenterPool("gpu", {**args, **more}, providers()).ref)
        return ref, engine.one("NodePool")["spec"], engine.one("EC2NodeClass")["spec"]

    return make


def required(pool):
    return {each["key"]: each["values"] for each in pool["template"]["spec"]["requirements"]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_objects_are_as_karpenter_s_types_want_them(made, variant):
    _, pool, nodes = made(VARIANTS[variant])
    assert [*wrong(pool, NODE_POOL)] == []
    assert [*wrong(nodes, NODE_CLASS)] == []


def test_what_the_types_do_not_know_is_found():
    assert [*wrong({"role": "a"}, NODE_CLASS)] == [
        "spec.amiSelectorTerms is missing",
        "spec.instanceProfile is missing",
        "spec.subnetSelectorTerms is missing",
        "spec.securityGroupSelectorTerms is missing",
        "spec.role is not known",
    ]


def test_what_is_needed_becomes_instance_types_zones_and_a_limit_of_gpus(made):
    ref, pool, nodes = made(H200)
    assert required(pool) == {
        "node.kubernetes.io/instance-type": ["p5en.48xlarge"],
        "karpenter.sh/capacity-type": ["on-demand"],
        "topology.kubernetes.io/zone": ["me-central-1c"],
    }
    assert pool["limits"] == {"nvidia.com/gpu": 16}
    assert nodes["subnetSelectorTerms"] == [{"id": "subnet-b"}]
    assert ref == {
        "pool_name": "gpu",
        "node_labels": {"pool": "gpu"},
        "resource": "nvidia.com/gpu",
        "max_gpus": 16,
        "gpu_model": "H200",
    }


def test_nodes_have_the_label_and_the_taint_of_gpu_nodes(made):
    _, pool, _ = made(NAMED, node_labels={"team": "vision"})
    template = pool["template"]
    assert template["metadata"]["labels"] == {"team": "vision", "pool": "gpu", "nvidia.com/gpu.present": "true"}
    assert template["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]


def test_only_nodes_without_work_go_one_at_a_time(made):
    _, pool, _ = made(NAMED)
    assert pool["disruption"] == {
        "consolidationPolicy": "WhenEmpty",
        "consolidateAfter": "10m",
        "budgets": [{"nodes": "1"}],
    }
    assert pool["template"]["spec"]["expireAfter"] == "Never"


def test_disks_are_under_our_key_and_metadata_wants_a_token_and_does_not_reach_pods(made):
    _, _, nodes = made(NAMED)
    (disk,) = nodes["blockDeviceMappings"]
    assert disk["ebs"] == {
        "volumeType": "gp3",
        "volumeSize": "500Gi",
        "encrypted": True,
        "kmsKeyID": KEY["arn"],
        "deleteOnTermination": True,
    }
    assert (nodes["metadataOptions"]["httpTokens"], nodes["metadataOptions"]["httpPutResponseHopLimit"]) == (
        "required",
        1,
    )
    assert nodes["associatePublicIPAddress"] is False
    assert nodes["tags"]["owner"] == "ml-platform"


def test_bottlerocket_has_two_disks_and_local_nvme_is_one_array(made):
    _, _, nodes = made(VARIANTS["on Bottlerocket"])
    assert [disk["ebs"]["encrypted"] for disk in nodes["blockDeviceMappings"]] == [True, True]
    assert nodes["instanceStorePolicy"] == "RAID0"


def test_training_nodes_lie_together_and_in_the_group_that_lets_them_talk(made):
    _, pool, nodes = made(H200, efa=True)
    assert nodes["placementGroupSelector"] == {"name": "test-network-a"}
    assert nodes["securityGroupSelectorTerms"] == [{"id": "sg-cluster"}, {"id": "sg-efa"}]
    assert required(pool)["topology.kubernetes.io/zone"] == ["me-central-1c"]


def test_reserved_capacity_comes_from_the_reservation_in_its_zone(made):
    _, pool, nodes = made(VARIANTS["reserved"])
    assert nodes["capacityReservationSelectorTerms"] == [{"id": RESERVED["id"]}]
    assert required(pool)["karpenter.sh/capacity-type"] == ["reserved"]
    assert required(pool)["topology.kubernetes.io/zone"] == ["me-central-1c"]


def test_the_nodes_role_joins_by_an_access_entry_and_cannot_change_addresses(made, engine):
    made(NAMED)
    assert engine.one("InstanceProfile")["name"] == engine.one("EC2NodeClass")["spec"]["instanceProfile"]
    entry = engine.one("AccessEntry")
    assert (entry["type"], entry["clusterName"]) == ("EC2_LINUX", "falaj-test")
    assert {each["policyArn"].rsplit("/", 1)[1] for each in engine.all("RolePolicyAttachment")} == {
        "AmazonEKSWorkerNodeMinimalPolicy",
        "AmazonEC2ContainerRegistryPullOnly",
    }
    (trust,) = json.loads(engine.one("Role")["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "ec2.amazonaws.com"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"image_alias": "al2023@latest"},
            "gpu.image_alias must be a release of an image, such as al2023@v20261106 or bottlerocket@v1.50.0, not"
            " latest (got 'al2023@latest')",
        ),
        ({"max_gpus": 0}, "gpu.max_gpus must be a whole number from 1 to 40000 GPUs (got 0)"),
        ({"idle_for": "soon"}, "gpu.idle_for must be a span such as 10m or 720h, or Never (got 'soon')"),
        ({"expires": "1 day"}, "gpu.expires must be a span such as 10m or 720h, or Never (got '1 day')"),
        ({"capacity_types": []}, "gpu.capacity_types must be different ways to buy, at most one of them"),
        (
            {"capacity_types": [CapacityType.CAPACITY_BLOCK]},
            "gpu.reservation must name the reservation and its zone, since capacity_type is CAPACITY_BLOCK",
        ),
        ({"disruption_budgets": []}, "gpu.disruption_budgets must be 1 to 50 budgets (got [])"),
        (
            {"disruption_budgets": [{"nodes": "half"}]},
            "gpu.disruption_budgets[0].nodes must be a number or a share, such as 1 or 10% (got 'half')",
        ),
        (
            {"disruption_budgets": [{"nodes": "1", "schedule": "0 8 * * *"}]},
            "gpu.disruption_budgets[0] must have schedule and duration together",
        ),
        (
            {"disruption_budgets": [{"nodes": "1", "reasons": ["Bored"]}]},
            "gpu.disruption_budgets[0].reasons must be among Underutilized, Empty, Drifted (got 'Bored')",
        ),
        ({"needs": {"gpus": 8, "gpu_model": "A10G"}}, "gpu.instance_types must be left out where needs is given"),
        ({"instance_types": ["p4d.24xlarge"]}, "gpu.instance_types must be instance types that me-central-1 offers"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, engine, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: KarpenterPool("gpu", {**NAMED, **change}, providers()))
    assert str(refused.value).startswith(message)
    assert engine.all("NodePool") == []


def test_a_pool_without_needs_says_types_and_a_limit(run, providers):
    for left_out, message in (("instance_types", "or needs say what for"), ("max_gpus", "given with instance_types")):
        args = {name: value for name, value in NAMED.items() if name != left_out}
        with pytest.raises(ConfigError, match=rf"gpu\.{left_out} must .*{message}"):
            run(lambda args=args: KarpenterPool("gpu", args, providers()))
