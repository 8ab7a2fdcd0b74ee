"""Key sources: what wraps and unwraps data keys. The key that wraps never leaves its service.

``aws-kms:ARN``      a key of AWS KMS, of one region
``vault:MOUNT/KEY``  a key of Vault's or OpenBao's transit engine
``file:PATH``        32 bytes in base64 in a file of mode 0600: for laptops
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from falaj.training.errors import RefusedError

ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:(?P<kind>[a-z]+)/(?P<id>.+)")
REMEDY = "must be aws-kms:ARN, vault:MOUNT/KEY or file:PATH"


class KeySource(Protocol):
    """Makes data keys and opens those that it made."""

    @property
    def name(self) -> str:
        """Which key this is; it stands in clear beside what is sealed."""
        ...

    def new(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return a new data key of 32 bytes, in clear and wrapped, that belongs to ``context``.

        Raises ``RefusedError`` where the key may not be used, ``TrainingError`` where its service does not answer.
        """
        ...

    def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """Return the data key in clear.

        Raises ``RefusedError`` where this key or ``context`` is not the one that it was made with, ``TrainingError``
        where the key's service does not answer.
        """
        ...


def check_key(uri: str, region: str | None) -> None:
    """Refuse a key that is not named as this module says, or that is not confined to ``region``.

    ``region`` is where the data must stay: with AWS KMS it must be said, and be the key's own.
    """
    kind, _, rest = uri.partition(":")
    if kind == "aws-kms":
        check_arn(rest, region)
    elif kind not in ("vault", "file") or not rest or (kind == "vault" and not all(rest.rpartition("/"))):
        raise RefusedError("key", uri, REMEDY)


def check_arn(arn: str, region: str | None) -> str:
    """Return the region of a KMS key; refuse one elsewhere, one with replicas, and an alias that may change its key."""
    match = ARN.fullmatch(arn)
    if match is None or match["kind"] != "key":
        raise RefusedError("key", arn, "must be the ARN of a KMS key (not of an alias, which may come to mean another)")
    if match["id"].startswith("mrk-"):
        raise RefusedError("key", arn, "must be a key of one region: a multi-Region key can be copied out of it")
    if region is None:
        raise RefusedError("region", region, f"must say where the data stays, for example {match['region']}")
    if match["region"] != region:
        raise RefusedError("key", arn, f"must be a key in {region}, the region that the data must stay in")
    return region


def open_keys(uri: str, *, base: Path = Path(), region: str | None = None) -> KeySource:
    """Return the key source that ``uri`` names; a relative path is relative to ``base``.

    Raises ``RefusedError`` for a name, a region or a key file that is not acceptable. No service is asked yet.
    """
    check_key(uri, region)
    kind, _, rest = uri.partition(":")
    # Only the source that is used is loaded: boto3 alone takes a third of a second.
    if kind == "aws-kms":
        from falaj.training.sealing.kms import KmsKeys  # noqa: PLC0415

        return KmsKeys(rest)
    if kind == "vault":
        from falaj.training.sealing.vault import VaultKeys  # noqa: PLC0415

        mount, _, key = rest.rpartition("/")
        return VaultKeys(mount, key)
    from falaj.training.sealing.key_file import FileKeys  # noqa: PLC0415

    return FileKeys(base / rest)
