"""Crypto-shredding for real: a data set's objects in S3 under a destroyed key, a deployed tenant's keys in OpenBao."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from examples import EXAMPLES, Example
from hvac.exceptions import InvalidRequest
from pods import Pod

from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab
STACKS = Path(__file__).parents[2] / "stacks"
NAME = "crypto-shred"
TENANTS = "secrets-vault"


def shred(example: Example, *arguments: str, code: int = 0) -> str:
    """Run the command on the example's stack and return what it said."""
    command = [sys.executable, str(STACKS / "shred.py"), "test", "--project", str(EXAMPLES / example.name), *arguments]
    done = example.run(*command, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


class DataSets:
    """The example in a lab, an object in each of its data sets."""

    def __init__(self, lab: RunningLab) -> None:
        self.example = Example(lab, NAME)
        self.example.up()
        assert self.example.changes() == {}
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
        return shred(self.example, *arguments, code=code)

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
def vault_and_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab that is an OpenBao and a cluster without nodes, for tenants with keys and pods that log in."""
    only = ["openbao", "kube-apiserver", "kube-controller-manager"]
    with temporary_lab(tmp_path_factory.mktemp("openbao") / "state", only=only) as running:
        yield running


def test_a_deployed_tenant_is_shredded_for_ever_and_another_one_s_data_stays_readable(vault_and_cluster, tmp_path):
    example = Example(vault_and_cluster, TENANTS)
    example.up()
    pods = {team: Pod(example, team, "trainer", f"{team}.train") for team in ("vision", "vision-two")}
    keys = {team: [f"{team}.{level}" for level in ("internal", "restricted")] for team in pods}
    written = {key: pods[team].encrypt(key, f"of {key}") for team in pods for key in keys[team]}

    shown = shred(example, "--tenant", "vision")
    lost, _, stays = shown.partition("Stays readable")
    for key in keys["vision"]:
        assert f"dev-transit/{key}" in lost
    assert "at once, nothing brings it back" in lost
    assert "secrets at the tenant's paths in Vault are under Vault's own key" in lost
    assert "vision-two" not in shown and "nothing" in stays
    assert "must repeat what becomes unreadable: vision" in shred(
        example, "--tenant", "vision", "--yes", "vision-two", code=2
    )
    assert "must be a tenant of the stack, which has vision, vision-two" in shred(example, "--tenant", "audio", code=2)
    assert all(pods["vision"].decrypt(key, written[key]) == f"of {key}" for key in keys["vision"])

    record = tmp_path / "shred.jsonl"
    done = ("--tenant", "vision", "--yes", "vision", "--record", str(record))
    assert shred(example, *done).count("unreadable now and for ever") == 2
    for key in keys["vision"]:
        with pytest.raises(InvalidRequest, match="key not found"):
            pods["vision"].decrypt(key, written[key])
        assert pods["vision-two"].decrypt(key.replace("vision", "vision-two"), written[f"vision-two.{level(key)}"])
    assert shred(example, *done).count("unreadable already") == 2
    assert "must name a key that is still there" in shred(example, "--tenant", "vision", "--cancel", code=2)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    # In the order of the state, in which keys that are made side by side stand as they came.
    assert sorted((line["action"], line["key"]["identifier"], line["classification"]) for line in lines) == [
        ("destroy", f"dev-transit/{key}", level(key)) for key in keys["vision"]
    ]
    assert all(line["actor"].startswith("vault:") for line in lines)

    # Whoever leaves the tenant in the program gets new, empty keys, which read nothing of before.
    assert {name for name, (step, _) in example.drift().items() if step == "delete"} == {
        f"vision-key-{level(key)}" for key in keys["vision"]
    }
    example.up()
    for key in keys["vision"]:
        assert pods["vision"].decrypt(key, pods["vision"].encrypt(key, "new")) == "new"
        with pytest.raises(InvalidRequest):
            pods["vision"].decrypt(key, written[key])
    example.destroy()


def level(key: str) -> str:
    """Return the classification at the end of the name of a tenant's key."""
    return key.rpartition(".")[2]
