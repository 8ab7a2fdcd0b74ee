"""Where one lab keeps what it knows: its folders, ports and secrets, all below one state directory."""

import json
import os
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from falaj.lab.errors import LabError

REGION = "me-central-1"
ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Lab:
    """One lab, named by its state directory; two labs never share anything but the cache of built tools."""

    root: Path

    @classmethod
    def at(cls, root: Path | str | None = None) -> "Lab":
        """Return the lab at ``root``, else at ``$FALAJ_LAB``, else at ``.lab`` in the current folder."""
        return cls(Path(root or os.environ.get("FALAJ_LAB") or ".lab").absolute())

    def folder(self, *parts: str) -> Path:
        """Return a folder below the state directory, made on first use, readable by the owner alone."""
        path = self.root.joinpath(*parts)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LabError(f"cannot make {path}: {error.strerror}; choose another place with --state DIR") from error
        return path

    def secret(self, name: str) -> str:
        """Return the secret ``name`` (64 hexadecimal digits), drawn at random on first use and kept for this lab."""
        path = self.folder("secrets") / name
        if not path.exists():
            write_private(path, secrets.token_hex(32))
        return path.read_text()

    def ports(self) -> Mapping[str, int]:
        """Return the port of each service that has one so far."""
        path = self.root / "ports.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def allocate_ports(self, names: Iterable[str], wanted: Mapping[str, int] | None = None) -> Mapping[str, int]:
        """Give each service a free loopback port and keep it: addresses written into Pulumi's state stay true.

        ``wanted`` overrides the port of a service; 0 draws a new one.
        """
        ports = dict(self.ports())
        for name in names:
            chosen = (wanted or {}).get(name)
            if chosen is not None or name not in ports:
                ports[name] = chosen or free_port(taken=ports.values())
        self.folder()
        write_private(self.root / "ports.json", json.dumps(ports, indent=2))
        return ports


def free_port(taken: Iterable[int] = ()) -> int:
    """Return a loopback TCP port that nothing listens on now and that is not among ``taken``."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in taken:
            return port


def write_private(path: Path, text: str | bytes) -> None:
    """Write a file that its owner alone can read, whole or not at all."""
    data = text.encode() if isinstance(text, str) else text
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LabError(f"cannot write {path}: {error.strerror}; free some space, or choose another --state DIR") from error
