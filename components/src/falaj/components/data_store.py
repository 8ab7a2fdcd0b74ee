"""A bucket that holds data of one purpose: encrypted with a customer key, private, versioned, over TLS only."""

import json
import re
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.documents import document
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef, key_arn
from falaj.components.regime import Regime, check_regime
from falaj.components.renamed import renamed

_ALGORITHM = "s3:x-amz-server-side-encryption"
_KEY = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class DataStoreArgs(TypedDict):
    """What may be said of an encrypted bucket."""

    purpose: str
    """What the bucket holds, for example ``datasets``; part of its name."""
    key: pulumi.Input[KeyRef]
    """Key of the objects: ``ref`` of a ``ResidencyKey`` used by S3."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the bucket and pays for it."""
    classification: NotRequired[Classification]
    """Classification of the data. Default: ``restricted``."""
    bucket_name: NotRequired[str]
    """Name of the bucket. Default: ``<environment>-<purpose>-<account>-<region>``, unique and foreseeable."""
    noncurrent_days: NotRequired[int]
    """Days that a replaced or deleted object can still be brought back. Default: 90."""
    expire_days: NotRequired[int]
    """Days after which objects expire. Default: never."""


class DataStore(pulumi.ComponentResource):
    """One bucket with what a store of an organisation's data must have, and nothing that could open it.

    Serves ISO/IEC 27001:2022 A.8.3, A.8.10, A.8.13 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    bucket: pulumi.Output[str]
    """Name of the bucket."""
    arn: pulumi.Output[str]
    """ARN of the bucket."""

    def __init__(self, name: str, args: DataStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership = args["regime"], args["ownership"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        purpose = dns_label(f"{name}.purpose", args["purpose"])
        unique = f"{ownership['environment']}-{purpose}-{regime['account_id']}-{regime['home_region']}"
        bucket_name = check_bucket_name(f"{name}.bucket_name", args.get("bucket_name", unique))
        noncurrent = bounded(f"{name}.noncurrent_days", args.get("noncurrent_days", 90), 1, 3650, "days")
        expire = args.get("expire_days")
        if expire is not None:
            expire = bounded(f"{name}.expire_days", expire, 1, 36500, "days")
        rules = lifecycle_rules(noncurrent, expire)
        arn_of_key = key_arn(f"{name}.key", args["key"], classification)
        tags = labels(f"{name}.ownership", ownership, classification) | {"purpose": purpose}

        super().__init__("falaj:index:DataStore", name, dict(args), renamed("EncryptedBucket", opts))
        child = pulumi.ResourceOptions(parent=self)

        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=bucket_name,
            tags=tags,
            opts=child,
        )
        closed = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access-block",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-ownership", bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=child
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": arn_of_key,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning", bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=child
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=rules,
            # Rules on noncurrent versions mean nothing before there are versions.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.id,
            policy=pulumi.Output.all(bucket.arn, arn_of_key).apply(
                lambda known: json.dumps(bucket_policy(known[0], known[1], regime["account_id"]))
            ),
            # S3 refuses two configuration changes of one bucket at once; and the block must stand first.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )

        self.bucket = bucket.bucket
        self.arn = bucket.arn
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})


def check_bucket_name(field: str, value: str) -> str:
    """Return the name if S3 would take it; dots are refused, since they break TLS to the bucket's host name."""
    if not _BUCKET_NAME.fullmatch(value):
        raise ConfigError(field, value, "must be 3 to 63 lower-case letters, digits and hyphens")
    return value


def bucket_policy(bucket_arn: str, key: str, account_id: str) -> dict[str, Any]:
    """Return a policy of denials only: IAM grants access, this bounds what IAM can grant."""
    everything = [bucket_arn, f"{bucket_arn}/*"]

    def deny(sid: str, action: str, resource: str | list[str], condition: dict[str, Any]) -> dict[str, Any]:
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": action,
            "Resource": resource,
            "Condition": condition,
        }

    return document(
        deny("DenyPlaintext", "s3:*", everything, {"Bool": {"aws:SecureTransport": "false"}}),
        deny("DenyOldTls", "s3:*", everything, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        deny(
            "DenyOutsideAccount",
            "s3:*",
            everything,
            {
                "StringNotEquals": {"aws:PrincipalAccount": account_id},
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            },
        ),
        deny("DenyOtherEncryption", "s3:PutObject", f"{bucket_arn}/*", _if_named(_ALGORITHM, "aws:kms")),
        deny("DenyOtherKeys", "s3:PutObject", f"{bucket_arn}/*", _if_named(_KEY, key)),
    )


def _if_named(header: str, only: str) -> dict[str, Any]:
    """Match an upload that names another value; one that names none gets the bucket's default, which is right."""
    return {"StringNotEquals": {header: only}, "Null": {header: "false"}}


def lifecycle_rules(
    noncurrent_days: int, expire_days: int | None
) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    """Return the rules: old versions and abandoned uploads go; objects only where a term is given."""
    rules: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
        {
            "id": "forget-old-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": noncurrent_days},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        }
    ]
    if expire_days:
        rules.append(
            {"id": "expire", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": expire_days}}
        )
    return rules
