"""The published versions of a model in a tenant's store: their numbers, and that no number is given twice.

```
MODEL/VERSION/claim.json         who took the number; the first file of a version
MODEL/VERSION/files/PATH         the sealed files
MODEL/VERSION/manifest.sealed    the last: with it the version is there
MODEL/audit/NUMBER.json          what was done with the model, by whom
```
"""

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from falaj.training.errors import TrainingError
from falaj.training.lineage.digests import bytes_digest
from falaj.training.sealing import DataKey, KeySource
from falaj.training.serving.manifest import Manifest, open_manifest
from falaj.training.serving.refusals import NotServedError
from falaj.training.stores import Store

_MANIFEST, _CLAIM, _FILES = "manifest.sealed", "claim.json", "files"
_ATTEMPTS = 50
_LARGEST_MANIFEST = 16 << 20


@dataclass(frozen=True)
class Opened:
    """A version whose manifest was opened."""

    manifest: Manifest
    """What it consists of."""
    digest: str
    """Digest of the sealed manifest: the name by which a cluster pins it."""
    key: DataKey
    """What opens its files."""


@dataclass(frozen=True)
class Versions:
    """The versions of one model of one tenant."""

    store: Store
    """Where they lie."""
    model: str
    """The model's name."""
    tenant: str
    """Whose it is."""

    def numbers(self) -> list[int]:
        """Return the numbers of the versions that are there, in their order."""
        return sorted(number for number, name in self._names() if name == _MANIFEST)

    def claim(self, who: Mapping[str, str]) -> int:
        """Take the next number, and return it; of two that ask at once, each gets its own.

        A number that was taken and never became a version is not given again.
        """
        token = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "who": dict(who),
            "nonce": secrets.token_hex(8),
        }
        for _ in range(_ATTEMPTS):
            number = max((taken for taken, _ in self._names()), default=0) + 1
            try:
                self.store.create(self._path(number, _CLAIM), json.dumps(token, sort_keys=True).encode() + b"\n")
            except FileExistsError:
                time.sleep(secrets.randbelow(50) / 1000)
                continue
            return number
        raise TrainingError(f"{self.model}: no version number was free in {_ATTEMPTS} attempts; publish again")

    def sealed(self, number: int) -> bytes:
        """Return a version's sealed manifest; raise `NotServedError` where there is no such version."""
        place = self.place(number)
        try:
            if self.store.size(place) > _LARGEST_MANIFEST:
                raise NotServedError("tampered", "store", place, f"must be of {_LARGEST_MANIFEST} bytes at most")
            with self.store.read(place) as file:
                return file.read()
        except FileNotFoundError:
            remedy = f"must be a published version of {self.model}: ask `falaj-serve history`"
            raise NotServedError("unknown-version", "--version", number, remedy) from None

    def open(self, number: int, keys: KeySource) -> Opened:
        """Open a version's manifest; raises as `manifest.open_manifest` does, and where there is no such version."""
        sealed = self.sealed(number)
        key, found = open_manifest(
            sealed, keys, self.place(number), tenant=self.tenant, model=self.model, version=number
        )
        return Opened(found, bytes_digest(sealed), key)

    def place(self, number: int) -> str:
        """Return where a version's manifest lies in the store."""
        return self._path(number, _MANIFEST)

    def file(self, number: int, path: str) -> str:
        """Return where a version's file lies in the store."""
        return self._path(number, f"{_FILES}/{path}")

    def discard(self, number: int) -> None:
        """Remove the files of a version that got no manifest; its number stays taken, so that nobody writes there."""
        self.store.discard(self._path(number, _FILES))

    def _path(self, number: int, name: str) -> str:
        return f"{self.model}/{number}/{name}"

    def _names(self) -> Sequence[tuple[int, str]]:
        """Return the number and the rest of every name that belongs to a version, whole or only begun."""
        found: list[tuple[int, str]] = []
        names = [*self.store.names(f"{self.model}/"), *self.store.begun(f"{self.model}/")]
        for name in names:
            match = re.fullmatch(r"([1-9]\d{0,8})/(.+)", name.removeprefix(f"{self.model}/"))
            if match:
                found.append((int(match[1]), match[2]))
        return found
