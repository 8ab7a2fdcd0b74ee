"""Sound and unsound resources, with values that are unknown at first, a secret, a component, and two providers."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

TAGS = {"owner": "team", "classification": "internal"}
SECRET = "planted-4711"


def statement(effect: str, action: str, **more: Any) -> str:
    """Return a policy for everyone."""
    said = {"Effect": effect, "Principal": "*", "Action": action, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [said]})


class Store(pulumi.ComponentResource):
    """A bucket with what makes it sound, each bound to it by an id that is unknown at first."""

    def __init__(self, name: str, key: aws.kms.Key, opts: pulumi.ResourceOptions) -> None:
        super().__init__("shop:index:Store", name, {"purpose": name}, opts)
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(f"{name}-bucket", tags=TAGS, opts=child)
        aws.s3.BucketVersioning(
            f"{name}-versions", bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=child
        )
        encrypted = {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn}
        rules = [{"apply_server_side_encryption_by_default": encrypted, "bucket_key_enabled": True}]
        aws.s3.BucketServerSideEncryptionConfiguration(f"{name}-encryption", bucket=bucket.id, rules=rules, opts=child)
        closed = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
        aws.s3.BucketPublicAccessBlock(f"{name}-block", bucket=bucket.id, **dict.fromkeys(closed, True), opts=child)
        plain = {"Bool": {"aws:SecureTransport": "false"}}
        policy = bucket.arn.apply(
            lambda arn: statement("Deny", "s3:*", Resource=[arn, f"{arn}/*"], Condition=plain),
        )
        aws.s3.BucketPolicy(f"{name}-policy", bucket=bucket.id, policy=policy, opts=child)
        self.register_outputs({"bucket": bucket.id})


cloud = aws.Provider("home", region="me-central-1", allowed_account_ids=["123456789012"])
home = pulumi.ResourceOptions(provider=cloud)
key = aws.kms.Key("key", enable_key_rotation=True, tags=TAGS, opts=home)
Store("sound", key, pulumi.ResourceOptions(providers=[cloud]))

bare = aws.s3.Bucket("bare", tags=TAGS, opts=home)
everyone = bare.arn.apply(lambda arn: statement("Allow", "s3:GetObject", Resource=f"{arn}/*"))
aws.s3.BucketPolicy("open", bucket=bare.id, policy=everyone, opts=home)
# Of the default provider.
aws.kms.Key("still", tags={"owner": "team"})
aws.sns.Topic("abroad", region="eu-west-1", kms_master_key_id=key.id, tags=TAGS, opts=home)
aws.cloudwatch.LogGroup("log", kms_key_id=key.arn, retention_in_days=400, tags=TAGS, opts=home)
credential = aws.secretsmanager.Secret("credential", tags=TAGS, opts=home)
held = pulumi.Output.secret(SECRET)
aws.secretsmanager.SecretVersion("version", secret_id=credential.id, secret_string=held, opts=home)
ssh = {"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"]}
aws.ec2.SecurityGroup("group", description=held, ingress=pulumi.Output.secret([ssh]), tags=TAGS, opts=home)
net = aws.ec2.Vpc("net", cidr_block="10.40.0.0/16", tags=TAGS, opts=home)
https = {"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": ["10.40.0.0/16"], "description": "Within"}
aws.ec2.DefaultSecurityGroup("whoever", vpc_id=net.id, ingress=[https], tags=TAGS, opts=home)
# Of a type that no rule judges.
aws.glue.Registry("registry", registry_name="registry", tags=TAGS, opts=home)
# Read, not made: a part of the stack that is nobody's to judge.
aws.ec2.Vpc.get("shared", aws.ec2.get_vpc(default=True).id, opts=home)
