"""A bucket that is open to the world and a pod that is root on its node: refused before either exists."""

import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

cloud = aws.Provider("aws", region="me-central-1", allowed_account_ids=["123456789012"])
in_cloud = pulumi.ResourceOptions(provider=cloud)

bucket = aws.s3.Bucket(
    "data", bucket="refused-data", tags={"owner": "nobody", "classification": "restricted"}, opts=in_cloud
)
aws.s3.BucketPolicy(
    "open-to-the-world",
    bucket=bucket.id,
    policy=json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "s3:GetObject",
                    "Resource": "arn:aws:s3:::refused-data/*",
                }
            ],
        }
    ),
    opts=in_cloud,
)
k8s.core.v1.Pod(
    "root-on-its-node",
    spec={
        "containers": [
            {
                "name": "main",
                "image": "busybox:latest",
                "env": [{"name": "DB_PASSWORD", "value": "hunter2"}],
                "security_context": {"privileged": True},
            }
        ]
    },
)
