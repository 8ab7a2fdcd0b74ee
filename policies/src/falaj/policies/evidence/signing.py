"""Keys that sign evidence: Ed25519, in PEM files."""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from falaj.policies.errors import RefusedError

_LARGEST = 1 << 16


def generate_key(path: Path) -> Path:
    """Write a new private key that only its owner may read, and beside it ``<name>.pub``, which is returned.

    Raises ``RefusedError`` where either is there already: a key that is lost can prove nothing.
    """
    public_path = path.with_name(f"{path.name}.pub")
    for each in (path, public_path):
        if each.exists():
            raise RefusedError("key", str(each), "must not be there yet: choose another name")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for each, mode, content in ((path, 0o600, private), (public_path, 0o644, public)):
        # The mode is there from the first byte on, whatever the umask is.
        with os.fdopen(os.open(each, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    return public_path


def read_private(path: Path) -> Ed25519PrivateKey:
    """Read a private key. Raises ``RefusedError`` for what is none."""
    try:
        key = load_pem_private_key(_pem(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise RefusedError(str(path), "another file", "must be an Ed25519 private key in PEM, without a passphrase")
    return key


def read_public(path: Path) -> Ed25519PublicKey:
    """Read a public key. Raises ``RefusedError`` for what is none."""
    try:
        key = load_pem_public_key(_pem(path))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise RefusedError(str(path), "another file", "must be an Ed25519 public key in PEM")
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of a public key, in hexadecimal."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def is_signature(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Return whether the signature over the content was made by the key's owner."""
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _pem(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST)
