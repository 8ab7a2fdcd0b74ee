"""Fetching: the step before a server starts. A version is opened, verified, and only then there to be loaded."""

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from falaj.training.errors import RefusedError
from falaj.training.lineage.signed_models import SIGNATURE
from falaj.training.sealing import DamagedError, KeySource, SealedReader
from falaj.training.serving.manifest import Manifest, damaged, file_context
from falaj.training.serving.progress import Transfer, size_in_words
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.repository import CONFIG, check_repository
from falaj.training.serving.triton_text import with_version
from falaj.training.serving.verification import Trust, verified
from falaj.training.serving.versions import Opened, Versions

_STAGED = ".fetching-"
_REPLACED = ".replaced-"
_CHUNK = 8 << 20
"""Bytes that are unsealed at once: several whole segments, which need no copy."""
_MARGIN = 1 << 20
"""Bytes that names and folders may take beside the files."""
_FOLDER_MODE, _FILE_MODE = 0o750, 0o640
"""The server may run as another user of the pod's group; nobody else reads what was unsealed."""


@dataclass(frozen=True)
class Fetched:
    """A version that lies where the server reads it."""

    manifest: Manifest
    """Which."""
    digest: str
    """Digest of its sealed manifest."""
    folder: Path
    """The model's folder."""


def fetch(
    versions: Versions,
    number: int,
    keys: KeySource,
    trust: Trust,
    into: Path,
    *,
    digest: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Fetched:
    """Open and verify a version, and put it into ``into`` as a model of a Triton model repository.

    ``digest`` pins the sealed manifest. The version's folder gets the version's number, and `config.pbtxt` names it as
    the one to serve; all else is as it was signed. The verdict must have been valid when the model was published: a
    server that starts again later does not fail because time has passed. Raises `NotServedError` with the reason, and
    `RefusedError` for a key that does not open it or too little room; then nothing is in ``into``.
    """
    opened = versions.open(number, keys)
    if digest is not None and opened.digest != digest:
        raise NotServedError("tampered", "--digest", digest, f"must be the manifest's, which is {opened.digest}")
    _check_paths(opened.manifest, versions.place(number))
    into.mkdir(parents=True, exist_ok=True)
    # What an attempt left that was killed: the folder is one pod's alone, and its room is memory.
    _remove(into, _STAGED)
    _remove(into, _REPLACED)
    _check_room(into, opened.manifest.size)
    staged = into / f"{_STAGED}{secrets.token_hex(8)}"
    try:
        staged.mkdir(mode=0o700)
        folder = staged / versions.model
        folder.mkdir(mode=_FOLDER_MODE)
        _unseal_files(versions, opened, folder, say)
        _verify(folder, opened.manifest, trust)
        _arrange(folder, opened.manifest)
        _appear(folder, into / versions.model)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Fetched(opened.manifest, opened.digest, into / versions.model)


def _check_paths(manifest: Manifest, place: str) -> None:
    for path in manifest.files:
        parts = PurePosixPath(path)
        if not path or parts.is_absolute() or str(parts) != path or ".." in parts.parts or "\0" in path:
            raise NotServedError("tampered", place, path, "must name files inside of the model's folder")


def _check_room(into: Path, size: int) -> None:
    free = shutil.disk_usage(into).free
    if free < size + _MARGIN:
        said = f"{into}, {size_in_words(free)} free"
        raise RefusedError(
            "--into", said, f"must have room for the model's {size_in_words(size)}: raise its size limit"
        )


def _unseal_files(versions: Versions, opened: Opened, folder: Path, say: Callable[[str], None]) -> None:
    manifest = opened.manifest
    transfer = Transfer(f"fetching {manifest.model} {manifest.version}", manifest.size, say)
    buffer = memoryview(bytearray(_CHUNK))
    for path, told in manifest.files.items():
        place = versions.file(manifest.version, path)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
        try:
            size = versions.store.size(place)
            if size != told.sealed_bytes:
                raise DamagedError(f"{place} has {size} bytes in place of {told.sealed_bytes}")
            with versions.store.read(place) as raw, open(target, "xb", opener=_for_the_group) as clear:
                reader = SealedReader(
                    raw,
                    size,
                    opened.key.key,
                    file_context(manifest.tenant, manifest.model, manifest.version, path),
                    name=place,
                    header=bytes.fromhex(told.header),
                )
                while count := reader.readinto(buffer):
                    clear.write(buffer[:count])
                    transfer.add(count)
        except FileNotFoundError as error:
            raise damaged(place, FileNotFoundError("it is not there")) from error
        except DamagedError as error:
            raise damaged(place, error) from error


def _verify(folder: Path, manifest: Manifest, trust: Trust) -> None:
    """Demand of the unsealed folder all that publishing demanded: who can seal is not who can sign."""
    checked = verified(folder, trust, now=manifest.published)
    told = {path: file.digest for path, file in manifest.files.items() if path != SIGNATURE}
    if checked.model.digest != manifest.model_digest or dict(checked.model.files) != told:
        raise NotServedError("tampered", "manifest", manifest.model_digest, f"must be of {checked.model.digest}")
    if checked.verdict_digest != manifest.verdict.digest:
        raise NotServedError("tampered", "manifest", manifest.verdict.digest, f"must be of {checked.verdict_digest}")


def _arrange(folder: Path, manifest: Manifest) -> None:
    """Give the version's folder the published number, which is what the server then reports and what metrics name."""
    layout = check_repository(folder, manifest.model)
    (folder / layout.version_folder).rename(folder / str(manifest.version))
    (folder / CONFIG).write_text(with_version(layout.config, manifest.version), "utf-8")


def _appear(folder: Path, place: Path) -> None:
    """Put the folder under its final name; one that an earlier start left there makes way."""
    if place.exists() or place.is_symlink():
        place.rename(place.with_name(f"{_REPLACED}{secrets.token_hex(8)}"))
    folder.rename(place)
    _remove(place.parent, _REPLACED)


def _remove(into: Path, beginning: str) -> None:
    for left in into.glob(f"{beginning}*"):
        if left.is_symlink():
            left.unlink()
        else:
            shutil.rmtree(left, ignore_errors=True)


def _for_the_group(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE_MODE)
