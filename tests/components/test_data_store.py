"""DataStore: its policy, its companions, its refusals."""

import json

import pytest
from component_samples import KEY, OWNERSHIP, REGIME

from falaj.components import Classification, ConfigError, DataStore, KeyUse, ResidencyKey
from falaj.components.data_store import bucket_policy

ARGS = {"purpose": "datasets", "key": KEY, "regime": REGIME, "ownership": OWNERSHIP}
NAME = "test-datasets-123456789012-me-central-1"


def conditions(policy):
    return {each["Sid"]: each["Condition"] for each in policy["Statement"]}


def test_the_policy_only_denies():
    assert {each["Effect"] for each in bucket_policy("arn:b", "arn:k", "123456789012")["Statement"]} == {"Deny"}


def test_plain_http_old_tls_and_strangers_are_denied_for_every_action():
    policy = bucket_policy("arn:b", "arn:k", "123456789012")
    for each in policy["Statement"][:3]:
        assert each["Action"] == "s3:*"
        assert each["Resource"] == ["arn:b", "arn:b/*"]
    found = conditions(policy)
    assert found["DenyPlaintext"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert found["DenyOldTls"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    assert found["DenyOutsideAccount"]["StringNotEquals"] == {"aws:PrincipalAccount": "123456789012"}


def test_an_upload_may_leave_the_key_to_the_bucket_but_may_not_name_another():
    found = conditions(bucket_policy("arn:b", "arn:k", "123456789012"))["DenyOtherKeys"]
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    assert found == {"StringNotEquals": {header: "arn:k"}, "Null": {header: "false"}}


def test_the_bucket_is_closed_encrypted_versioned_and_owned(run, engine, providers):
    outputs = run(lambda: (bucket := DataStore("datasets", ARGS, providers())) and [bucket.bucket, bucket.arn])
    assert outputs[0] == NAME
    assert engine.one("Bucket")["bucket"] == NAME
    block = engine.one("BucketPublicAccessBlock")
    assert [
        block[each] for each in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    ] == [True] * 4
    (rule,) = engine.one("BucketServerSideEncryptionConfiguration")["rules"]
    assert rule == {
        "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY["arn"]},
        "bucketKeyEnabled": True,
    }
    assert engine.one("BucketVersioning")["versioningConfiguration"] == {"status": "Enabled"}
    assert engine.one("BucketOwnershipControls")["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    policy = json.loads(engine.one("BucketPolicy")["policy"])
    assert policy == bucket_policy(outputs[1], KEY["arn"], "123456789012")


def test_old_versions_and_abandoned_uploads_expire_and_objects_only_when_asked(run, engine, providers):
    run(lambda: DataStore("keep", ARGS, providers()).arn)
    run(lambda: DataStore("expire", {**ARGS, "expire_days": 400, "noncurrent_days": 7}, providers()).arn)
    expire, keep = (each["rules"] for each in engine.all("BucketLifecycleConfiguration"))
    assert [rule["id"] for rule in keep] == ["forget-old-versions"]
    assert keep[0]["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
    assert keep[0]["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
    assert expire[0]["noncurrentVersionExpiration"] == {"noncurrentDays": 7}
    assert expire[1]["expiration"] == {"days": 400}


def test_it_takes_the_key_from_a_residency_key(run, engine, providers):
    def program():
        opts = providers()
        key = ResidencyKey(
            "key", {"purpose": "key", "used_by": [KeyUse.S3], "regime": REGIME, "ownership": OWNERSHIP}, opts
        )
        return DataStore("datasets", {**ARGS, "key": key.ref}, opts).arn

    run(program)
    (rule,) = engine.one("BucketServerSideEncryptionConfiguration")["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"].endswith(":key-key")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bucket_name": "My.Bucket"},
            "datasets.bucket_name must be 3 to 63 lower-case letters, digits and hyphens (got 'My.Bucket')",
        ),
        (
            {"noncurrent_days": 0},
            "datasets.noncurrent_days must be a whole number from 1 to 3650 days (got 0)",
        ),
        ({"expire_days": 0}, "datasets.expire_days must be a whole number from 1 to 36500 days (got 0)"),
        (
            {"key": {**KEY, "classification": "internal"}},
            "datasets.key must be a key classified restricted or higher, as the data is (got 'internal')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: DataStore("datasets", {**ARGS, **change}, providers()))
    assert str(refused.value) == message


def test_a_stricter_key_may_protect_less_sensitive_data(run, engine, providers):
    run(lambda: DataStore("d", {**ARGS, "classification": Classification.INTERNAL}, providers()).arn)
    assert engine.one("Bucket")["tags"]["classification"] == "internal"
