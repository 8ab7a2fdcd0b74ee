"""The policy of a bucket: what is denied whatever IAM says, and which services may deliver."""

from collections.abc import Sequence
from typing import Any

from falaj.components.documents import NO_SERVICE, deny, document
from falaj.components.log_deliveries import LogSource, delivery_statements
from falaj.components.regime import Regime
from falaj.components.retention import LockMode, Retention

_ALGORITHM = "s3:x-amz-server-side-encryption"
_KEY = "s3:x-amz-server-side-encryption-aws-kms-key-id"
Statement = dict[str, Any]


def bucket_policy(
    bucket_arn: str, key: str, regime: Regime, retention: Retention, deliveries: Sequence[LogSource] = ()
) -> dict[str, Any]:
    """Return a policy that grants nothing but deliveries: IAM grants access, this bounds what IAM can grant."""
    return document(
        *_denied_reach(bucket_arn, regime),
        *_denied_encryption(bucket_arn, key),
        *_denied_deletion(bucket_arn, retention),
        *delivery_statements(deliveries, bucket_arn, regime),
    )


def _denied_reach(bucket_arn: str, regime: Regime) -> list[Statement]:
    """Deny what comes in plain, from elsewhere, or for somebody else."""
    everything = [bucket_arn, f"{bucket_arn}/*"]
    account, organization = regime["account_id"], regime.get("organization_id")
    # A service's own principal, such as CloudTrail's, names the account that it acts for.
    services = {"Bool": {"aws:PrincipalIsAWSService": "true"}, "Null": {"aws:SourceAccount": "false"}}
    acts_for = {"aws:SourceOrgID": organization} if organization else {"aws:SourceAccount": account}
    denials = [
        deny("DenyPlaintext", "s3:*", everything, {"Bool": {"aws:SecureTransport": "false"}}),
        deny("DenyOldTls", "s3:*", everything, {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
        deny(
            "DenyOutsideHomeRegion",
            "s3:*",
            everything,
            {"StringNotEquals": {"aws:RequestedRegion": regime["home_region"]}},
        ),
        deny(
            "DenyOutsideAccount",
            "s3:*",
            everything,
            {"StringNotEquals": {"aws:PrincipalAccount": account}} | NO_SERVICE,
        ),
        deny("DenyServicesOfOthers", "s3:*", everything, {"StringNotEqualsIfExists": acts_for} | services),
    ]
    if organization:
        outside = {"StringNotEquals": {"aws:PrincipalOrgID": organization}}
        denials.append(deny("DenyOutsideOrganization", "s3:*", everything, outside | NO_SERVICE))
    return denials


def _denied_encryption(bucket_arn: str, key: str) -> list[Statement]:
    """Deny uploads under another key."""
    objects = f"{bucket_arn}/*"
    return [
        deny("DenyOtherEncryption", "s3:PutObject", objects, _if_named(_ALGORITHM, "aws:kms")),
        deny("DenyOtherKeys", "s3:PutObject", objects, _if_named(_KEY, key)),
    ]


def _denied_deletion(bucket_arn: str, retention: Retention) -> list[Statement]:
    """Deny weaker locks than the bucket's own, or deletion where there are no locks; S3 itself guards what is locked.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
    """
    objects = f"{bucket_arn}/*"
    if retention.undeletable:
        return [deny("DenyDeletion", ["s3:DeleteObject", "s3:DeleteObjectVersion"], objects)]
    if retention.lock_mode is None:
        return []
    shorter = {"NumericLessThan": {"s3:object-lock-remaining-retention-days": str(retention.lock_days)}}
    denials = [deny("DenyShorterLocks", "s3:PutObjectRetention", objects, shorter)]
    if retention.lock_mode is LockMode.COMPLIANCE:
        other = _if_named("s3:object-lock-mode", LockMode.COMPLIANCE.value)
        denials.append(deny("DenyOtherLockModes", "s3:PutObjectRetention", objects, other))
    return denials


def _if_named(header: str, only: str) -> dict[str, Any]:
    """Match an upload that names another value; one that names none gets the bucket's default, which is right."""
    return {"StringNotEquals": {header: only}, "Null": {header: "false"}}
