"""What the nodes of a group are, beyond a disk and a name: how a GPU pool tells a node pool of its machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from falaj.components.capacity import Capacity


@dataclass(frozen=True)
class Machine:
    """The machines of one node group."""

    instance_types: Sequence[str]
    """The preferred one first."""
    capacity: Capacity
    subnet_ids: pulumi.Input[Sequence[str]] | None = None
    """Where they start. None: in all subnets of the network."""
    interfaces: Sequence[Any] = ()
    """Network interfaces. None: the one that EC2 makes, with the cluster's security group."""
    placement_group: pulumi.Input[str] | None = None
    user_data: str | None = None
    """What they are told at their start, base64."""
    release: str | None = None
    """Release of the image. None: the one that EKS recommends when the group is made or changes its version."""
    scarce: bool = False
    """Whether an update gives a node back before it asks for the next, since there may be none beside it."""
    group_tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further tags of the node group alone."""
