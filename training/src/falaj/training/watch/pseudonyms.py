"""Pseudonyms: names that are the same for the same person, and say nothing to who has not the key.

The key lies sealed beside the samples. Who may not open it can tell that two samples are of one caller, and not of
whom; when it is removed, nobody can any more.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from falaj.training.sealing import KeySource, new_data_key, seal, unseal
from falaj.training.stores import Store

KEY_BYTES = 32
_LARGEST = 1 << 16


@dataclass(frozen=True)
class Pseudonyms:
    """Makes pseudonyms with one key."""

    key: bytes = field(repr=False)

    def of(self, kind: str, value: bytes) -> str:
        """Return the pseudonym of a value among those of its kind: 32 hexadecimal digits of HMAC-SHA-256."""
        return hmac.new(self.key, kind.encode() + b"\0" + value, hashlib.sha256).hexdigest()[:32]

    def of_caller(self, certificate: str | None) -> str | None:
        """Return the pseudonym of a caller, of whom the gateway tells as Envoy does; None where it tells nothing."""
        return None if not certificate else self.of("caller", caller_name(certificate).encode())


def open_pseudonyms(store: Store, keys: KeySource, *, tenant: str, model: str) -> Pseudonyms:
    """Return the pseudonyms of a model's samples; their key is made when it is first asked for."""
    place = f"{model}/samples/pseudonyms.sealed"
    context = {"purpose": "drift pseudonyms", "tenant": tenant, "model": model}
    try:
        return _opened(store, keys, place, context)
    except FileNotFoundError:
        sealed = seal(secrets.token_bytes(KEY_BYTES), new_data_key(keys, context), place)
    with suppress(FileExistsError):  # another watch made it meanwhile, and its is the one
        store.create(place, sealed)
    return _opened(store, keys, place, context)


def _opened(store: Store, keys: KeySource, place: str, context: Mapping[str, str]) -> Pseudonyms:
    with store.read(place) as file:
        return Pseudonyms(unseal(file.read(_LARGEST), keys, context, place, place)[1])


def caller_name(certificate: str) -> str:
    """Return what of a caller stays when its certificate is renewed: its URI, else its names, else its subject.

    ``certificate`` is Envoy's `x-forwarded-client-cert`; of several, the last one is who came to the gateway.
    """
    last = re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', certificate)[-1]
    parts = re.findall(r'(?:^|;)\s*(URI|DNS|Subject)=("(?:[^"\\]|\\.)*"|[^;]*)', last, re.IGNORECASE)
    for wanted in ("uri", "dns", "subject"):
        found = sorted(value for name, value in parts if name.lower() == wanted and value.strip('"'))
        if found:
            return f"{wanted}:{','.join(found)}"
    return certificate
