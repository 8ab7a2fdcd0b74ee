"""GPU pools on HashiCorp's provider: what EKS and EC2 hold, what is refused by offer, and whose the size is."""

import base64

import pytest
from botocore.exceptions import ClientError
from examples import Example

pytestmark = pytest.mark.lab
TRAINING = {"clusterName": "gpus", "nodegroupName": "training"}
AUTOSCALER = "k8s.io/cluster-autoscaler/node-template/resources"


def template_of(example, group):
    """Return the data of the version of the launch template that a node group has."""
    used = group["launchTemplate"]
    versions = example.aws("ec2").describe_launch_template_versions(
        LaunchTemplateId=used["id"], Versions=[used["version"]]
    )
    return versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def zones_of(example, group):
    subnets = example.aws("ec2").describe_subnets(SubnetIds=group["subnets"])["Subnets"]
    return {subnet["AvailabilityZone"] for subnet in subnets}


def training(example):
    return example.aws("eks").describe_nodegroup(**TRAINING)["nodegroup"]


def check_the_machines_that_train(example):
    group = training(example)
    assert (group["instanceTypes"], group["amiType"]) == (["p5en.48xlarge"], "AL2023_x86_64_NVIDIA")
    assert group["scalingConfig"] == {"minSize": 0, "desiredSize": 0, "maxSize": 2}
    assert group["updateConfig"] == {"maxUnavailable": 1, "updateStrategy": "MINIMAL"}
    assert zones_of(example, group) == {"me-central-1c"}
    data, outputs = template_of(example, group), example.resources()
    interfaces = data["NetworkInterfaces"]
    assert [each["NetworkCardIndex"] for each in interfaces] == list(range(16))
    assert [each["DeviceIndex"] for each in interfaces] == [0, *15 * [1]]
    assert [each["InterfaceType"] for each in interfaces] == ["efa", *15 * ["efa-only"]]
    cluster = example.aws("eks").describe_cluster(name="gpus")["cluster"]["resourcesVpcConfig"]
    wanted = {cluster["clusterSecurityGroupId"], outputs["network-efa"]["id"]}
    assert all(set(each["Groups"]) == wanted for each in interfaces)
    assert data["Placement"]["GroupName"] == "dev-network-c"
    assert "strategy: RAID0" in base64.b64decode(data["UserData"]).decode()
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 1


def check_the_slices(example):
    group = example.aws("eks").describe_nodegroup(clusterName="gpus", nodegroupName="inference")["nodegroup"]
    assert group["instanceTypes"] == ["g6e.12xlarge", "g6.12xlarge"]
    assert group["labels"]["nvidia.com/device-plugin.config"] == "time-slices-4"
    assert zones_of(example, group) == {"me-central-1b"}, "the other zone offers neither type"
    assert "NetworkInterfaces" not in template_of(example, group)


def refused(example, **config):
    done = example.pulumi("preview", check=False, **config)
    assert done.returncode
    return " ".join((done.stdout + done.stderr).split())


def test_pools_are_what_was_needed_and_what_is_not_offered_is_refused(bridged):
    example = Example(bridged, "gpu-node-pool")
    example.up()
    assert example.changes() == {}
    check_the_machines_that_train(example)
    check_the_slices(example)
    outputs = example.outputs()
    assert outputs["training"]["max_gpus"] == 16
    assert outputs["releaseParameter"].startswith("/aws/service/eks/optimized-ami/1.35/")

    said = refused(example, model="B200")
    assert "training.needs.gpu_model must be a GPU that me-central-1 offers: A10G, L4, L40S, H200 (got 'B200')" in said
    assert "must be a profile of the H200 of p5en.48xlarge: 1g.18gb" in refused(example, mig="1g.5gb")
    assert example.changes(mig="1g.18gb") == {"training-nodes": ("update", {'labels["nvidia.com/mig.config"]'})}
    the_size_is_whose_it_is_said_to_be(example)
    capacity_comes_from_its_reservation(example)
    example.destroy()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        training(example)


def the_size_is_whose_it_is_said_to_be(example):
    eks = example.aws("eks")
    eks.update_nodegroup_config(**TRAINING, scalingConfig={"minSize": 0, "maxSize": 2, "desiredSize": 1})
    assert example.drift()["training-nodes"] == ("update", {"scalingConfig.desiredSize"})
    assert example.changes() == {"training-nodes": ("update", {"scalingConfig.desiredSize"})}
    example.up(autoscaled="true")
    assert training(example)["scalingConfig"]["desiredSize"] == 1
    tags = training(example)["tags"]
    assert {name: tags[f"{AUTOSCALER}/{name}"] for name in ("nvidia.com/gpu", "vpc.amazonaws.com/efa")} == {
        "nvidia.com/gpu": "8",
        "vpc.amazonaws.com/efa": "16",
    }
    eks.update_nodegroup_config(**TRAINING, scalingConfig={"minSize": 0, "maxSize": 2, "desiredSize": 2})
    example.drift()
    assert example.changes(autoscaled="true") == {}


def capacity_comes_from_its_reservation(example):
    config = {"autoscaled": "true", "reserved": "true"}
    moved = example.changes(**config)
    assert {name: operation for name, (operation, _) in moved.items()} == {
        "training": "create",
        "training-template": "update",
        "training-nodes": "update",
    }
    example.up(**config)
    data = template_of(example, training(example))
    target = data["CapacityReservationSpecification"]["CapacityReservationTarget"]["CapacityReservationId"]
    (found,) = example.aws("ec2").describe_capacity_reservations(CapacityReservationIds=[target])[
        "CapacityReservations"
    ]
    assert (found["AvailabilityZone"], found["TotalInstanceCount"], found["State"]) == ("me-central-1c", 2, "active")
    assert "Placement" not in data, "a reservation places its nodes itself"
    assert example.changes(**config) == {}
