"""Data open to the world and a container that is root on its node: refused before either exists."""

import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

cloud = aws.Provider("aws", region="me-central-1", allowed_account_ids=["123456789012"])
aws.s3.BucketPolicy(
    "open-to-the-world",
    bucket="datasets",
    policy=json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::datasets/*"}
            ],
        }
    ),
    opts=pulumi.ResourceOptions(provider=cloud),
)

labels = {"app": "root-on-its-node"}
container = {
    "name": "main",
    "image": f"123456789012.dkr.ecr.me-central-1.amazonaws.com/app@sha256:{'0' * 64}",
    "security_context": {
        "privileged": True,
        "run_as_non_root": True,
        "run_as_user": 65532,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccomp_profile": {"type": "RuntimeDefault"},
    },
    "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "128Mi"}},
}
k8s.apps.v1.Deployment(
    "root-on-its-node",
    metadata={"namespace": "vision"},
    spec={
        "selector": {"match_labels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "automount_service_account_token": False,
                "service_account_name": "app",
                "containers": [container],
            },
        },
    },
)
