"""What the autoscaler of GPU pools may do in AWS: size its own node groups, end their instances, and nothing else."""

import pytest
from asked import ACCOUNT, HOME, REGIME, role

from falaj.components.gpu_autoscaler import autoscaler_permissions

CALLER = role("gpu-autoscaler")
POLICY = autoscaler_permissions(REGIME, "falaj", ["gpu", "near"])
ID = "b4c1c9d2-0000-0000-0000-000000000000"


def group(cluster: str, pool: str) -> str:
    return f"arn:aws:eks:{HOME}:{ACCOUNT}:nodegroup/{cluster}/{pool}/{ID}"


def scaling(name: str) -> str:
    return f"arn:aws:autoscaling:{HOME}:{ACCOUNT}:autoScalingGroup:{ID}:autoScalingGroupName/{name}"


@pytest.fixture
def may(iam):
    def decide(action: str, resource: str, tags: dict[str, str] | None = None):
        asked = {"aws:RequestedRegion": HOME, **{f"aws:ResourceTag/{key}": tag for key, tag in (tags or {}).items()}}
        context = {**CALLER.context, **asked}
        return iam.decide(CALLER.arn, action, resource, account=ACCOUNT, identity_policies=[POLICY], context=context)

    return decide


@pytest.mark.parametrize("action", ["eks:DescribeNodegroup", "eks:UpdateNodegroupConfig"])
def test_it_sizes_the_named_node_groups_of_its_cluster_only(may, action):
    assert may(action, group("falaj", "gpu"))
    assert may(action, group("falaj", "near"))
    assert not may(action, group("falaj", "system"))
    assert not may(action, group("another", "gpu"))


@pytest.mark.parametrize("action", ["eks:DeleteNodegroup", "eks:UpdateNodegroupVersion"])
def test_it_does_nothing_else_with_them(may, action):
    assert not may(action, group("falaj", "gpu"))


def test_it_ends_instances_of_these_node_groups_only(may):
    action, name = "autoscaling:TerminateInstanceInAutoScalingGroup", f"eks-gpu-{ID}"
    assert may(action, scaling(name), {"eks:cluster-name": "falaj", "eks:nodegroup-name": "gpu"})
    assert not may(action, scaling(name), {"eks:cluster-name": "falaj", "eks:nodegroup-name": "system"})
    assert not may(action, scaling(name), {"eks:cluster-name": "another", "eks:nodegroup-name": "gpu"})
    assert not may(action, scaling("eks-untagged"))
    assert not may("autoscaling:DeleteAutoScalingGroup", scaling(name), {"eks:cluster-name": "falaj"})
