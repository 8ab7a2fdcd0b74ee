"""Gaps of S3."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from asking import Aws, name, refused

from falaj.lab.state import REGION


def a_bucket_is_created_with_its_tags(aws: Aws) -> bool:
    s3, bucket = aws.client("s3"), name()
    for tags in ([{"Key": "one", "Value": "1"}], [{"Key": "two", "Value": "2"}, {"Key": "none", "Value": ""}]):
        configuration = {"LocationConstraint": REGION, "Tags": tags}
        s3.create_bucket(Bucket=f"{bucket}-{len(tags)}", CreateBucketConfiguration=configuration)
        if s3.get_bucket_tagging(Bucket=f"{bucket}-{len(tags)}")["TagSet"] != tags:
            return False
    return True


def a_condition_that_does_not_hold_denies_nothing(aws: Aws) -> bool:
    s3, bucket = aws.client("s3"), name()
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    statements = [
        {**deny, "Resource": f"arn:aws:s3:::{bucket}/*", "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
        {**deny, "Resource": f"arn:aws:s3:::{bucket}/closed"},
    ]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    if not refused(lambda: s3.put_object(Bucket=bucket, Key="closed", Body=b""), "403", "PutObject"):
        return False
    return not refused(lambda: s3.put_object(Bucket=bucket, Key="open", Body=b""), "403", "PutObject")


def locked(aws: Aws, mode: str) -> dict[str, Any]:
    """Put an object into a new bucket that locks for ten days; return how to name its version."""
    s3, bucket = aws.client("s3"), name()
    where = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
    lock_for(aws, bucket, mode, 10)
    version = s3.put_object(Bucket=bucket, Key="record", Body=b"r", ChecksumAlgorithm="SHA256")["VersionId"]
    return {"Bucket": bucket, "Key": "record", "VersionId": version}


def lock_for(aws: Aws, bucket: str, mode: str, days: int) -> None:
    default = {"DefaultRetention": {"Mode": mode, "Days": days}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": default}
    aws.client("s3").put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)


def retained(mode: str, days: int) -> dict[str, Any]:
    return {"Mode": mode, "RetainUntilDate": datetime.now(UTC) + timedelta(days=days)}


def a_firm_lock_is_lengthened_but_never_shortened_or_loosened(aws: Aws) -> bool:
    s3, version = aws.client("s3"), locked(aws, "COMPLIANCE")

    def loosened(mode: str, days: int) -> bool:
        bypass = {**version, "BypassGovernanceRetention": True}
        change = {"Retention": retained(mode, days)}
        return not refused(lambda: s3.put_object_retention(**bypass, **change), "AccessDenied", "PutObjectRetention")

    s3.put_object_retention(**version, Retention=retained("COMPLIANCE", 20))
    until = s3.get_object_retention(**version)["Retention"]["RetainUntilDate"]
    lengthened = until > datetime.now(UTC) + timedelta(days=19)
    return lengthened and not loosened("COMPLIANCE", 15) and not loosened("GOVERNANCE", 30)


def a_soft_lock_is_loosened_by_who_bypasses_it_only(aws: Aws) -> bool:
    s3, version = aws.client("s3"), locked(aws, "GOVERNANCE")
    shorter = {"Retention": retained("GOVERNANCE", 1)}
    if not refused(lambda: s3.put_object_retention(**version, **shorter), "AccessDenied", "PutObjectRetention"):
        return False
    s3.put_object_retention(**version, **shorter, BypassGovernanceRetention=True)
    return s3.get_object_retention(**version)["Retention"]["RetainUntilDate"] < datetime.now(UTC) + timedelta(days=2)


def a_bucket_with_locks_keeps_its_versions(aws: Aws) -> bool:
    s3, bucket = aws.client("s3"), locked(aws, "COMPLIANCE")["Bucket"]
    suspended = {"VersioningConfiguration": {"Status": "Suspended"}}
    return refused(lambda: s3.put_bucket_versioning(Bucket=bucket, **suspended), "InvalidBucketState", "Object Lock")


def a_bucket_s_default_lock_changes_though_it_has_objects(aws: Aws) -> bool:
    bucket = locked(aws, "COMPLIANCE")["Bucket"]
    lock_for(aws, bucket, "COMPLIANCE", 20)
    found = aws.client("s3").get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["Rule"]
    return found["DefaultRetention"]["Days"] == 20


GAPS = [
    a_bucket_is_created_with_its_tags,
    a_condition_that_does_not_hold_denies_nothing,
    a_firm_lock_is_lengthened_but_never_shortened_or_loosened,
    a_soft_lock_is_loosened_by_who_bypasses_it_only,
    a_bucket_with_locks_keeps_its_versions,
    a_bucket_s_default_lock_changes_though_it_has_objects,
]
