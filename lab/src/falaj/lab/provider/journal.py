"""What a provider has made and the engine may not have recorded yet, so that a crash neither loses nor doubles it."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from falaj.lab.state import write_private


@dataclass
class Entry:
    """One creation: begun, and (once ``id`` is known) done, but not yet seen in a request of the engine."""

    urn: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    """Drawn for this creation; services that take a client token or a tag carry it."""
    names: dict[str, Any] = field(default_factory=dict[str, Any])
    """The generated names that were used; a second attempt uses them again."""
    key: str | None = None
    """The identifier that the thing has if it exists, where the inputs tell it."""
    inputs: str = ""
    """The digest of the inputs that it was made from."""
    id: str | None = None
    """The identifier of what was made."""


class Journal:
    """One small file per resource below a folder; without a folder (outside a lab) nothing is kept.

    Nothing is cached: an engine may run several processes of one provider, and each must see what the others note."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def pending(self, urn: str) -> Entry | None:
        """Return the creation of this resource that the engine has not referred to since."""
        if not self.folder:
            return None
        path = self._path(self.folder, urn)
        try:
            return Entry(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            path.unlink(missing_ok=True)  # written by another version: without meaning here
            return None

    def write(self, entry: Entry) -> None:
        """Keep an entry, replacing what was kept for the same resource."""
        if self.folder:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._path(self.folder, entry.urn), json.dumps(asdict(entry)))

    def confirm(self, urn: str, identifier: str) -> None:
        """Forget the creation if the engine names its identifier: then it is in the engine's records."""
        entry = self.pending(urn)
        if entry and entry.id == identifier:
            self.forget(urn)

    def confirm_inputs(self, urn: str, inputs: Mapping[str, Any]) -> None:
        """Forget the creation if the engine has recorded it with these inputs.

        A replacement that a person asks for (`--replace`) comes without any request that names the old identifier;
        without this, it would adopt the very thing that it is to replace.
        """
        entry = self.pending(urn)
        if entry and entry.id and entry.inputs == digest(inputs):
            self.forget(urn)

    def forget(self, urn: str) -> None:
        """Forget what was kept for a resource."""
        if self.folder:
            self._path(self.folder, urn).unlink(missing_ok=True)

    @staticmethod
    def _path(folder: Path, urn: str) -> Path:
        return folder / f"{hashlib.sha256(urn.encode()).hexdigest()[:40]}.json"


def digest(inputs: Mapping[str, Any]) -> str:
    """Return a digest of inputs; secrets among them cannot be read from it."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=repr).encode()).hexdigest()
