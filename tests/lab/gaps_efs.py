"""Gaps of EFS."""

import json

from asking import Aws, name, refused


def made(aws: Aws) -> str:
    return aws.client("efs").create_file_system(CreationToken=name(), Encrypted=True)["FileSystemId"]


def throughput_can_be_changed(aws: Aws) -> bool:
    efs, system = aws.client("efs"), made(aws)
    efs.update_file_system(FileSystemId=system, ThroughputMode="elastic")
    elastic = efs.describe_file_systems(FileSystemId=system)["FileSystems"][0]
    efs.update_file_system(FileSystemId=system, ThroughputMode="provisioned", ProvisionedThroughputInMibps=64)
    provisioned = efs.describe_file_systems(FileSystemId=system)["FileSystems"][0]
    return (
        elastic["ThroughputMode"] == "elastic"
        and (provisioned["ThroughputMode"], provisioned["ProvisionedThroughputInMibps"]) == ("provisioned", 64)
        and refused(
            lambda: efs.update_file_system(FileSystemId=system, ThroughputMode="provisioned"), "BadRequest", "goes with"
        )
    )


def backups_are_switched_on_and_off(aws: Aws) -> bool:
    efs, system, found = aws.client("efs"), made(aws), []
    for status in ("ENABLED", "DISABLED"):
        efs.put_backup_policy(FileSystemId=system, BackupPolicy={"Status": status})
        found.append(efs.describe_backup_policy(FileSystemId=system)["BackupPolicy"]["Status"])
    return found == ["ENABLED", "DISABLED"]


def a_file_system_is_no_copy_unless_it_may_be_one(aws: Aws) -> bool:
    efs, system = aws.client("efs"), made(aws)

    def protection() -> str:
        found = efs.describe_file_systems(FileSystemId=system)["FileSystems"][0]
        return found["FileSystemProtection"]["ReplicationOverwriteProtection"]

    first = protection()
    efs.update_file_system_protection(FileSystemId=system, ReplicationOverwriteProtection="DISABLED")
    return (first, protection()) == ("ENABLED", "DISABLED")


def a_policy_can_be_deleted_and_is_one(aws: Aws) -> bool:
    efs, system = aws.client("efs"), made(aws)
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "elasticfilesystem:ClientMount"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    efs.put_file_system_policy(FileSystemId=system, Policy=policy)
    there = efs.describe_file_system_policy(FileSystemId=system)["Policy"] == policy
    efs.delete_file_system_policy(FileSystemId=system)
    return (
        there
        and refused(lambda: efs.describe_file_system_policy(FileSystemId=system), "PolicyNotFound", "")
        and refused(
            lambda: efs.put_file_system_policy(FileSystemId=system, Policy="[]"), "InvalidPolicyException", "document"
        )
    )


def the_policy_of_an_unknown_file_system_is_refused(aws: Aws) -> bool:
    ask = aws.client("efs").describe_file_system_policy
    return refused(lambda: ask(FileSystemId="fs-0123456789abcdef0"), "FileSystemNotFound", "does not exist")


GAPS = [
    throughput_can_be_changed,
    backups_are_switched_on_and_off,
    a_file_system_is_no_copy_unless_it_may_be_one,
    a_policy_can_be_deleted_and_is_one,
    the_policy_of_an_unknown_file_system_is_refused,
]
