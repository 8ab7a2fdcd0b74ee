"""The audit log: nothing is written over, and whatever is changed afterwards is seen."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from training.serving_world import WHO, World, copy_of, new_world
from typer.testing import CliRunner

from falaj.training.errors import RefusedError
from falaj.training.sealing import open_keys
from falaj.training.serving.audit import AuditLog, broken_links
from falaj.training.serving.caller import caller
from falaj.training.serving.cli import app
from falaj.training.serving.fetching import fetch
from falaj.training.serving.publishing import publish
from falaj.training.serving.versions import Versions
from falaj.training.stores import Store, open_store
from falaj.training.stores.local import LocalStore

HOME = "me-central-1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return new_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    return copy_of(made, tmp_path / "world")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", HOME)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": HOME})
        yield open_store("s3://models/served", Path(), region=HOME)


def log_of(store: Store, count: int) -> AuditLog:
    log = AuditLog(store, "income")
    for number in range(count):
        log.append({"what": "deploy", "version": number + 1, "who": WHO})
    return log


def test_each_event_holds_the_digest_of_the_one_before_it(tmp_path: Path) -> None:
    events = log_of(LocalStore(tmp_path), 3).events()
    assert [each.number for each in events] == [1, 2, 3]
    told = [each.event or {} for each in events]
    assert [each["previous"] for each in told] == [None, events[0].digest, events[1].digest]
    assert [each["time"] for each in told] == sorted(each["time"] for each in told)
    assert json.loads(events[1].line())["digest"] == events[1].digest
    assert sorted(path.name for path in (tmp_path / "income" / "audit").iterdir()) == [
        "0000000001.json",
        "0000000002.json",
        "0000000003.json",
    ]
    assert broken_links(events, events[1].digest) == []


def test_events_that_are_written_at_once_stand_one_after_the_other(tmp_path: Path) -> None:
    log = AuditLog(LocalStore(tmp_path), "income")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log.append({"version": number}), range(24)))
    events = log.events()
    assert {(each.event or {})["version"] for each in events} == set(range(24))
    assert broken_links(events) == []


def spoil(folder: Path, number: int, **told: Any) -> None:
    path = folder / "income" / "audit" / f"{number:010d}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **told}, sort_keys=True) + "\n")


def test_what_is_changed_removed_or_cut_off_afterwards_is_seen(tmp_path: Path) -> None:
    log = log_of(LocalStore(tmp_path), 4)
    kept = log.events()[-1].digest
    spoil(tmp_path, 2, version=9)
    assert broken_links(log.events()) == ["event 3 does not follow from the one before it: one of the two was changed"]
    (tmp_path / "income" / "audit" / "0000000002.json").unlink()
    assert broken_links(log.events()) == ["event 2 is not there"]
    (tmp_path / "income" / "audit" / "0000000002.json").write_text("no event")
    assert broken_links(log.events())[0] == "event 2 is no event"
    (tmp_path / "income" / "audit" / "0000000004.json").unlink()
    assert f"no event has the digest {kept}: it was changed or removed" in broken_links(log.events(), kept)


def run(*words: str) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, list(words))
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.stdout, found.stderr


def published(world: World, folder: Path | None = None) -> dict[str, Any]:
    code, out, _ = run("publish", str(folder or world.folder), "--to", str(world.store.root), *world.options())
    assert code == 0
    return json.loads(out) if out else {}


def listed(world: World, *words: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = run("history", "--store", str(world.store.root), "--name", "income", "--json", *words)
    return code, json.loads(out)


def test_publishing_tells_who_did_what_with_which_digest_and_verdict(world: World) -> None:
    event = published(world)
    opened = world.versions.open(1, world.keys)
    assert (event["what"], event["version"], event["tenant"], event["model"]) == ("publish", 1, "vision", "income")
    assert event["manifest_digest"] == opened.digest
    assert event["verdict"] == {"digest": opened.manifest.verdict.digest, "outcome": "pass"}
    assert event["who"] == dict(opened.manifest.who) == caller(world.store)
    assert event["previous"] is None and event["time"].endswith("+00:00")
    assert published(world) == {}, "what was there already is not published again"


def test_history_lists_the_versions_and_verifies_them(world: World) -> None:
    first, second = published(world), published(world, world.changed(content=b"better"))
    code, told = listed(world, "--verify", "--holds", first["digest"])
    assert (code, told["verified"], [each["version"] for each in told["versions"]]) == (0, True, [2, 1])
    assert told["versions"][1]["model_digest"] == first["model_digest"]
    assert told["versions"][0]["verdict"] == second["verdict"]
    assert [each["digest"] for each in told["events"]] == [first["digest"], second["digest"]]
    key = ("--key", f"file:{world.base / 'seal.key'}", "--tenant", "vision")
    assert listed(world, *key)[1]["versions"] == told["versions"]

    code, out, _ = run("history", "--store", str(world.store.root), "--name", "income")
    assert code == 0 and [line.split()[0] for line in out.splitlines()] == ["2", "1"] and "pass" in out


def test_history_finds_what_was_changed_in_the_log_or_in_the_store(world: World) -> None:
    published(world)
    published(world, world.changed(content=b"better"))
    spoil(world.store.root, 1, who={"user": "nobody"})
    code, told = listed(world, "--verify")
    assert (code, told["verified"]) == (3, False)
    assert told["wrong"] == ["event 2 does not follow from the one before it: one of the two was changed"]

    os.truncate(world.store.root / world.versions.place(2), 100)
    assert (
        "version 2 is not what was published: its manifest has another digest than recorded"
        in listed(world, "--verify")[1]["wrong"]
    )
    (world.store.root / world.versions.place(2)).unlink()
    assert "version 2 is in the log and not in the store" in listed(world, "--verify")[1]["wrong"]


def test_a_version_whose_publisher_died_before_it_recorded_it_is_recorded_by_publishing_again(world: World) -> None:
    publish(world.folder, world.versions, world.keys, world.trust, who=WHO)
    code, told = listed(world, "--verify")
    assert code == 3 and "no event tells of it: publish the same folder again" in told["wrong"][0]
    event = published(world)
    assert (event["version"], event["who"]) == (1, WHO), "who published it stands in its manifest"
    assert listed(world, "--verify")[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--key", "file:x"], "--key must be given together with --tenant"),
        (["--holds", "sha256:" + "0" * 64], "--holds must be given together with --verify"),
        (["--verify", "--holds", "sha256:0"], "--holds must be sha256: and 64"),
        (["--service", "income"], "--service must be NAMESPACE/NAME"),
    ],
)
def test_bad_input_of_history_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        run("history", "--store", str(tmp_path), "--name", "income", *words)


def test_a_model_goes_through_s3_sealed_by_kms(world: World, bucket: Store, tmp_path: Path) -> None:
    arn = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    keys = open_keys(f"aws-kms:{arn}", region=HOME)
    versions = Versions(bucket, "income", "vision")
    who = caller(bucket)
    assert who["aws"].startswith("arn:aws:")
    folder = world.changed(content=os.urandom(40 << 20))
    made = [publish(each, versions, keys, world.trust, who=who).manifest.version for each in (world.folder, folder)]
    assert made == [1, 2] == versions.numbers()
    assert not publish(folder, versions, keys, world.trust, who=who).new
    fetch(versions, 2, keys, world.trust, tmp_path / "models")
    got = (tmp_path / "models" / "income" / "2" / "model.onnx").read_bytes()
    assert got == (folder / "1" / "model.onnx").read_bytes()


def test_in_s3_nothing_is_written_over_and_numbers_are_given_once(bucket: Store) -> None:
    bucket.create("a", b"first")
    with pytest.raises(FileExistsError):
        bucket.create("a", b"second")
    bucket.create("a", b"first")  # an attempt that was made again, since its answer was lost
    assert bucket.read("a").read() == b"first"
    versions = Versions(bucket, "income", "vision")
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: versions.claim(WHO), range(8))) == list(range(1, 9))
    assert broken_links(log_of(bucket, 3).events()) == []
    assert bucket.names("income/audit/") == [f"income/audit/{number:010d}.json" for number in (1, 2, 3)]


def test_who_calls_is_said_also_where_aws_does_not_answer(bucket: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    found = caller(bucket, "salma@example.com")
    assert found["aws"].startswith("unknown: ") and found["kubernetes"] == "salma@example.com"
    assert found["user"] and found["host"]
