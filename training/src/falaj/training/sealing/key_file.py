"""A key in a local file, for laptops and tests: whoever reads the file reads everything."""

import base64
import binascii
import hashlib
import hmac
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from falaj.training.errors import RefusedError

KEY_BYTES = 32
NONCE_BYTES = 12


class FileKeys:
    """Wraps data keys by AES-256-GCM under the key of a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self._key = read_key(path)
        self._path = path

    @property
    def name(self) -> str:
        """The key's fingerprint: files of the same contents are the same key."""
        return "file:" + hmac.digest(self._key, b"falaj key fingerprint", hashlib.sha256)[:8].hex()

    def new(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return a new data key, in clear and wrapped."""
        key, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES)
        return key, nonce + AESGCM(self._key).encrypt(nonce, key, canonical(context))

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Return the data key in clear; refuse one of another file or context."""
        try:
            return AESGCM(self._key).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], canonical(context))
        except (InvalidTag, ValueError):
            raise RefusedError("key", str(self._path), "must be the key that sealed it") from None


def read_key(path: Path) -> bytes:
    """Return the key of a file; refuse one that others could read, or that is no key."""
    make = f"make one by: (umask 077; openssl rand -base64 32 > {path})"
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_IMODE(status.st_mode) & 0o177 or status.st_uid != os.geteuid():
                raise RefusedError(
                    "key", f"{path}, mode {stat.S_IMODE(status.st_mode):04o}", "must be your own file, of mode 0600"
                )
            key = base64.b64decode(file.read(1024), validate=False)
    except (OSError, binascii.Error) as error:
        raise RefusedError("key", str(path), f"must be a file with 32 bytes in base64; {make}") from error
    if len(key) != KEY_BYTES:
        raise RefusedError("key", str(path), f"must hold 32 bytes in base64, not {len(key)}; {make}")
    return key


def canonical(context: Mapping[str, str]) -> bytes:
    """Return the one way to write a context as bytes."""
    return json.dumps(dict(context), sort_keys=True, separators=(",", ":")).encode()
