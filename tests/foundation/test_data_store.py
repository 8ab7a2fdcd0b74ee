"""DataStore on HashiCorp's provider: what S3 holds, what a lock withstands, changes, drift and the end."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from examples import Example

pytestmark = pytest.mark.lab


def refused(call, **arguments) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


def steps(example, **config) -> dict[str, str]:
    """Return what a preview would do with each resource that does not stay."""
    return {name: step for name, (step, _) in example.changes(**config).items()}


def lifecycle(s3, bucket) -> dict[str, dict]:
    return {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]}


def lock(s3, bucket) -> dict:
    found = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    return found["Rule"]["DefaultRetention"]


def check_what_is_held(s3, key, stores) -> None:
    for bucket in stores.values():
        closed = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert closed == dict.fromkeys(closed, True)
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["BucketKeyEnabled"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        owned = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
        assert owned == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    compliance = {"Mode": "COMPLIANCE"}
    assert lock(s3, stores["models"]).items() >= {**compliance, "Days": 365}.items()
    assert lock(s3, stores["records"]).items() >= {**compliance, "Days": 1827}.items()
    for unlocked in ("datasets", "scratch"):
        with pytest.raises(ClientError, match="ObjectLockConfigurationNotFoundError"):
            lock(s3, stores[unlocked])
    rules = lifecycle(s3, stores["records"])
    moves = {move["StorageClass"]: move["Days"] for move in rules["move"]["Transitions"]}
    assert moves == {"STANDARD_IA": 30, "GLACIER_IR": 90, "DEEP_ARCHIVE": 365}
    assert rules["expire"]["Expiration"] == {"Days": 1827}
    assert lifecycle(s3, stores["scratch"])["expire"]["Expiration"] == {"Days": 7}
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=stores["datasets"])["TagSet"]}
    assert tags.items() >= {"kind": "dataset", "classification": "restricted", "backup": "restricted"}.items()
    policy = json.loads(s3.get_bucket_policy(Bucket=stores["records"])["Policy"])
    allowed = {each["Principal"]["Service"] for each in policy["Statement"] if each["Effect"] == "Allow"}
    assert allowed == {"cloudtrail.amazonaws.com", "guardduty.amazonaws.com"}


def check_a_firm_lock(s3, bucket) -> None:
    """A version under a firm lock withstands everybody until its time comes, and not longer."""
    until = datetime.now(UTC) + timedelta(seconds=20)
    kept = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until, "ChecksumAlgorithm": "SHA256"}
    put = s3.put_object(Bucket=bucket, Key="model.onnx", Body=b"m", **kept)
    version = {"Bucket": bucket, "Key": "model.onnx", "VersionId": put["VersionId"]}
    assert refused(s3.delete_object, **version)
    assert refused(s3.delete_object, **version, BypassGovernanceRetention=True)
    soft = {"Mode": "GOVERNANCE", "RetainUntilDate": until + timedelta(days=1)}
    assert refused(s3.put_object_retention, **version, Retention=soft, BypassGovernanceRetention=True)
    with pytest.raises(ClientError, match="InvalidBucketState"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 1)
    s3.delete_object(**version)


def check_a_soft_lock_by_default(s3, bucket) -> None:
    put = s3.put_object(Bucket=bucket, Key="model.onnx", Body=b"m", ChecksumAlgorithm="SHA256")
    version = {"Bucket": bucket, "Key": "model.onnx", "VersionId": put["VersionId"]}
    found = s3.get_object_retention(**version)["Retention"]
    assert found["Mode"] == "GOVERNANCE"
    assert found["RetainUntilDate"] > datetime.now(UTC) + timedelta(days=364)
    assert refused(s3.delete_object, **version)
    s3.delete_object(**version, BypassGovernanceRetention=True)


def test_a_store_of_each_kind_lives_as_it_was_asked_for(bridged):
    example = Example(bridged, "data-store")
    example.up()
    assert example.changes() == {}
    s3, stores = example.aws("s3"), example.outputs()
    check_what_is_held(s3, example.resources()["stores-key"]["outputs"]["arn"], stores)
    check_a_firm_lock(s3, stores["models"])

    assert steps(example, noncurrentDays="45") == {"datasets-lifecycle": "update"}
    assert steps(example, noncurrentDays="30", modelsAre="dataset")["models-bucket"] == "replace"
    softer = {"modelsAre": "model-artifacts", "modelsClassification": "internal"}
    changed = steps(example, **softer)
    assert set(changed.values()) == {"update"}
    assert "models-lock" in changed
    example.up(**softer)
    check_a_soft_lock_by_default(s3, stores["models"])
    example.up(modelsClassification="confidential")

    s3.put_bucket_versioning(Bucket=stores["datasets"], VersioningConfiguration={"Status": "Suspended"})
    day = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=stores["records"], ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": day}
    )
    assert set(example.drift()) == {"datasets-versioning", "records-lock"}
    example.up()
    assert s3.get_bucket_versioning(Bucket=stores["datasets"])["Status"] == "Enabled"
    assert lock(s3, stores["records"])["Days"] == 1827

    example.destroy()
    left = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert not left & set(stores.values())
