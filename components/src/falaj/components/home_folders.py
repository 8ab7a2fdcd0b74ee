"""EFS for home folders: in every zone, over TLS and with an identity only, each tenant in a folder of its own."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification, reaches
from falaj.components.documents import deny, document
from falaj.components.errors import ConfigError
from falaj.components.mounted import Mounted, security_group
from falaj.components.refs import NetworkRef, pick
from falaj.components.regime import Regime, RegimeRules, root_of

_NFS = 2049
_LARGEST_ID = 4294967295
_PATH = re.compile(r"(/[A-Za-z0-9_.-]+){1,4}")
# https://docs.aws.amazon.com/efs/latest/ug/API_LifecyclePolicy.html
_COLD_AFTER = (1, 7, 14, 30, 60, 90, 180, 270, 365)


class HomeFolder(TypedDict):
    """A tenant's folder, and who its files belong to."""

    tenant: str
    """Name of the tenant."""
    uid: int
    """Number of the user that every file is written as, 1 to 4294967295; 0 is root."""
    gid: int
    """Number of the group that every file is written as."""
    path: NotRequired[str]
    """Where the folder is. Default: ``/tenants/<tenant>``."""


@dataclass(frozen=True)
class Homes:
    """What is asked of a file system for home folders."""

    folders: tuple[HomeFolder, ...]
    cold_after_days: int
    aws_backup: bool
    """Whether EFS's own daily backups are on, which lie in a vault with a key of AWS."""
    backup_tag: str


def check_homes(name: str, args: Mapping[str, Any], classification: Classification, rules: RegimeRules) -> Homes:
    """Return what is asked, refusing folders of root, folders in each other and days that EFS does not offer."""
    folders: list[HomeFolder] = []
    for number, folder in enumerate(args.get("homes", [])):
        field = f"{name}.homes[{number}]"
        tenant = dns_label(f"{field}.tenant", folder["tenant"])
        path = folder.get("path", f"/tenants/{tenant}")
        if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise ConfigError(f"{field}.path", path, "must be an absolute path of at most 4 plain names")
        for other in folders:
            if tenant == other["tenant"]:
                raise ConfigError(f"{field}.tenant", tenant, "must be another tenant's than those before")
            if f"{path}/".startswith(f"{other['path']}/") or f"{other['path']}/".startswith(f"{path}/"):  # pyright: ignore[reportTypedDictNotRequiredAccess]
                raise ConfigError(f"{field}.path", path, f"must not overlap the folder of {other['tenant']}")
        uid = bounded(f"{field}.uid", folder["uid"], 1, _LARGEST_ID)
        gid = bounded(f"{field}.gid", folder["gid"], 1, _LARGEST_ID)
        folders.append({"tenant": tenant, "uid": uid, "gid": gid, "path": path})
    days = args.get("cold_after_days", 30)
    if days not in _COLD_AFTER:
        remedy = f"must be one of {', '.join(map(str, _COLD_AFTER))} days"
        raise ConfigError(f"{name}.cold_after_days", days, remedy)
    aws_backup = not reaches(classification, rules.customer_key_from)
    return Homes(tuple(folders), int(days), aws_backup, classification.value)


def make_homes(
    name: str,
    asked: Homes,
    network: pulumi.Input[NetworkRef],
    subnets: Mapping[str, pulumi.Output[str]],
    *,
    clients: Sequence[pulumi.Input[str]] | None,
    key: pulumi.Output[str],
    regime: Regime,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> Mounted:
    """Make the file system, its policy, its security group, a mount target per zone and an access point per tenant."""
    days = "1_DAY" if asked.cold_after_days == 1 else f"{asked.cold_after_days}_DAYS"
    system = aws.efs.FileSystem(
        f"{name}-efs",
        encrypted=True,
        kms_key_id=key,
        performance_mode="generalPurpose",
        throughput_mode="elastic",
        lifecycle_policies=[
            {"transition_to_ia": f"AFTER_{days}"},
            {"transition_to_primary_storage_class": "AFTER_1_ACCESS"},
        ],
        # Nobody can make it the copy of a file system elsewhere.
        protection={"replication_overwrite": "ENABLED"},
        tags=tags | {"backup": asked.backup_tag},
        opts=opts,
    )
    policy = aws.efs.FileSystemPolicy(
        f"{name}-policy",
        file_system_id=system.id,
        policy=system.arn.apply(
            lambda arn: json.dumps(file_system_policy(arn, regime, by_access_point=bool(asked.folders)))
        ),
        opts=opts,
    )
    aws.efs.BackupPolicy(
        f"{name}-backup",
        file_system_id=system.id,
        backup_policy={"status": "ENABLED" if asked.aws_backup else "DISABLED"},
        opts=opts,
    )
    group = security_group(name, "EFS", pick(network, "vpc_id"), tags, opts)
    _open(name, group, cidr=pick(network, "cidr"), clients=clients, tags=tags, opts=opts)
    for zone, subnet in subnets.items():
        aws.efs.MountTarget(
            f"{name}-mount-{zone[-1]}",
            file_system_id=system.id,
            subnet_id=subnet,
            security_groups=[group.id],
            # Nothing can be mounted before the policy stands: without one, EFS lets in who reaches it.
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[policy])),
        )
    points = {folder["tenant"]: _access_point(name, system, folder, tags, opts).id for folder in asked.folders}
    return Mounted(system.id, system.arn, system.dns_name, "/", group.id, points)


def file_system_policy(arn: str, regime: Regime, *, by_access_point: bool) -> dict[str, Any]:
    """Return who may mount: identities of the account that IAM lets, over TLS, from the network, and never as root.

    An anonymous client has no account, and so is denied with the strangers.
    https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
    """
    account, any_use = regime["account_id"], "elasticfilesystem:Client*"
    outside = {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "false"}}
    statements = [
        {
            "Sid": "MountFromTheNetwork",
            "Effect": "Allow",
            "Principal": {"AWS": root_of(account)},
            "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
            "Resource": arn,
            "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
        },
        deny("DenyPlaintext", "*", arn, {"Bool": {"aws:SecureTransport": "false"}}),
        deny("DenyOutsideTheNetwork", any_use, arn, outside),
        deny("DenyOutsideAccount", any_use, arn, {"StringNotEquals": {"aws:PrincipalAccount": account}}),
        deny("DenyRoot", "elasticfilesystem:ClientRootAccess", arn),
    ]
    if by_access_point:
        without = {"Null": {"elasticfilesystem:AccessPointArn": "true"}}
        statements.append(deny("DenyWithoutAccessPoint", any_use, arn, without))
    return document(*statements)


def _open(
    name: str,
    group: aws.ec2.SecurityGroup,
    *,
    cidr: pulumi.Output[str],
    clients: Sequence[pulumi.Input[str]] | None,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Let the clients in by NFS: the security groups that are named, or every address of the network."""
    sources: list[tuple[str, dict[str, pulumi.Input[str]]]] = [("network", {"cidr_ipv4": cidr})]
    if clients is not None:
        sources = [(f"client-{number}", {"referenced_security_group_id": each}) for number, each in enumerate(clients)]
    for label, source in sources:
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-{label}-in",
            security_group_id=group.id,
            description="NFS",
            ip_protocol="tcp",
            from_port=_NFS,
            to_port=_NFS,
            tags=tags,
            opts=opts,
            **source,
        )


def _access_point(
    name: str, system: aws.efs.FileSystem, folder: HomeFolder, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> aws.efs.AccessPoint:
    """Make the door to a tenant's folder: whoever comes through it is the tenant's user, and sees nothing else."""
    uid, gid = folder["uid"], folder["gid"]
    return aws.efs.AccessPoint(
        f"{name}-{folder['tenant']}",
        file_system_id=system.id,
        posix_user={"uid": uid, "gid": gid},
        root_directory={
            "path": folder.get("path", "/"),
            "creation_info": {"owner_uid": uid, "owner_gid": gid, "permissions": "0750"},
        },
        tags=tags | {"tenant": folder["tenant"]},
        opts=opts,
    )
