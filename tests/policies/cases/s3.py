"""Buckets: what passes, what fails, and what cannot be decided."""

from policies.making import (
    ACCOUNT,
    BLOCK,
    BLOCKED,
    BUCKET,
    BUCKET_POLICY,
    DENY_PLAINTEXT,
    OWNERSHIP,
    ROOT,
    Case,
    allow,
    bucket,
    document,
    encryption,
    make,
    of_bucket,
    simple,
)

from falaj.policies.values import UNKNOWN

CASES = [
    simple(
        "FJ-S3-001", BLOCK, BLOCKED, BLOCKED | {"ignorePublicAcls": False}, BLOCKED | {"restrictPublicBuckets": UNKNOWN}
    ),
    simple(
        "FJ-S3-002",
        BUCKET_POLICY,
        {"policy": document(allow(ROOT), allow("*", Condition=ACCOUNT), allow("*", Effect="Deny"))},
        {"policy": document(allow("*"))},
        {"policy": UNKNOWN},
    ),
    Case(
        "FJ-S3-003",
        bucket(of_bucket(BLOCK, BLOCKED)),
        bucket(of_bucket(BLOCK, BLOCKED, origin="another")),
        bucket(make(BLOCK, {"bucket": UNKNOWN})),
    ),
    Case(
        "FJ-S3-004",
        bucket(encryption({"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "arn:aws:kms:me-central-1:1:key/1"})),
        bucket(encryption({"sseAlgorithm": "AES256"})),
        bucket(encryption(UNKNOWN)),
    ),
    Case(
        "FJ-S3-005",
        bucket(of_bucket(BUCKET_POLICY, {"policy": document(allow(ROOT), DENY_PLAINTEXT)})),
        bucket(of_bucket(BUCKET_POLICY, {"policy": document(allow(ROOT))})),
        bucket(of_bucket(BUCKET_POLICY, {"policy": UNKNOWN})),
    ),
    Case(
        "FJ-S3-006",
        bucket(of_bucket(OWNERSHIP, {"rule": {"objectOwnership": "BucketOwnerEnforced"}})),
        bucket(of_bucket(OWNERSHIP, {"rule": {"objectOwnership": "ObjectWriter"}})),
        bucket(of_bucket(OWNERSHIP, {"rule": {"objectOwnership": UNKNOWN}})),
    ),
    *(
        Case("FJ-S3-006", bucket(), bucket(of_bucket(type_, {})), bucket(make(type_, {"bucket": UNKNOWN}, name="list")))
        for type_ in ("aws:s3/bucketAcl:BucketAcl", "aws:s3/bucketAclV2:BucketAclV2")
    ),
    simple("FJ-S3-006", BUCKET, {"acl": "private"}, {"acl": "public-read"}, {"acl": UNKNOWN}),
    Case(
        "FJ-S3-006",
        bucket(of_bucket(OWNERSHIP, {"rule": {"objectOwnership": "BucketOwnerEnforced"}})),
        bucket(),
        bucket(make(OWNERSHIP, {"bucket": UNKNOWN, "rule": {"objectOwnership": "BucketOwnerEnforced"}})),
        {"declareOwnership": True},
    ),
]
