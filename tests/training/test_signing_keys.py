"""Keys that sign: what they accept, what they refuse, and that nothing else verifies."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.lineage.signatures import fingerprint, new_key, open_signer, verify

PRIVATE = serialization.PrivateFormat.PKCS8


def written(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b"") -> Path:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, PRIVATE, lock))
    path.chmod(0o600)
    return path


def test_a_new_key_belongs_to_its_owner_alone_and_signs_what_its_public_key_verifies(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key.pem")
    signer = open_signer("file:key.pem", base=tmp_path)

    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert signer.public_pem == public
    verify(public, b"payload", signer.sign(b"payload"))


def test_a_new_key_never_replaces_one_that_is_there(tmp_path: Path) -> None:
    new_key(tmp_path / "key.pem")
    with pytest.raises(FileExistsError):
        new_key(tmp_path / "key.pem")


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, bytes]:
    folder = tmp_path_factory.mktemp("keys")
    public = new_key(folder / "key.pem")
    payload = b'{"verdict": "pass"}'
    return public, payload, open_signer(f"file:{folder / 'key.pem'}").sign(payload)


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), part=st.sampled_from(["payload", "signature"]))
def test_no_flipped_bit_of_payload_or_signature_verifies(
    signed: tuple[bytes, bytes, bytes], place: int, bit: int, part: str
) -> None:
    public, payload, signature = signed
    changed = bytearray(payload if part == "payload" else signature)
    changed[place % len(changed)] ^= 1 << bit
    with pytest.raises(RefusedError, match="not made over this content"):
        verify(public, *((bytes(changed), signature) if part == "payload" else (payload, bytes(changed))))


def test_another_key_does_not_verify(signed: tuple[bytes, bytes, bytes], tmp_path: Path) -> None:
    _, payload, signature = signed
    other = new_key(tmp_path / "other.pem")
    with pytest.raises(RefusedError, match=fingerprint(other)):
        verify(other, payload, signature)


def test_a_public_key_of_another_kind_is_refused(signed: tuple[bytes, bytes, bytes]) -> None:
    _, payload, signature = signed
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(RefusedError, match="P-256"):
            verify(key.public_key().public_bytes(encoding, form), payload, signature)
    with pytest.raises(RefusedError, match="PEM public key"):
        verify(b"not a key", payload, signature)


@pytest.mark.parametrize("uri", ["", "file:", "vault:", "vault:transit", "vault:/key", "vault:transit/", "aws-kms:arn"])
def test_a_key_of_an_unknown_kind_is_refused_with_the_kinds_there_are(uri: str) -> None:
    with pytest.raises(RefusedError, match=r"signing\.key must be file:PATH .* vault:MOUNT/KEY"):
        open_signer(uri)


def test_a_private_key_that_is_missing_open_to_all_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="can be read"):
        open_signer(f"file:{tmp_path / 'missing.pem'}")
    key = written(tmp_path / "open.pem", ec.generate_private_key(ec.SECP256R1()))
    key.chmod(0o644)
    with pytest.raises(RefusedError, match="chmod 600"):
        open_signer(f"file:{key}")
    edwards = written(tmp_path / "edwards.pem", ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(RefusedError, match="P-256"):
        open_signer(f"file:{edwards}")
    text = tmp_path / "text.pem"
    text.write_text("not a key")
    text.chmod(0o600)
    with pytest.raises(RefusedError, match="PEM private key"):
        open_signer(f"file:{text}")


def test_an_encrypted_key_opens_with_its_password_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = written(tmp_path / "locked.pem", ec.generate_private_key(ec.SECP256R1()), b"correct")
    with pytest.raises(RefusedError, match="FALAJ_SIGNING_PASSWORD"):
        open_signer(f"file:{key}")
    monkeypatch.setenv("FALAJ_SIGNING_PASSWORD", "wrong")
    with pytest.raises(RefusedError, match="password opens"):
        open_signer(f"file:{key}")
    monkeypatch.setenv("FALAJ_SIGNING_PASSWORD", "correct")
    signer = open_signer(f"file:{key}")
    verify(signer.public_pem, b"payload", signer.sign(b"payload"))


@pytest.mark.parametrize("address", ["", "http://vault.example.internal:8200", "ftp://127.0.0.1"])
def test_a_vault_that_would_get_its_token_in_clear_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", address)
    with pytest.raises(RefusedError, match="VAULT_ADDR must be an https"):
        open_signer("vault:transit/models")


def test_a_vault_that_is_away_is_an_error_with_the_keys_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "https://127.0.0.1:9")
    with pytest.raises(TrainingError, match="vault:transit/models cannot be used for signing"):
        open_signer("vault:transit/models")
