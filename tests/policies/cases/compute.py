"""Machines: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import INSTANCE, TEMPLATE, Case, make, simple

from falaj.policies.values import UNKNOWN

VOLUME = "aws:ebs/volume:Volume"
CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
AUTOSCALING = "aws:autoscaling/group:Group"


CASES = [
    simple(
        "FJ-EC2-001",
        TEMPLATE,
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1.0}},
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2.0}},
        {"metadataOptions": {"httpTokens": UNKNOWN, "httpPutResponseHopLimit": 1.0}},
    ),
    simple(
        "FJ-EC2-002",
        TEMPLATE,
        {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}]},
        {"blockDeviceMappings": [{"ebs": {"encrypted": "true"}}, {"ebs": {"volumeSize": 10}}]},
        {"blockDeviceMappings": [{"ebs": {"encrypted": UNKNOWN}}]},
    ),
    simple(
        "FJ-EC2-002",
        INSTANCE,
        {"rootBlockDevice": {"encrypted": True}},
        {"rootBlockDevice": {"encrypted": True}, "ebsBlockDevices": [{"encrypted": False}]},
        {"rootBlockDevice": UNKNOWN},
    ),
    simple("FJ-EC2-002", "aws:ebs/volume:Volume", {"encrypted": True}, {"size": 10}, {"encrypted": UNKNOWN}),
    simple(
        "FJ-EC2-001",
        INSTANCE,
        {"metadataOptions": {"httpEndpoint": "disabled"}},
        {},
        {"metadataOptions": UNKNOWN},
    ),
    simple(
        "FJ-EC2-003",
        TEMPLATE,
        {"blockDeviceMappings": [{"ebs": {"kmsKeyId": "arn"}}, {"noDevice": "true"}]},
        {"blockDeviceMappings": [{"ebs": {"kmsKeyId": "arn"}}, {"ebs": {"volumeSize": 10.0}}]},
        {"blockDeviceMappings": [{"ebs": {"kmsKeyId": UNKNOWN}}]},
    ),
    simple(
        "FJ-EC2-003",
        INSTANCE,
        {"rootBlockDevice": {"kmsKeyId": "arn"}},
        {"rootBlockDevice": {"encrypted": True}},
        {"rootBlockDevice": {"kmsKeyId": UNKNOWN}},
    ),
    simple("FJ-EC2-003", VOLUME, {"kmsKeyId": "arn"}, {"encrypted": True}, {"kmsKeyId": UNKNOWN}),
    Case("FJ-EC2-004", [make(INSTANCE, {})], [make("aws:ec2/keyPair:KeyPair", {"publicKey": "ssh-ed25519 A"})], []),
    *(
        simple("FJ-EC2-004", type_, {}, {"keyName": "admin"}, {"keyName": UNKNOWN})
        for type_ in (INSTANCE, TEMPLATE, CONFIGURATION)
    ),
    simple("FJ-EC2-006", INSTANCE, {"monitoring": True}, {}, {"monitoring": UNKNOWN}),
    simple("FJ-EC2-006", TEMPLATE, {"monitoring": {"enabled": True}}, {}, {"monitoring": UNKNOWN}),
    simple("FJ-EC2-006", CONFIGURATION, {}, {"enableMonitoring": False}, {"enableMonitoring": UNKNOWN}),
    simple(
        "FJ-EC2-007",
        INSTANCE,
        {"disableApiTermination": True},
        {},
        {"disableApiTermination": UNKNOWN},
    ),
    Case("FJ-EC2-008", [make(AUTOSCALING, {})], [make(CONFIGURATION, {"imageId": "ami-1"})], []),
    simple(
        "FJ-EC2-008",
        AUTOSCALING,
        {"launchTemplate": {"id": "lt-1"}},
        {"launchConfiguration": "old"},
        {"launchConfiguration": UNKNOWN},
    ),
    *(
        simple(
            "FJ-EC2-009",
            type_,
            {"encrypted": True, "kmsKeyId": "arn"},
            {"kmsKeyId": "arn"},
            {"encrypted": True, "kmsKeyId": UNKNOWN},
        )
        for type_ in (
            "aws:ec2/amiCopy:AmiCopy",
            "aws:ebs/snapshotCopy:SnapshotCopy",
            "aws:ebs/snapshotImport:SnapshotImport",
        )
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("LaunchTemplate", ["metadataOptions", "httpPutResponseHopLimit"], 2, {"FJ-EC2-001"}),
    ("LaunchTemplate", ["metadataOptions"], None, {"FJ-EC2-001"}),
    ("LaunchTemplate", ["blockDeviceMappings", 0, "ebs", "kmsKeyId"], None, {"FJ-EC2-003"}),
    ("LaunchTemplate", ["keyName"], "admin", {"FJ-EC2-004"}),
    ("LaunchTemplate", ["monitoring", "enabled"], False, {"FJ-EC2-006"}),
    ("LaunchTemplate", ["networkInterfaces"], [{"associatePublicIpAddress": "true"}], {"FJ-NET-002"}),
]
