"""Stores: a file is there whole or not at all."""

import resource
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from falaj.training.errors import RefusedError
from falaj.training.stores import open_store
from falaj.training.stores.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def files(store: LocalStore) -> list[str]:
    return sorted(path.name for path in store.root.iterdir())


def put(store: LocalStore, name: str, data: bytes) -> None:
    with store.write(name) as file:
        file.write(data)


def test_a_file_is_visible_only_when_it_is_whole(store: LocalStore) -> None:
    with store.write("a/b") as file:
        file.write(b"x" * 100_000)
        assert store.names() == []
        with pytest.raises(FileNotFoundError):
            store.read("a/b")
    assert store.names() == ["a/b"]
    assert (store.size("a/b"), store.read("a/b").read()) == (100_000, b"x" * 100_000)


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(store: LocalStore) -> None:
    put(store, "file", b"old")
    with pytest.raises(KeyError), store.write("file") as file:
        file.write(b"new")
        raise KeyError
    assert store.read("file").read() == b"old"
    assert files(store) == ["file"]


def test_a_file_that_may_not_grow_is_told_and_leaves_nothing(store: LocalStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
        with pytest.raises(OSError, match="File too large"), store.write("file") as file:
            file.write(bytes(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(store) == []


def test_files_and_folders_are_their_owners_alone(store: LocalStore) -> None:
    put(store, "a/b", b"")
    assert [path.stat().st_mode & 0o777 for path in (store.root, store.root / "a", store.root / "a/b")] == [
        0o700,
        0o700,
        0o600,
    ]


def test_names_begin_with_a_prefix_which_need_not_be_a_folder(store: LocalStore) -> None:
    for name in ("job/step-2/x", "job/step-1/x", "jobs/y", "z"):
        put(store, name, b"")
    assert store.names() == ["job/step-1/x", "job/step-2/x", "jobs/y", "z"]
    assert store.names("job/") == ["job/step-1/x", "job/step-2/x"]
    assert store.names("job/step-2") == ["job/step-2/x"]
    assert store.names("absent/") == []


def test_what_was_deleted_is_gone_and_may_be_deleted_again(store: LocalStore) -> None:
    put(store, "a/b", b"")
    store.delete("a/b")
    store.delete("a/b")
    assert store.names() == []


def test_a_folder_is_discarded_with_what_a_crash_left_in_it(store: LocalStore) -> None:
    put(store, "a/b", b"")
    put(store, "c", b"")
    (store.root / "a" / ".unfinished-1").write_bytes(b"half")
    assert (store.names(), store.begun()) == (["a/b", "c"], ["a/.unfinished-1"])
    store.discard("a")
    store.discard("a")
    assert files(store) == ["c"]


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a"])
def test_a_name_that_leaves_the_store_is_refused(store: LocalStore, name: str) -> None:
    with pytest.raises(RefusedError, match="must be a relative name"), store.write(name):
        pass


@pytest.mark.parametrize("location", ["gs://bucket/x", "s3://", "s3:///prefix"])
def test_a_location_that_is_no_store_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(RefusedError, match="must be a path or s3://BUCKET/PREFIX"):
        open_store(location, tmp_path)


def test_a_path_is_relative_to_the_base(tmp_path: Path) -> None:
    store = open_store("runs", tmp_path)
    with store.write("x") as file:
        file.write(b"1")
    assert (tmp_path / "runs/x").read_bytes() == b"1"


class Narrow:
    """S3 as it answers whom a policy lets list one folder alone: the bucket itself is refused, and its region told."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def head_bucket(self, **_: Any) -> Any:
        told: Any = {"HTTPStatusCode": 403, "HTTPHeaders": {"x-amz-bucket-region": "me-central-1"}}
        raise ClientError({"Error": {"Code": "403"}, "ResponseMetadata": told}, "HeadBucket")

    def put_object(self, Key: str, **_: Any) -> Any:  # noqa: N803 - S3's own name
        self.written.append(Key)
        return {}


def test_whom_s3_lets_write_in_one_folder_alone_writes_there_and_in_the_right_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s3 = Narrow()

    def client(*_: Any, **__: Any) -> Narrow:
        return s3

    monkeypatch.setattr("falaj.training.stores.s3.boto3.client", client)
    open_store("s3://models/vision", Path(), region="me-central-1").create("log/1", b"event")
    with pytest.raises(RefusedError, match=r"must be a bucket in eu-west-1, .*; it is in me-central-1"):
        open_store("s3://models/vision", Path(), region="eu-west-1").create("log/1", b"event")
    assert s3.written == ["vision/log/1"]
