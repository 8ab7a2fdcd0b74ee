"""What can be said of the user's code: its own digest, and the commit that it lies in."""

import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field

from falaj.training.lineage.digests import tree_digest
from falaj.training.section import Section

_GIT_SECONDS = 20
_ENDINGS = (".py", ".pyi", ".toml", ".cfg", ".so", ".pyx", ".cu", ".cpp")


class CodeFacts(Section):
    """The user's code at the beginning of a run. What git could not say is none: an image often lacks the history."""

    digest: str
    """One digest over its source files, by their names."""
    repository: str | None = None
    """Address of the repository, without names and passwords."""
    path: str | None = None
    """Where the code lies in the repository."""
    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40,64}$")
    """Commit that was checked out."""
    dirty: bool | None = None
    """Whether the code differs from that commit: then the digest alone says what ran."""


def code_facts(folder: Path) -> CodeFacts:
    """Look at the user's code in ``folder``; git is asked, and does without where there is none."""
    digest = tree_digest(folder, source_files(folder))
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return CodeFacts(digest=digest)
    prefix = _git(folder, "rev-parse", "--show-prefix")
    status = _git(folder, "status", "--porcelain", "--untracked-files=all", "--", ".")
    address = _git(folder, "remote", "get-url", "origin")
    return CodeFacts(
        digest=digest,
        repository=None if address is None else without_password(address),
        path=None if prefix is None else prefix.rstrip("/") or ".",
        commit=commit,
        dirty=None if status is None else bool(status),
    )


def source_files(folder: Path) -> list[Path]:
    """Return the files of ``folder`` that are code, in no hidden folder and no virtual environment."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__")) and name != "node_modules"]
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        found += [Path(place) / name for name in names if name.endswith(_ENDINGS) and not name.startswith(".")]
    return found


def has_commit(folder: Path, commit: str) -> bool | None:
    """Say whether the repository around ``folder`` holds a commit; none where there is no repository."""
    if _git(folder, "rev-parse", "--git-dir") is None:
        return None
    return _git(folder, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def digest_at_commit(folder: Path, commit: str, path: str) -> str | None:
    """Return the digest of the code that a commit holds below ``path``; none where git cannot show it."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or path.startswith("-") or ".." in path.split("/"):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "code.tar"
        inside = [] if path == "." else ["--", path]
        if _git(Path(top), "archive", "--format=tar", f"--output={archive}", commit, *inside) is None:
            return None
        with tarfile.open(archive) as tar:
            tar.extractall(Path(scratch) / "code", filter="data")
        code = Path(scratch) / "code" / path
        return tree_digest(code, source_files(code)) if code.is_dir() else None


def without_password(address: str) -> str:
    """Return an address without the name and password in it."""
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _git(folder: Path, *arguments: str) -> str | None:
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
            env=quiet,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
