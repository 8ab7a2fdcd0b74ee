"""What a provider has made and the engine may not have recorded yet, so that a crash neither loses nor doubles it."""

import hashlib
import json
import secrets
import threading
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
    id: str | None = None
    """The identifier of what was made."""


class Journal:
    """One small file per resource below a folder; without a folder (outside a lab) nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.entries: dict[str, Entry] = {}
        for path in sorted(folder.glob("*.json")) if folder and folder.is_dir() else []:
            try:
                entry = Entry(**json.loads(path.read_text()))
            except (ValueError, TypeError):
                path.unlink()  # written by another version: without meaning here
            else:
                self.entries[entry.urn] = entry

    def pending(self, urn: str) -> Entry | None:
        """Return the creation of this resource that the engine has not referred to since."""
        return self.entries.get(urn)

    def write(self, entry: Entry) -> None:
        """Keep an entry, replacing what was kept for the same resource."""
        with self.lock:
            self.entries[entry.urn] = entry
        if self.folder:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._path(entry.urn), json.dumps(asdict(entry)))

    def confirm(self, urn: str, identifier: str) -> None:
        """Forget the creation: the engine has named its identifier, so it is in the engine's records."""
        entry = self.entries.get(urn)
        if entry and entry.id == identifier:
            self.forget(urn)

    def forget(self, urn: str) -> None:
        """Forget what was kept for a resource."""
        with self.lock:
            known = self.entries.pop(urn, None)
        if known and self.folder:
            self._path(urn).unlink(missing_ok=True)

    def _path(self, urn: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{hashlib.sha256(urn.encode()).hexdigest()[:40]}.json"
