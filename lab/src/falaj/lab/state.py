"""Where one lab keeps what it knows: its folders, ports and secrets, all below one state directory."""

import json
import os
import random
import secrets
import shutil
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from falaj.lab.errors import LabError
from falaj.lab.table import cache, make_folder

REGION = "me-central-1"
ACCOUNT = "123456789012"
MARKER = ".falaj-lab"
# Below what Linux (32768) and macOS (49152) draw for outgoing connections: a stopped lab finds its ports free again.
PORTS = range(20000, 32768)


@dataclass(frozen=True)
class Lab:
    """One lab, named by its state directory; labs share the cache alone: built tools, and who keeps which port."""

    root: Path

    @classmethod
    def at(cls, root: Path | str | None = None) -> "Lab":
        """Return the lab at ``root``, else at ``$FALAJ_LAB``, else at ``.lab`` in the current folder."""
        return cls(Path(root or os.environ.get("FALAJ_LAB") or ".lab").absolute())

    def exists(self) -> bool:
        """Say whether this folder was made by ``create``: nothing else is ever taken for a lab, or deleted."""
        return (self.root / MARKER).is_file()

    def create(self) -> None:
        """Make the state directory; refuse a folder that holds something else."""
        if self.exists():
            return
        if self.root.exists() and (not self.root.is_dir() or any(self.root.iterdir())):
            raise LabError(f"{self.root} holds something that is not a lab; choose an empty folder with --state DIR")
        self.folder().chmod(0o700)
        write_private(self.root / MARKER, "The state of one falaj lab; `falaj-lab reset` deletes it.\n")

    def forget(self) -> None:
        """Delete the state directory with all that the lab keeps; the marker goes last, so that it can be repeated."""
        for path in self.root.iterdir():
            if path.name == MARKER:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        (self.root / MARKER).unlink()
        self.root.rmdir()

    def folder(self, *parts: str) -> Path:
        """Return a folder below the state directory, made on first use, readable by the owner alone."""
        path = self.root
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in parts:
                path /= part
                path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise LabError(f"cannot make {path}: {error.strerror}; choose another place with --state DIR") from error
        return path

    def secret(self, name: str) -> str:
        """Return the secret ``name`` (64 hexadecimal digits), drawn at random on first use and kept for this lab."""
        path = self.folder("secrets") / name
        if not path.exists():
            write_private(path, secrets.token_hex(32))
        return path.read_text()

    def settings(self) -> Mapping[str, str]:
        """Return what this lab was told and remembers."""
        path = self.root / "settings.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def remember(self, name: str, value: str) -> None:
        """Remember a setting of this lab."""
        self.folder()
        write_private(self.root / "settings.json", json.dumps({**self.settings(), name: value}, indent=2))

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
            self.keep(ports[name])
        self.folder()
        write_private(self.root / "ports.json", json.dumps(ports, indent=2))
        return ports

    def keep(self, port: int) -> None:
        """Note for this person's other labs that the port is this lab's, also while it is stopped."""
        (make_folder(cache() / "ports") / str(port)).write_text(str(self.root))


def keeper(port: int) -> Lab | None:
    """Return the lab of this person that keeps the port, if one does; a lab that was deleted keeps none."""
    try:
        lab = Lab(Path((cache() / "ports" / str(port)).read_text()))
    except FileNotFoundError:
        return None
    return lab if lab.exists() else None


def free_port(taken: Iterable[int] = (), wish: int | None = None) -> int:
    """Return a loopback TCP port that nothing listens on now, that no lab keeps and that is not among ``taken``.

    ``wish`` is returned if it is such a port.
    """
    for port in [*([] if wish is None else [wish]), *random.sample(PORTS, len(PORTS))]:
        if port not in taken and not keeper(port) and is_free(port):
            return port
    raise LabError(f"no loopback port from {PORTS[0]} to {PORTS[-1]} is free; stop what uses them")


def is_free(port: int) -> bool:
    """Say whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections still linger (TIME_WAIT) is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def append_private(path: Path) -> BinaryIO:
    """Open a file to write at its end; made on first use, for its owner alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


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
        raise LabError(
            f"cannot write {path}: {error.strerror}; free some space, or choose another --state DIR"
        ) from error
