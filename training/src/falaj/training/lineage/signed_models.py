"""Signed model folders in the format of OpenSSF model-signing, and loading that verifies before it reads.

The signature is a Sigstore bundle, ``model.sig`` in the folder, over an in-toto statement with the digest of every
file. `model_signing verify key` accepts it, whether the key is a file's or Vault's: what is signed, DSSE's encoding of
the statement, is the same. Stricter than that tool, nothing is left out of the statement but the signature: it would
pass over whatever is called ``.git`` or ``.gitignore`` in a model's folder.
https://github.com/sigstore/model-transparency, https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md
"""

# ruff: noqa: PLC0415 - the library takes more than a second to import, and most commands do without it

import base64
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falaj.training.errors import RefusedError
from falaj.training.lineage.digests import bytes_digest
from falaj.training.lineage.signatures import Signer, fingerprint

SIGNATURE = "model.sig"
PREDICATE = "https://model_signing/signature/v1.0"
SERIALIZATION = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [SIGNATURE]}


@dataclass(frozen=True)
class SignedModel:
    """A model folder whose every file was found to be what its signature covers."""

    folder: Path
    """Where it is."""
    digest: str
    """One digest over all its files: the name by which verdicts, runs and registries know it."""
    files: Mapping[str, str]
    """Every file's digest, by its name in the folder."""

    def read(self, name: str) -> bytes:
        """Return a file's content, verified once more: it may have changed since the folder was."""
        if name not in self.files:
            raise RefusedError("file", name, f"must be one of the signed files of {self.folder}")
        content = (self.folder / name).read_bytes()
        if bytes_digest(content) != self.files[name]:
            raise RefusedError("model", str(self.folder / name), "was changed since its signature was verified")
        return content


def sign_model(folder: Path, signer: Signer) -> str:
    """Sign every file of ``folder``, replacing a signature that is there; return the model's digest.

    Raises `RefusedError` for a folder with symbolic links or special files in it, or with empty folders, which a
    signature could not cover.
    """
    from model_signing._signing import signing

    payload = signing.Payload(_manifest(folder))
    _signing_by(signer).sign(payload).write(folder / SIGNATURE)
    return f"sha256:{payload.statement.pb.subject[0].digest['sha256']}"


def load_signed(folder: Path, public_pem: bytes) -> SignedModel:
    """Verify a model folder by the public key of whoever must have signed it.

    Raises `RefusedError` for a folder that is unsigned, signed by another key, or in which a file was changed, added
    or removed.
    """
    bundle = _bundle(folder)
    statement = _statement(folder, bundle)
    with tempfile.TemporaryDirectory() as scratch:
        # The library reads files: it is given the very bytes that were read here.
        (Path(scratch) / "key.pem").write_bytes(public_pem)
        (Path(scratch) / SIGNATURE).write_bytes(bundle)
        _verified(folder, Path(scratch), public_pem)
    return _model(folder, statement)


def unverified_model(folder: Path) -> SignedModel:
    """Return what a folder holds now, whoever made it: its digest is right, its origin is not proven."""
    from google.protobuf import json_format
    from model_signing._signing import signing

    return _model(folder, json_format.MessageToDict(signing.Payload(_manifest(folder)).statement.pb))


def _model(folder: Path, statement: Mapping[str, Any]) -> SignedModel:
    files = {item["name"]: f"sha256:{item['digest']}" for item in statement["predicate"]["resources"]}
    return SignedModel(folder, f"sha256:{statement['subject'][0]['digest']['sha256']}", files)


def _manifest(folder: Path) -> Any:
    _check_folder(folder)
    try:
        return _hashing().hash(folder)
    except (ValueError, OSError) as error:
        raise RefusedError("model", str(folder), f"cannot be signed or verified: {error}") from None


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise RefusedError("model", str(folder), "must be the folder of an exported model")
    for path in folder.rglob("*"):
        if path.is_dir() and not any(path.iterdir()):
            raise RefusedError("model", str(path), "must not be an empty folder: no signature covers it")


def _hashing() -> Any:
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[SIGNATURE], ignore_git_paths=False)


def _signing_by(signer: Signer) -> Any:
    """Return the library's kind of signer for a key that only signs bytes: it has one for files, and none for Vault."""
    from google.protobuf import json_format
    from model_signing._signing import sign_sigstore_pb as bundles
    from sigstore_models import intoto
    from sigstore_models.bundle import v1 as bundle
    from sigstore_models.common import v1 as common

    class ByKey(bundles.Signer):
        def sign(self, payload: Any) -> Any:
            statement = json_format.MessageToJson(payload.statement.pb).encode()
            signature = base64.b64encode(signer.sign(bundles.pae(statement)))
            return bundles.Signature(
                bundle.Bundle(
                    media_type="application/vnd.dev.sigstore.bundle.v0.3+json",
                    verification_material=bundle.VerificationMaterial(
                        public_key=common.PublicKeyIdentifier(hint=fingerprint(signer.public_pem)), tlog_entries=[]
                    ),
                    dsse_envelope=intoto.Envelope(
                        payload=base64.b64encode(statement),
                        payload_type="application/vnd.in-toto+json",
                        signatures=[intoto.Signature(sig=signature, keyid="")],
                    ),
                )
            )

    return ByKey()


def _bundle(folder: Path) -> bytes:
    _check_folder(folder)
    path = folder / SIGNATURE
    if path.is_symlink() or not path.is_file():
        raise RefusedError("model", str(folder), f"must be signed: there is no file {SIGNATURE} in it")
    return path.read_bytes()


def _statement(folder: Path, bundle: bytes) -> Mapping[str, Any]:
    """Return what a bundle says, which is proven only afterwards; refuse what the library would be lenient about."""
    try:
        envelope = json.loads(bundle)["dsseEnvelope"]
        statement = json.loads(base64.b64decode(envelope["payload"], validate=True))
        fair = (
            len(envelope["signatures"]) == 1
            and statement["predicateType"] == PREDICATE
            and statement["predicate"]["serialization"] == SERIALIZATION
            and len(statement["subject"]) == 1
            and all(item["algorithm"] == "sha256" for item in statement["predicate"]["resources"])
        )
    except (ValueError, KeyError, TypeError):
        raise RefusedError("model", str(folder), f"must be signed: its {SIGNATURE} cannot be read") from None
    if not fair:
        remedy = f"must be signed by `falaj-train export`: its {SIGNATURE} leaves files out, or names none by SHA-256"
        raise RefusedError("model", str(folder), remedy)
    return statement


def _verified(folder: Path, scratch: Path, public_pem: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from model_signing import verifying

    key = fingerprint(public_pem)
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=scratch / "key.pem")
    try:
        verifier.set_hashing_config(_hashing()).verify(folder, scratch / SIGNATURE)
    except InvalidSignature:
        raise RefusedError("model", str(folder), f"must be signed by the key {key}: the signature is not its") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise RefusedError("model", str(folder), f"is not what the key {key} signed: {error}") from None
