"""Who may use a cluster: access entries for IAM roles, instead of a map that the cluster's creator writes."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import principals
from falaj.components.errors import ConfigError

_ADMINISTRATES = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
# EKS refuses these as names of a person's own groups; system:masters would be a way around RBAC.
_RESERVED = ("system:", "eks:", "aws:", "amazon:", "iam:")


class ClusterMember(TypedDict):
    """An IAM role as a member of groups of the cluster; what the groups may do is for RBAC to say."""

    principal: str
    """ARN of the role, for example ``arn:aws:iam::123456789012:role/vision-developers``."""
    groups: list[str]
    """Kubernetes groups, for example ``["vision:developer"]``."""


def check_members(
    field: str, members: Sequence[ClusterMember], administrators: Sequence[str]
) -> Mapping[str, list[str]]:
    """Return the groups by principal; each principal has one access entry, so it is named once."""
    checked: dict[str, list[str]] = {}
    for number, member in enumerate(members):
        (principal,) = principals(f"{field}[{number}].principal", [member["principal"]])
        if principal in checked or principal in administrators:
            raise ConfigError(f"{field}[{number}].principal", principal, "must be named once, and be no administrator")
        if not member["groups"]:
            raise ConfigError(f"{field}[{number}].groups", [], "must name at least one group")
        for group in member["groups"]:
            if not group or group.startswith(_RESERVED):
                remedy = f"must be groups of your own, whose names do not start with {', '.join(_RESERVED)}"
                raise ConfigError(f"{field}[{number}].groups", group, remedy)
        checked[principal] = list(member["groups"])
    return checked


def let_in(
    name: str,
    cluster: aws.eks.Cluster,
    administrators: Sequence[str],
    members: Mapping[str, list[str]],
    *,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Make an access entry for each administrator and each member, visible to a reviewer one by one."""
    for principal in administrators:
        label = principal.rsplit("/", 1)[-1]
        entry = aws.eks.AccessEntry(
            f"{name}-access-{label}", cluster_name=cluster.name, principal_arn=principal, tags=tags, opts=opts
        )
        aws.eks.AccessPolicyAssociation(
            f"{name}-access-{label}-admin",
            cluster_name=cluster.name,
            principal_arn=entry.principal_arn,
            policy_arn=_ADMINISTRATES,
            access_scope={"type": "cluster"},
            opts=opts,
        )
    for principal, groups in members.items():
        aws.eks.AccessEntry(
            f"{name}-member-{principal.rsplit('/', 1)[-1]}",
            cluster_name=cluster.name,
            principal_arn=principal,
            kubernetes_groups=groups,
            tags=tags,
            opts=opts,
        )
