"""Reads and sizes the EKS node groups behind the pools, and gives chosen nodes back.

Lowering the desired size of a managed node group lets EC2 Auto Scaling choose, and it chooses the oldest instance,
whatever runs there. So a node that goes is named: TerminateInstanceInAutoScalingGroup ends that instance and lowers the
desired size with it. Only where there is no such group, as in the lab, the size itself is lowered.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from falaj.scheduler.autoscale_policy import Policy, PoolPolicy, Shrink
from falaj.scheduler.errors import SchedulerError

TIMEOUT = 10.0
_NOT_NOW = {
    "ResourceInUseException",  # an update is under way
    "InvalidRequestException",  # the group is being made, upgraded or deleted
    "ResourceNotFoundException",
    "ScalingActivityInProgress",
    "ResourceContention",
}
"""Errors after which the next look tries again."""
_IN_SERVICE = "InService"


@dataclass(frozen=True)
class Group:
    """A node group as EKS and EC2 Auto Scaling have it."""

    min_nodes: int
    max_nodes: int
    desired: int
    machines: int = 0
    """Instances that exist, whether or not they are nodes yet; unknown, and 0, where there is no Auto Scaling group."""
    in_service: frozenset[str] = frozenset()
    """Ids of the instances that are neither starting nor ending."""


class NotNowError(SchedulerError):
    """AWS wants to be asked again later."""


class NodeGroups:
    """The node groups of one cluster, by the pools of the policy. Endpoint and credentials are the environment's."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        config = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"mode": "standard", "max_attempts": 3})
        if os.environ.get("AWS_ENDPOINT_URL"):  # it stands in for AWS on this machine: no proxy leads to it
            config = config.merge(Config(proxies=dict[str, str]()))
        self._eks = boto3.client("eks", config=config)
        # Its stubs are not installed.
        self._scaling: Any = boto3.client("autoscaling", config=config)  # pyright: ignore[reportUnknownMemberType]

    def read(self, pool: PoolPolicy) -> Group:
        """Return how a pool's node group is."""
        found: Mapping[str, Any] = self._ask(
            self._eks.describe_nodegroup, clusterName=self._policy.cluster, nodegroupName=pool.node_group
        )["nodegroup"]
        scaling = found["scalingConfig"]
        group = Group(scaling["minSize"], scaling["maxSize"], scaling.get("desiredSize", scaling["minSize"]))
        if self._policy.shrink is Shrink.RESIZE:
            return group
        # EKS tells of a change of Auto Scaling's own a while later; the group behind it is what counts.
        names = [each["name"] for each in (found.get("resources") or {}).get("autoScalingGroups") or []]
        behind = self._ask(self._scaling.describe_auto_scaling_groups, AutoScalingGroupNames=names)["AutoScalingGroups"]
        if not names or not behind:
            raise NotNowError(f"the node group {pool.node_group} has no Auto Scaling group yet")
        instances = [instance for each in behind for instance in each["Instances"]]
        return Group(
            group.min_nodes,
            group.max_nodes,
            desired=sum(each["DesiredCapacity"] for each in behind),
            machines=sum(not each["LifecycleState"].startswith("Terminat") for each in instances),
            in_service=frozenset(each["InstanceId"] for each in instances if each["LifecycleState"] == _IN_SERVICE),
        )

    def resize(self, pool: PoolPolicy, size: int) -> None:
        """Ask for a number of nodes."""
        self._ask(
            self._eks.update_nodegroup_config,
            clusterName=self._policy.cluster,
            nodegroupName=pool.node_group,
            scalingConfig={"desiredSize": size},
        )

    def terminate(self, group: Group, instances: Sequence[str]) -> list[str]:
        """End instances and lower the desired size by as many; return those that were in service until now."""
        ended = [each for each in instances if each in group.in_service]
        for instance in ended:
            self._ask(
                self._scaling.terminate_instance_in_auto_scaling_group,
                InstanceId=instance,
                ShouldDecrementDesiredCapacity=True,
            )
        return ended

    def _ask(self, call: Any, **arguments: Any) -> Any:
        try:
            return call(**arguments)
        except ClientError as error:
            told = error.response.get("Error", {})
            if told.get("Code") in _NOT_NOW:
                raise NotNowError(f"AWS says {told.get('Code')}: {told.get('Message')}") from error
            raise


def instance_of(provider_id: str) -> str:
    """Return the instance behind a node: ``aws:///me-central-1a/i-0abc`` is ``i-0abc``."""
    return provider_id.rpartition("/")[2]
