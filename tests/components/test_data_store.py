"""DataStore: its kinds, its policy, its companions, its refusals."""

import json

import pytest
from component_samples import KEY, OWNERSHIP, REGIME

from falaj.components import Classification, ConfigError, DataStore, KeyUse, LogSource, ResidencyKey, StoreKind
from falaj.components.bucket_policy import bucket_policy
from falaj.components.log_deliveries import delivery_statements
from falaj.components.regime import rules_of
from falaj.components.retention import LockMode, Retention, lifecycle_rules, retention_of

ARGS = {"purpose": "datasets", "key": KEY, "regime": REGIME, "ownership": OWNERSHIP}
NAME = "test-datasets-123456789012-me-central-1"
DATASET = Retention(StoreKind.DATASET, 90)
RESTRICTED = Classification.RESTRICTED
ORGANIZATION = {**REGIME, "organization_id": "o-a1b2c3d4e5"}


def policy_of(retention=DATASET, regime=REGIME, deliveries=()):
    return {each["Sid"]: each for each in bucket_policy("arn:b", "arn:k", regime, retention, deliveries)["Statement"]}


def kept(kind, classification=RESTRICTED, regime=REGIME, **args):
    return retention_of("store", args, kind, classification, rules_of(regime))


def test_without_deliveries_the_policy_only_denies():
    assert {each["Effect"] for each in policy_of(regime=ORGANIZATION).values()} == {"Deny"}


def test_whoever_comes_in_plain_or_from_elsewhere_is_denied_every_action():
    found = policy_of(regime=ORGANIZATION)
    reach = ["Plaintext", "OldTls", "OutsideHomeRegion", "OutsideAccount", "ServicesOfOthers", "OutsideOrganization"]
    for each in (found[f"Deny{name}"] for name in reach):
        assert each["Action"] == "s3:*"
        assert each["Resource"] == ["arn:b", "arn:b/*"]
        assert each["Principal"] == {"AWS": "*"}
    conditions = {sid: each["Condition"] for sid, each in found.items()}
    assert conditions["DenyPlaintext"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert conditions["DenyOldTls"] == {"NumericLessThan": {"s3:TlsVersion": "1.2"}}
    assert conditions["DenyOutsideHomeRegion"] == {"StringNotEquals": {"aws:RequestedRegion": "me-central-1"}}
    people = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}
    assert conditions["DenyOutsideAccount"] == {"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}} | people
    outside = {"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}
    assert conditions["DenyOutsideOrganization"] == outside | people


def test_a_service_that_acts_for_somebody_else_is_denied():
    services = {"Bool": {"aws:PrincipalIsAWSService": "true"}, "Null": {"aws:SourceAccount": "false"}}
    ours = {"StringNotEqualsIfExists": {"aws:SourceAccount": "123456789012"}}
    assert policy_of()["DenyServicesOfOthers"]["Condition"] == ours | services
    assert "DenyOutsideOrganization" not in policy_of()
    of_organization = {"StringNotEqualsIfExists": {"aws:SourceOrgID": "o-a1b2c3d4e5"}}
    assert policy_of(regime=ORGANIZATION)["DenyServicesOfOthers"]["Condition"] == of_organization | services


def test_an_upload_may_leave_the_key_to_the_bucket_but_may_not_name_another():
    header = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    found = policy_of()["DenyOtherKeys"]["Condition"]
    assert found == {"StringNotEquals": {header: "arn:k"}, "Null": {header: "false"}}


def test_nobody_weakens_the_lock_of_a_version():
    firm = policy_of(Retention(StoreKind.LOGS, 90, lock_mode=LockMode.COMPLIANCE, lock_days=365))
    shorter = {"NumericLessThan": {"s3:object-lock-remaining-retention-days": "365"}}
    assert firm["DenyShorterLocks"]["Condition"] == shorter
    assert firm["DenyShorterLocks"]["Action"] == firm["DenyOtherLockModes"]["Action"] == "s3:PutObjectRetention"
    assert firm["DenyOtherLockModes"]["Condition"]["StringNotEquals"] == {"s3:object-lock-mode": "COMPLIANCE"}
    soft = policy_of(Retention(StoreKind.LOGS, 90, lock_mode=LockMode.GOVERNANCE, lock_days=30))
    assert "DenyShorterLocks" in soft
    assert "DenyOtherLockModes" not in soft
    assert not {"DenyShorterLocks", "DenyDeletion"} & set(policy_of())


def test_each_service_delivers_for_this_account_only():
    for source in LogSource:
        for each in delivery_statements([source], "arn:b", REGIME):
            assert each["Effect"] == "Allow"
            assert each["Principal"]["Service"].endswith(".amazonaws.com")
            assert each["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"
            arns = each["Condition"].get("ArnLike", {}).get("aws:SourceArn", [])
            assert all(":me-central-1:123456789012:" in arn for arn in arns)
            assert arns or source is LogSource.CONFIG  # which names no ARN


def test_a_trail_of_the_organization_may_write_below_the_organization_s_id():
    def objects(regime):
        return delivery_statements([LogSource.CLOUDTRAIL], "arn:b", regime)[1]["Resource"]

    assert objects(REGIME) == ["arn:b/AWSLogs/123456789012/*"]
    assert objects(ORGANIZATION) == ["arn:b/AWSLogs/123456789012/*", "arn:b/AWSLogs/o-a1b2c3d4e5/*"]


def test_services_that_deliver_alike_share_their_statements():
    alike = [LogSource.FLOW_LOGS, LogSource.RESOLVER_QUERIES, LogSource.NETWORK_FIREWALL]
    assert [each["Sid"] for each in delivery_statements(alike, "arn:b", REGIME)] == [
        "CheckByLogDelivery",
        "WriteByLogDelivery",
    ]


def test_the_lock_is_firm_from_the_classification_that_the_regime_says():
    assert kept(StoreKind.MODEL_ARTIFACTS).lock_mode is LockMode.COMPLIANCE
    assert kept(StoreKind.MODEL_ARTIFACTS, Classification.CONFIDENTIAL).lock_mode is LockMode.COMPLIANCE
    assert kept(StoreKind.MODEL_ARTIFACTS, Classification.INTERNAL).lock_mode is LockMode.GOVERNANCE
    general = {**REGIME, "name": "uae-general"}
    assert kept(StoreKind.LOGS, Classification.CONFIDENTIAL, general).lock_mode is LockMode.GOVERNANCE
    assert kept(StoreKind.DATASET).lock_mode is None


def test_records_are_kept_as_long_as_the_regime_asks_and_go_then():
    found = kept(StoreKind.LOGS)
    assert (found.lock_days, found.expire_days) == (1827, 1827)
    assert kept(StoreKind.LOGS, Classification.INTERNAL).lock_days == 365
    assert kept(StoreKind.LOGS, lock_days=3650.0).expire_days == 3650


def test_records_get_colder_but_never_shortly_before_they_go():
    def tiers(retention):
        return [
            (move["storage_class"], move["days"])
            for rule in lifecycle_rules(retention)
            for move in rule.get("transitions", [])
        ]

    assert tiers(kept(StoreKind.LOGS)) == [("STANDARD_IA", 30), ("GLACIER_IR", 90), ("DEEP_ARCHIVE", 365)]
    assert tiers(kept(StoreKind.LOGS, Classification.INTERNAL)) == [("STANDARD_IA", 30), ("GLACIER_IR", 90)]
    assert tiers(Retention(StoreKind.LOGS, 90, 45)) == []
    assert tiers(kept(StoreKind.DATASET)) == []
    assert tiers(kept(StoreKind.DATASET, intelligent_tiering=True)) == [("INTELLIGENT_TIERING", 0)]


def test_scratch_keeps_no_history_and_goes_after_days():
    found = kept(StoreKind.SCRATCH, Classification.INTERNAL)
    assert (found.noncurrent_days, found.expire_days, found.lock_mode) == (1, 7, None)


def test_model_artifacts_are_locked_in_a_bucket_made_for_it(run, engine, providers):
    run(lambda: DataStore("models", {**ARGS, "kind": "model-artifacts", "lock_days": 30}, providers()).arn)
    assert engine.one("Bucket")["objectLockEnabled"] is True
    assert engine.one("BucketObjectLockConfiguration")["rule"] == {
        "defaultRetention": {"mode": "COMPLIANCE", "days": 30}
    }


def test_a_dataset_is_not_locked(run, engine, providers):
    run(lambda: DataStore("datasets", ARGS, providers()).arn)
    assert engine.one("Bucket")["objectLockEnabled"] is False
    assert engine.all("BucketObjectLockConfiguration") == []


def test_what_config_delivers_is_kept_by_the_policy_as_it_delivers_to_no_locked_bucket(run, engine, providers):
    args = {**ARGS, "kind": StoreKind.LOGS, "deliveries": [LogSource.CONFIG]}
    run(lambda: DataStore("configuration", args, providers()).arn)
    assert engine.one("Bucket")["objectLockEnabled"] is False
    assert engine.all("BucketObjectLockConfiguration") == []
    policy = {each["Sid"]: each for each in json.loads(engine.one("BucketPolicy")["policy"])["Statement"]}
    assert policy["DenyDeletion"]["Action"] == ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    assert "Condition" not in policy["DenyDeletion"]
    assert policy["WriteByConfig"]["Principal"] == {"Service": "config.amazonaws.com"}


def test_the_tag_that_backup_goes_by_is_on_what_cannot_be_made_again(run, engine, providers):
    def program():
        opts = providers()
        scratch = {"kind": StoreKind.SCRATCH, "classification": Classification.INTERNAL}
        return [
            DataStore(name, {**ARGS, "purpose": name, **more}, opts).arn
            for name, more in {
                "dataset": {"classification": Classification.CONFIDENTIAL},
                "logs": {"kind": StoreKind.LOGS},
                "models": {"kind": StoreKind.MODEL_ARTIFACTS},
                "none": {"backup": False},
                "scratch": scratch,
            }.items()
        ]

    run(program)
    tags = [bucket["tags"].get("backup") for bucket in engine.all("Bucket")]
    assert tags == ["confidential", None, "restricted", None, None]


def test_its_reference_says_what_it_holds(run, providers):
    args = {**ARGS, "kind": StoreKind.LOGS, "classification": Classification.INTERNAL}
    found = run(lambda: DataStore("logs", args, providers()).ref)
    assert found["bucket"] == NAME
    assert (found["classification"], found["kind"]) == ("internal", "logs")


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
    assert policy == bucket_policy(outputs[1], KEY["arn"], REGIME, DATASET)


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
    assert rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"].endswith(":key/key-key")


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
            {"kind": "scratch"},
            "datasets.kind must not be scratch for restricted data, as uae-restricted allows scratch up to "
            "confidential: choose dataset, or classify the data (got 'scratch')",
        ),
        (
            {"kind": "archive"},
            "datasets.kind must be one of dataset, model-artifacts, logs, scratch (got 'archive')",
        ),
        (
            {"kind": "logs", "lock_days": 365},
            "datasets.lock_days must be at least 1827 days, as uae-restricted asks for this classification (got 365)",
        ),
        (
            {"kind": "logs", "expire_days": 365},
            "datasets.expire_days must be at least 1827 days, as long as objects are locked (got 365)",
        ),
        (
            {"lock_days": 30},
            "datasets.lock_days must be left out for dataset: what is to be locked belongs in model-artifacts or logs "
            "(got 30)",
        ),
        (
            {"kind": "scratch", "classification": "internal", "noncurrent_days": 30},
            "datasets.noncurrent_days must be 1 or left out for scratch, which keeps no history (got 30)",
        ),
        (
            {"kind": "scratch", "classification": "internal", "expire_days": 31},
            "datasets.expire_days must be a whole number from 1 to 30 days (got 31)",
        ),
        (
            {"kind": "logs", "intelligent_tiering": True},
            "datasets.intelligent_tiering must be false for logs, which has its own rules (got True)",
        ),
        (
            {"deliveries": ["cloudtrail"]},
            "datasets.deliveries must be left out for dataset: services deliver to a store of kind logs "
            "(got ['cloudtrail'])",
        ),
        (
            {"kind": "logs", "deliveries": ["kinesis"]},
            "datasets.deliveries must be among cloudtrail, config, guardduty, macie, flow-logs, resolver-queries, "
            "network-firewall, network-load-balancer (got 'kinesis')",
        ),
        (
            {"kind": "logs", "deliveries": ["cloudtrail", "config"]},
            "datasets.deliveries must hold config alone or not at all: AWS Config delivers to no bucket whose objects "
            "are locked (got ['cloudtrail', 'config'])",
        ),
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
