"""EFS: file systems with their settings, their mount targets and access points."""

from typing import Any

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, as_pairs, camelize, pascalize, resource, tag_change
from falaj.lab.provider.kind import Autoname, Change, ProviderError
from falaj.lab.provider.values import Props


def _new_tags(props: Props) -> Any:
    return as_pairs({**(props.get("tags") or {}), **props.get("creationTags", {})}) or None


def _tags(aws: Aws, identifier: str, change: Change) -> None:
    added, removed = tag_change(change)
    if added:
        aws.call("efs.tag_resource", ResourceId=identifier, Tags=as_pairs(added))
    if removed:
        aws.call("efs.untag_resource", ResourceId=identifier, TagKeys=removed)


def _system_arn(aws: Aws, identifier: str) -> str:
    return aws.arn("elasticfilesystem", f"file-system/{identifier}")


def _dns_name(aws: Aws, host: str) -> str:
    return f"{host}.efs.{aws.region}.amazonaws.com"


def _throughput(aws: Aws, identifier: str, change: Change) -> None:
    mode = change.wanted.get("throughputMode")
    more = {"ProvisionedThroughputInMibps": change.wanted.get("provisionedThroughputInMibps")}
    aws.call(
        "efs.update_file_system",
        FileSystemId=identifier,
        ThroughputMode=mode,
        **(more if mode == "provisioned" else {}),
    )


def _lifecycle(aws: Aws, identifier: str, change: Change) -> None:
    policies = [
        {key: policy[name] for name, key in _TRANSITIONS.items() if policy.get(name)}
        for policy in change.wanted.get("lifecyclePolicies") or []
    ]
    aws.call("efs.put_lifecycle_configuration", FileSystemId=identifier, LifecyclePolicies=policies)


_TRANSITIONS = {
    "transitionToIa": "TransitionToIA",
    "transitionToArchive": "TransitionToArchive",
    "transitionToPrimaryStorageClass": "TransitionToPrimaryStorageClass",
}


def _protection(aws: Aws, identifier: str, change: Change) -> None:
    wanted = (change.wanted.get("protection") or {}).get("replicationOverwrite")
    if wanted:
        aws.call("efs.update_file_system_protection", FileSystemId=identifier, ReplicationOverwriteProtection=wanted)


def _system(aws: Aws, identifier: str, props: Props) -> Props:
    size = {name: value for name, value in (props["sizeInBytes"] or {}).items() if name != "timestamp"}
    parts = {"valueInIa": size.get("valueInIA"), "valueInStandard": size.get("valueInStandard")}
    protection = (props["protection"] or {}).get("replicationOverwriteProtection")
    policies = aws.call("efs.describe_lifecycle_configuration", FileSystemId=identifier)["LifecyclePolicies"]
    return {
        **props,
        "dnsName": _dns_name(aws, identifier),
        "sizeInBytes": [{"value": size.get("value"), **parts}],
        "protection": {"replicationOverwrite": protection} if protection else None,
        "lifecyclePolicies": [{name: policy.get(key, "") for name, key in _TRANSITIONS.items()} for policy in policies],
    }


FILE_SYSTEM = resource(
    "aws:efs/fileSystem:FileSystem",
    create=Call(
        "efs.create_file_system",
        {
            "CreationToken": "@creationToken",
            "PerformanceMode": "@performanceMode",
            "Encrypted": "@encrypted",
            "KmsKeyId": "@kmsKeyId",
            "ThroughputMode": "@throughputMode",
            "ProvisionedThroughputInMibps": "@provisionedThroughputInMibps",
            "AvailabilityZoneName": "@availabilityZoneName",
            "Tags": _new_tags,
        },
        "FileSystemId",
    ),
    read=Look(
        "efs.describe_file_systems",
        {"FileSystemId": "@id"},
        "FileSystems[0]",
        "arn=FileSystemArn availabilityZoneId availabilityZoneName creationToken encrypted kmsKeyId name "
        "numberOfMountTargets ownerId performanceMode provisionedThroughputInMibps sizeInBytes throughputMode tags "
        "protection=FileSystemProtection",
    ),
    update=[
        Put("throughputMode provisionedThroughputInMibps", _throughput),
        Put("lifecyclePolicies", _lifecycle),
        Put("protection", _protection),
        Put("tags", _tags),
    ],
    delete=Call("efs.delete_file_system", {"FileSystemId": "@id"}),
    finish=_system,
    name=Autoname("creationToken"),
    replace="availabilityZoneName creationToken encrypted kmsKeyId performanceMode",
    defaults={"throughputMode": "bursting"},
    computed="availabilityZoneName creationToken encrypted kmsKeyId performanceMode protection",
)


def _target(aws: Aws, identifier: str, props: Props) -> Props:
    system, zone = str(props["fileSystemId"]), props["availabilityZoneName"]
    groups = aws.call("efs.describe_mount_target_security_groups", MountTargetId=identifier)["SecurityGroups"]
    return {
        **props,
        "securityGroups": groups,
        "fileSystemArn": _system_arn(aws, system),
        "dnsName": _dns_name(aws, system),
        "mountTargetDnsName": _dns_name(aws, f"{zone}.{system}"),
        "ipAddressType": "IPV4_ONLY",
    }


MOUNT_TARGET = resource(
    "aws:efs/mountTarget:MountTarget",
    create=Call(
        "efs.create_mount_target",
        {
            "FileSystemId": "@fileSystemId",
            "SubnetId": "@subnetId",
            "IpAddress": "@ipAddress",
            "SecurityGroups": "@securityGroups",
        },
        "MountTargetId",
    ),
    read=Look(
        "efs.describe_mount_targets",
        {"MountTargetId": "@id"},
        "MountTargets[0]",
        "fileSystemId subnetId ipAddress networkInterfaceId availabilityZoneId availabilityZoneName ownerId",
    ),
    update=[
        Put(
            "securityGroups",
            Call(
                "efs.modify_mount_target_security_groups",
                {"MountTargetId": "@id", "SecurityGroups": lambda p: p.get("securityGroups") or []},
            ),
        )
    ],
    delete=Call("efs.delete_mount_target", {"MountTargetId": "@id"}),
    finish=_target,
    replace="fileSystemId ipAddress ipAddressType ipv6Address subnetId",
    computed="ipAddress ipAddressType ipv6Address securityGroups",
    sets="securityGroups",
    delete_first=True,
)


def _point(aws: Aws, identifier: str, props: Props) -> Props:
    del identifier
    root = props["rootDirectory"]
    return {**props, "fileSystemArn": _system_arn(aws, str(props["fileSystemId"])), "rootDirectory": camelize(root)}


ACCESS_POINT = resource(
    "aws:efs/accessPoint:AccessPoint",
    create=Call(
        "efs.create_access_point",
        {
            "FileSystemId": "@fileSystemId",
            "PosixUser": lambda p: pascalize(p.get("posixUser")),
            "RootDirectory": lambda p: pascalize(p.get("rootDirectory")),
            "Tags": _new_tags,
        },
        "AccessPointId",
    ),
    read=Look(
        "efs.describe_access_points",
        {"AccessPointId": "@id"},
        "AccessPoints[0]",
        "arn=AccessPointArn fileSystemId ownerId posixUser rootDirectory tags",
    ),
    update=[Put("tags", _tags)],
    delete=Call("efs.delete_access_point", {"AccessPointId": "@id"}),
    finish=_point,
    replace="fileSystemId posixUser rootDirectory",
    computed="rootDirectory",
)


def _put_policy(aws: Aws, props: Props) -> str:
    bypass = {"BypassPolicyLockoutSafetyCheck": True} if props.get("bypassPolicyLockoutSafetyCheck") else {}
    aws.call("efs.put_file_system_policy", FileSystemId=props["fileSystemId"], Policy=props["policy"], **bypass)
    return str(props["fileSystemId"])


POLICY = resource(
    "aws:efs/fileSystemPolicy:FileSystemPolicy",
    create=_put_policy,
    read=Look("efs.describe_file_system_policy", {"FileSystemId": "@id"}, "@", "fileSystemId policy"),
    update=[Put("policy", lambda aws, _, change: _put_policy(aws, change.wanted))],
    delete=Call("efs.delete_file_system_policy", {"FileSystemId": "@id"}),
    replace="fileSystemId",
    local="bypassPolicyLockoutSafetyCheck",
    documents="policy",
    key="fileSystemId",
)


def _put_backup(aws: Aws, identifier: str, status: str) -> str:
    aws.call("efs.put_backup_policy", FileSystemId=identifier, BackupPolicy={"Status": status})
    return identifier


def _no_backup(aws: Aws, identifier: str, state: Props) -> None:
    """Switch backups off: the setting itself stays with its file system."""
    del state
    try:
        _put_backup(aws, identifier, "DISABLED")
    except ProviderError as error:
        if "FileSystemNotFound" not in str(error):
            raise


BACKUP = resource(
    "aws:efs/backupPolicy:BackupPolicy",
    create=lambda aws, props: _put_backup(aws, str(props["fileSystemId"]), props["backupPolicy"]["status"]),
    read=Look("efs.describe_backup_policy", {"FileSystemId": "@id"}, "@", "backupPolicy"),
    update=[
        Put("backupPolicy", lambda aws, i, change: _put_backup(aws, i, change.wanted["backupPolicy"]["status"])),
    ],
    delete=_no_backup,
    finish=lambda aws, identifier, props: {**props, "fileSystemId": identifier},
    replace="fileSystemId",
    key="fileSystemId",
)

KINDS = [FILE_SYSTEM, MOUNT_TARGET, ACCESS_POINT, POLICY, BACKUP]
