"""The manifest of a published version: what it consists of, who answers for it, and what the gate said.

It is sealed like the files and written last, so that a version is there whole or not at all. The data key that opens
it opens the files, each bound to tenant, model, version and path: nothing that lies elsewhere passes for it.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, ValidationError

from falaj.training.errors import RefusedError
from falaj.training.lineage.digests import DIGEST
from falaj.training.sealing import DamagedError, DataKey, KeySource, unseal
from falaj.training.sealing.envelope import split
from falaj.training.section import Section
from falaj.training.serving.refusals import NotServedError

Classification = Literal["public", "internal", "confidential", "restricted"]
Digest = Annotated[str, Field(pattern=DIGEST)]


class SealedFile(Section):
    """One file of a model, as it was and as it lies in the store."""

    bytes: int = Field(ge=0)
    """Its size in clear."""
    digest: Digest
    """SHA-256 of its bytes in clear."""
    sealed_bytes: int = Field(ge=1)
    """Its size in the store."""
    header: str = Field(pattern=r"^[0-9a-f]{80}$")
    """How the sealed stream begins, in hexadecimal: the one that does, and no other, belongs here."""


class Judged(Section):
    """The gate's verdict about a model."""

    digest: Digest
    """Digest of the verdict's file."""
    outcome: Literal["pass"]
    """What it says; a model of another verdict is not published."""
    who: str
    """Who or what ran the gate."""
    expires: AwareDatetime
    """Until when a model could be published by it."""


class Manifest(Section):
    """A published version."""

    format: Literal[1] = 1
    """Version of this form."""
    tenant: str
    """Whose it is."""
    model: str
    """Its name."""
    version: int = Field(ge=1)
    """Its number."""
    classification: Classification
    """How confidential it is."""
    model_digest: Digest
    """Digest over all its files, which the signature is about."""
    signed_by: str
    """SHA-256 of the public key that verified its signature, in hexadecimal."""
    verdict: Judged
    """What the gate said of it."""
    published: AwareDatetime
    """When."""
    who: Mapping[str, str]
    """By whom, as far as it is known."""
    files: dict[str, SealedFile] = Field(min_length=1)
    """Its files by their paths."""

    @property
    def size(self) -> int:
        """Bytes of all files in clear."""
        return sum(file.bytes for file in self.files.values())


def context(tenant: str, model: str, version: int) -> dict[str, str]:
    """Return what the data key of a version is for; the key service sees it, and opens the key for nothing else."""
    return {"purpose": "served model", "tenant": tenant, "model": model, "version": str(version)}


def file_context(tenant: str, model: str, version: int, path: str) -> bytes:
    """Return what a file's stream is bound to."""
    return "\0".join(("falaj served file", tenant, model, str(version), path)).encode()


def open_manifest(
    envelope: bytes, keys: KeySource, place: str, *, tenant: str, model: str, version: int
) -> tuple[DataKey, Manifest]:
    """Return the data key and the manifest of a version; ``place`` is its name in the store.

    Raises `NotServedError` where it is of another tenant, or is not what was written there, and `RefusedError` where
    ``keys`` is not the key that sealed it.
    """
    wanted = context(tenant, model, version)
    owner = _told(envelope, place).get("tenant")
    if owner != tenant:
        raise NotServedError("other-tenant", "--tenant", tenant, f"must be the model's, and {place} is of {owner!r}")
    try:
        key, body = unseal(envelope, keys, wanted, place, place)
        found = Manifest.model_validate_json(body)
    except DamagedError as error:
        raise damaged(place, error) from error
    except ValidationError as error:
        raise RefusedError(place, "its form", "must be read by the release of falaj-serve that wrote it") from error
    assert (found.tenant, found.model, found.version) == (tenant, model, version), "it is bound to them"
    return key, found


def damaged(place: str, error: Exception) -> NotServedError:
    """Return the refusal for something in the store that is not as it was written."""
    return NotServedError("tampered", "store", place, f"must be as it was published: {error}")


def _told(envelope: bytes, place: str) -> Mapping[str, str]:
    """Return whom an envelope claims to be for, which is proven when it is opened."""
    try:
        _, line, _ = split(envelope, place)
        return dict(json.loads(line)["context"])
    except DamagedError as error:
        raise damaged(place, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(place, ValueError("its first lines are not an envelope's")) from error
