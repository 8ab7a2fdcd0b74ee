"""A bucket that holds data of one purpose: encrypted with a customer key, private, versioned, over TLS only."""

import json
import re
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.bucket_policy import bucket_policy
from falaj.components.checks import dns_label
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.log_deliveries import LogSource, check_deliveries, takes_locks
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef, StoreRef, key_arn
from falaj.components.regime import Regime, check_regime, rules_of
from falaj.components.renamed import renamed
from falaj.components.retention import Retention, StoreKind, check_kind, lifecycle_rules, retention_of

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class DataStoreArgs(TypedDict):
    """What may be said of a data store."""

    purpose: str
    """What the bucket holds, for example ``datasets``; part of its name."""
    key: pulumi.Input[KeyRef]
    """Key of the objects: ``ref`` of a ``ResidencyKey`` used by S3, and by the services that deliver."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the bucket and pays for it."""
    classification: NotRequired[Classification]
    """Classification of the data. Default: ``restricted``."""
    kind: NotRequired[StoreKind]
    """What the store is for, which decides versions, locks and terms. Default: ``dataset``."""
    bucket_name: NotRequired[str]
    """Name of the bucket. Default: ``<environment>-<purpose>-<account>-<region>``, unique and foreseeable."""
    noncurrent_days: NotRequired[int]
    """Days that a replaced or deleted object can still be brought back. Default: 90; 1 for ``scratch``."""
    expire_days: NotRequired[int]
    """Days after which objects expire. Default: never; ``lock_days`` for ``logs``, 7 for ``scratch``."""
    lock_days: NotRequired[int]
    """Days that each version is locked. Default: 365 for ``model-artifacts``, the regime's for ``logs``, else none."""
    deliveries: NotRequired[list[str]]
    """Services that write records into a store of logs: members of ``LogSource``. Default: none."""
    intelligent_tiering: NotRequired[bool]
    """Whether S3 moves objects between access tiers by their use. Default: false."""
    backup: NotRequired[bool]
    """Whether a ``Backup`` takes it in, by a tag. Default: true for ``dataset`` and ``model-artifacts``."""


class DataStore(pulumi.ComponentResource):
    """One bucket with what a store of an organisation's data must have, and nothing that could open it.

    Serves ISO/IEC 27001:2022 A.5.33, A.8.3, A.8.10, A.8.13, A.8.15 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    bucket: pulumi.Output[str]
    """Name of the bucket."""
    arn: pulumi.Output[str]
    """ARN of the bucket."""
    ref: StoreRef
    """The store as other components take it."""

    def __init__(self, name: str, args: DataStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership = args["regime"], args["ownership"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        rules = rules_of(regime)
        purpose = dns_label(f"{name}.purpose", args["purpose"])
        unique = f"{ownership['environment']}-{purpose}-{regime['account_id']}-{regime['home_region']}"
        bucket_name = check_bucket_name(f"{name}.bucket_name", args.get("bucket_name", unique))
        kind = check_kind(f"{name}.kind", args.get("kind", StoreKind.DATASET), classification, rules)
        deliveries = _deliveries(f"{name}.deliveries", args.get("deliveries", []), kind)
        retention = retention_of(name, {**args}, kind, classification, rules, lockable=takes_locks(deliveries))
        arn_of_key = key_arn(f"{name}.key", args["key"], classification)
        tags = labels(f"{name}.ownership", ownership, classification) | {"purpose": purpose, "kind": kind.value}
        if args.get("backup", kind in (StoreKind.DATASET, StoreKind.MODEL_ARTIFACTS)):
            tags["backup"] = classification.value

        super().__init__("falaj:index:DataStore", name, dict(args), renamed("EncryptedBucket", opts))
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=bucket_name,
            object_lock_enabled=retention.lock_mode is not None,
            tags=tags,
            opts=child,
        )
        closed = _close(name, bucket, arn_of_key, child)
        _keep(name, bucket, retention, child)
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=bucket.id,
            policy=pulumi.Output.all(bucket.arn, arn_of_key).apply(
                lambda known: json.dumps(bucket_policy(known[0], known[1], regime, retention, deliveries))
            ),
            # S3 refuses two configuration changes of one bucket at once; and the block must stand first.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )

        self.bucket = bucket.bucket
        self.arn = bucket.arn
        self.ref = {
            "bucket": bucket.bucket,
            "arn": bucket.arn,
            "classification": classification.value,
            "kind": kind.value,
        }
        self.register_outputs({"bucket": self.bucket, "arn": self.arn, "ref": self.ref})


def check_bucket_name(field: str, value: str) -> str:
    """Return the name if S3 would take it; dots are refused, since they break TLS to the bucket's host name."""
    if not _BUCKET_NAME.fullmatch(value):
        raise ConfigError(field, value, "must be 3 to 63 lower-case letters, digits and hyphens")
    return value


def _deliveries(field: str, sources: list[str], kind: StoreKind) -> list[LogSource]:
    """Return who delivers; a store of another kind takes no deliveries."""
    if sources and kind is not StoreKind.LOGS:
        raise ConfigError(
            field, sources, f"must be left out for {kind.value}: services deliver to a store of kind logs"
        )
    return check_deliveries(field, sources)


def _close(
    name: str, bucket: aws.s3.Bucket, key: pulumi.Output[str], child: pulumi.ResourceOptions
) -> aws.s3.BucketPublicAccessBlock:
    """Close the bucket to the public and to access lists, and encrypt it with the customer key."""
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
                    "kms_master_key_id": key,
                },
                "bucket_key_enabled": True,
            }
        ],
        opts=child,
    )
    return closed


def _keep(name: str, bucket: aws.s3.Bucket, retention: Retention, child: pulumi.ResourceOptions) -> None:
    """Keep versions, lock them where the kind does, and let go what is past its term."""
    versioning = aws.s3.BucketVersioning(
        f"{name}-versioning", bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=child
    )
    # Rules on noncurrent versions and locks mean nothing before there are versions.
    versioned = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[versioning]))
    aws.s3.BucketLifecycleConfiguration(
        f"{name}-lifecycle", bucket=bucket.id, rules=lifecycle_rules(retention), opts=versioned
    )
    if retention.lock_mode:
        aws.s3.BucketObjectLockConfiguration(
            f"{name}-lock",
            bucket=bucket.id,
            rule={"default_retention": {"mode": retention.lock_mode.value, "days": retention.lock_days}},
            opts=versioned,
        )
