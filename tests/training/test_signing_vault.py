"""Signing with a key that never leaves Vault's transit: an OpenBao of the lab holds it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest

from falaj.lab.testing import RunningLab, temporary_lab
from falaj.training.errors import RefusedError, TrainingError
from falaj.training.lineage.signatures import open_signer, verify
from falaj.training.lineage.signed_models import load_signed, sign_model

pytestmark = pytest.mark.lab

MAY_SIGN = (
    'path "signing/keys/models" { capabilities = ["read"] }\npath "signing/sign/models" { capabilities = ["update"] }'
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with temporary_lab(tmp_path_factory.mktemp("signing") / "state", only=["openbao"]) as running:
        transit: Any = running.vault().secrets.transit
        running.vault().sys.enable_secrets_engine("transit", path="signing")
        transit.create_key("models", key_type="ecdsa-p256", mount_point="signing")
        transit.create_key("sealing", key_type="aes256-gcm96", mount_point="signing")
        running.vault().sys.create_or_update_policy("may-sign", MAY_SIGN)
        yield running


@pytest.fixture
def vault(lab: RunningLab, monkeypatch: pytest.MonkeyPatch) -> hvac.Client:
    """The lab's Vault, and an environment whose token may sign with one key and do nothing else."""
    admin = lab.vault()
    token = admin.auth.token.create(policies=["may-sign"], ttl="10m")["auth"]["client_token"]
    for name, value in (("VAULT_ADDR", lab.env["VAULT_ADDR"]), ("VAULT_CACERT", lab.env["VAULT_CACERT"])):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VAULT_TOKEN", token)
    return admin


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "income"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(b"weights" * 1000)
    (folder / "config.pbtxt").write_text('name: "income"\n')
    return folder


@pytest.mark.usefixtures("vault")
def test_a_model_that_vault_signed_loads_with_the_public_key_alone(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = open_signer("vault:signing/models")
    digest = sign_model(model, signer)
    public = signer.public_pem
    monkeypatch.delenv("VAULT_ADDR")
    assert load_signed(model, public).digest == digest
    (model / "config.pbtxt").write_text("changed")
    with pytest.raises(RefusedError, match="Hash mismatch"):
        load_signed(model, public)


@pytest.mark.usefixtures("vault")
def test_openssf_model_signing_verifies_what_vault_signed(model: Path, tmp_path: Path) -> None:
    from model_signing import verifying

    signer = open_signer("vault:signing/models")
    sign_model(model, signer)
    (tmp_path / "key.pem").write_bytes(signer.public_pem)
    verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "key.pem").verify(model, model / "model.sig")


def test_a_key_that_is_rotated_meanwhile_signs_what_its_public_key_verifies(vault: hvac.Client) -> None:
    transit: Any = vault.secrets.transit
    before = open_signer("vault:signing/models")
    transit.rotate_key("models", mount_point="signing")
    after = open_signer("vault:signing/models")

    assert before.public_pem != after.public_pem
    verify(before.public_pem, b"payload", before.sign(b"payload"))
    verify(after.public_pem, b"payload", after.sign(b"payload"))
    with pytest.raises(RefusedError, match="not made over this content"):
        verify(before.public_pem, b"payload", after.sign(b"payload"))


def test_a_key_of_another_type_one_that_is_not_there_and_one_that_may_not_be_used_are_refused(
    vault: hvac.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match=r"vault:signing/sealing cannot be used for signing.*permission denied"):
        open_signer("vault:signing/sealing")
    monkeypatch.setenv("VAULT_TOKEN", vault.token)
    with pytest.raises(RefusedError, match="type ecdsa-p256"):
        open_signer("vault:signing/sealing")
    with pytest.raises(TrainingError, match="vault:signing/missing cannot be used"):
        open_signer("vault:signing/missing")
