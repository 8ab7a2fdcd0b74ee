"""SharedFileSystem on HashiCorp's provider: what FSx, EFS and EC2 hold, changes, drift and the end."""

import json

import pytest
from examples import Example

from falaj.components.home_folders import file_system_policy

pytestmark = pytest.mark.lab
REGIME = {"home_region": "me-central-1", "account_id": "123456789012"}
EVERYTHING = {"Events": ["NEW", "CHANGED", "DELETED"]}


def test_file_systems_live_as_they_were_asked_for(bridged):
    example = Example(bridged, "shared-file-system")
    example.up()
    assert example.changes() == {}
    resources = example.resources()
    look_at_training(example, resources)
    look_at_homes(example, resources)
    look_at_who_is_let_in(example, resources)

    changed = example.changes(capacityGib="4800", coldAfterDays="90", visionUid="30001")
    assert changed["training-lustre"] == ("update", {"storageCapacity"})
    assert changed["homes-efs"] == ("update", {"lifecyclePolicies[0].transitionToIa"})
    # An access point is another door: EFS cannot change who comes through it.
    assert changed["homes-vision"][0] == "replace"
    # Lustre never shrinks.
    assert example.changes(capacityGib="1200")["training-lustre"][0] == "replace"

    efs, system = example.aws("efs"), resources["homes-efs"]["id"]
    fsx, lustre = example.aws("fsx"), resources["training-lustre"]["id"]
    efs.delete_file_system_policy(FileSystemId=system)
    efs.update_file_system_protection(FileSystemId=system, ReplicationOverwriteProtection="DISABLED")
    fsx.update_data_repository_association(
        AssociationId=resources["training-link"]["id"], S3={"AutoImportPolicy": EVERYTHING}
    )
    drift = example.drift()
    assert drift["homes-policy"][0] == "delete"
    assert drift["homes-efs"] == ("update", {"protection.replicationOverwrite"})
    assert drift["training-link"][0] == "update"
    example.up(capacityGib="4800")
    look_at_homes(example, resources)
    look_at_training(example, resources, gib=4800)

    example.up(capacityGib="1200")
    replaced = example.resources()
    assert replaced["training-lustre"]["id"] != lustre
    look_at_training(example, replaced, gib=1200)

    example.destroy()
    assert efs.describe_file_systems()["FileSystems"] == []
    assert fsx.describe_file_systems()["FileSystems"] == []
    assert fsx.describe_backups()["Backups"] == []
    ids = [resources[name]["id"] for name in ("training-group", "homes-group")]
    of = {"Filters": [{"Name": "group-id", "Values": ids}]}
    assert example.aws("ec2").describe_network_interfaces(**of)["NetworkInterfaces"] == []
    assert example.aws("ec2").describe_security_groups(**of)["SecurityGroups"] == []


def look_at_training(example, resources, gib=2400):
    fsx = example.aws("fsx")
    (found,) = fsx.describe_file_systems()["FileSystems"]
    lustre = found["LustreConfiguration"]
    assert (found["StorageCapacity"], found["StorageType"], found["FileSystemTypeVersion"]) == (gib, "SSD", "2.15")
    assert found["KmsKeyId"] == resources["datasets-key"]["outputs"]["arn"]
    assert found["SubnetIds"] == [resources["private-a"]["id"]]
    assert (lustre["DeploymentType"], lustre["PerUnitStorageThroughput"]) == ("PERSISTENT_2", 250)
    assert lustre["MetadataConfiguration"]["Mode"] == "AUTOMATIC"
    assert lustre["AutomaticBackupRetentionDays"] == 0
    assert example.outputs()["mount"] == f"{found['DNSName']}@tcp:/{lustre['MountName']}"
    (link,) = fsx.describe_data_repository_associations()["Associations"]
    assert link["DataRepositoryPath"] == f"s3://{resources['datasets-bucket']['id']}"
    assert link["S3"] == {"AutoImportPolicy": EVERYTHING, "AutoExportPolicy": EVERYTHING}


def look_at_homes(example, resources):
    efs = example.aws("efs")
    (found,) = efs.describe_file_systems()["FileSystems"]
    of = {"FileSystemId": found["FileSystemId"]}
    assert (found["Encrypted"], found["KmsKeyId"]) == (True, resources["homes-key"]["outputs"]["arn"])
    assert found["FileSystemProtection"] == {"ReplicationOverwriteProtection": "ENABLED"}
    assert {"Key": "backup", "Value": "restricted"} in found["Tags"]
    policy = json.loads(efs.describe_file_system_policy(**of)["Policy"])
    assert policy == file_system_policy(found["FileSystemArn"], REGIME, by_access_point=True)
    assert efs.describe_backup_policy(**of)["BackupPolicy"] == {"Status": "DISABLED"}
    assert efs.describe_lifecycle_configuration(**of)["LifecyclePolicies"] == [
        {"TransitionToIA": "AFTER_30_DAYS"},
        {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
    ]
    subnets = {target["SubnetId"] for target in efs.describe_mount_targets(**of)["MountTargets"]}
    assert subnets == {resources["isolated-a"]["id"], resources["isolated-b"]["id"]}
    points = {each["AccessPointId"]: each for each in efs.describe_access_points(**of)["AccessPoints"]}
    vision = points[example.outputs()["homes"]["accessPoints"]["vision"]]
    assert len(points) == 2
    assert (vision["PosixUser"]["Uid"], vision["RootDirectory"]["Path"]) == (20001, "/tenants/vision")


def look_at_who_is_let_in(example, resources):
    ec2 = example.aws("ec2")

    def rules(group):
        of = {"Filters": [{"Name": "group-id", "Values": [resources[group]["id"]]}]}
        return {
            (
                rule["IsEgress"],
                rule.get("ReferencedGroupInfo", {}).get("GroupId") or rule.get("CidrIpv4"),
                rule["FromPort"],
                rule["ToPort"],
            )
            for rule in ec2.describe_security_group_rules(**of)["SecurityGroupRules"]
        }

    lustre, nodes = resources["training-group"]["id"], resources["nodes"]["id"]
    assert rules("homes-group") == {(False, "10.30.0.0/16", 2049, 2049)}
    assert rules("training-group") == {
        (egress, other, low, high)
        for egress in (False, True)
        for other in (lustre, nodes)
        for low, high in ((988, 988), (1018, 1023))
    }
