"""ResidencyKey: its refusals, and the key that it makes."""

import json

import pytest
from component_samples import OWNERSHIP, REGIME

from falaj.components import Classification, ConfigError, KeyOrigin, KeyUse, ResidencyKey
from falaj.components.key_policy import key_policy

KEEPER, TRAINER = (f"arn:aws:iam::123456789012:role/{name}" for name in ("keeper", "trainer"))
STORE = {"key_store_id": "cks-1234567890abcdef0", "xks_key_id": "bb8562717f809024"}
ARGS = {"purpose": "datasets", "used_by": [KeyUse.S3], "regime": REGIME, "ownership": OWNERSHIP}


def test_the_key_rotates_and_stays_in_one_region(run, engine, providers):
    ref = run(lambda: ResidencyKey("datasets", ARGS, providers()).ref)
    key = engine.one("Key")
    assert key["enableKeyRotation"] is True
    assert key["rotationPeriodInDays"] == 365
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
    assert ref == {"arn": "arn:aws:kms:me-central-1:123456789012:key/datasets-key", "classification": "restricted"}


def test_named_administrators_and_users_are_in_the_policy(run, engine, providers):
    run(lambda: ResidencyKey("k", {**ARGS, "administrators": [KEEPER], "users": [TRAINER]}, providers()).arn)
    assert json.loads(engine.one("Key")["policy"]) == key_policy(REGIME, [KeyUse.S3], [KEEPER], [TRAINER])


def test_the_material_is_renewed_as_often_as_asked(run, engine, providers):
    run(lambda: ResidencyKey("k", {**ARGS, "rotation_days": 90.0}, providers()).arn)
    assert engine.one("Key")["rotationPeriodInDays"] == 90


def test_imported_material_never_passes_through_pulumi_and_is_not_rotated(run, engine, providers):
    made = run(lambda: ResidencyKey("k", {**ARGS, "origin": KeyOrigin.IMPORTED}, providers()).key_id)
    key = engine.one("ExternalKey")
    assert made == "k-key-id"
    assert not {"keyMaterialBase64", "validTo", "enableKeyRotation"} & set(key)
    assert key["multiRegion"] is False
    assert json.loads(key["policy"]) == key_policy(REGIME, [KeyUse.S3], imported=True)
    assert engine.one("Alias")["targetKeyId"] == "k-key-id"


def test_a_key_outside_aws_is_named_with_its_store_and_is_not_rotated(run, engine, providers):
    args = {**ARGS, "origin": KeyOrigin.EXTERNAL, "external_key": STORE}
    run(lambda: ResidencyKey("k", args, providers()).arn)
    key = engine.one("Key")
    assert (key["customKeyStoreId"], key["xksKeyId"]) == ("cks-1234567890abcdef0", "bb8562717f809024")
    assert key["enableKeyRotation"] is False
    assert "rotationPeriodInDays" not in key


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
        (
            {"users": ["trainer"]},
            "datasets.users must be ARNs of IAM roles or users without wildcards (got 'trainer')",
        ),
        (
            {"administrators": [KEEPER], "users": [KEEPER]},
            "datasets.users must be others than the administrators: who could use the key could also change who may"
            f" (got '{KEEPER}')",
        ),
        (
            {"used_by": [KeyUse.VAULT_SEAL, KeyUse.S3], "users": [TRAINER]},
            "datasets.used_by must be vault-seal alone, which uses the key directly"
            f" (got {[KeyUse.VAULT_SEAL, KeyUse.S3]!r})",
        ),
        (
            {"used_by": [KeyUse.VAULT_SEAL]},
            "datasets.users must name Vault's role, since vault-seal is direct (got [])",
        ),
        ({"rotation_days": 30}, "datasets.rotation_days must be a whole number from 90 to 2560 days (got 30)"),
        (
            {"rotation_days": 365, "origin": "imported"},
            "datasets.rotation_days must be left out: AWS does not rotate a key whose origin is imported (got 365)",
        ),
        (
            {"origin": "cloudhsm"},
            "datasets.origin must be one that uae-restricted allows: aws, imported, external (got 'cloudhsm')",
        ),
        (
            {"origin": KeyOrigin.EXTERNAL, "external_key": STORE, "regime": {**REGIME, "name": "uae-general"}},
            "datasets.origin must be one that uae-general allows: aws, imported (got 'external')",
        ),
        (
            {"origin": KeyOrigin.EXTERNAL},
            "datasets.external_key must be there for origin external, and for no other (got None)",
        ),
        (
            {"external_key": STORE},
            f"datasets.external_key must be there for origin external, and for no other (got {STORE!r})",
        ),
        (
            {"origin": "external", "external_key": {**STORE, "key_store_id": "store"}},
            "datasets.external_key.key_store_id must be an id such as cks-1234567890abcdef0 (got 'store')",
        ),
        (
            {"origin": "external", "external_key": {**STORE, "xks_key_id": "a key"}},
            "datasets.external_key.xks_key_id must be 1 to 128 letters, digits, dots, hyphens or underscores"
            " (got 'a key')",
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
