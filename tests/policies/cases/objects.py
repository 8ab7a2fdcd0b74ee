"""Objects in buckets: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.cases.storage import KEY_ARN, companion, varied
from policies.making import BUCKET, Case, bucket, make, of_bucket, simple

from falaj.policies.values import UNKNOWN

VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
TRAIL = "aws:cloudtrail/trail:Trail"
BUCKET_V2 = "aws:s3/bucketV2:BucketV2"
ACCESS_POINT = "aws:s3/accessPoint:AccessPoint"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
_LOCKED = {"rule": {"defaultRetention": {"mode": "COMPLIANCE", "days": 365.0}}}
_OPEN_GRANT = {"grantee": {"type": "Group", "uri": "http://acs.amazonaws.com/groups/global/AllUsers"}}


def versions(status: Any) -> list[Any]:
    return bucket(of_bucket(VERSIONING, {"versioningConfiguration": {"status": status}}))


def lifecycle(**part: Any) -> list[Any]:
    return bucket(of_bucket(LIFECYCLE, {"rules": [{"status": "Enabled"} | part]}))


def trail(*locks: Any) -> list[Any]:
    return bucket(companion(TRAIL, "s3BucketName", {}, BUCKET), *locks)


def copied(**destination: Any) -> dict[str, Any]:
    return {"rules": [{"status": "Enabled", "destination": {"bucket": "arn:aws:s3:::copy"} | destination}]}


CASES = [
    Case("FJ-S3-007", versions("Enabled"), versions("Suspended"), versions(UNKNOWN)),
    simple(
        "FJ-S3-007",
        BUCKET_V2,
        {"versionings": [{"enabled": True}]},
        {"versionings": [{"enabled": False}]},
        {"versionings": UNKNOWN},
    ),
    Case(
        "FJ-S3-008",
        lifecycle(noncurrentVersionExpiration={"noncurrentDays": 30.0}),
        lifecycle(expiration={"expiredObjectDeleteMarker": True}),
        lifecycle(expiration=UNKNOWN),
    ),
    Case(
        "FJ-S3-008",
        lifecycle(expiration={"days": 30.0}),
        lifecycle(expiration={"days": 30.0}, status="Disabled"),
        lifecycle(expiration={"days": 30.0}, status=UNKNOWN),
    ),
    simple(
        "FJ-S3-008",
        BUCKET_V2,
        {"lifecycleRules": [{"enabled": True, "expirations": [{"days": 30.0}]}]},
        {"lifecycleRules": [{"enabled": False, "expirations": [{"days": 30.0}]}]},
        {"lifecycleRules": UNKNOWN},
    ),
    *(
        simple(
            "FJ-S3-009",
            type_,
            _LOCKED,
            {"rule": {"defaultRetention": {"mode": "COMPLIANCE"}}},
            {"rule": {"defaultRetention": {"mode": "COMPLIANCE", "years": UNKNOWN}}},
        )
        for type_ in (LOCK, "aws:s3/bucketObjectLockConfigurationV2:BucketObjectLockConfigurationV2")
    ),
    Case(
        "FJ-S3-009",
        [make(LOCK, _LOCKED)],
        [make(LOCK, {"rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 365.0}}})],
        [make(LOCK, {"rule": {"defaultRetention": {"mode": UNKNOWN, "days": 365.0}}})],
        {"lockModes": ["COMPLIANCE"]},
    ),
    Case(
        "FJ-S3-010",
        trail(of_bucket(LOCK, _LOCKED)),
        trail(of_bucket(LOCK, _LOCKED, origin="another")),
        trail(make(LOCK, {"bucket": UNKNOWN} | _LOCKED, name="lock")),
    ),
    Case(
        "FJ-S3-010",
        trail(of_bucket(LOCK, _LOCKED)),
        trail(of_bucket(LOCK, {"rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 365.0}}})),
        trail(of_bucket(LOCK, {"rule": {"defaultRetention": {"mode": UNKNOWN, "days": 365.0}}})),
    ),
    Case(
        "FJ-S3-010",
        [make(BUCKET_V2, {"bucket": "records"}), make(TRAIL, {"s3BucketName": "elsewhere"}, name="trail")],
        [make(BUCKET_V2, {"bucket": "records"}), make(TRAIL, {"s3BucketName": "records"}, name="trail")],
        [make(BUCKET_V2, {"bucket": "records"}), make(TRAIL, {"s3BucketName": UNKNOWN}, name="trail")],
    ),
    *(
        Case(
            "FJ-S3-011",
            [make(BUCKET, {})],
            [make(f"aws:s3/bucketWebsiteConfiguration{two}:BucketWebsiteConfiguration{two}", {"bucket": "data"})],
            [],
        )
        for two in ("", "V2")
    ),
    simple("FJ-S3-011", BUCKET, {}, {"website": {"indexDocument": "index.html"}}, {"website": UNKNOWN}),
    simple("FJ-S3-011", BUCKET_V2, {}, {"websites": [{"indexDocument": "index.html"}]}, {"websites": UNKNOWN}),
    *(
        varied("FJ-S3-012", type_, {"acl": "private"}, "acl", "public-read")
        for type_ in (
            BUCKET,
            BUCKET_V2,
            "aws:s3/bucketAcl:BucketAcl",
            "aws:s3/bucketAclV2:BucketAclV2",
            "aws:s3/bucketObject:BucketObject",
            "aws:s3/bucketObjectv2:BucketObjectv2",
            "aws:s3/objectCopy:ObjectCopy",
        )
    ),
    simple(
        "FJ-S3-012",
        "aws:s3/bucketAcl:BucketAcl",
        {"accessControlPolicy": {"grants": [{"grantee": {"type": "CanonicalUser", "id": "1"}}]}},
        {"accessControlPolicy": {"grants": [_OPEN_GRANT]}},
        {"accessControlPolicy": {"grants": [{"grantee": UNKNOWN}]}},
    ),
    varied("FJ-S3-013", ACCESS_POINT, {"vpcConfiguration.vpcId": "vpc-1"}, "vpcConfiguration.vpcId", None),
    varied(
        "FJ-S3-013",
        ACCESS_POINT,
        {"vpcConfiguration.vpcId": "vpc-1", "publicAccessBlockConfiguration.blockPublicPolicy": True},
        "publicAccessBlockConfiguration.blockPublicPolicy",
        False,
    ),
    simple(
        "FJ-S3-014",
        REPLICATION,
        copied(encryptionConfiguration={"replicaKmsKeyId": KEY_ARN}),
        copied(),
        copied(encryptionConfiguration={"replicaKmsKeyId": UNKNOWN}),
    ),
    *(
        simple(
            "FJ-S3-015",
            f"aws:s3/bucketCorsConfiguration{two}:BucketCorsConfiguration{two}",
            {"corsRules": [{"allowedOrigins": ["https://studio.example.ae"]}]},
            {"corsRules": [{"allowedOrigins": ["https://studio.example.ae", "*"]}]},
            {"corsRules": [{"allowedOrigins": [UNKNOWN]}]},
        )
        for two in ("", "V2")
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (VERSIONING, ["versioningConfiguration", "status"], "Suspended", {"FJ-S3-007"}),
    (VERSIONING, ["bucket"], "another", {"FJ-S3-007"}),
    (LIFECYCLE, ["bucket"], "another", {"FJ-S3-008"}),
    (LIFECYCLE, ["rules", 0, "noncurrentVersionExpiration"], None, {"FJ-S3-008"}),
    (LOCK, ["rule", "defaultRetention", "days"], None, {"FJ-S3-009"}),
    (LOCK, ["rule", "defaultRetention", "mode"], "GOVERNANCE", {"FJ-S3-010"}),
    (LOCK, ["rule"], None, {"FJ-S3-009"}),
    (BUCKET, ["website"], {"indexDocument": "index.html"}, {"FJ-S3-011"}),
    (BUCKET, ["acl"], "public-read", {"FJ-S3-012"}),
]
