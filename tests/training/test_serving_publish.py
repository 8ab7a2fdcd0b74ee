"""Publishing: only what is signed and judged becomes a version, whole or not at all, and never twice."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from training.serving_world import CONFIG, WHO, World, below, copy_of, new_world, write_model

from falaj.training.errors import RefusedError
from falaj.training.lineage.signatures import FileSigner
from falaj.training.lineage.signed_models import SIGNATURE
from falaj.training.serving import repository
from falaj.training.serving.progress import Transfer
from falaj.training.serving.publishing import Publication, publish
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.versions import Versions
from falaj.training.stores.local import LocalStore


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return new_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    return copy_of(made, tmp_path / "world")


def published(world: World, folder: Path | None = None, **more: Any) -> Publication:
    return publish(folder or world.folder, world.versions, world.keys, world.trust, who=WHO, **more)


def test_a_published_model_is_the_next_version_and_says_what_it_is(world: World) -> None:
    first, second = published(world), published(world, world.changed(content=b"better"))
    assert (first.new, first.manifest.version, second.new, second.manifest.version) == (True, 1, True, 2)
    assert world.versions.numbers() == [1, 2]
    opened = world.versions.open(1, world.keys)
    assert (opened.manifest, opened.digest) == (first.manifest, first.digest)
    assert (opened.manifest.tenant, opened.manifest.model, opened.manifest.who) == ("vision", "income", WHO)
    assert (opened.manifest.verdict.outcome, opened.manifest.classification) == ("pass", "restricted")
    assert {*opened.manifest.files} == {path.relative_to(world.folder).as_posix() for path in files(world.folder)}


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_nothing_lies_in_clear(world: World) -> None:
    published(world)
    lying = b"".join(path.read_bytes() for path in files(world.store.root))
    for clear in (b"weights", b"features", b"accuracy", b"onnxruntime"):
        assert clear not in lying


def test_the_same_model_is_not_published_twice(world: World) -> None:
    published(world)
    published(world, world.changed(content=b"better"))
    before = below(world.store.root)
    again = published(world)
    assert (again.new, again.manifest.version) == (False, 1)
    assert below(world.store.root) == before
    # The model's digest, as the audit log tells it, saves opening what is another.
    assert published(world, known={1: again.manifest.model_digest, 2: "sha256:" + "0" * 64}).manifest.version == 1


def test_several_publishers_at_once_get_a_version_each(world: World) -> None:
    folders = [world.changed(content=f"model {number}".encode()) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda folder: published(world, folder), folders))
    assert sorted(each.manifest.version for each in made) == [1, 2, 3, 4, 5, 6] == world.versions.numbers()
    for each in made:
        assert world.versions.open(each.manifest.version, world.keys).manifest == each.manifest


class DyingStore(LocalStore):
    """Dies, as a killed process does, when a file is written whose name holds ``at``; nothing is cleaned up."""

    at = ""

    def write(self, name: str) -> Any:
        if self.at and self.at in name:
            raise SystemExit
        return super().write(name)

    def create(self, name: str, data: bytes) -> None:
        if self.at and self.at in name:
            raise SystemExit
        super().create(name, data)

    def discard(self, folder: str) -> None:
        raise SystemExit


@pytest.mark.parametrize(
    "at", ["claim.json", "files/1/model.onnx", "files/config.pbtxt", "files/model.sig", "manifest."]
)
def test_a_publisher_that_dies_leaves_no_version_and_the_next_one_gets_a_number_of_its_own(
    world: World, at: str
) -> None:
    store = DyingStore(world.store.root)
    store.at = at
    with pytest.raises(SystemExit):
        publish(world.folder, Versions(store, "income", "vision"), world.keys, world.trust, who=WHO)
    assert world.versions.numbers() == []
    with pytest.raises(NotServedError, match="unknown-version"):
        world.versions.open(1, world.keys)
    again = published(world)
    assert again.new and again.manifest.version == (1 if at == "claim.json" else 2)
    assert world.versions.open(again.manifest.version, world.keys).manifest == again.manifest


def test_a_failed_upload_leaves_no_files_and_its_number_is_not_given_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: LocalStore, name: str) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(LocalStore, "write", full)
        with pytest.raises(OSError, match="No space left"):
            published(world)
    assert below(world.store.root) == ["income/1/claim.json"]
    assert published(world).manifest.version == 2


def test_a_file_that_changes_while_it_is_published_is_refused_and_not_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = LocalStore.write

    def swap(store: LocalStore, name: str) -> Any:
        (world.folder / "1" / "model.onnx").write_bytes(b"another model")
        return written(store, name)

    monkeypatch.setattr(LocalStore, "write", swap)
    with pytest.raises(NotServedError, match=r"tampered: .*changed since its signature was verified"):
        published(world)
    assert world.versions.numbers() == []


def unsigned(folder: Path) -> None:
    (folder / SIGNATURE).unlink()


def unreadable(folder: Path) -> None:
    (folder / SIGNATURE).write_text("{}")


def changed(folder: Path) -> None:
    (folder / "1" / "model.onnx").write_bytes(b"another model")


def added(folder: Path) -> None:
    (folder / "1" / "model.py").write_text("import os\n")


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [(unsigned, "unsigned"), (unreadable, "wrong-signature"), (changed, "tampered"), (added, "tampered")],
)
def test_a_folder_that_is_not_what_was_signed_is_refused_before_anything_is_written(
    world: World, tamper: Callable[[Path], None], reason: str
) -> None:
    tamper(world.folder)
    with pytest.raises(NotServedError) as refused:
        published(world)
    assert refused.value.reason == reason
    assert not world.store.root.exists()


def another_manifest(folder: Path) -> None:
    """The signer's own doing: another artifact under the manifest of the one that was judged."""
    (folder / "1" / "model.onnx").write_bytes(b"never judged")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"with_verdict": False}, "no-verdict"),
        ({"outcome": "fail"}, "failed-verdict"),
        ({"outcome": "undetermined"}, "failed-verdict"),
        ({"judged": "sha256:" + "0" * 64}, "no-verdict"),
        ({"job_digest": "sha256:" + "0" * 64}, "no-verdict"),
        ({"valid_days": -1}, "no-verdict"),
        ({"judge": "other"}, "wrong-signature"),
        ({"before_signing": another_manifest}, "tampered"),
    ],
    ids=["none", "failed", "undetermined", "of another", "of another job", "expired", "by another", "swapped"],
)
def test_a_model_without_a_good_verdict_about_it_is_refused_before_anything_is_written(
    world: World, model: dict[str, Any], reason: str
) -> None:
    if "judge" in model:
        model = {**model, "judge": FileSigner(world.base / "other.pem")}
    with pytest.raises(NotServedError) as refused:
        published(world, world.changed(**model))
    assert refused.value.reason == reason
    assert not world.store.root.exists()


def test_a_model_that_another_key_signed_is_refused(world: World) -> None:
    folder = write_model(world.base / "theirs" / "income", FileSigner(world.base / "other.pem"), judge=world.signer)
    with pytest.raises(NotServedError, match=r"wrong-signature: .*the signature is not its"):
        published(world, folder)


def test_the_verdict_may_be_of_a_key_of_its_own(world: World) -> None:
    other = FileSigner(world.base / "other.pem")
    (world.base / "gate.pub").write_bytes(other.public_pem)
    trust = type(world.trust).read(world.base / "signing.pub", world.base / "gate.pub")
    folder = world.changed(judge=other)
    assert publish(folder, world.versions, world.keys, trust, who=WHO).new


def test_the_models_of_another_tenant_are_not_continued(world: World) -> None:
    published(world)
    theirs = Versions(world.store, "income", "speech")
    with pytest.raises(NotServedError, match=r"other-tenant: .*is of 'vision'"):
        publish(world.folder, theirs, world.keys, world.trust, who=WHO)


def test_a_model_is_as_confidential_as_its_data_or_more(world: World) -> None:
    folder = world.changed(classification="confidential", content=b"confidential")
    with pytest.raises(RefusedError, match="--classification must be confidential or higher"):
        published(world, folder, classification="internal")
    assert published(world, folder).manifest.classification == "confidential"
    other = world.changed(classification="internal", content=b"internal")
    assert published(world, other, classification="restricted").manifest.classification == "restricted"


def linked(folder: Path) -> None:
    (folder / "1" / "labels.txt").symlink_to("/etc/hostname")


def linked_folder(folder: Path) -> None:
    (folder / "2").symlink_to(folder / "1")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "1" / "pipe")


def no_config(folder: Path) -> None:
    (folder / "config.pbtxt").unlink()


def no_artifact(folder: Path) -> None:
    (folder / "1" / "model.onnx").rename(folder / "1" / "model.onx")


def no_version(folder: Path) -> None:
    (folder / "1").rename(folder / "one")


def two_versions(folder: Path) -> None:
    (folder / "2").mkdir()
    (folder / "2" / "model.onnx").write_bytes(b"x")


def odd_name(folder: Path) -> None:
    (folder / "1" / "a\nb").write_bytes(b"x")


def write_config(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "config.pbtxt").write_text(text) and None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_config, r"must hold config\.pbtxt"),
        (write_config(CONFIG.replace('"income"', '"outcome"')), r"config\.pbtxt name must be income.*'outcome'"),
        (write_config(CONFIG + 'name: "income"'), r"config\.pbtxt name must be income"),
        (write_config("name: 'income"), "must close its strings"),
        (write_config("input { name: 'x' ]"), "must close what it opens"),
        (write_config("input { name: 'x'"), "must close what it opens"),
        (write_config("{}"), "must begin each field with its name"),
        (write_config("name:"), "must give each field a value"),
        (write_config("#" * (1 << 21)), "must be of 1048576 bytes at most"),
        (lambda folder: (folder / "config.pbtxt").write_bytes(b"\xff") and None, "must be text in UTF-8"),
        (no_artifact, r"files of .* must have model\.onnx among them.*'model\.onx'"),
        (write_config(CONFIG + 'default_model_filename: "best.onnx"'), r"must have best\.onnx among them"),
        (write_config(CONFIG.replace("onnxruntime", "python")), r"must have model\.py among them"),
        (no_version, r"version folders of .* must be one"),
        (two_versions, r"version folders of .* must be one"),
        (linked, "must be an ordinary file.*labels.txt"),
        (linked_folder, "must be an ordinary file"),
        (pipe, "must be an ordinary file"),
        (odd_name, "must have a printable name"),
    ],
)
def test_a_folder_that_triton_could_not_serve_is_refused(
    world: World, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(world.folder)
    with pytest.raises(RefusedError, match=said):
        published(world)
    assert not world.store.root.exists()


def test_what_is_no_folder_or_too_many_files_or_too_large_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RefusedError, match="must be the folder of an exported model"):
        published(world, world.base / "signing.pub")
    monkeypatch.setattr(repository, "LARGEST_FILE", 100)
    with pytest.raises(RefusedError, match="must be of 100 bytes at most"):
        published(world)
    monkeypatch.undo()
    monkeypatch.setattr(repository, "MOST_FILES", 3)
    with pytest.raises(RefusedError, match="must be of 3 files at most"):
        published(world)


@pytest.mark.parametrize("name", ["", "../income", "in come", "a/b", "1st", "x" * 64])
def test_a_name_that_could_not_name_a_model_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match="--name must be a letter"):
        repository.check_name(name)


def test_a_long_transfer_says_now_and_then_how_far_it_is() -> None:
    now, said = [0.0], list[str]()
    transfer = Transfer("publishing income 3", 4 << 30, said.append, clock=lambda: now[0])
    for _ in range(40):
        now[0] += 0.5
        transfer.add(100 << 20)
    assert said[0] == "publishing income 3: 24 % of 4.0 GiB, about 15 s left"
    assert len(said) == 4


def test_a_stored_file_appears_only_when_it_is_new(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.create("a/b", b"first")
    with pytest.raises(FileExistsError):
        store.create("a/b", b"second")
    assert (store.names(), store.begun()) == (["a/b"], [])
    file: BinaryIO = store.read("a/b")
    assert file.read() == b"first"
