"""Node groups by EKS's and EC2 Auto Scaling's own calls, answered by moto."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.eks.models import eks_backends

from falaj.scheduler.autoscale_groups import NodeGroups, NotNowError, instance_of
from falaj.scheduler.autoscale_policy import Policy, PoolPolicy, Shrink

REGION = "me-central-1"
POOL = PoolPolicy("gpu", "nvidia.com/gpu", 8, 100, node_group="gpu", flavor="gpu")
ROLE = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/nodes"


def groups(shrink: Shrink = Shrink.TERMINATE) -> NodeGroups:
    return NodeGroups(Policy("falaj", {"gpu": POOL}, shrink=shrink))


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A node group of three machines, with the Auto Scaling group behind it that EKS makes and moto does not."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        ec2, eks = boto3.client("ec2"), boto3.client("eks")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        eks.create_cluster(name="falaj", roleArn=ROLE, resourcesVpcConfig={"subnetIds": [subnet]})
        eks.create_nodegroup(
            clusterName="falaj",
            nodegroupName="gpu",
            subnets=[subnet],
            nodeRole=ROLE,
            scalingConfig={"minSize": 1, "maxSize": 5, "desiredSize": 3},
        )
        resources: Any = eks_backends[DEFAULT_ACCOUNT_ID][REGION].clusters["falaj"].nodegroups["gpu"].resources
        template = ec2.create_launch_template(
            LaunchTemplateName="t", LaunchTemplateData={"InstanceType": "g5.xlarge", "ImageId": "ami-12c6146b"}
        )["LaunchTemplate"]["LaunchTemplateId"]
        client = boto3.client("autoscaling")
        client.create_auto_scaling_group(
            AutoScalingGroupName=resources["autoScalingGroups"][0]["name"],
            MinSize=1,
            MaxSize=5,
            DesiredCapacity=3,
            LaunchTemplate={"LaunchTemplateId": template},
            VPCZoneIdentifier=subnet,
        )
        yield client


def machines(scaling: Any) -> list[str]:
    (group,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    return [each["InstanceId"] for each in group["Instances"]]


def test_the_auto_scaling_group_says_how_large_a_pool_is(scaling: Any):
    found = groups().read(POOL)
    assert (found.min_nodes, found.max_nodes, found.desired, found.machines) == (1, 5, 3, 3)
    assert found.in_service == frozenset(machines(scaling))


def test_a_named_machine_goes_and_the_desired_size_with_it(scaling: Any):
    first, second, third = machines(scaling)
    own = groups()
    assert own.terminate(own.read(POOL), [second]) == [second]
    assert set(machines(scaling)) == {first, third}
    assert own.read(POOL).desired == 2


def test_a_machine_that_is_not_in_service_is_not_ended_twice(scaling: Any):
    own = groups()
    before = own.read(POOL)
    assert own.terminate(before, ["i-0unknown"]) == []
    assert own.read(POOL).desired == 3


def test_without_an_auto_scaling_group_nothing_is_known_unless_the_policy_says_so(scaling: Any):
    (group,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    scaling.delete_auto_scaling_group(AutoScalingGroupName=group["AutoScalingGroupName"], ForceDelete=True)
    with pytest.raises(NotNowError, match="the node group gpu has no Auto Scaling group yet"):
        groups().read(POOL)
    assert groups(Shrink.RESIZE).read(POOL).desired == 3


@pytest.mark.usefixtures("scaling")
def test_a_pool_grows_by_its_node_group_and_keeps_its_bounds():
    own = groups(Shrink.RESIZE)
    own.resize(POOL, 5)
    found = own.read(POOL)
    assert (found.min_nodes, found.max_nodes, found.desired) == (1, 5, 5)


@pytest.mark.usefixtures("scaling")
def test_a_node_group_that_does_not_exist_is_asked_for_again_later():
    missing = PoolPolicy("other", "nvidia.com/gpu", 8, 100, node_group="other")
    with pytest.raises(NotNowError, match="ResourceNotFoundException"):
        groups().read(missing)


def test_the_machine_behind_a_node_is_the_end_of_its_provider_id():
    assert instance_of("aws:///me-central-1a/i-0abc") == "i-0abc"
