"""The environment `prod`, against a lab: it comes up whole, AWS holds what was asked for, and it goes again."""

from collections.abc import Mapping
from typing import Any

import pytest
from platform_in_lab import Platform, wait_until

from falaj.lab.testing import RunningLab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2400)]
FOUNDATION = (
    *("ResidencyKey", "Network", "DataStore", "SharedFileSystem", "ImageRegistry", "AuditTrail", "DetectiveBaseline"),
    *("Backup", "RegionGuard", "CostBudget"),
)
"""The components that stacks/foundation.py lays."""
ZONES = [f"me-central-1{letter}" for letter in "abc"]
STORES = ("datasets", "models", "checkpoints", "logs", "scratch")
LOCKED = {"models": ("COMPLIANCE", 365), "logs": ("COMPLIANCE", 1827), "records-records": ("COMPLIANCE", 1827)}
"""Mode and days of the stores whose objects are locked."""


def test_prod_comes_up_in_a_lab_and_goes_again(own_lab: RunningLab) -> None:
    prod = Platform(own_lab, "prod")
    bare = prod.inventory()
    said = prod.deploy().stdout
    assert "mandatory" not in said
    resources = prod.resources()
    assert len(of_the_foundation(resources)) > 150
    keys_rotate_and_stay_in_their_region(prod, resources)
    buckets_are_under_their_own_keys(prod, resources)
    objects_are_locked_where_they_are_to_be(prod, resources)
    the_network_is_as_it_was_planned(prod, resources)

    def instance_types() -> set[str]:
        return {node["metadata"]["labels"]["node.kubernetes.io/instance-type"] for node in prod.get("nodes")}

    wait_until(lambda: "p5en.48xlarge" in instance_types(), seconds=60)  # a node group is there before its nodes are
    assert "p5en.48xlarge" in instance_types()
    assert len(prod.get("pods", "-A", "--field-selector=status.phase=Running")) >= 3
    assert not prod.changes("preview", "--refresh")
    prod.deploy("--destroy")
    assert prod.inventory()["cluster"] == bare["cluster"]
    assert prod.inventory()["KMS key"] == bare["KMS key"]


State = Mapping[str, Mapping[str, Any]]


def of_the_foundation(resources: State) -> list[str]:
    """Return the URNs of what the foundation's components made, the components themselves not counted."""
    tokens = {f"falaj:index:{name}" for name in FOUNDATION}
    # A URN tells the types of all that a resource lies in, the outermost first.
    return [
        each["urn"]
        for each in resources.values()
        if not each["type"].startswith("falaj:") and tokens & {*each["urn"].split("::")[2].split("$")}
    ]


def keys_rotate_and_stay_in_their_region(prod: Platform, resources: State) -> None:
    kms = prod.aws("kms")
    keys = [each["id"] for each in resources.values() if each["type"] == "aws:kms/key:Key"]
    # Three of network, cluster and nodes, one a store and file system, images, records, backups.
    assert len(keys) >= 3 + len(STORES) + 2 + 3
    for key in keys:
        held = kms.describe_key(KeyId=key)["KeyMetadata"]
        assert (held["KeyState"], held["KeyManager"], held.get("MultiRegion", False)) == ("Enabled", "CUSTOMER", False)
        assert held["Arn"].split(":")[3:5] == ["me-central-1", "123456789012"]
        rotation = kms.get_key_rotation_status(KeyId=key)
        assert (rotation["KeyRotationEnabled"], rotation["RotationPeriodInDays"]) == (True, 365)


def buckets_are_under_their_own_keys(prod: Platform, resources: State) -> None:
    s3, used = prod.aws("s3"), set[str]()
    for purpose in STORES:
        bucket = resources[f"{purpose}-bucket"]["id"]
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        key = resources[f"bucket-{purpose}-key"]["outputs"]["arn"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        used.add(key)
    assert len(used) == len(STORES)


def objects_are_locked_where_they_are_to_be(prod: Platform, resources: State) -> None:
    # The trail that writes to the records is of a type that this provider only records; the foundation's tests look.
    s3 = prod.aws("s3")
    for purpose, wanted in LOCKED.items():
        bucket = resources[f"{purpose}-bucket"]["id"]
        lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
        assert (lock["Mode"], lock["Days"]) == wanted


def the_network_is_as_it_was_planned(prod: Platform, resources: State) -> None:
    ec2, vpc = prod.aws("ec2"), resources["network-vpc"]["id"]
    within = [{"Name": "vpc-id", "Values": [vpc]}]
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlock"] == "10.64.0.0/16"
    subnets = ec2.describe_subnets(Filters=within)["Subnets"]
    assert {(each["AvailabilityZone"], each["CidrBlock"]) for each in subnets} == {
        (zone, cidr)
        for place, zone in enumerate(ZONES)
        for cidr in (
            *(f"10.64.{32 * place}.0/19", f"10.64.{192 + 4 * place}.0/22"),
            *(f"10.64.{224 + 2 * place}.0/23", f"10.64.{240 + 2 * place}.0/23"),
        )
    }
    endpoints = ec2.describe_vpc_endpoints(Filters=within)["VpcEndpoints"]
    kinds = [each["VpcEndpointType"] for each in endpoints if each["State"] != "deleted"]
    # The picture in docs/components/network.md tells the same number.
    assert (kinds.count("Interface"), kinds.count("Gateway")) == (17, 1)
    nats = ec2.describe_nat_gateways(Filter=within)["NatGateways"]
    assert len([each for each in nats if each["State"] == "available"]) == len(ZONES)
    (firewall,) = prod.aws("network-firewall").list_firewalls(VpcIds=[vpc])["Firewalls"]
    assert firewall["FirewallName"] == "prod-network"
    (flows,) = ec2.describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]
    assert (flows["TrafficType"], flows["FlowLogStatus"]) == ("ALL", "ACTIVE")
