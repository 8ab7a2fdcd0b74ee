"""The transit engine of Vault or OpenBao as the key source; found by VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, Unauthorized, VaultError

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.sealing.key_file import canonical
from falaj.training.vault_client import vault_client

TAG_BYTES = 16


class VaultKeys:
    """Data keys under one transit key.

    Transit binds a data key to its context only where the key is ``derived``; so each wrapped key carries a code that
    binds it in any case.
    """

    def __init__(self, mount: str, key: str) -> None:
        self._mount, self._key = mount, key
        self._client = vault_client("data keys travel to it in clear")

    @property
    def name(self) -> str:
        """The key by its mount and name."""
        return f"vault:{self._mount}/{self._key}"

    def new(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return a new data key, in clear and wrapped."""
        told = self._ask(
            self._client.secrets.transit.generate_data_key, key_type="plaintext", bits=256, context=encoded(context)
        )
        key = base64.b64decode(told["plaintext"])
        return key, code(key, context) + told["ciphertext"].encode()

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Return the data key in clear; refuse one of another key or context."""
        told = self._ask(
            self._client.secrets.transit.decrypt_data,
            ciphertext=wrapped[TAG_BYTES:].decode(errors="replace"),
            context=encoded(context),
        )
        key = base64.b64decode(told["plaintext"])
        if not hmac.compare_digest(code(key, context), wrapped[:TAG_BYTES]):
            raise RefusedError("key", self.name, f"must be used for what it was made for, not for {dict(context)}")
        return key

    def _ask(self, action: Callable[..., Any], **told: Any) -> Mapping[str, str]:
        try:
            return action(name=self._key, mount_point=self._mount, **told)["data"]
        except (Forbidden, Unauthorized, InvalidPath, InvalidRequest) as error:
            said = "; ".join(error.errors or []) or type(error).__name__
            remedy = f"must be a transit key that this job may use for what it seals: Vault answered {said}"
            raise RefusedError("key", self.name, remedy) from error
        except (VaultError, requests.RequestException) as error:
            raise TrainingError(f"Vault at {self._client.url} did not answer: {error}") from error


def code(key: bytes, context: Mapping[str, str]) -> bytes:
    """Return what binds a data key to its context."""
    return hmac.digest(key, b"falaj key context\0" + canonical(context), hashlib.sha256)[:TAG_BYTES]


def encoded(context: Mapping[str, str]) -> str:
    """Return a context as transit takes it."""
    return base64.b64encode(canonical(context)).decode()
