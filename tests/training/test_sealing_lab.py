"""Keys of AWS KMS and of transit, and objects in S3, in a lab: what they refuse, and that nothing lies in clear."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from training.checkpoint_work import save_and_restore
from training.checkpoint_world import checkpoints, flat, plain_state, run

from falaj.lab.testing import RunningLab, temporary_lab
from falaj.training.checkpoints.manager import DamagedCheckpointWarning
from falaj.training.errors import RefusedError, TrainingError
from falaj.training.sealing import KeySource, open_keys
from falaj.training.stores import open_store
from falaj.training.stores.s3 import PART

pytestmark = pytest.mark.lab

CONTEXT = {"job": "tabular", "step": "30", "purpose": "checkpoint"}
CLOUD = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
VAULT = ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_CACERT")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab that is an AWS and an OpenBao, with a bucket, two KMS keys and three transit keys."""
    with temporary_lab(tmp_path_factory.mktemp("cloud") / "state", only=["moto", "openbao"]) as running:
        location = {"LocationConstraint": running.env["AWS_REGION"]}
        running.aws("s3").create_bucket(Bucket="checkpoints", CreateBucketConfiguration=location)
        bao = running.vault()
        bao.sys.enable_secrets_engine("transit", path="test-transit")
        bao.secrets.transit.create_key("plain", mount_point="test-transit")
        bao.secrets.transit.create_key("other", mount_point="test-transit")
        bao.secrets.transit.create_key("derived", derived=True, mount_point="test-transit")
        yield running


@pytest.fixture(scope="module")
def arns(cloud: RunningLab) -> list[str]:
    return [cloud.aws("kms").create_key()["KeyMetadata"]["Arn"] for _ in range(2)]


@pytest.fixture(autouse=True)
def variables(cloud: RunningLab, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    told = {name: cloud.env[name] for name in (*CLOUD, *VAULT) if name in cloud.env}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return told


@pytest.fixture(params=["aws-kms", "vault", "vault derived"])
def keys(request: pytest.FixtureRequest, cloud: RunningLab, arns: list[str]) -> tuple[KeySource, KeySource]:
    """A key, and another one of the same service."""
    region = cloud.env["AWS_REGION"]
    names = {
        "aws-kms": [f"aws-kms:{arn}" for arn in arns],
        "vault": ["vault:test-transit/plain", "vault:test-transit/other"],
        "vault derived": ["vault:test-transit/derived", "vault:test-transit/plain"],
    }
    first, second = (open_keys(uri, region=region) for uri in names[request.param])
    return first, second


def test_a_data_key_opens_with_its_key_and_context_only(keys: tuple[KeySource, KeySource]) -> None:
    ours, other = keys
    key, wrapped = ours.new(CONTEXT)
    assert len(key) == 32
    assert key not in wrapped
    assert ours.unwrap(wrapped, CONTEXT) == key
    with pytest.raises(RefusedError, match="key must be"):
        ours.unwrap(wrapped, {**CONTEXT, "step": "31"})
    with pytest.raises(RefusedError, match="key must be"):
        other.unwrap(wrapped, CONTEXT)
    with pytest.raises(RefusedError, match="key must be"):
        ours.unwrap(wrapped[:-9] + b"AAAAAAAA=", CONTEXT)


def test_a_key_that_is_not_there_or_not_allowed_is_refused(cloud: RunningLab, monkeypatch: pytest.MonkeyPatch) -> None:
    region = cloud.env["AWS_REGION"]
    absent = f"aws-kms:arn:aws:kms:{region}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    with pytest.raises(RefusedError, match="KMS answered NotFoundException"):
        open_keys(absent, region=region).new(CONTEXT)
    with pytest.raises(RefusedError, match="Vault answered"):
        open_keys("vault:test-transit/absent").unwrap(bytes(16) + b"vault:v1:AAAA", CONTEXT)
    token = cloud.vault().auth.token.create(policies=["default"])["auth"]["client_token"]
    monkeypatch.setenv("VAULT_TOKEN", token)
    with pytest.raises(RefusedError, match="permission denied"):
        open_keys("vault:test-transit/plain").new(CONTEXT)


def test_a_key_that_was_disabled_is_refused(cloud: RunningLab) -> None:
    kms, region = cloud.aws("kms"), cloud.env["AWS_REGION"]
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    keys = open_keys(f"aws-kms:{arn}", region=region)
    _, wrapped = keys.new(CONTEXT)
    kms.disable_key(KeyId=arn)
    with pytest.raises(RefusedError, match="KMS answered DisabledException"):
        keys.unwrap(wrapped, CONTEXT)


@pytest.mark.parametrize("size", [0, 1000, PART, 2 * PART + 5])
def test_an_object_is_visible_only_when_it_is_whole(tmp_path: Path, size: int) -> None:
    store, data = open_store(f"s3://checkpoints/whole-{size}", tmp_path), os.urandom(size)
    with store.write("a/b") as file:
        for start in range(0, size, 3 << 20):
            file.write(data[start : start + (3 << 20)])
        assert store.names() == []
    assert (store.names(), store.size("a/b")) == (["a/b"], size)
    with store.read("a/b") as file:
        assert file.read() == data
        file.seek(size // 2)
        assert file.read(10) == data[size // 2 : size // 2 + 10]


def test_an_upload_that_fails_leaves_nothing_behind(tmp_path: Path, cloud: RunningLab) -> None:
    store = open_store("s3://checkpoints/failing", tmp_path)
    with pytest.raises(KeyError), store.write("a/b") as file:
        file.write(bytes(PART + 1))
        raise KeyError
    assert store.names() == []
    assert "Uploads" not in cloud.aws("s3").list_multipart_uploads(Bucket="checkpoints")
    with pytest.raises(FileNotFoundError):
        store.read("a/b")
    with pytest.raises(FileNotFoundError):
        store.size("a/b")


def test_a_folder_is_discarded_with_the_uploads_that_a_crash_left(tmp_path: Path, cloud: RunningLab) -> None:
    store, s3 = open_store("s3://checkpoints/discarding", tmp_path), cloud.aws("s3")
    for name in ("a/b", "a/c", "ab"):
        with store.write(name) as file:
            file.write(b"1")
    s3.create_multipart_upload(Bucket="checkpoints", Key="discarding/a/half")
    assert store.begun() == ["a/half"]
    store.discard("a")
    assert store.names() == ["ab"]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="checkpoints")


def test_a_bucket_that_is_not_there_is_an_error_that_says_so(tmp_path: Path) -> None:
    store = open_store("s3://no-such-bucket", tmp_path)
    with pytest.raises(OSError, match=r"s3://no-such-bucket: .*NoSuchBucket"), store.write("a") as file:
        file.write(b"1")


def test_a_bucket_elsewhere_is_refused_before_anything_is_written(tmp_path: Path, cloud: RunningLab) -> None:
    abroad = cloud.aws("s3", region_name="eu-west-1")
    abroad.create_bucket(Bucket="abroad", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    store = open_store("s3://abroad/x", tmp_path, region=cloud.env["AWS_REGION"])
    with pytest.raises(RefusedError, match=r"location must be a bucket in .*; it is in eu-west-1"), store.write("a"):
        pass
    assert "Contents" not in abroad.list_objects_v2(Bucket="abroad")


def section_of(kind: str, cloud: RunningLab, arns: list[str], prefix: str) -> dict[str, Any]:
    key = {"kms": f"aws-kms:{arns[0]}", "vault": "vault:test-transit/plain"}[kind]
    return {"location": f"s3://checkpoints/{prefix}", "key": key, "region": cloud.env["AWS_REGION"]}


@pytest.mark.parametrize("kind", ["kms", "vault"])
def test_a_checkpoint_in_s3_comes_back_and_nothing_of_it_lies_there_in_clear(
    tmp_path: Path, cloud: RunningLab, arns: list[str], kind: str
) -> None:
    told = section_of(kind, cloud, arns, f"clear-{kind}")
    with checkpoints(tmp_path, keep=2, **told) as made:
        for step in (1, 2, 3):
            made.save(step, plain_state(float(step)))
        state = plain_state(0.0)
        assert (made.restore(state), flat(state)) == (3, flat(plain_state(3.0)))
        assert made.steps() == [2, 3]
    s3 = cloud.aws("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="checkpoints", Prefix=f"clear-{kind}/")["Contents"]]
    assert len(keys) == 4
    weights = bytes(memoryview(plain_state(3.0)["model"]["weight"].numpy()).cast("B"))[:64]
    for key in keys:
        data = s3.get_object(Bucket="checkpoints", Key=key)["Body"].read()
        for planted in (b"planted", b"weight", b"optimizer", weights):
            assert planted not in data


@pytest.mark.parametrize("file", ["manifest", "rank-00000.sealed"])
def test_a_checkpoint_in_s3_that_was_damaged_is_passed_over(
    tmp_path: Path, cloud: RunningLab, arns: list[str], file: str
) -> None:
    told, s3 = section_of("kms", cloud, arns, f"damaged-{file}"), cloud.aws("s3")
    with checkpoints(tmp_path, **told) as made:
        for step in (1, 2):
            made.save(step, plain_state(float(step)))
    found = s3.list_objects_v2(Bucket="checkpoints", Prefix=told["location"].split("/", 3)[3])["Contents"]
    key = next(item["Key"] for item in found if "0002-" in item["Key"] and item["Key"].endswith(file))
    data = bytearray(s3.get_object(Bucket="checkpoints", Key=key)["Body"].read())
    data[-5] ^= 1
    s3.put_object(Bucket="checkpoints", Key=key, Body=bytes(data))
    with checkpoints(tmp_path, **told) as made, pytest.warns(DamagedCheckpointWarning, match=file):
        assert made.restore(plain_state(0.0)) == 1


def test_the_wrong_key_is_refused_and_an_absent_service_is_an_error(
    tmp_path: Path, cloud: RunningLab, arns: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = section_of("kms", cloud, arns, "wrong")
    with checkpoints(tmp_path, **told) as made:
        made.save(1, plain_state(1.0))
    with (
        checkpoints(tmp_path, **{**told, "key": f"aws-kms:{arns[1]}"}) as made,
        pytest.raises(RefusedError, match=f"must be the key that sealed .*{arns[0]}"),
    ):
        made.restore(plain_state(0.0))
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
    with checkpoints(tmp_path, **told) as made, pytest.raises(TrainingError, match="AWS KMS did not answer") as caught:
        made.restore(plain_state(0.0))
    assert not isinstance(caught.value, RefusedError)


def test_two_workers_save_to_s3_with_one_data_key_that_each_unwraps(
    tmp_path: Path, cloud: RunningLab, arns: list[str], variables: dict[str, str]
) -> None:
    told = section_of("kms", cloud, arns, "two")
    assert run(2, save_and_restore, tmp_path, variables, told) == [(1, flat(plain_state(1.0, rank))) for rank in (0, 1)]
    names = [name.rpartition("/")[2] for name in open_store("s3://checkpoints/two", tmp_path).names()]
    assert names == ["manifest", "rank-00000.sealed", "rank-00001.sealed"]
