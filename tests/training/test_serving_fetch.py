"""Fetching: what a server gets to load was verified to the last byte, or is not there at all."""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training.runs import PATIENCE
from training.serving_world import CONFIG, WHO, World, below, copy_of, new_world, write_model

from falaj.training.errors import RefusedError
from falaj.training.lineage.signatures import FileSigner
from falaj.training.sealing import SealedWriter, new_data_key, open_keys, seal
from falaj.training.sealing.stream import SEGMENT
from falaj.training.serving import fetching
from falaj.training.serving.fetching import Fetched, fetch
from falaj.training.serving.manifest import context, file_context
from falaj.training.serving.publishing import publish
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.triton_text import top_fields, with_version
from falaj.training.serving.verification import Trust
from falaj.training.serving.versions import Versions

LARGE = os.urandom(3 * SEGMENT)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Versions 1 and 2 are published; of version 2 the artifact takes several segments."""
    world = new_world(tmp_path_factory.mktemp("world"))
    for folder in (world.folder, world.changed(content=LARGE)):
        publish(folder, world.versions, world.keys, world.trust, who=WHO)
    return world


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    return copy_of(made, tmp_path / "world")


def fetched(world: World, number: int = 2, **more: Any) -> Fetched:
    told = {"versions": world.versions, "keys": world.keys, "trust": world.trust, "into": world.base / "models"}
    told |= more
    given = told.pop("versions"), number, told.pop("keys"), told.pop("trust"), told.pop("into")
    return fetch(*given, **told)


def refused(world: World, number: int = 2, **more: Any) -> NotServedError:
    """Fetch what is refused, and see that nothing is there for a server to load."""
    with pytest.raises(NotServedError) as told:
        fetched(world, number, **more)
    assert below(world.base / "models") == [] if (world.base / "models").exists() else True
    return told.value


def test_what_is_fetched_is_what_was_signed_under_the_number_that_was_published(world: World) -> None:
    found = fetched(world)
    models = world.base / "models"
    assert (found.folder, found.manifest.version) == (models / "income", 2)
    assert [path.name for path in models.iterdir()] == ["income"]
    assert (models / "income" / "2" / "model.onnx").read_bytes() == LARGE
    assert (models / "income" / "labels-scores.txt").read_text() == "low\nmiddle\nhigh\n"
    config = (models / "income" / "config.pbtxt").read_text()
    assert config == CONFIG.replace("versions: [1]", "versions: [2]")
    assert found.digest == world.versions.open(2, world.keys).digest


def test_a_pod_that_starts_again_finds_its_model_anew_and_what_a_killed_start_left_is_gone(world: World) -> None:
    models = world.base / "models"
    (models / ".fetching-1" / "income").mkdir(parents=True)
    (models / ".fetching-1" / "income" / "half").write_bytes(b"x")
    fetched(world, 1)
    (models / "income" / "1" / "more.txt").write_text("written since")
    fetched(world, 1)
    assert [path.name for path in models.iterdir()] == ["income"]
    assert not (models / "income" / "1" / "more.txt").exists()


def test_others_than_the_pods_group_cannot_read_what_was_unsealed(world: World) -> None:
    folder = fetched(world).folder
    assert folder.stat().st_mode & 0o007 == 0
    assert all(path.stat().st_mode & 0o007 == 0 for path in folder.rglob("*.onnx"))


def test_the_manifest_may_be_pinned(world: World) -> None:
    digest = world.versions.open(2, world.keys).digest
    assert fetched(world, digest=digest).digest == digest
    shutil.rmtree(world.base / "models")
    assert refused(world, 1, digest=digest).reason == "tampered"


def test_a_verdict_that_expired_since_the_model_was_published_is_still_one(world: World) -> None:
    """Otherwise a service could not start its pods again when the verdict has expired."""
    folder = world.changed(content=b"soon", valid_days=1)
    number = publish(folder, world.versions, world.keys, world.trust, who=WHO).manifest.version
    opened = world.versions.open(number, world.keys)
    assert opened.manifest.published < opened.manifest.verdict.expires
    assert fetched(world, number).manifest.version == number


def file_of(world: World, path: str = "1/model.onnx", number: int = 2) -> Path:
    return world.store.root / world.versions.file(number, path)


def flipped(world: World) -> None:
    content = bytearray(file_of(world).read_bytes())
    content[SEGMENT + 1000] ^= 1
    file_of(world).write_bytes(content)


def flipped_at_the_end(world: World) -> None:
    content = bytearray(file_of(world).read_bytes())
    content[-1] ^= 1
    file_of(world).write_bytes(content)


def truncated(world: World) -> None:
    os.truncate(file_of(world), file_of(world).stat().st_size - 1)


def truncated_to_a_segment(world: World) -> None:
    os.truncate(file_of(world), 2 * SEGMENT)


def lengthened(world: World) -> None:
    with file_of(world).open("ab") as file:
        file.write(bytes(SEGMENT))


def segments_swapped(world: World) -> None:
    content = file_of(world).read_bytes()
    first, second = content[SEGMENT : 2 * SEGMENT], content[2 * SEGMENT : 3 * SEGMENT]
    file_of(world).write_bytes(content[:SEGMENT] + second + first + content[3 * SEGMENT :])


def files_swapped(world: World) -> None:
    one, two = file_of(world, "job.toml"), file_of(world, "labels-scores.txt")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def of_another_version(world: World) -> None:
    for name in ("model.sig", "1/model.onnx"):
        shutil.copy(file_of(world, name, 1), file_of(world, name))


def removed(world: World) -> None:
    file_of(world, "verdict.json").unlink()


def manifest_of_another_version(world: World) -> None:
    shutil.copy(world.store.root / world.versions.place(1), world.store.root / world.versions.place(2))


def whole_version_moved(world: World) -> None:
    shutil.rmtree(world.store.root / "income" / "2")
    shutil.copytree(world.store.root / "income" / "1", world.store.root / "income" / "2")


def manifest_flipped(world: World) -> None:
    place = world.store.root / world.versions.place(2)
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 4
    place.write_bytes(content)


def manifest_cut(world: World) -> None:
    os.truncate(world.store.root / world.versions.place(2), 40)


def no_manifest(world: World) -> None:
    (world.store.root / world.versions.place(2)).write_bytes(b"")


@pytest.mark.parametrize(
    "tamper",
    [
        *(flipped, flipped_at_the_end, truncated, truncated_to_a_segment, lengthened, segments_swapped, files_swapped),
        *(of_another_version, removed, manifest_of_another_version, whole_version_moved, manifest_flipped),
        *(manifest_cut, no_manifest),
    ],
)
def test_what_lies_in_the_store_otherwise_than_it_was_published_is_refused(
    world: World, tamper: Callable[[World], None]
) -> None:
    tamper(world)
    told = refused(world)
    assert told.reason == "tampered"
    assert str(told).startswith("tampered: ") and "\n" not in str(told)


def test_a_version_that_is_not_there_is_unknown(world: World) -> None:
    assert refused(world, 3).reason == "unknown-version"
    world.versions.claim(WHO)
    assert refused(world, 3).reason == "unknown-version"
    assert refused(world, versions=Versions(world.store, "outcome", "vision")).reason == "unknown-version"


def test_a_version_of_another_tenant_is_refused_also_where_its_name_was_changed(world: World) -> None:
    assert refused(world, versions=Versions(world.store, "income", "speech")).reason == "other-tenant"
    place = world.store.root / world.versions.place(2)
    renamed = place.read_bytes().replace(b'"vision"', b'"speech"')
    place.write_bytes(renamed)
    assert refused(world, versions=Versions(world.store, "income", "speech")).reason == "tampered"


def test_a_key_that_did_not_seal_it_is_refused(world: World) -> None:
    other = open_keys(f"file:{world.base / 'other-seal.key'}")
    with pytest.raises(RefusedError, match="key must be the key that sealed"):
        fetched(world, keys=other)
    assert not (world.base / "models").exists()


def test_a_model_that_another_key_signed_or_judged_is_refused(world: World) -> None:
    other = FileSigner(world.base / "other.pem").public_pem
    ours = world.trust.signing
    assert refused(world, trust=Trust(other, ours)).reason == "wrong-signature"
    assert refused(world, trust=Trust(ours, other)).reason == "wrong-signature"


def sealed_by_force(world: World, folder: Path) -> int:
    """Publish a folder as whoever has the key that seals, and not the one that signs, could: without any check."""
    number = world.versions.claim(WHO)
    told = json.loads(world.versions.open(2, world.keys).manifest.model_dump_json())
    told |= {"version": number, "files": {}}
    key = new_data_key(world.keys, context("vision", "income", number))
    for name in below(folder):
        with (
            world.store.write(world.versions.file(number, name)) as file,
            SealedWriter(file, key.key, file_context("vision", "income", number, name)) as stream,
        ):
            stream.write((folder / name).read_bytes())
        told["files"][name] = {
            "bytes": stream.tell(),
            "digest": "sha256:" + "0" * 64,
            "sealed_bytes": stream.size,
            "header": stream.header.hex(),
        }
    place = world.versions.place(number)
    world.store.create(place, seal(json.dumps(told).encode(), key, place))
    return number


def test_whoever_can_seal_but_not_sign_cannot_have_a_model_served(world: World) -> None:
    unsigned = world.changed(content=b"unsigned")
    (unsigned / "model.sig").unlink()
    assert refused(world, sealed_by_force(world, unsigned)).reason == "unsigned"
    theirs = write_model(world.base / "theirs" / "income", FileSigner(world.base / "other.pem"))
    assert refused(world, sealed_by_force(world, theirs)).reason == "wrong-signature"
    failed = world.changed(content=b"failed", outcome="fail")
    assert refused(world, sealed_by_force(world, failed)).reason == "failed-verdict"
    unjudged = world.changed(content=b"unjudged", with_verdict=False)
    assert refused(world, sealed_by_force(world, unjudged)).reason == "no-verdict"
    # Signed and judged, under a manifest that is about another model.
    assert refused(world, sealed_by_force(world, world.changed(content=b"good"))).reason == "tampered"


def test_a_manifest_that_leads_out_of_the_models_folder_is_refused(world: World) -> None:
    evil = world.base / "evil"
    shutil.copytree(world.folder, evil / "income")
    number = world.versions.claim(WHO)
    told = json.loads(world.versions.open(2, world.keys).manifest.model_dump_json()) | {"version": number}
    key = new_data_key(world.keys, context("vision", "income", number))
    for name in ("../../escaped", "/etc/escaped", "a/../../../escaped", "a//b"):
        told["files"] = {name: next(iter(told["files"].values()))}
        place = world.store.root / world.versions.place(number)
        place.write_bytes(seal(json.dumps(told).encode(), key, world.versions.place(number)))
        assert refused(world, number).reason == "tampered"
    assert not (world.base.parent / "escaped").exists()


def test_too_little_room_is_told_before_anything_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(world.base)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage._replace(free=2 * SEGMENT))
    with pytest.raises(RefusedError, match=r"--into must have room for the model's 3\.0 MiB.*2\.0 MiB free"):
        fetched(world)
    assert below(world.base / "models") == []


def test_an_old_model_stays_where_the_new_one_is_refused(world: World) -> None:
    fetched(world, 1)
    flipped(world)
    with pytest.raises(NotServedError):
        fetched(world, 2)
    assert (world.base / "models" / "income" / "1" / "model.onnx").exists()
    assert [path.name for path in (world.base / "models").iterdir()] == ["income"]


def test_the_reason_survives_the_way_between_processes() -> None:
    error = NotServedError("tampered", "store", "x", "must be y")
    again = copy.copy(error)  # as pickle does it
    assert (again.reason, str(again)) == ("tampered", "tampered: store must be y (got 'x')")


def test_the_version_policy_is_replaced_wherever_it_stands_and_whatever_it_says() -> None:
    for policy in (
        "version_policy { specific { versions: [1] } }",
        "version_policy: { latest { num_versions: 2 } }",
        "version_policy < all { } >",
        "",
    ):
        text = f"# a {{ comment\n{policy}\nname: 'a' 'b' max_batch_size: 8;\nparameters {{ key: \"version_policy\" }}\n"
        text = text.replace("'a' 'b'", "'ab'")
        new = with_version(text, 7)
        assert new.endswith("version_policy { specific { versions: [7] } }\n")
        assert [each.name for each in top_fields(new)] == ["name", "max_batch_size", "parameters", "version_policy"]
        assert top_fields(new)[0].value == "ab"


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {'torch', 'kubernetes', 'mlflow', 'pandas'}:
            raise ImportError(f'{name} is not in the image of pods that only fetch')
sys.meta_path.insert(0, Block())
from falaj.training.serving.cli import main
main()
"""


def serve(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `falaj-serve` where neither torch nor the cluster's client can be imported."""
    told = [sys.executable, "-c", BLOCKED, *words]
    return subprocess.run(told, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_publishing_and_fetching_need_no_torch_and_no_cluster(world: World) -> None:
    folder, store = world.changed(content=b"third"), str(world.store.root)
    made = serve("publish", str(folder), "--to", store, *world.options())
    assert (made.returncode, json.loads(made.stdout)["version"]) == (0, 3), made.stderr
    options = [word if word != "--name" else "--model" for word in world.options()]
    into = ["--into", str(world.base / "models"), "--version", "3"]
    found = serve("fetch", "--store", store, *options, *into)
    assert found.returncode == 0, found.stderr
    assert (world.base / "models" / "income" / "3" / "model.onnx").read_bytes() == b"third"
    assert json.loads(found.stdout)["verdict"]["outcome"] == "pass"


def test_a_refused_pod_says_why_in_a_line_and_leaves_it_for_the_kubelet(world: World) -> None:
    flipped(world)
    log = world.base / "termination-log"
    log.touch()
    options = [word if word != "--name" else "--model" for word in world.options()]
    place = ["--store", str(world.store.root), "--into", str(world.base / "models"), "--version", "2"]
    ended = serve("fetch", *place, *options, "--termination-log", str(log))
    assert ended.returncode == 3
    assert ended.stderr == f"falaj-serve: {log.read_text()}\n"
    assert log.read_text().startswith("tampered: store must be as it was published: segment 1 of 4")
    told = json.loads(ended.stdout)
    assert (told["what"], told["reason"], told["version"]) == ("fetch-refused", "tampered", "2")
    assert "Traceback" in serve("--debug", "fetch", *place, *options).stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--version", "latest"], 2, "--version must be a whole number from 1 (got 'latest')"),
        (["--version", "9"], 3, "unknown-version: --version must be a published version of income"),
        (["--version", "2", "--digest", "sha256:1"], 2, "--digest must be sha256: and 64 hexadecimal digits"),
        (["--version", "2", "--tenant", "A"], 2, "--tenant must be a tenant's name"),
        (["--version", "2", "--key", "kms:x"], 2, "key must be aws-kms:ARN, vault:MOUNT/KEY or file:PATH"),
        (["--version", "2", "--public-key", "none.pub"], 2, "--public-key must be a file that can be read"),
        (["--version", "2", "--store", "gs://models"], 2, "location must be a path or s3://BUCKET/PREFIX"),
    ],
)
def test_bad_input_is_told_with_field_value_and_remedy(world: World, words: list[str], code: int, said: str) -> None:
    options = [word if word != "--name" else "--model" for word in world.options()]
    place = ["--store", str(world.store.root), "--into", str(world.base / "models")]
    ended = serve("fetch", *place, *options, *words)
    assert ended.returncode == code and said in ended.stderr and len(ended.stderr.splitlines()) == 1


def test_a_service_is_not_asked_for_without_the_clusters_client() -> None:
    ended = serve("status", "--service", "vision/income")
    assert ended.returncode == 1
    assert ended.stderr == "falaj-serve: --service needs the package kubernetes: install falaj-training[serve]\n"


def test_every_command_shows_an_example() -> None:
    whole = serve("--help")
    assert whole.returncode == 0
    for name in ("publish", "fetch", "status", "promote", "rollback", "record", "history", "watch", "samples"):
        assert name in whole.stdout
        assert f"falaj-serve {name} " in serve(name, "--help").stdout
