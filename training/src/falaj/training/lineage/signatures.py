"""Signing with ECDSA on P-256 and SHA-256: with a key in a file, or with one that never leaves Vault's transit.

Both give the same DER signatures over the same bytes, so whoever verifies needs only the public key.
"""

import base64
import os
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.vault_client import vault_client

KINDS = "must be file:PATH of a PEM private key, or vault:MOUNT/KEY of a transit key"
PASSWORD = "FALAJ_SIGNING_PASSWORD"  # noqa: S105 - the name of the variable, not what it holds
ECDSA = ec.ECDSA(hashes.SHA256())


class Signer(Protocol):
    """A private key that can be used but not seen."""

    @property
    def public_pem(self) -> bytes:
        """The public key as PEM (SubjectPublicKeyInfo): what `verify` takes."""
        ...

    def sign(self, payload: bytes) -> bytes:
        """Return the DER signature over ``payload``; raise `TrainingError` where the key cannot be reached."""
        ...


def open_signer(uri: str, field: str = "signing.key", *, base: Path = Path()) -> Signer:
    """Open the private key that ``uri`` names.

    ``file:PATH`` (relative to ``base``) is a PEM private key on P-256 that is not open to everybody; where it is
    encrypted, FALAJ_SIGNING_PASSWORD opens it. ``vault:MOUNT/KEY`` is a transit key of type ``ecdsa-p256`` in the
    Vault or OpenBao that VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT name. Raises `RefusedError` about ``field`` for
    another kind, a key that is missing, open to everybody, or of another type.
    """
    kind, _, rest = uri.partition(":")
    if kind == "file" and rest:
        return FileSigner(base / rest, field)
    if kind == "vault" and all(rest.rpartition("/")[::2]):
        mount, _, key = rest.rpartition("/")
        return VaultSigner(mount, key, field)
    raise RefusedError(field, uri, KINDS)


def verify(public_pem: bytes, payload: bytes, signature: bytes) -> None:
    """Accept ``signature`` over ``payload`` as made by the key of ``public_pem``, or raise `RefusedError`."""
    key = public_key(public_pem)
    try:
        key.verify(signature, payload, ECDSA)
    except InvalidSignature:
        found = fingerprint(public_pem)
        raise RefusedError("signature", found, "was not made over this content by the key with this digest") from None


def public_key(public_pem: bytes) -> ec.EllipticCurvePublicKey:
    """Read a public key on P-256; raise `RefusedError` for anything else."""
    try:
        key = serialization.load_pem_public_key(public_pem)
    except (ValueError, UnsupportedAlgorithm):
        raise RefusedError("public key", _beginning(public_pem), "must be a PEM public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RefusedError("public key", _kind(key), "must be an ECDSA key on P-256")
    return key


def fingerprint(public_pem: bytes) -> str:
    """Return the SHA-256 of a public key's PEM, in hexadecimal: the hint by which model-signing names a key."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(_pem(public_key(public_pem)))
    return digest.finalize().hex()


def new_key(path: Path) -> bytes:
    """Write a new private key that its owner alone can read, and return its public key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(private)
    return _pem(key.public_key())


class FileSigner:
    """A private key in a PEM file."""

    def __init__(self, path: Path, field: str = "signing.key") -> None:
        self._key = _private_key(path, field)

    @property
    def public_pem(self) -> bytes:
        """The public key as PEM."""
        return _pem(self._key.public_key())

    def sign(self, payload: bytes) -> bytes:
        """Return the DER signature over ``payload``."""
        return self._key.sign(payload, ECDSA)


class VaultSigner:
    """A transit key, at the version that is its newest when it is opened: a rotation does not change it halfway."""

    def __init__(self, mount: str, key: str, field: str = "signing.key") -> None:
        self._mount = mount
        self._key = key
        self._transit: Any = vault_client("the token goes there").secrets.transit
        read = self._asked(lambda: self._transit.read_key(key, mount_point=mount)["data"])
        if read["type"] != "ecdsa-p256":
            raise RefusedError(field, read["type"], f"must name a transit key of type ecdsa-p256, and {key} is not")
        self._version = int(read["latest_version"])
        self._public = read["keys"][str(self._version)]["public_key"].encode()

    @property
    def public_pem(self) -> bytes:
        """The public key as PEM."""
        return _pem(public_key(self._public))

    def sign(self, payload: bytes) -> bytes:
        """Return the DER signature over ``payload``; the payload itself goes to Vault, which hashes it."""
        answer = self._asked(
            lambda: self._transit.sign_data(
                self._key,
                hash_input=base64.b64encode(payload).decode(),
                key_version=self._version,
                hash_algorithm="sha2-256",
                marshaling_algorithm="asn1",
                mount_point=self._mount,
            )
        )
        return base64.b64decode(answer["data"]["signature"].rpartition(":")[2])

    def _asked(self, question: Any) -> Any:
        from hvac.exceptions import VaultError  # noqa: PLC0415 - only who signs with Vault waits for its client
        from requests import RequestException  # noqa: PLC0415 - the same

        try:
            return question()
        except (VaultError, RequestException) as error:
            name, said = f"vault:{self._mount}/{self._key}", " ".join(str(error).split())
            raise TrainingError(f"{name} cannot be used for signing: {said or type(error).__name__}") from error


def _private_key(path: Path, field: str) -> ec.EllipticCurvePrivateKey:
    try:
        content, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise RefusedError(field, str(path), f"must be a file that can be read: {error.strerror}") from None
    if mode & 0o007:
        raise RefusedError(field, oct(mode & 0o777), f"must not be open to everybody: chmod 600 {path}")
    password = os.environ.get(PASSWORD)
    try:
        key = serialization.load_pem_private_key(content, password.encode() if password else None)
    except TypeError:
        remedy = f"must be encrypted exactly when {PASSWORD} holds its password"
        raise RefusedError(field, str(path), remedy) from None
    except (ValueError, UnsupportedAlgorithm):
        raise RefusedError(field, str(path), "must be a PEM private key that its password opens") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RefusedError(field, _kind(key), "must be an ECDSA key on P-256")
    return key


def _pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _kind(key: object) -> str:
    curve = getattr(key, "curve", None)
    return curve.name if isinstance(curve, ec.EllipticCurve) else type(key).__name__.strip("_")


def _beginning(content: bytes) -> str:
    return content[:40].decode("ascii", "replace")
