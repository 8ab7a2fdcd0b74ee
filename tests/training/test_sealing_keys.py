"""Keys: which are acceptable, and what they open."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.sealing import DamagedError, KeySource, check_key, new_data_key, open_keys, seal, unseal

CONTEXT = {"job": "tabular", "step": "30", "purpose": "checkpoint"}
ARN = "arn:aws:kms:me-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def key_file(path: Path, mode: int = 0o600, text: bytes | None = None) -> Path:
    path.write_bytes(base64.b64encode(os.urandom(32)) + b"\n" if text is None else text)
    path.chmod(mode)
    return path


@pytest.fixture
def keys(tmp_path: Path) -> KeySource:
    key_file(tmp_path / "key")
    return open_keys("file:key", base=tmp_path)


@pytest.mark.parametrize(
    ("uri", "region", "message"),
    [
        ("plain", None, r"key must be aws-kms:ARN, vault:MOUNT/KEY or file:PATH \(got 'plain'\)"),
        ("file:", None, "key must be"),
        ("vault:transit", None, "key must be"),
        ("vault:/checkpoints", None, "key must be"),
        ("aws-kms:alias/checkpoints", "me-central-1", "must be the ARN of a KMS key"),
        (f"aws-kms:{ARN.replace('key/', 'alias/')}", "me-central-1", "not of an alias"),
        (f"aws-kms:{ARN}", None, "region must say where the data stays, for example me-central-1"),
        (f"aws-kms:{ARN}", "me-south-1", "must be a key in me-south-1, the region that the data must stay in"),
        (f"aws-kms:{ARN.replace('1234abcd', 'mrk-1234')}", "me-central-1", "a multi-Region key can be copied out"),
    ],
)
def test_a_key_that_is_not_acceptable_is_refused_by_its_name(uri: str, region: str | None, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        check_key(uri, region)


@pytest.mark.parametrize("uri", [f"aws-kms:{ARN}", "vault:transit/checkpoints", "vault:team/transit/key", "file:key"])
def test_a_key_at_home_is_acceptable(uri: str) -> None:
    check_key(uri, "me-central-1")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o700])
def test_a_key_file_that_others_could_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path / "key", mode)
    with pytest.raises(RefusedError, match=f"must be your own file, of mode 0600 .got '{path}, mode {mode:04o}"):
        open_keys(f"file:{path}")


@pytest.mark.parametrize(
    "text", [b"", b"short", base64.b64encode(bytes(31)), base64.b64encode(bytes(33)), b"\xff" * 44]
)
def test_a_file_that_holds_no_key_is_refused_and_how_to_make_one_is_said(tmp_path: Path, text: bytes) -> None:
    path = key_file(tmp_path / "key", text=text)
    with pytest.raises(RefusedError, match=rf"32 bytes in base64.*umask 077; openssl rand -base64 32 > {path}"):
        open_keys(f"file:{path}")


def test_a_missing_key_file_is_refused_and_how_to_make_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="make one by"):
        open_keys("file:absent", base=tmp_path)


def test_a_data_key_opens_with_its_key_and_context_only(tmp_path: Path, keys: KeySource) -> None:
    key, wrapped = keys.new(CONTEXT)
    assert len(key) == 32
    assert key not in wrapped
    assert keys.unwrap(wrapped, dict(reversed(CONTEXT.items()))) == key
    for wrong in ({**CONTEXT, "step": "31"}, {}, {**CONTEXT, "more": "1"}):
        with pytest.raises(RefusedError, match="must be the key that sealed it"):
            keys.unwrap(wrapped, wrong)
    other = open_keys(f"file:{key_file(tmp_path / 'other')}")
    assert other.name != keys.name
    for wrong_wrapped in (b"", wrapped[:11], wrapped[:-1]):
        with pytest.raises(RefusedError):
            keys.unwrap(wrong_wrapped, CONTEXT)
    with pytest.raises(RefusedError):
        other.unwrap(wrapped, CONTEXT)


def test_no_two_data_keys_are_alike(keys: KeySource) -> None:
    assert len({keys.new(CONTEXT)[0] for _ in range(20)}) == 20


def test_an_envelope_opens_to_what_was_sealed_and_says_nothing_of_it(keys: KeySource) -> None:
    envelope = seal(b"planted" * 10, new_data_key(keys, CONTEXT), "manifest")
    assert unseal(envelope, keys, CONTEXT, "manifest", "it")[1] == b"planted" * 10
    assert b"planted" not in envelope
    assert b'"step": "30"' in envelope


def test_a_data_key_is_not_shown_where_it_is_printed(keys: KeySource) -> None:
    made = new_data_key(keys, CONTEXT)
    assert repr(made.key) not in repr(made)


def test_an_envelope_is_for_one_context_and_purpose(keys: KeySource) -> None:
    envelope = seal(b"body", new_data_key(keys, CONTEXT), "manifest")
    with pytest.raises(DamagedError, match=r"it is another envelope, put in its place: it is for .*'step': '30'"):
        unseal(envelope, keys, {**CONTEXT, "step": "31"}, "manifest", "it")
    with pytest.raises(DamagedError):
        unseal(envelope, keys, CONTEXT, "another document", "it")


def test_another_key_is_refused_and_the_right_one_is_named(tmp_path: Path, keys: KeySource) -> None:
    envelope = seal(b"body", new_data_key(keys, CONTEXT), "manifest")
    other = open_keys(f"file:{key_file(tmp_path / 'other')}")
    with pytest.raises(RefusedError, match=f"must be the key that sealed it, which is {keys.name}"):
        unseal(envelope, other, CONTEXT, "manifest", "it")


@given(at=st.integers(0, 100_000), bit=st.integers(0, 7))
def test_no_bit_of_an_envelope_can_be_flipped(tmp_path_factory: pytest.TempPathFactory, at: int, bit: int) -> None:
    keys = open_keys(f"file:{key_file(tmp_path_factory.mktemp('keys') / 'key')}")
    envelope = bytearray(seal(b"body" * 20, new_data_key(keys, CONTEXT), "manifest"))
    envelope[at % len(envelope)] ^= 1 << bit
    with pytest.raises(DamagedError):
        unseal(bytes(envelope), keys, CONTEXT, "manifest", "it")


@pytest.mark.parametrize("length", [0, 1, 50, 79, 80, 200, 300])
def test_an_envelope_that_was_cut_off_is_damaged(keys: KeySource, length: int) -> None:
    envelope = seal(b"body" * 20, new_data_key(keys, CONTEXT), "manifest")
    with pytest.raises(DamagedError):
        unseal(envelope[:length], keys, CONTEXT, "manifest", "it")


@pytest.mark.parametrize("address", ["", "http://vault.example:8200", "ftp://127.0.0.1"])
def test_vault_is_asked_over_https_only(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("VAULT_ADDR", address)
    with pytest.raises(RefusedError, match="VAULT_ADDR must be an https address: data keys travel to it in clear"):
        open_keys("vault:transit/key")


def test_a_key_service_that_does_not_answer_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    keys = open_keys("vault:transit/key")
    with pytest.raises(TrainingError, match=r"Vault at http://127\.0\.0\.1:1 did not answer") as caught:
        keys.new(CONTEXT)
    assert not isinstance(caught.value, RefusedError)


@pytest.mark.parametrize(
    ("code", "status", "refused"),
    [
        ("AccessDeniedException", 400, True),
        ("DisabledException", 400, True),
        ("IncorrectKeyException", 400, True),
        ("InvalidCiphertextException", 400, True),
        ("ThrottlingException", 400, False),
        ("KMSInternalException", 500, False),
        ("Whatever", 503, False),
    ],
)
def test_kms_refuses_or_does_not_answer_and_both_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, code: str, status: int, refused: bool
) -> None:
    from botocore.exceptions import ClientError

    class Kms:
        def decrypt(self, **told: Any) -> Any:
            raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Decrypt")  # type: ignore[typeddict-item]

    monkeypatch.setattr("boto3.client", lambda *told, **more: Kms())
    keys = open_keys(f"aws-kms:{ARN}", region="me-central-1")
    with pytest.raises(TrainingError) as caught:
        keys.unwrap(b"wrapped", CONTEXT)
    assert isinstance(caught.value, RefusedError) == refused
    assert code in str(caught.value)
