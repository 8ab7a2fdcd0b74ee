"""ResidencyKey: its policy, its refusals, and the key that it makes."""

import json

import pytest
from component_samples import OWNERSHIP, REGIME

from falaj.components import Classification, ConfigError, KeyUse, ResidencyKey
from falaj.components.key_policy import key_policy

ARGS = {"purpose": "datasets", "used_by": [KeyUse.S3], "regime": REGIME, "ownership": OWNERSHIP}


def statement(policy, sid):
    (found,) = [each for each in policy["Statement"] if each["Sid"] == sid]
    return found


def test_use_from_another_region_is_denied_to_everyone():
    denial = statement(key_policy(REGIME, [KeyUse.S3]), "DenyOutsideHomeRegion")
    assert denial["Effect"] == "Deny"
    assert denial["Principal"] == {"AWS": "*"}
    assert denial["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": "me-central-1"}}
    assert {"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:CreateGrant"} <= set(denial["Action"])


def test_use_from_another_account_is_denied_but_services_of_aws_stay_possible():
    denial = statement(key_policy(REGIME, [KeyUse.LOGS]), "DenyOutsideAccount")
    assert denial["Condition"]["StringNotEquals"] == {"aws:PrincipalAccount": "123456789012"}
    assert denial["Condition"]["BoolIfExists"] == {"aws:PrincipalIsAWSService": "false"}


@pytest.mark.parametrize("uses", [[use] for use in KeyUse] + [list(KeyUse)])
def test_no_denial_takes_administration_away(uses):
    policy = key_policy(REGIME, uses)
    administer = set(statement(policy, "Administer")["Action"])
    assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"} <= administer
    for each in policy["Statement"]:
        if each["Effect"] == "Deny":
            assert not administer & set(each["Action"])


@pytest.mark.parametrize("uses", [[use] for use in KeyUse] + [list(KeyUse)])
def test_nothing_is_allowed_to_everyone_or_without_limit(uses):
    for each in key_policy(REGIME, uses)["Statement"]:
        if each["Effect"] == "Allow":
            named = "*" not in each["Principal"].values()
            assert named or "aws:PrincipalAccount" in each["Condition"]["StringEquals"]
            assert not {"*", "kms:*"} & set(each["Action"])


def test_a_key_for_buckets_works_through_s3_of_the_home_region_only():
    use = statement(key_policy(REGIME, [KeyUse.S3]), "UseThroughS3")
    assert use["Condition"]["StringEquals"] == {
        "kms:ViaService": "s3.me-central-1.amazonaws.com",
        "aws:RequestedRegion": "me-central-1",
    }


def test_a_key_for_logs_serves_log_groups_of_the_account_only():
    use = statement(key_policy(REGIME, [KeyUse.LOGS]), "UseByLogs")
    assert use["Principal"] == {"Service": "logs.me-central-1.amazonaws.com"}
    assert use["Condition"]["ArnLike"] == {
        "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:me-central-1:123456789012:log-group:*"
    }


@pytest.mark.parametrize(("use", "sid"), [(KeyUse.EKS, "GrantToEks"), (KeyUse.EBS, "GrantForNodeDisks")])
def test_grants_are_for_aws_resources_only(use, sid):
    grant = statement(key_policy(REGIME, [use]), sid)
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_named_administrators_replace_the_account():
    administrators = ["arn:aws:iam::123456789012:role/keys"]
    policy = key_policy(REGIME, [KeyUse.S3], administrators)
    assert statement(policy, "Administer")["Principal"] == {"AWS": administrators}


def test_copies_in_other_regions_are_denied():
    assert "kms:ReplicateKey" in statement(key_policy(REGIME, [KeyUse.S3]), "DenyCopies")["Action"]


def test_the_key_rotates_and_stays_in_one_region(run, engine, providers):
    ref = run(lambda: ResidencyKey("datasets", ARGS, providers()).ref)
    key = engine.one("Key")
    assert key["enableKeyRotation"] is True
    assert key["multiRegion"] is False
    assert key["deletionWindowInDays"] == 30
    assert key["tags"] == {
        "owner": "ml-platform",
        "cost-centre": "cc-1",
        "environment": "test",
        "classification": "restricted",
        "purpose": "datasets",
    }
    assert json.loads(key["policy"]) == key_policy(REGIME, [KeyUse.S3])
    assert engine.one("Alias")["name"] == "alias/test/datasets"
    assert ref == {"arn": "arn:aws:mock:me-central-1:123456789012:datasets-key", "classification": "restricted"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"deletion_window_days": 5},
            "datasets.deletion_window_days must be a whole number from 7 to 30 days (got 5)",
        ),
        ({"used_by": []}, f"datasets.used_by must name at least one of {', '.join(KeyUse)} (got [])"),
        ({"used_by": ["rds"]}, f"datasets.used_by must be among {', '.join(KeyUse)} (got 'rds')"),
        (
            {"regime": {**REGIME, "home_region": "Dubai"}},
            "datasets.regime.home_region must be a region that uae-restricted allows: me-central-1 (got 'Dubai')",
        ),
        (
            {"regime": {**REGIME, "account_id": "1234"}},
            "datasets.regime.account_id must be the 12 digits of an AWS account (got '1234')",
        ),
        (
            {"administrators": ["arn:aws:iam::123456789012:role/*"]},
            "datasets.administrators must be ARNs of IAM roles or users without wildcards"
            " (got 'arn:aws:iam::123456789012:role/*')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy_before_anything_is_made(
    run, engine, providers, change, message
):
    with pytest.raises(ConfigError) as refused:
        run(lambda: ResidencyKey("datasets", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
    assert not [args for args in engine.made if not args.typ.startswith("pulumi:providers:")]


def test_classification_is_a_tag(run, engine, providers):
    run(lambda: ResidencyKey("k", {**ARGS, "classification": Classification.INTERNAL}, providers()).arn)
    assert engine.one("Key")["tags"]["classification"] == "internal"
