"""A file system that is made, whatever its kind, and the security group in front of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class Mounted:
    """A file system as its kind made it."""

    identifier: pulumi.Output[str]
    arn: pulumi.Output[str]
    dns_name: pulumi.Output[str]
    mount_name: pulumi.Input[str]
    security_group_id: pulumi.Output[str]
    access_points: Mapping[str, pulumi.Output[str]]


def security_group(
    name: str, kind: str, vpc: pulumi.Input[str], tags: dict[str, str], opts: pulumi.ResourceOptions
) -> aws.ec2.SecurityGroup:
    """Make the group of the file system's interfaces; it opens nothing by itself."""
    description = f"{kind} of {name}"
    return aws.ec2.SecurityGroup(f"{name}-group", vpc_id=vpc, description=description, tags=tags, opts=opts)
