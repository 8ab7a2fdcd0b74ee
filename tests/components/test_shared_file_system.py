"""SharedFileSystem: for training and for homes, who reaches it, and what is refused."""

import json

import pulumi
import pytest
from component_samples import KEY, NETWORK, OWNERSHIP, REGIME

from falaj.components import Classification, ConfigError, FileSystemKind, SharedFileSystem
from falaj.components.home_folders import file_system_policy
from falaj.components.lustre import check_capacity

COMMON = {"purpose": "files", "network": NETWORK, "key": KEY, "regime": REGIME, "ownership": OWNERSHIP}
STORE = {"bucket": "datasets", "arn": "arn:aws:s3:::datasets", "classification": "restricted", "kind": "dataset"}
TRAINING = {**COMMON, "kind": FileSystemKind.TRAINING, "store": STORE}
ALONE = {**COMMON, "kind": FileSystemKind.TRAINING}
VISION = {"tenant": "vision", "uid": 20001, "gid": 20002}
HOME = {**COMMON, "kind": FileSystemKind.HOME, "homes": [VISION]}
EVENTS = {"events": ["NEW", "CHANGED", "DELETED"]}


def test_training_reads_a_bucket_from_a_persistent_file_system_with_our_key(run, engine, providers):
    ref = run(lambda: SharedFileSystem("fast", TRAINING, providers()).ref)
    found = engine.one("LustreFileSystem")
    assert (found["deploymentType"], found["storageType"], found["fileSystemTypeVersion"]) == (
        "PERSISTENT_2",
        "SSD",
        "2.15",
    )
    assert (found["storageCapacity"], found["perUnitStorageThroughput"]) == (1200, 250)
    assert found["metadataConfiguration"] == {"mode": "AUTOMATIC"}
    assert found["kmsKeyId"] == KEY["arn"]
    assert found["subnetIds"] == "subnet-a"
    assert found["securityGroupIds"] == ["fast-group-id"]
    assert found["efaEnabled"] is False
    link = engine.one("DataRepositoryAssociation")
    assert (link["dataRepositoryPath"], link["fileSystemPath"]) == ("s3://datasets", "/")
    assert link["s3"] == {"autoImportPolicy": EVENTS, "autoExportPolicy": EVENTS}
    assert ref["security_group_id"] == "fast-group-id"
    assert (ref["kind"], ref["classification"], ref["access_points"]) == ("training", "restricted", {})


def test_what_is_linked_has_its_copy_in_the_bucket(run, engine, providers):
    run(lambda: SharedFileSystem("fast", TRAINING, providers()).arn)
    found = engine.one("LustreFileSystem")
    assert (found["automaticBackupRetentionDays"], found["skipFinalBackup"]) == (0, True)


def test_what_is_not_linked_is_backed_up_as_long_as_the_regime_wants_and_once_more_at_its_end(run, engine, providers):
    run(lambda: SharedFileSystem("a", {**ALONE, "classification": Classification.INTERNAL}, providers()).arn)
    run(lambda: SharedFileSystem("b", ALONE, providers()).arn)
    internal, restricted = engine.all("LustreFileSystem")
    assert internal["automaticBackupRetentionDays"] == 14
    assert restricted["automaticBackupRetentionDays"] == 90
    assert internal["skipFinalBackup"] is False
    assert internal["finalBackupTags"]["classification"] == "internal"


def test_a_store_that_is_still_to_be_made_is_looked_at_when_it_is(run, engine, providers):
    def program(classification):
        store = pulumi.Output.from_input({**STORE, "classification": classification})
        return SharedFileSystem("fast", {**TRAINING, "classification": "internal", "store": store}, providers()).arn

    run(lambda: program("internal"))
    assert engine.one("DataRepositoryAssociation")["dataRepositoryPath"] == "s3://datasets"
    with pytest.raises(ValueError, match=r"fast\.store must be a store classified internal or lower"):
        run(lambda: program("restricted"))


def test_part_of_a_bucket_can_be_linked(run, engine, providers):
    run(lambda: SharedFileSystem("fast", {**TRAINING, "store_prefix": "vision/"}, providers()).arn)
    assert engine.one("DataRepositoryAssociation")["dataRepositoryPath"] == "s3://datasets/vision/"


def test_lustre_is_open_among_its_servers_and_to_the_nodes_that_train(run, engine, providers):
    run(lambda: SharedFileSystem("fast", TRAINING, providers()).arn)
    ins, outs = engine.all("SecurityGroupIngressRule"), engine.all("SecurityGroupEgressRule")
    expected = {
        (holder, other, low, high)
        for holder, other in (
            ("fast-group-id", "fast-group-id"),
            ("fast-group-id", "sg-efa"),
            ("sg-efa", "fast-group-id"),
        )
        for low, high in ((988, 988), (1018, 1023))
    }
    for rules in (ins, outs):
        ends = [
            (rule["securityGroupId"], rule["referencedSecurityGroupId"], rule["fromPort"], rule["toPort"])
            for rule in rules
        ]
        assert len(ends) == len(expected)
        assert set(ends) == expected
        assert {rule["ipProtocol"] for rule in rules} == {"tcp"}


def test_named_clients_take_the_place_of_the_nodes_that_train(run, engine, providers):
    run(lambda: SharedFileSystem("fast", {**TRAINING, "clients": ["sg-nodes"]}, providers()).arn)
    others = {rule["referencedSecurityGroupId"] for rule in engine.all("SecurityGroupIngressRule")}
    assert others == {"fast-group-id", "sg-nodes"}


def test_efa_joins_the_group_of_the_nodes_that_train(run, engine, providers):
    given = {**TRAINING, "efa": True, "throughput_per_tib": 1000, "capacity_gib": 4800, "metadata_iops": 12000}
    run(lambda: SharedFileSystem("fast", given, providers()).arn)
    found = engine.one("LustreFileSystem")
    assert found["efaEnabled"] is True
    assert found["securityGroupIds"] == ["fast-group-id", "sg-efa"]
    assert found["metadataConfiguration"] == {"mode": "USER_PROVISIONED", "iops": 12000}


def test_training_can_be_put_into_the_isolated_subnet_of_a_zone(run, engine, providers):
    run(lambda: SharedFileSystem("fast", {**TRAINING, "zones": ["me-central-1b"]}, providers()).arn)
    assert engine.one("LustreFileSystem")["subnetIds"] == "subnet-d"


def test_homes_are_encrypted_cooled_and_no_copy_of_anything(run, engine, providers):
    points = run(lambda: SharedFileSystem("homes", HOME, providers()).access_points)
    found = engine.one("FileSystem")
    assert (found["encrypted"], found["kmsKeyId"]) == (True, KEY["arn"])
    assert found["protection"] == {"replicationOverwrite": "ENABLED"}
    assert found["lifecyclePolicies"] == [
        {"transitionToIa": "AFTER_30_DAYS"},
        {"transitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
    ]
    assert found["tags"]["backup"] == "restricted"
    assert points == {"vision": "homes-vision-id"}
    assert "ReplicationConfiguration" not in {args.typ.rpartition(":")[2] for args in engine.made}


def test_homes_are_mounted_in_the_isolated_subnet_of_every_zone(run, engine, providers):
    run(lambda: SharedFileSystem("homes", HOME, providers()).arn)
    targets = engine.all("MountTarget")
    assert [target["subnetId"] for target in targets] == ["subnet-c", "subnet-d"]
    assert [target["securityGroups"] for target in targets] == [["homes-group-id"]] * 2


def test_homes_are_reached_by_nfs_from_the_network_or_from_named_clients(run, engine, providers):
    run(lambda: SharedFileSystem("a", HOME, providers()).arn)
    run(lambda: SharedFileSystem("b", {**HOME, "clients": ["sg-nodes"]}, providers()).arn)
    network, nodes = engine.all("SecurityGroupIngressRule")
    assert (network["cidrIpv4"], network["fromPort"], network["toPort"]) == ("10.20.0.0/16", 2049, 2049)
    assert (nodes["referencedSecurityGroupId"], "cidrIpv4" in nodes) == ("sg-nodes", False)
    assert engine.all("SecurityGroupEgressRule") == []


def test_a_tenant_s_folder_is_its_own(run, engine, providers):
    run(lambda: SharedFileSystem("homes", HOME, providers()).arn)
    point = engine.one("AccessPoint")
    assert point["posixUser"] == {"uid": 20001, "gid": 20002}
    assert point["rootDirectory"] == {
        "path": "/tenants/vision",
        "creationInfo": {"ownerUid": 20001, "ownerGid": 20002, "permissions": "0750"},
    }
    assert point["tags"]["tenant"] == "vision"


def test_backups_with_a_key_of_aws_are_only_for_data_that_needs_no_other(run, engine, providers):
    run(lambda: SharedFileSystem("a", {**HOME, "classification": Classification.PUBLIC}, providers()).arn)
    run(lambda: SharedFileSystem("b", HOME, providers()).arn)
    assert [each["backupPolicy"]["status"] for each in engine.all("BackupPolicy")] == ["ENABLED", "DISABLED"]


def test_nobody_mounts_in_the_clear_from_elsewhere_without_an_identity_or_as_root():
    policy = file_system_policy("arn:fs", REGIME, by_access_point=True)
    denied = {each["Sid"]: each for each in policy["Statement"] if each["Effect"] == "Deny"}
    assert denied["DenyPlaintext"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert denied["DenyPlaintext"]["Action"] == "*"
    assert denied["DenyRoot"]["Action"] == "elasticfilesystem:ClientRootAccess"
    assert "Condition" not in denied["DenyRoot"]
    # An anonymous client has no account: StringNotEquals holds of a key that is missing.
    assert denied["DenyOutsideAccount"]["Condition"] == {"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}
    assert denied["DenyOutsideTheNetwork"]["Condition"] == {
        "Bool": {"elasticfilesystem:AccessedViaMountTarget": "false"}
    }
    assert denied["DenyWithoutAccessPoint"]["Condition"] == {"Null": {"elasticfilesystem:AccessPointArn": "true"}}
    (allowed,) = [each for each in policy["Statement"] if each["Effect"] == "Allow"]
    assert allowed["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert "elasticfilesystem:ClientRootAccess" not in allowed["Action"]


def test_without_folders_the_whole_file_system_can_be_mounted(run, engine, providers):
    run(lambda: SharedFileSystem("homes", {**HOME, "homes": []}, providers()).arn)
    policy = json.loads(engine.one("FileSystemPolicy")["policy"])
    assert "DenyWithoutAccessPoint" not in [each["Sid"] for each in policy["Statement"]]


@pytest.mark.parametrize("gib", [1200, 2400, 4800, 7200])
def test_lustre_comes_in_these_sizes(gib):
    assert check_capacity("f", float(gib), 250, efa=False) == gib


LINKED = "must be left out with a store: FSx backs up nothing that is linked, the store is the copy"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({**HOME, "kind": "scratch"}, "fs.kind must be one of training, home (got 'scratch')"),
        ({**HOME, "efa": True}, "fs.efa must be left out for home (got True)"),
        ({**TRAINING, "homes": []}, "fs.homes must be left out for training (got [])"),
        ({**TRAINING, "capacity_gib": 3600}, "fs.capacity_gib must be a multiple of 2400 GiB or 1200 GiB (got 3600)"),
        (
            {**TRAINING, "capacity_gib": 2400, "efa": True},
            "fs.capacity_gib must be a multiple of 19200 GiB, with EFA at 250 (got 2400)",
        ),
        (
            {**TRAINING, "throughput_per_tib": 200},
            "fs.throughput_per_tib must be one of 125, 250, 500, 1000 megabytes per second (got 200)",
        ),
        (
            {**TRAINING, "metadata_iops": 5000},
            "fs.metadata_iops must be 1500, 3000, 6000 or a multiple of 12000 up to 192000 (got 5000)",
        ),
        ({**TRAINING, "backup_days": 90}, f"fs.backup_days {LINKED} (got 90)"),
        (
            {**ALONE, "backup_days": 30},
            "fs.backup_days must be at least 90 days, as uae-restricted asks for this classification (got 30)",
        ),
        ({**ALONE, "backup_days": 91}, "fs.backup_days must be a whole number from 1 to 90 days (got 91)"),
        ({**ALONE, "store_prefix": "a/"}, "fs.store_prefix must be left out without a store (got 'a/')"),
        (
            {**TRAINING, "store_prefix": "/a"},
            "fs.store_prefix must end with / and not start with it, such as vision/ (got '/a')",
        ),
        (
            {**TRAINING, "classification": Classification.INTERNAL},
            "fs.store must be a store classified internal or lower, as the file system is (got 'restricted')",
        ),
        (
            {**TRAINING, "store": {**STORE, "kind": "logs"}},
            "fs.store must be a store of another kind: records are not for training (got 'logs')",
        ),
        (
            {**TRAINING, "zones": ["me-central-1a", "me-central-1b"]},
            "fs.zones must be the one zone where training runs (got ['me-central-1a', 'me-central-1b'])",
        ),
        (
            {**HOME, "zones": ["me-central-1c"]},
            "fs.zones must be zones of the network: me-central-1a, me-central-1b (got 'me-central-1c')",
        ),
        ({**HOME, "zones": []}, "fs.zones must be different zones, at least one (got [])"),
        (
            {**HOME, "homes": [{**VISION, "uid": 0}]},
            "fs.homes[0].uid must be a whole number from 1 to 4294967295 (got 0)",
        ),
        (
            {**HOME, "homes": [VISION, {**VISION, "tenant": "other", "path": "/tenants"}]},
            "fs.homes[1].path must not overlap the folder of vision (got '/tenants')",
        ),
        (
            {**HOME, "homes": [VISION, VISION]},
            "fs.homes[1].tenant must be another tenant's than those before (got 'vision')",
        ),
        (
            {**HOME, "homes": [{**VISION, "path": "/../etc"}]},
            "fs.homes[0].path must be an absolute path of at most 4 plain names (got '/../etc')",
        ),
        (
            {**HOME, "cold_after_days": 45},
            "fs.cold_after_days must be one of 1, 7, 14, 30, 60, 90, 180, 270, 365 days (got 45)",
        ),
        (
            {**HOME, "key": {**KEY, "classification": "internal"}},
            "fs.key must be a key classified restricted or higher, as the data is (got 'internal')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, engine, providers, given, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: SharedFileSystem("fs", given, providers()))
    assert str(refused.value) == message
    assert not [args for args in engine.made if not args.typ.startswith("pulumi:providers:")]
