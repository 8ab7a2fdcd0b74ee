"""What is changed to see whether both providers would do the same: arguments of components, and things in AWS."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inventory import Aws

Arguments = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Component type, name, arguments."""


@dataclass(frozen=True)
class Change:
    """Arguments that are changed in one preview; changes that would hide each other's effect stand apart."""

    title: str
    arguments: Arguments
    refused: bool = False
    """Whether both sides are to refuse it; otherwise it is an error of the test that they do."""


@dataclass(frozen=True)
class Disturbance:
    """One thing done behind Pulumi's back, to what some resource made; the same calls on both sides."""

    title: str
    resource: str
    """The Pulumi name of the resource."""
    do: Callable[[Aws, Mapping[str, Any]], None]
    """Takes the outputs of the resource."""
    seen: str | None
    """The Pulumi name of the resource in which a refresh shows it, None where it shows in none."""


_SHARED = {
    "ResidencyKey": {"nodes": {"deletion_window_days": 7}, "records": {"rotation_days": 180}},
    "DataStore": {
        "models": {"noncurrent_days": 30, "lock_days": 400},
        "datasets": {"expire_days": 90},
        "scratch": {"expire_days": 3},
    },
    "Network": {"network": {"flow_log_days": 400}},
    "ImageRegistry": {"images": {"keep_tagged": 50, "moving_tags": ["latest"]}},
    "AuditTrail": {"records": {"record_days": 2000, "log_days": 400, "data_events": ["s3", "dynamodb"]}},
    "DetectiveBaseline": {
        "detectors": {"alert_from": "CRITICAL", "threats": ["S3_DATA_EVENTS"], "scans": ["ECR"]},
    },
    "Backup": {"backup-restricted": {"schedule": "cron(0 3 ? * * *)", "delete_after_days": 120}},
    "SecretsVault": {"vault": {"rotation_days": 30}},
    "GpuQueues": {"queues": {"priority_classes": ["falaj-urgent"]}},
    "SlaScheduler": {"sla-scheduler": {"turn_seconds": 600}},
    "Tenant": {"vision": {"gpus": 40}},
    "TritonService": {"detector": {"replicas": 1}},
}
_REPLACED = {
    "ResidencyKey": {"nodes": {"purpose": "disks"}},
    "DataStore": {"datasets": {"bucket_name": "renamed-datasets-123456789012"}},
    "ImageRegistry": {"images": {"repositories": ["nvidia/renamed"]}},
    "DetectiveBaseline": {"detectors": {"standards": ["nist-800-53/v/5.0.0"]}},
    "Backup": {"backup-confidential": {"vault_name": "renamed"}},
    "SecretsVault": {"vault": {"path_prefix": "renamed"}},
    "Tenant": {"speech": {"service_accounts": ["renamed"]}},
    "TritonService": {"detector": {"service_name": "renamed"}},
}
CHANGES: Mapping[str, Sequence[Change]] = {
    "local": (
        Change(
            "updates",
            {
                **_SHARED,
                "Cluster": {"cluster": {"version": "1.36", "log_days": 400}},
                "GpuNodePool": {
                    "gpu": {"max_nodes": 6, "disk_gib": 300, "node_labels": {"falaj.example/changed": "yes"}}
                },
            },
        ),
        Change("replacements", {**_REPLACED, "GpuNodePool": {"gpu": {"instance_types": ["g5.48xlarge"]}}}),
        Change("another cluster", {"Cluster": {"cluster": {"cluster_name": "renamed"}}}),
        Change("another network", {"Network": {"network": {"cidr": "10.30.0.0/16"}}}),
    ),
    "prod": (
        Change(
            "updates",
            {
                **_SHARED,
                "Cluster": {"cluster": {"administrators": ["arn:aws:iam::123456789012:role/another"]}},
                "NodePool": {"system": {"max_nodes": 12, "disk_gib": 300}},
                "GpuNodePool": {"inference": {"max_nodes": 16}},
                "GpuAutoscaler": {"gpu-autoscaler": {"idle_seconds": 300}},
                "SharedFileSystem": {
                    "training": {"throughput_per_tib": 1000, "capacity_gib": 7200},
                    "homes": {"cold_after_days": 14},
                },
                "RegionGuard": {"region-guard": {"exempt_principals": ["arn:aws:iam::123456789012:role/another"]}},
                "CostBudget": {
                    "platform-budget": {"monthly_usd": 500000, "spent_percent": [90]},
                    "vision-budget": {"emails": ["another@example.ae"]},
                },
            },
        ),
        Change(
            "replacements",
            {
                **_REPLACED,
                "NodePool": {"system": {"ami_type": "BOTTLEROCKET_x86_64"}},
                "GpuNodePool": {"batch": {"capacity_type": "ON_DEMAND"}, "training": {"pool_name": "renamed"}},
                "SharedFileSystem": {"training": {"store_prefix": "renamed/"}, "homes": {"purpose": "renamed"}},
                "RegionGuard": {"region-guard": {"mode": "service-control-policy", "targets": ["ou-abcd-12345678"]}},
                "CostBudget": {"fraud-budget": {"budget_name": "renamed"}},
            },
        ),
        Change(
            "the way out",
            {
                "Network": {
                    "network": {
                        "egress": {"allowed_domains": ["another.example.ae"]},
                        "placement_zone": "me-central-1c",
                    }
                }
            },
        ),
    ),
}


def _open_bucket(aws: Aws, bucket: Mapping[str, Any]) -> None:
    settings = {"BlockPublicAcls": False, "IgnorePublicAcls": True, "BlockPublicPolicy": False}
    aws.client("s3").put_public_access_block(
        Bucket=bucket["bucket"], PublicAccessBlockConfiguration={**settings, "RestrictPublicBuckets": True}
    )


def _suspend_versions(aws: Aws, bucket: Mapping[str, Any]) -> None:
    aws.client("s3").put_bucket_versioning(Bucket=bucket["bucket"], VersioningConfiguration={"Status": "Suspended"})


def _loosen_key(aws: Aws, key: Mapping[str, Any]) -> None:
    kms, name = aws.client("kms"), {"KeyId": key["keyId"], "PolicyName": "default"}
    policy = json.loads(kms.get_key_policy(**name)["Policy"])
    kms.put_key_policy(**name, Policy=json.dumps({**policy, "Statement": policy["Statement"][:1]}))


def _tag_vpc(aws: Aws, vpc: Mapping[str, Any]) -> None:
    tags = [{"Key": "owner", "Value": "someone"}, {"Key": "added", "Value": "by hand"}]
    aws.client("ec2").create_tags(Resources=[vpc["id"]], Tags=tags)


def _open_group(aws: Aws, group: Mapping[str, Any]) -> None:
    everybody = [{"CidrIp": "0.0.0.0/0", "Description": "by hand"}]
    aws.client("ec2").authorize_security_group_ingress(
        GroupId=group["id"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": everybody}],
    )


def _shorten_logs(aws: Aws, group: Mapping[str, Any]) -> None:
    aws.client("logs").put_retention_policy(logGroupName=group["name"], retentionInDays=7)


def _delete_flow_log(aws: Aws, log: Mapping[str, Any]) -> None:
    aws.client("ec2").delete_flow_logs(FlowLogIds=[log["id"]])


def _delete_alias(aws: Aws, alias: Mapping[str, Any]) -> None:
    aws.client("kms").delete_alias(AliasName=alias["name"])


def _grow_pool(aws: Aws, pool: Mapping[str, Any]) -> None:
    aws.client("eks").update_nodegroup_config(
        clusterName=pool["clusterName"],
        nodegroupName=pool["nodeGroupName"],
        scalingConfig={"minSize": 0, "maxSize": 7, "desiredSize": 2},
    )


def _loosen_role(aws: Aws, role: Mapping[str, Any]) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws.client("iam").update_assume_role_policy(RoleName=role["name"], PolicyDocument=document)


DISTURBANCES: Mapping[str, Sequence[Disturbance]] = {
    "local": (
        Disturbance("a bucket opened", "models-bucket", _open_bucket, seen="models-public-access-block"),
        Disturbance("versions suspended", "datasets-bucket", _suspend_versions, seen="datasets-versioning"),
        Disturbance("an alias deleted", "nodes-alias", _delete_alias, seen="nodes-alias"),
        Disturbance("a key's policy loosened", "nodes-key", _loosen_key, seen="nodes-key"),
        Disturbance("tags of a network", "network-vpc", _tag_vpc, seen="network-vpc"),
        Disturbance("a port opened to everybody", "network-endpoints", _open_group, seen=None),
        Disturbance("logs shortened", "cluster-logs", _shorten_logs, seen="cluster-logs"),
        Disturbance("a flow log deleted", "network-flow-log", _delete_flow_log, seen="network-flow-log"),
        Disturbance("a role trusted by everybody", "gpu-role", _loosen_role, seen="gpu-role"),
        Disturbance("a pool grown", "gpu-nodes", _grow_pool, seen="gpu-nodes"),
    ),
    "prod": (
        Disturbance("a bucket opened", "checkpoints-bucket", _open_bucket, seen="checkpoints-public-access-block"),
        Disturbance("a pool grown", "system-nodes", _grow_pool, seen="system-nodes"),
    ),
}
