"""Publishing: a verified folder becomes the next immutable version of a model in a tenant's store."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from falaj.training.errors import RefusedError
from falaj.training.lineage.digests import bytes_digest
from falaj.training.lineage.signatures import fingerprint
from falaj.training.lineage.signed_models import SIGNATURE
from falaj.training.sealing import DataKey, KeySource, SealedWriter, new_data_key, seal
from falaj.training.serving.manifest import Classification, Judged, Manifest, SealedFile, context, file_context
from falaj.training.serving.progress import Transfer
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.repository import check_repository
from falaj.training.serving.verification import Trust, Verified, verified
from falaj.training.serving.versions import Opened, Versions

_LEVELS: tuple[Classification, ...] = ("public", "internal", "confidential", "restricted")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Publication:
    """What came of publishing."""

    manifest: Manifest
    """The version."""
    digest: str
    """Digest of its sealed manifest."""
    new: bool
    """Whether it was not there before."""


def publish(
    folder: Path,
    versions: Versions,
    keys: KeySource,
    trust: Trust,
    *,
    who: Mapping[str, str],
    classification: Classification | None = None,
    known: Mapping[int, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Publication:
    """Verify a model's folder and publish it as the next version; return the version that it is, or is already.

    ``classification`` is the strictest of its data where it is left out. ``known`` are digests of the models of
    versions, so that fewer manifests are opened to see whether it is there already. Nothing is written where it is
    refused: `RefusedError` for a malformed folder or a classification that is too low, `NotServedError` for what is
    not signed or did not pass the gate.
    """
    check_repository(folder, versions.model)
    checked = verified(folder, trust)
    level = _classification(checked, classification)
    same = _already(checked.model.digest, versions, keys, known or {})
    if same is not None:
        return Publication(same.manifest, same.digest, new=False)
    number = versions.claim(who)
    try:
        key = new_data_key(keys, context(versions.tenant, versions.model, number))
        files = _seal_files(checked, versions, number, key, say)
    except BaseException:
        with suppress(OSError):
            versions.discard(number)
        raise
    manifest = Manifest(
        tenant=versions.tenant,
        model=versions.model,
        version=number,
        classification=level,
        model_digest=checked.model.digest,
        signed_by=fingerprint(trust.signing),
        verdict=Judged(
            digest=checked.verdict_digest,
            outcome="pass",
            who=checked.verdict.who,
            expires=checked.verdict.expires,
        ),
        published=datetime.now(UTC).replace(microsecond=0),
        who=dict(who),
        files=files,
    )
    sealed = seal(manifest.model_dump_json().encode(), key, versions.place(number))
    versions.store.create(versions.place(number), sealed)
    return Publication(manifest, bytes_digest(sealed), new=True)


def _classification(checked: Verified, said: Classification | None) -> Classification:
    """Return how confidential a model is: as the strictest of its data, or more; what nobody knows is restricted."""
    data = [each.classification for each in checked.facts.data] if checked.facts is not None else []
    known: list[Classification] = [each for each in _LEVELS if data.count(each)]
    if said is None:
        return known[-1] if known and all(each in _LEVELS for each in data) else "restricted"
    if known and _LEVELS.index(said) < _LEVELS.index(known[-1]):
        raise RefusedError("--classification", said, f"must be {known[-1]} or higher, as the data it was made from")
    return said


def _already(digest: str, versions: Versions, keys: KeySource, known: Mapping[int, str]) -> Opened | None:
    """Return the version that is this very model; a version whose model is known to be another is not opened."""
    numbers = versions.numbers()
    for number in reversed(numbers):
        if known.get(number, digest) != digest and number != numbers[-1]:
            continue
        found = versions.open(number, keys)
        if found.manifest.model_digest == digest:
            return found
    return None


def _seal_files(
    checked: Verified, versions: Versions, number: int, key: DataKey, say: Callable[[str], None]
) -> dict[str, SealedFile]:
    folder = checked.model.folder
    paths: Sequence[str] = [*sorted(checked.model.files), SIGNATURE]
    total = sum((folder / path).stat().st_size for path in paths)
    transfer = Transfer(f"publishing {versions.model} {number}", total, say)
    sealed: dict[str, SealedFile] = {}
    for path in paths:
        bound = file_context(versions.tenant, versions.model, number, path)
        with (
            open(folder / path, "rb", opener=_no_link) as clear,
            versions.store.write(versions.file(number, path)) as file,
        ):
            sealed[path] = _seal_file(clear, file, key.key, bound, transfer)
            # Inside the `with`: what was changed since its signature was verified never appears in the store.
            if sealed[path].digest != checked.model.files.get(path, sealed[path].digest):
                remedy = "was changed since its signature was verified"
                raise NotServedError("tampered", "model", str(folder / path), remedy)
    return sealed


def _seal_file(clear: BinaryIO, file: BinaryIO, key: bytes, bound: bytes, transfer: Transfer) -> SealedFile:
    digest = hashlib.sha256()
    with SealedWriter(file, key, bound) as stream:
        while part := clear.read(_CHUNK):
            digest.update(part)
            stream.write(part)
            transfer.add(len(part))
    return SealedFile(
        bytes=stream.tell(),
        digest=f"sha256:{digest.hexdigest()}",
        sealed_bytes=stream.size,
        header=stream.header.hex(),
    )


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)
