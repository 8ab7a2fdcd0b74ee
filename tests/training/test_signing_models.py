"""Signed model folders: loading verifies every file, and the format is OpenSSF's."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from falaj.training.errors import RefusedError
from falaj.training.lineage.signatures import FileSigner, new_key
from falaj.training.lineage.signed_models import SIGNATURE, load_signed, sign_model, unverified_model

SLOW_START = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        (folder / f"{name}.pub").write_bytes(new_key(folder / f"{name}.pem"))
    return folder


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    model = tmp_path_factory.mktemp("models") / "income"
    (model / "1").mkdir(parents=True)
    (model / "1" / "model.onnx").write_bytes(bytes(range(256)) * 4)
    (model / "config.pbtxt").write_text('name: "income"\n')
    (model / ".gitignore").write_text("*\n")
    sign_model(model, FileSigner(keys / "ours.pem"))
    return model


@pytest.fixture
def ours(keys: Path) -> bytes:
    return (keys / "ours.pub").read_bytes()


@pytest.fixture
def model(signed: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return Path(shutil.copytree(signed, tmp_path / "income"))


def test_a_signed_model_loads_with_the_digest_it_was_signed_under(model: Path, keys: Path, ours: bytes) -> None:
    digest = sign_model(model, FileSigner(keys / "ours.pem"))
    loaded = load_signed(model, ours)

    assert loaded.digest == digest == unverified_model(model).digest
    assert set(loaded.files) == {"1/model.onnx", "config.pbtxt", ".gitignore"}
    assert loaded.read("config.pbtxt") == b'name: "income"\n'


def test_the_digest_is_of_the_content_and_not_of_the_place(model: Path, ours: bytes) -> None:
    moved = model.rename(model.with_name("elsewhere"))
    assert load_signed(moved, ours).digest == unverified_model(moved).digest


def test_openssf_model_signing_verifies_what_is_signed_here(model: Path, keys: Path) -> None:
    verify = [sys.executable, "-m", "model_signing", "verify", "key", str(model)]
    options = ["--signature", str(model / SIGNATURE), "--public_key", str(keys / "ours.pub"), "--no-ignore-git-paths"]
    assert subprocess.run([*verify, *options], capture_output=True, timeout=120, check=False).returncode == 0

    (model / "config.pbtxt").write_text("changed")
    assert subprocess.run([*verify, *options], capture_output=True, timeout=120, check=False).returncode != 0


def test_a_signature_of_openssfs_own_tool_that_leaves_files_out_is_refused(
    model: Path, keys: Path, ours: bytes
) -> None:
    from model_signing import signing

    own = signing.Config().use_elliptic_key_signer(private_key=keys / "ours.pem")
    (model / SIGNATURE).unlink()
    own.sign(model, model / SIGNATURE)
    with pytest.raises(RefusedError, match="leaves files out"):
        load_signed(model, ours)


def unsigned(model: Path) -> None:
    (model / SIGNATURE).unlink()


def linked_signature(model: Path) -> None:
    (model / SIGNATURE).rename(model.parent / "kept.sig")
    (model / SIGNATURE).symlink_to(model.parent / "kept.sig")


def no_json(model: Path) -> None:
    (model / SIGNATURE).write_text("signed, honestly")


def other_json(model: Path) -> None:
    (model / SIGNATURE).write_text('{"dsseEnvelope": []}')


def changed(model: Path) -> None:
    (model / "config.pbtxt").write_text('name: "outcome"\n')


def removed(model: Path) -> None:
    (model / "1" / "model.onnx").unlink()
    (model / "1" / "other").write_text("")


def extra(model: Path) -> None:
    (model / "1" / "model.py").write_text("import os\n")


def hidden_extra(model: Path) -> None:
    (model / ".git").mkdir()
    (model / ".git" / "hook").write_text("#!/bin/sh\n")


def empty_folder(model: Path) -> None:
    (model / "2").mkdir()


def link(model: Path) -> None:
    (model / "1" / "labels.txt").symlink_to("/etc/hostname")


def below_the_signature(model: Path) -> None:
    content = (model / SIGNATURE).read_text()
    (model / SIGNATURE).unlink()
    (model / SIGNATURE).mkdir()
    (model / SIGNATURE / SIGNATURE).write_text(content)


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (unsigned, "must be signed: there is no file"),
        (linked_signature, "must be signed: there is no file"),
        (below_the_signature, "must be signed: there is no file"),
        (no_json, "cannot be read"),
        (other_json, "cannot be read"),
        (changed, "Hash mismatch for 'config.pbtxt'"),
        (removed, "Missing files .*1/model.onnx"),
        (extra, "Extra files .*1/model.py"),
        (hidden_extra, "Extra files .*hook"),
        (empty_folder, "empty folder"),
        (link, "symlink"),
    ],
)
def test_a_folder_that_is_not_what_was_signed_is_refused(
    model: Path, ours: bytes, tamper: Callable[[Path], None], said: str
) -> None:
    tamper(model)
    with pytest.raises(RefusedError, match=said):
        load_signed(model, ours)


def test_a_model_signed_by_another_key_is_refused(model: Path, keys: Path, ours: bytes) -> None:
    with pytest.raises(RefusedError, match="Key mismatch"):
        load_signed(model, (keys / "theirs.pub").read_bytes())

    theirs = json.loads((model / SIGNATURE).read_text())
    sign_model(model, FileSigner(keys / "theirs.pem"))
    forged = json.loads((model / SIGNATURE).read_text())
    forged["verificationMaterial"] = theirs["verificationMaterial"]  # claims to be by the key that is expected
    (model / SIGNATURE).write_text(json.dumps(forged))
    with pytest.raises(RefusedError, match="the signature is not its"):
        load_signed(model, ours)


@SLOW_START
@given(st.data())
def test_no_flipped_bit_of_any_file_or_of_the_signature_loads_as_another_model(
    signed: Path, ours: bytes, data: st.DataObject
) -> None:
    """A flip that loads at all (a space in the bundle's JSON) loads the same model."""
    good = load_signed(signed, ours)
    name = data.draw(st.sampled_from([*good.files, SIGNATURE]))
    content = (signed / name).read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    flipped = bytes([*content[:place], content[place] ^ 1 << data.draw(st.integers(0, 7)), *content[place + 1 :]])
    try:
        (signed / name).write_bytes(flipped)
        try:
            loaded = load_signed(signed, ours)
        except RefusedError:
            return
        assert name == SIGNATURE
        assert loaded == good
    finally:
        (signed / name).write_bytes(content)


@SLOW_START
@given(st.data())
def test_no_change_of_what_is_signed_verifies(signed: Path, ours: bytes, data: st.DataObject) -> None:
    """The statement itself: a resource dropped, renamed or given another digest, a rule loosened."""
    import base64

    path = signed / SIGNATURE
    kept = path.read_text()
    bundle = json.loads(kept)
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    resources = statement["predicate"]["resources"]
    which = data.draw(st.integers(0, len(resources) - 1))
    change = data.draw(st.sampled_from(["drop", "rename", "digest", "ignore", "name"]))
    if change == "drop":
        del resources[which]
    elif change == "rename":
        resources[which]["name"] += data.draw(st.text("ab/.", min_size=1, max_size=3))
    elif change == "digest":
        resources[which]["digest"] = data.draw(st.binary(min_size=32, max_size=32)).hex()
    elif change == "ignore":
        statement["predicate"]["serialization"]["ignore_paths"].append(resources[which]["name"])
    else:
        statement["subject"][0]["name"] += "x"
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    try:
        path.write_text(json.dumps(bundle))
        with pytest.raises(RefusedError):
            load_signed(signed, ours)
    finally:
        path.write_text(kept)


def test_a_file_that_changes_after_verification_is_not_read(model: Path, ours: bytes) -> None:
    loaded = load_signed(model, ours)
    (model / "1" / "model.onnx").write_bytes(b"swapped")
    with pytest.raises(RefusedError, match="changed since"):
        loaded.read("1/model.onnx")
    with pytest.raises(RefusedError, match="one of the signed files"):
        loaded.read("../income/config.pbtxt")


def test_what_no_signature_could_cover_is_not_signed(model: Path, keys: Path) -> None:
    signer = FileSigner(keys / "ours.pem")
    for tamper in (empty_folder, link):
        copy = Path(shutil.copytree(model, model.with_name(tamper.__name__)))
        tamper(copy)
        with pytest.raises(RefusedError, match="model"):
            sign_model(copy, signer)
    with pytest.raises(RefusedError, match="must be the folder"):
        sign_model(model / "missing", signer)
