"""EKS's add-ons of a cluster: which versions, with which settings, and with which role by Pod Identity."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.classification import Classification
from falaj.components.documents import allow, document
from falaj.components.errors import ConfigError
from falaj.components.kubernetes_versions import pinned_addon
from falaj.components.refs import KeyRef, key_arn
from falaj.components.regime import Regime

_BUILD = re.compile(r"v\d+\.\d+\.\d+-eksbuild\.\d+")
# What is configured here wins over what somebody changed in the cluster, when an add-on is made and when it is updated.
_CONFLICTS = "OVERWRITE"


class Addon(StrEnum):
    """An add-on of EKS; the first four every cluster has."""

    VPC_CNI = "vpc-cni"
    """Addresses of pods, and the enforcement of network policies."""
    COREDNS = "coredns"
    """Names inside the cluster."""
    KUBE_PROXY = "kube-proxy"
    """Addresses of services."""
    POD_IDENTITY = "eks-pod-identity-agent"
    """IAM roles of service accounts."""
    EBS_CSI = "aws-ebs-csi-driver"
    """Disks of pods."""
    EFS_CSI = "aws-efs-csi-driver"
    """Home folders of a ``SharedFileSystem``."""
    FSX_CSI = "aws-fsx-csi-driver"
    """Training file systems of a ``SharedFileSystem``."""


class ClusterAddon(TypedDict):
    """An add-on that is wanted besides the four, or what is to be different about one of those."""

    name: Addon
    """Which add-on."""
    version: NotRequired[str]
    """Its version, for example ``v1.66.0-eksbuild.1``. Default: the one pinned for the cluster's version."""
    settings: NotRequired[dict[str, Any]]
    """Its configuration values, merged over falaj's own. Default: none."""
    key: NotRequired[pulumi.Input[KeyRef]]
    """Key of the disks that ``aws-ebs-csi-driver`` makes: ``ref`` of a ``ResidencyKey`` used by ebs. Default: none."""


ALWAYS = (Addon.VPC_CNI, Addon.KUBE_PROXY, Addon.POD_IDENTITY, Addon.COREDNS)
"""The add-ons that every cluster has."""
_SETTINGS: dict[Addon, dict[str, Any]] = {Addon.VPC_CNI: {"enableNetworkPolicy": "true"}}
_ACCOUNTS = {
    Addon.VPC_CNI: "aws-node",
    Addon.EBS_CSI: "ebs-csi-controller-sa",
    Addon.EFS_CSI: "efs-csi-controller-sa",
    Addon.FSX_CSI: "fsx-csi-controller-sa",
}
"""The service account of each add-on that calls AWS."""
_MANAGED = {
    Addon.VPC_CNI: "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",
    Addon.EBS_CSI: "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
}
# File systems and access points are made by SharedFileSystem and mounted as they are: the drivers look, and make none.
_LOOKS = {
    Addon.EFS_CSI: [
        "elasticfilesystem:DescribeAccessPoints",
        "elasticfilesystem:DescribeFileSystems",
        "elasticfilesystem:DescribeMountTargets",
        "ec2:DescribeAvailabilityZones",
    ],
    Addon.FSX_CSI: ["fsx:DescribeFileSystems"],
}


@dataclass(frozen=True)
class CheckedAddon:
    """An add-on as it is made."""

    addon: Addon
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    key: pulumi.Output[str] | None = None


def check_addons(
    name: str, wanted: Sequence[ClusterAddon], kubernetes: str, classification: Classification
) -> list[CheckedAddon]:
    """Return the four add-ons and the wanted ones; one whose version nobody knows is refused, not guessed."""
    given: dict[Addon, tuple[str, ClusterAddon]] = {}
    for number, each in enumerate(wanted):
        where = f"{name}[{number}]"
        if each["name"] not in set(Addon):
            raise ConfigError(f"{where}.name", each["name"], f"must be one of {', '.join(Addon)}")
        if each["name"] in given:
            raise ConfigError(f"{where}.name", each["name"], "must be named once")
        given[Addon(each["name"])] = (where, each)
    unnamed: tuple[str, ClusterAddon | None] = (name, None)
    return [
        _checked(*given.get(addon, unnamed), addon, kubernetes, classification)
        for addon in dict.fromkeys([*ALWAYS, *given])
    ]


def _checked(
    where: str, given: ClusterAddon | None, addon: Addon, kubernetes: str, classification: Classification
) -> CheckedAddon:
    wanted: Mapping[str, Any] = given or {}
    version = wanted.get("version") or pinned_addon(kubernetes, addon)
    if version is None:
        remedy = (
            f"must name the version of {addon} for Kubernetes {kubernetes}, for which none is pinned;"
            f" ask: aws eks describe-addon-versions --addon-name {addon} --kubernetes-version {kubernetes}"
        )
        raise ConfigError(f"{where}.version", None, remedy)
    if not _BUILD.fullmatch(version):
        raise ConfigError(f"{where}.version", version, "must be an add-on's version such as v1.22.4-eksbuild.3")
    key = wanted.get("key")
    if key is not None and addon is not Addon.EBS_CSI:
        raise ConfigError(f"{where}.key", addon.value, f"must be left out for all but {Addon.EBS_CSI}")
    settings = {**_SETTINGS.get(addon, {}), **wanted.get("settings", {})}
    return CheckedAddon(addon, version, settings, key_arn(f"{where}.key", key, classification) if key else None)


def pod_trust(regime: Regime, cluster_name: str) -> dict[str, Any]:
    """Return the trust policy of a role that pods of one cluster get by Pod Identity."""
    arn = f"arn:aws:eks:{regime['home_region']}:{regime['account_id']}:cluster/{cluster_name}"
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"aws:SourceAccount": regime["account_id"]}, "ArnEquals": {"aws:SourceArn": arn}},
    }
    return document(statement)


def disk_permissions(key: str) -> dict[str, Any]:
    """Return what the driver of disks may do with their key, beside AWS's own policy, which names no key."""
    use = allow(["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"], key)
    grant = allow(["kms:CreateGrant"], key) | {"Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}
    return document(use, grant)


def make_addons(
    name: str,
    cluster: aws.eks.Cluster,
    addons: Sequence[CheckedAddon],
    *,
    trust: dict[str, Any],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> list[aws.eks.Addon]:
    """Make the add-ons with their roles. Those with Deployments are active only when the first nodes have joined."""
    made: list[aws.eks.Addon] = []
    for each in addons:
        label = f"{name}-{each.addon}"
        associations: list[aws.eks.AddonPodIdentityAssociationArgsDict] = []
        grants: list[pulumi.Resource] = []
        if each.addon in _ACCOUNTS:
            role, grants = _role(label, each, trust, tags, opts)
            associations.append({"role_arn": role.arn, "service_account": _ACCOUNTS[each.addon]})
        made.append(
            aws.eks.Addon(
                label,
                cluster_name=cluster.name,
                addon_name=each.addon.value,
                addon_version=each.version,
                configuration_values=json.dumps(each.settings) if each.settings else None,
                resolve_conflicts_on_create=_CONFLICTS,
                resolve_conflicts_on_update=_CONFLICTS,
                pod_identity_associations=associations or None,
                tags=tags,
                opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=grants)),
            )
        )
    return made


def _role(
    label: str, each: CheckedAddon, trust: dict[str, Any], tags: dict[str, str], opts: pulumi.ResourceOptions
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """Make the role of an add-on's pods; return it with what it is granted."""
    role = aws.iam.Role(
        f"{label}-role",
        description=f"Pods of the add-on {each.addon}",
        assume_role_policy=json.dumps(trust),
        tags=tags,
        opts=opts,
    )
    grants: list[pulumi.Resource] = []
    if each.addon in _MANAGED:
        policy = _MANAGED[each.addon]
        grants.append(aws.iam.RolePolicyAttachment(f"{label}-role-eks", role=role.name, policy_arn=policy, opts=opts))
    if each.addon in _LOOKS:
        looks = json.dumps(document(allow(_LOOKS[each.addon], "*")))
        grants.append(aws.iam.RolePolicy(f"{label}-role-looks", role=role.id, policy=looks, opts=opts))
    if each.key is not None:
        policy = each.key.apply(lambda arn: json.dumps(disk_permissions(arn)))
        grants.append(aws.iam.RolePolicy(f"{label}-role-key", role=role.id, policy=policy, opts=opts))
    return role, grants
