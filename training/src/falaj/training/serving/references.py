"""The reference of a published version, for the drift watch: two small files of it, and not the model."""

from falaj.training.lineage.digests import bytes_digest
from falaj.training.lineage.signed_models import SIGNATURE
from falaj.training.sealing import DamagedError, KeySource, SealedReader
from falaj.training.serving.manifest import damaged, file_context
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.verification import Trust, signed_digests
from falaj.training.serving.versions import Opened, Versions
from falaj.training.watch.reference import LARGEST, REFERENCE, Reference, decoded


def read_reference(versions: Versions, number: int, keys: KeySource, trust: Trust) -> Reference | None:
    """Return what a version's inputs and predictions were like when it was judged; None where it does not say so.

    The reference is what the trusted key signed: who can seal cannot put another in its place, by which no drift would
    be seen. Raises `NotServedError` with the reason where it is not.
    """
    opened = versions.open(number, keys)
    if REFERENCE not in opened.manifest.files:
        return None
    place = versions.place(number)
    if SIGNATURE not in opened.manifest.files:
        raise NotServedError("unsigned", "model", place, f"must be signed: there is no file {SIGNATURE} in it")
    content = _file(versions, opened, REFERENCE)
    signed = signed_digests(_file(versions, opened, SIGNATURE), trust.signing, place)
    if signed.get(REFERENCE) != bytes_digest(content):
        raise NotServedError("tampered", REFERENCE, place, "must be as the trusted key signed it")
    return decoded(content)


def _file(versions: Versions, opened: Opened, path: str) -> bytes:
    manifest, told = opened.manifest, opened.manifest.files[path]
    place = versions.file(manifest.version, path)
    try:
        size = versions.store.size(place)
        if size != told.sealed_bytes or size > 2 * LARGEST:
            raise DamagedError(f"{place} has {size} bytes in place of {told.sealed_bytes}")
        with versions.store.read(place) as raw:
            return SealedReader(
                raw,
                size,
                opened.key.key,
                file_context(manifest.tenant, manifest.model, manifest.version, path),
                name=place,
                header=bytes.fromhex(told.header),
            ).readall()
    except FileNotFoundError as error:
        raise damaged(place, FileNotFoundError("it is not there")) from error
    except DamagedError as error:
        raise damaged(place, error) from error
