"""Machines and clusters: what passes, what fails, and what cannot be decided."""

from policies.making import CLUSTER, INSTANCE, LOGS, NODES, TEMPLATE, simple

from falaj.policies.values import UNKNOWN

CASES = [
    simple(
        "FJ-EKS-001",
        CLUSTER,
        {"vpcConfig": {"endpointPrivateAccess": True, "endpointPublicAccess": False}},
        {"vpcConfig": {"endpointPrivateAccess": True}},
        {"vpcConfig": UNKNOWN},
    ),
    simple(
        "FJ-EKS-002",
        CLUSTER,
        {"enabledClusterLogTypes": LOGS},
        {"enabledClusterLogTypes": LOGS[1:]},
        {"enabledClusterLogTypes": [*LOGS[1:], UNKNOWN]},
    ),
    simple(
        "FJ-EKS-003",
        CLUSTER,
        {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": "arn"}}},
        {},
        {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": UNKNOWN}}},
    ),
    simple(
        "FJ-EKS-004",
        CLUSTER,
        {"accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}},
        {
            "accessConfig": {
                "authenticationMode": "API_AND_CONFIG_MAP",
                "bootstrapClusterCreatorAdminPermissions": False,
            }
        },
        {"accessConfig": UNKNOWN},
    ),
    simple(
        "FJ-EKS-005",
        NODES,
        {"launchTemplate": {"id": "lt-1", "version": "1"}},
        {"instanceTypes": ["g5.xlarge"]},
        {"launchTemplate": {"id": UNKNOWN, "version": "1"}},
    ),
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
]
