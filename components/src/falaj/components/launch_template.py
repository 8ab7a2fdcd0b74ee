"""The launch template of a node group: what its instances are made of."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from falaj.components.capacity import CapacityType
from falaj.components.instance_facts import InstanceFacts
from falaj.components.machine import Machine

_BOTTLEROCKET_SYSTEM_GIB = 4
"""Bottlerocket's own disk; images and pods are on its second one."""


def make_launch_template(
    name: str,
    machine: Machine,
    *,
    key: pulumi.Output[str],
    disk_gib: int,
    ami_type: str,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.ec2.LaunchTemplate:
    """Make a template whose instances keep their identity from pods and encrypt their disks with the key."""
    more: dict[str, Any] = machine.capacity.of_template()
    if machine.interfaces:
        more["network_interfaces"] = machine.interfaces
    if machine.placement_group is not None:
        more["placement"] = {"group_name": machine.placement_group}
    if machine.user_data is not None:
        more["user_data"] = machine.user_data
    if machine.capacity.bought is CapacityType.CAPACITY_BLOCK:
        # EC2 wants the block and its instance type in one place.
        more["instance_type"] = machine.instance_types[0]
    return aws.ec2.LaunchTemplate(
        f"{name}-template",
        description=f"Nodes of {name}",
        update_default_version=True,
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            # One hop ends in the node: a pod, one hop further, never gets the node's credentials.
            "http_put_response_hop_limit": 1,
            "instance_metadata_tags": "disabled",
        },
        block_device_mappings=disks(ami_type, disk_gib, key),
        monitoring={"enabled": True},
        tag_specifications=[
            {"resource_type": kind, "tags": tags} for kind in ("instance", "volume", "network-interface")
        ],
        tags=tags,
        opts=opts,
        **more,
    )


def disks(ami_type: str, disk_gib: int, key: pulumi.Input[str]) -> list[Any]:
    """Return the disks, all under the key: one, and with Bottlerocket another for the system."""
    if ami_type.startswith("BOTTLEROCKET"):
        return [_disk("/dev/xvda", _BOTTLEROCKET_SYSTEM_GIB, key), _disk("/dev/xvdb", disk_gib, key)]
    return [_disk("/dev/xvda", disk_gib, key)]


def efa_interfaces(facts: InstanceFacts, groups: Sequence[pulumi.Input[str]]) -> list[Any]:
    """Return the interfaces of a node that trains over EFA: one on each network card.

    The first carries the node's own traffic too, the others EFA alone, which takes no address of the subnet.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html
    """
    cards = range(facts.first_efa_card, facts.first_efa_card + facts.efa)
    first = "efa" if 0 in cards else "interface"
    return [_interface(0, first, groups), *(_interface(card, "efa-only", groups) for card in cards if card)]


def _interface(card: int, kind: str, groups: Sequence[pulumi.Input[str]]) -> dict[str, Any]:
    return {
        "network_card_index": card,
        "device_index": min(card, 1),
        "interface_type": kind,
        "security_groups": list(groups),
        "delete_on_termination": "true",
    }


def _disk(device: str, gib: int, key: pulumi.Input[str]) -> dict[str, Any]:
    return {
        "device_name": device,
        "ebs": {
            "volume_type": "gp3",
            "volume_size": gib,
            "encrypted": "true",
            "kms_key_id": key,
            "delete_on_termination": "true",
        },
    }
