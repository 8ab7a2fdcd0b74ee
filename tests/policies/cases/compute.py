"""Machines: what passes, what fails, and what cannot be decided."""

import base64
from typing import Any

from policies.making import INSTANCE, TEMPLATE, Case, make, simple

from falaj.policies.values import UNKNOWN

SPOT = "aws:ec2/spotInstanceRequest:SpotInstanceRequest"
VOLUME = "aws:ebs/volume:Volume"
CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
AUTOSCALING = "aws:autoscaling/group:Group"
LEAKING = "#!/bin/sh\nexport DB_PASSWORD=hunter2\n"


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


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
    *(
        simple(
            "FJ-EC2-002",
            type_,
            {"rootBlockDevice": {"encrypted": True}},
            {"rootBlockDevice": {"encrypted": True}, "ebsBlockDevices": [{"encrypted": False}]},
            {"rootBlockDevice": UNKNOWN},
        )
        for type_ in (INSTANCE, SPOT, CONFIGURATION)
    ),
    simple("FJ-EC2-002", "aws:ebs/volume:Volume", {"encrypted": True}, {"size": 10}, {"encrypted": UNKNOWN}),
    *(
        simple(
            "FJ-EC2-001",
            type_,
            {"metadataOptions": {"httpEndpoint": "disabled"}},
            {},
            {"metadataOptions": UNKNOWN},
        )
        for type_ in (INSTANCE, SPOT, CONFIGURATION)
    ),
    simple(
        "FJ-EC2-003",
        TEMPLATE,
        {"blockDeviceMappings": [{"ebs": {"kmsKeyId": "arn"}}, {"noDevice": "true"}]},
        {"blockDeviceMappings": [{"ebs": {"kmsKeyId": "arn"}}, {"ebs": {"volumeSize": 10.0}}]},
        {"blockDeviceMappings": [{"ebs": {"kmsKeyId": UNKNOWN}}]},
    ),
    *(
        simple(
            "FJ-EC2-003",
            type_,
            {"rootBlockDevice": {"kmsKeyId": "arn"}},
            {"rootBlockDevice": {"encrypted": True}},
            {"rootBlockDevice": {"kmsKeyId": UNKNOWN}},
        )
        for type_ in (INSTANCE, SPOT)
    ),
    simple("FJ-EC2-003", VOLUME, {"kmsKeyId": "arn"}, {"encrypted": True}, {"kmsKeyId": UNKNOWN}),
    Case("FJ-EC2-004", [make(INSTANCE, {})], [make("aws:ec2/keyPair:KeyPair", {"publicKey": "ssh-ed25519 A"})], []),
    *(
        simple("FJ-EC2-004", type_, {}, {"keyName": "admin"}, {"keyName": UNKNOWN})
        for type_ in (INSTANCE, SPOT, TEMPLATE, CONFIGURATION)
    ),
    simple(
        "FJ-EC2-005",
        TEMPLATE,
        {"userData": coded("#!/bin/sh\nexport DB_PASSWORD=$(fetch db)\n")},
        {"userData": coded(LEAKING)},
        {"userData": UNKNOWN},
    ),
    *(
        simple(
            "FJ-EC2-005", type_, {"userData": "#!/bin/sh\nsetup\n"}, {"userData": LEAKING}, {"userDataBase64": UNKNOWN}
        )
        for type_ in (INSTANCE, SPOT, CONFIGURATION)
    ),
    *(simple("FJ-EC2-006", type_, {"monitoring": True}, {}, {"monitoring": UNKNOWN}) for type_ in (INSTANCE, SPOT)),
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
    ("LaunchTemplate", ["userData"], coded(LEAKING), {"FJ-EC2-005"}),
    ("LaunchTemplate", ["monitoring", "enabled"], False, {"FJ-EC2-006"}),
    ("LaunchTemplate", ["networkInterfaces"], [{"associatePublicIpAddress": "true"}], {"FJ-NET-002"}),
]
