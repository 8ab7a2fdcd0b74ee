"""Crypto-shredding for real: a data set's objects in S3 under a destroyed key, and a tenant's key in OpenBao."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from examples import EXAMPLES, Example
from hvac.exceptions import InvalidRequest

from falaj.components import ConfigError
from falaj.components.crypto_shred import KeyKind, ShreddableKey
from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab
STACKS = Path(__file__).parents[2] / "stacks"
NAME = "crypto-shred"


class DataSets:
    """The example in a lab, an object in each of its data sets."""

    def __init__(self, lab: RunningLab) -> None:
        self.example = Example(lab, NAME)
        self.example.up()
        self.buckets = {name: self.example.outputs()[name] for name in ("voices", "images")}
        self.s3, self.kms = self.example.aws("s3"), self.example.aws("kms")
        for name in self.buckets:
            self.write(name, "one")

    def write(self, name: str, key: str) -> None:
        self.s3.put_object(Bucket=self.buckets[name], Key=key, Body=f"{key} of {name}".encode())

    def read(self, name: str, key: str = "one") -> str:
        """Return the object, or the code of the refusal."""
        try:
            return self.s3.get_object(Bucket=self.buckets[name], Key=key)["Body"].read().decode()
        except ClientError as error:
            return error.response["Error"]["Code"]

    def shred(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, str(STACKS / "shred.py"), "test", "--project", str(EXAMPLES / NAME), *arguments]
        done = self.example.run(*command, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def end(self) -> None:
        for bucket in self.buckets.values():
            for version in self.s3.list_object_versions(Bucket=bucket).get("Versions", []):
                self.s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        self.example.destroy()


@pytest.fixture
def data(bridged: RunningLab) -> Iterator[DataSets]:
    data = DataSets(bridged)
    yield data
    data.end()


def test_a_data_set_is_shredded_brought_back_and_shredded_and_the_other_stays(data, tmp_path):
    key = data.example.outputs()["voicesKey"]
    blob = data.kms.encrypt(KeyId=key, Plaintext=b"data")["CiphertextBlob"]

    shown = data.shred("--key", "voices")
    lost, _, stays = shown.partition("Stays readable")
    assert data.buckets["voices"] in lost
    assert data.buckets["images"] in stays
    assert "after 14 days" in lost
    assert "must repeat what becomes unreadable: voices" in data.shred("--key", "voices", "--yes", "images", code=2)
    assert data.read("voices") == "one of voices"

    record = tmp_path / "shred.jsonl"
    done = ("--key", "voices", "--yes", "voices", "--record", str(record))
    assert "unreadable now, deleted on" in data.shred(*done)
    assert data.read("voices") == "KMS.KMSInvalidStateException"
    with pytest.raises(data.kms.exceptions.KMSInvalidStateException):
        data.kms.decrypt(CiphertextBlob=blob)
    assert data.read("images") == "one of images"
    assert "unreadable already, deleted on" in data.shred(*done)

    assert "readable again" in data.shred("--key", "voices", "--cancel", "--record", str(record))
    assert data.read("voices") == "one of voices"
    data.shred(*done)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["action"] for line in lines] == ["destroy", "bring back", "destroy"]
    assert all(line["key"]["identifier"] == key and line["actor"].startswith("arn:aws:") for line in lines)
    assert lines[0]["data"] == [
        {"what": "objects of a bucket", "place": data.buckets["voices"], "classification": "restricted"}
    ]

    # Pulumi takes a key that awaits its deletion for gone and makes another one, which reads nothing of before.
    assert data.example.drift()["voices-key-key"][0] == "delete"
    data.example.up()
    assert data.example.outputs()["voicesKey"] != key
    assert data.kms.describe_key(KeyId="alias/dev/voices")["KeyMetadata"]["Arn"] == data.example.outputs()["voicesKey"]
    data.write("voices", "two")
    assert (data.read("voices"), data.read("voices", "two")) == ("KMS.KMSInvalidStateException", "two of voices")


@pytest.fixture(scope="module")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with temporary_lab(tmp_path_factory.mktemp("openbao") / "state", only=["openbao"]) as running:
        yield running


def test_a_tenant_s_key_in_vault_goes_at_once_and_for_ever(openbao, monkeypatch):
    monkeypatch.syspath_prepend(str(STACKS))
    from key_holders import Transit

    vault = Example(openbao, NAME).vault
    vault.sys.enable_secrets_engine("transit", path="dev-transit")
    transit, at = vault.secrets.transit, {"mount_point": "dev-transit"}
    encrypted = {}
    for name in ("vision", "audio"):
        transit.create_key(name=name, **at)
        answer = transit.encrypt_data(name=name, plaintext="ZGF0YQ==", **at)
        encrypted[name] = answer["data"]["ciphertext"]

    holder, key = Transit(vault), ShreddableKey(KeyKind.TRANSIT, "vision", "dev-transit/vision", "restricted")
    assert holder.state(key) == "version 1"
    assert holder.destroy(key, 30).action == "destroy"
    assert holder.state(key) == "gone"
    assert holder.destroy(key, 30).action is None
    with pytest.raises(ConfigError, match="Vault deletes at once"):
        holder.bring_back(key)
    assert holder.actor().startswith("vault:")

    with pytest.raises(InvalidRequest):
        transit.decrypt_data(name="vision", ciphertext=encrypted["vision"], **at)
    transit.create_key(name="vision", **at)
    with pytest.raises(InvalidRequest):
        transit.decrypt_data(name="vision", ciphertext=encrypted["vision"], **at)
    assert transit.decrypt_data(name="audio", ciphertext=encrypted["audio"], **at)["data"]["plaintext"] == "ZGF0YQ=="
