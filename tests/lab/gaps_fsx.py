"""Gaps of FSx for Lustre."""

from typing import Any

from asking import Aws, name, refused

KEY = "arn:aws:kms:me-central-1:123456789012:key/11111111-1111-1111-1111-111111111111"
PERSISTENT = {"DeploymentType": "PERSISTENT_2", "PerUnitStorageThroughput": 125}
METADATA = {"MetadataConfiguration": {"Mode": "AUTOMATIC"}}


def made(aws: Aws, gib: int = 1200, **lustre: Any) -> dict[str, Any]:
    given = {"FileSystemType": "LUSTRE", "StorageCapacity": gib, "SubnetIds": [aws.subnet()], "KmsKeyId": KEY}
    return aws.client("fsx").create_file_system(**given, LustreConfiguration=PERSISTENT | lustre)["FileSystem"]


def described(aws: Aws, identifier: str) -> dict[str, Any]:
    return aws.client("fsx").describe_file_systems(FileSystemIds=[identifier])["FileSystems"][0]


def linked(aws: Aws, system: str, path: str = "/", **more: Any) -> dict[str, Any]:
    bucket = name()
    where = {"LocationConstraint": "me-central-1"}
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    given = {"FileSystemId": system, "FileSystemPath": path, "DataRepositoryPath": f"s3://{bucket}"} | more
    return aws.client("fsx").create_data_repository_association(**given)["Association"]


def a_file_system_tells_what_it_was_not_told(aws: Aws) -> bool:
    found = described(aws, made(aws, **METADATA)["FileSystemId"])
    lustre = found["LustreConfiguration"]
    return (
        found["Lifecycle"] == "AVAILABLE"
        and found["OwnerId"] == "123456789012"
        and found["VpcId"].startswith("vpc-")
        and found["StorageType"] == "SSD"
        and found["FileSystemTypeVersion"] == "2.15"
        and len(lustre["MountName"]) == 8
        and lustre["MetadataConfiguration"] == {"Mode": "AUTOMATIC", "Iops": 1500}
        and lustre["DataCompressionType"] == "NONE"
        and lustre["EfaEnabled"] is False
        and lustre["AutomaticBackupRetentionDays"] == 0
        and lustre["LogConfiguration"] == {"Level": "DISABLED"}
    )


def a_file_system_has_a_network_interface_while_it_is_there(aws: Aws) -> bool:
    system = made(aws)
    interfaces = {"Filters": [{"Name": "network-interface-id", "Values": system["NetworkInterfaceIds"]}]}
    there = aws.ec2.describe_network_interfaces(**interfaces)["NetworkInterfaces"]
    aws.client("fsx").delete_file_system(FileSystemId=system["FileSystemId"])
    return len(there) == 1 and not aws.ec2.describe_network_interfaces(**interfaces)["NetworkInterfaces"]


def an_unknown_file_system_is_refused(aws: Aws) -> bool:
    describe = aws.client("fsx").describe_file_systems
    return refused(lambda: describe(FileSystemIds=["fs-0123456789abcdef0"]), "FileSystemNotFound", "does not exist")


def lustre_has_some_capacities_and_throughputs_only(aws: Aws) -> bool:
    for gib in (1000, 1201, 3600):
        if not refused(lambda: made(aws, gib), "BadRequest", "2400"):  # noqa: B023  # called at once
            return False
    wrong = refused(lambda: made(aws, PerUnitStorageThroughput=200), "InvalidPerUnitStorageThroughput", "125, 250")
    return wrong and made(aws, 7200)["StorageCapacity"] == 7200


def efa_wants_metadata_and_large_steps(aws: Aws) -> bool:
    fast = {"EfaEnabled": True, "PerUnitStorageThroughput": 1000}
    return (
        refused(lambda: made(aws, 4800, **fast), "BadRequest", "metadata")
        and refused(lambda: made(aws, 2400, **fast, **METADATA), "BadRequest", "4800")
        and made(aws, 4800, **fast, **METADATA)["LustreConfiguration"]["EfaEnabled"] is True
    )


def a_file_system_grows_and_never_shrinks(aws: Aws) -> bool:
    fsx, system = aws.client("fsx"), made(aws, 2400, **METADATA)["FileSystemId"]
    fsx.update_file_system(FileSystemId=system, StorageCapacity=4800)
    found = described(aws, system)
    return (
        found["StorageCapacity"] == 4800
        and found["LustreConfiguration"]["MetadataConfiguration"]["Iops"] == 6000
        and found["AdministrativeActions"][0]["Status"] == "COMPLETED"
        and refused(
            lambda: fsx.update_file_system(FileSystemId=system, StorageCapacity=2400), "BadRequest", "increased only"
        )
    )


def throughput_and_backups_can_be_changed(aws: Aws) -> bool:
    fsx, system = aws.client("fsx"), made(aws)["FileSystemId"]
    changes = {"PerUnitStorageThroughput": 500, "AutomaticBackupRetentionDays": 7}
    fsx.update_file_system(FileSystemId=system, LustreConfiguration=changes)
    lustre = described(aws, system)["LustreConfiguration"]
    return lustre["PerUnitStorageThroughput"] == 500 and lustre["AutomaticBackupRetentionDays"] == 7


def a_folder_is_linked_to_a_bucket(aws: Aws) -> bool:
    fsx, system = aws.client("fsx"), made(aws)["FileSystemId"]
    events = {"AutoImportPolicy": {"Events": ["NEW"]}, "AutoExportPolicy": {"Events": ["NEW", "CHANGED"]}}
    link = linked(aws, system, S3=events, Tags=[{"Key": "a", "Value": "b"}])["AssociationId"]
    fewer = {"AutoImportPolicy": {"Events": ["NEW"]}}
    before = fsx.describe_data_repository_associations(AssociationIds=[link])["Associations"][0]
    fsx.update_data_repository_association(AssociationId=link, S3=fewer)
    after = fsx.describe_data_repository_associations(
        Filters=[{"Name": "file-system-id", "Values": [system]}],
    )["Associations"][0]
    fsx.delete_data_repository_association(AssociationId=link)
    return (
        (before["S3"], after["S3"]) == (events, fewer)
        and before["Tags"] == [{"Key": "a", "Value": "b"}]
        and before["Lifecycle"] == "AVAILABLE"
        and refused(
            lambda: fsx.describe_data_repository_associations(AssociationIds=[link]),
            "DataRepositoryAssociationNotFound",
            link,
        )
    )


def links_do_not_overlap_and_lead_to_a_bucket(aws: Aws) -> bool:
    system = made(aws)["FileSystemId"]
    linked(aws, system, "/data/")
    return refused(lambda: linked(aws, system, "/data/inner"), "BadRequest", "overlap") and refused(
        lambda: linked(aws, system, "/other", DataRepositoryPath="s3://nobody-has-this"), "BadRequest", "cannot reach"
    )


def what_is_linked_has_no_backups(aws: Aws) -> bool:
    fsx, said = aws.client("fsx"), "data repository"
    backed = made(aws, AutomaticBackupRetentionDays=7)["FileSystemId"]
    bound = made(aws)["FileSystemId"]
    linked(aws, bound)
    later = {"FileSystemId": bound, "LustreConfiguration": {"AutomaticBackupRetentionDays": 7}}
    last = {"FileSystemId": bound, "LustreConfiguration": {"SkipFinalBackup": False}}
    return (
        refused(lambda: linked(aws, backed), "BadRequest", said)
        and refused(lambda: fsx.update_file_system(**later), "BadRequest", said)
        and refused(lambda: fsx.delete_file_system(**last), "BadRequest", said)
    )


def a_final_backup_is_taken_when_asked_for(aws: Aws) -> bool:
    fsx, system = aws.client("fsx"), made(aws)["FileSystemId"]
    answer = fsx.delete_file_system(FileSystemId=system, LustreConfiguration={"SkipFinalBackup": False})
    backup = answer["LustreResponse"]["FinalBackupId"]
    return fsx.describe_backups(BackupIds=[backup])["Backups"][0]["BackupId"] == backup


GAPS = [
    a_file_system_tells_what_it_was_not_told,
    a_file_system_has_a_network_interface_while_it_is_there,
    an_unknown_file_system_is_refused,
    lustre_has_some_capacities_and_throughputs_only,
    efa_wants_metadata_and_large_steps,
    a_file_system_grows_and_never_shrinks,
    throughput_and_backups_can_be_changed,
    a_folder_is_linked_to_a_bucket,
    links_do_not_overlap_and_lead_to_a_bucket,
    what_is_linked_has_no_backups,
    a_final_backup_is_taken_when_asked_for,
]
