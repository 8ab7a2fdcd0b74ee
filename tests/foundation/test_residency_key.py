"""ResidencyKey on HashiCorp's provider: what KMS holds is what was asked, and moves as AWS moves it."""

import base64
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from examples import Example

from falaj.components import KeyUse
from falaj.components.key_policy import key_policy

pytestmark = pytest.mark.lab
KEY, ALIAS = "datasets-key", "datasets-alias"
ADMINISTRATORS = [f"arn:aws:iam::123456789012:role/{name}" for name in ("deployer", "key-keepers")]
USERS = ["arn:aws:iam::123456789012:role/trainers"]
REGIME = {"home_region": "me-central-1", "account_id": "123456789012", "organization_id": "o-a1b2c3d4e5"}


@pytest.fixture
def example(bridged):
    example = Example(bridged, "residency-key")
    yield example
    example.destroy()


@pytest.fixture
def kms(example):
    return example.aws("kms")


def policy(kms, key, *, imported=False):
    """Return the policy that KMS holds, and the one that was asked for."""
    held = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    return held, key_policy(REGIME, [KeyUse.S3, KeyUse.EFS], ADMINISTRATORS, USERS, imported=imported)


def aliases(kms, key):
    return [alias["AliasName"] for alias in kms.list_aliases(KeyId=key)["Aliases"]]


def test_a_key_is_as_asked_moves_as_aws_moves_it_and_goes(example, kms):
    example.up()
    assert example.changes() == {}
    key = example.outputs()["keyId"]
    held = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (held["KeyState"], held["Origin"]) == ("Enabled", "AWS_KMS")
    assert not held.get("MultiRegion")
    assert held["Description"] == "datasets of dev"
    rotation = kms.get_key_rotation_status(KeyId=key)
    assert (rotation["KeyRotationEnabled"], rotation["RotationPeriodInDays"]) == (True, 180)
    found, wanted = policy(kms, key)
    assert found == wanted
    assert aliases(kms, key) == ["alias/dev/datasets"]
    tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=key)["Tags"]}
    assert tags == {
        "owner": "ml-platform",
        "cost-centre": "cc-1000",
        "environment": "dev",
        "classification": "restricted",
        "purpose": "datasets",
    }

    assert example.changes(rotationDays="365") == {KEY: ("update", {"rotationPeriodInDays"})}
    example.up(rotationDays="365")
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 365

    renamed = example.changes(rotationDays="365", purpose="records")
    assert {name: operation for name, (operation, _) in renamed.items()} == {KEY: "update", ALIAS: "replace"}
    example.up(rotationDays="365", purpose="records")
    assert example.outputs()["keyId"] == key
    assert aliases(kms, key) == ["alias/dev/records"]

    kms.disable_key_rotation(KeyId=key)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": []}))
    drift = example.drift()
    assert {name: operation for name, (operation, _) in drift.items()} == {KEY: "update"}
    assert {"enableKeyRotation", "policy"} <= drift[KEY][1]
    example.up(rotationDays="365", purpose="records")
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    found, wanted = policy(kms, key)
    assert found == wanted

    example.pulumi("destroy", "--yes", "--skip-preview")
    lost = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert lost["KeyState"] == "PendingDeletion"
    assert timedelta(days=29) < lost["DeletionDate"] - datetime.now(tz=UTC) <= timedelta(days=30)
    assert aliases(kms, key) == []


def test_a_key_for_imported_material_is_of_no_use_before_and_rotated_by_nobody_after(example, kms):
    example.up(origin="imported")
    assert example.changes(origin="imported") == {}
    key = example.outputs()["keyId"]
    held = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (held["KeyState"], held["Origin"]) == ("PendingImport", "EXTERNAL")
    found, wanted = policy(kms, key, imported=True)
    assert found == wanted
    assert aliases(kms, key) == ["alias/dev/datasets"]

    material = os.urandom(32)
    parameters = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    public = load_der_public_key(parameters["PublicKey"])
    kms.import_key_material(
        KeyId=key,
        ImportToken=parameters["ImportToken"],
        EncryptedKeyMaterial=public.encrypt(material, OAEP(MGF1(SHA256()), SHA256(), None)),
        ValidTo=datetime.now(tz=UTC) + timedelta(days=400),
    )
    blob = kms.encrypt(KeyId="alias/dev/datasets", Plaintext=b"data")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"data"
    example.drift()
    assert example.changes(origin="imported") == {}
    # In every form in which a provider or the engine could have written it down, and with secrets in plain.
    state = example.pulumi("stack", "export", "--show-secrets").stdout
    assert key in state
    for form in (material.hex(), base64.b64encode(material).decode(), base64.urlsafe_b64encode(material).decode()):
        assert form not in state
    assert material not in state.encode()
    kept = example.resources()[KEY]["outputs"]["keyMaterialBase64"]  # a secret, of nothing
    assert kept["plaintext"] == "null"


def test_a_key_outside_aws_wants_a_store_that_is_connected_and_another_one_is_another_key(example, kms):
    store = kms.create_custom_key_store(
        CustomKeyStoreName="keepers",
        CustomKeyStoreType="EXTERNAL_KEY_STORE",
        XksProxyConnectivity="VPC_ENDPOINT_SERVICE",
        XksProxyUriEndpoint="https://xks.example",
        XksProxyUriPath="/kms/xks/v1",
        XksProxyVpcEndpointServiceName="com.amazonaws.vpce.me-central-1.vpce-svc-0123456789abcdef0",
        XksProxyAuthenticationCredential={"AccessKeyId": "A" * 20, "RawSecretAccessKey": "B" * 43},
    )["CustomKeyStoreId"]
    wanted = {"origin": "external", "keyStoreId": store}
    example.advisory = ("FJ-KMS-010",)  # it wants the stores outside AWS named beforehand
    early = example.up(check=False, xksKeyId="one", **wanted)
    assert early.returncode
    assert "CustomKeyStoreInvalidStateException" in early.stdout + early.stderr
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    example.up(xksKeyId="one", **wanted)
    assert example.changes(xksKeyId="one", **wanted) == {}
    held = kms.describe_key(KeyId=example.outputs()["keyId"])["KeyMetadata"]
    assert (held["Origin"], held["CustomKeyStoreId"]) == ("EXTERNAL_KEY_STORE", store)
    assert held["XksKeyConfiguration"] == {"Id": "one"}
    operation, properties = example.changes(xksKeyId="two", **wanted)[KEY]
    assert (operation, properties) == ("replace", {"xksKeyId"})
