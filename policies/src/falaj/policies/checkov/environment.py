"""checkov's own environment, since it cannot share one with pulumi: made once for each version of its lock."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

from falaj.policies.errors import PolicyError

LOCK = Path(__file__).with_name("checkov.lock")
"""Names, versions and hashes of all that checkov needs, and no index: installed from whichever index the person has."""


def cache() -> Path:
    """Return falaj's cache folder: ``$FALAJ_CACHE``, else below the person's usual cache folder."""
    own = os.environ.get("FALAJ_CACHE")
    usual = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own).absolute() if own else Path(usual).absolute() / "falaj"


def version() -> str:
    """Return the version of checkov that the lock names."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return next(line.partition("==")[2].split()[0] for line in lines if line.startswith("checkov=="))


def place() -> Path:
    """Return where the environment of this lock and this Python is, or will be."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    return cache() / "tools" / "checkov" / f"{version()}-{python}-{digest}"


def ensure(say: Callable[[str], object] = lambda _: None) -> Path:
    """Return the Python of checkov's environment; make it first where it is missing.

    What was downloaded before an interruption is in the installer's own cache, so that a second try goes on there; a
    half-made environment is never used. Raises ``PolicyError``, in one line, when it cannot be made.
    """
    final = place()
    python = final / "bin" / "python"
    if (final / ".ready").is_file():
        return python
    with _locked(say):
        if not (final / ".ready").is_file():
            say(f"Installing checkov {version()} into {final} (once; about a minute and 300 MB)")
            shutil.rmtree(final, ignore_errors=True)
            _run([*_uv(), "venv", "--quiet", "--python", sys.executable, str(final)])
            options = ["--compile-bytecode", "--require-hashes", "--requirement", str(LOCK)]
            _run([*_uv(), "pip", "install", "--python", str(python), *options])
            (final / ".ready").touch()
            say("Installed checkov")
    return python


@contextlib.contextmanager
def _locked(say: Callable[[str], object]) -> Generator[None]:
    """Let one process at a time make the environment."""
    folder = cache() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "checkov").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another process that installs checkov")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _uv() -> list[str]:
    beside = [str(Path(sys.executable).parent), *(str(each.parent) for each in sorted(cache().glob("uv/*/bin/uv")))]
    found = os.environ.get("UV") or shutil.which("uv") or shutil.which("uv", path=os.pathsep.join(beside))
    if not found:
        raise PolicyError("checkov needs uv to be installed: put uv on your PATH, or run without --checkov")
    return [found]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        last = lines[-1][:300] if lines else "no message"
        raise PolicyError(f"cannot install checkov {version()}: {last}; check your package index, then run this again")
