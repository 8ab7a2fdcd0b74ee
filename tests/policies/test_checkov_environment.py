"""checkov's environment is made once, whole or not at all, and by hashes only."""

import subprocess
from pathlib import Path

import pytest

from falaj.policies.checkov import environment
from falaj.policies.errors import PolicyError

INSTALLER = """#!/bin/sh
echo "$@" >> "$LOG"
case "$1" in venv) for last; do :; done; mkdir -p "$last/bin"; touch "$last/bin/python";; esac
[ "$1" = "$BREAKS" ] && { echo "noise" >&2; echo "hash mismatch for boto3" >&2; exit 1; }
exit 0
"""


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for uv and an empty cache into place; return the record of what it was asked."""
    program = tmp_path / "uv"
    program.write_text(INSTALLER)
    program.chmod(0o755)
    log = tmp_path / "log"
    log.touch()
    for name, value in {"UV": program, "FALAJ_CACHE": tmp_path / "cache", "LOG": log, "BREAKS": ""}.items():
        monkeypatch.setenv(name, str(value))
    return log


def test_it_is_made_once_and_by_hashes(installer: Path) -> None:
    said: list[str] = []
    python = environment.ensure(said.append)
    assert python.is_file()
    assert said[0].startswith(f"Installing checkov {environment.version()}")
    asked = installer.read_text()
    assert "--require-hashes" in asked
    assert environment.ensure(said.append) == python
    assert installer.read_text() == asked


def test_what_was_half_made_is_made_anew(installer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREAKS", "pip")
    with pytest.raises(PolicyError, match=r"cannot install checkov .*: hash mismatch for boto3; check your package"):
        environment.ensure()
    assert (environment.place() / "bin" / "python").is_file()
    monkeypatch.setenv("BREAKS", "")
    environment.ensure()
    assert installer.read_text().count("venv --quiet") == 2


def test_without_an_installer_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("FALAJ_CACHE", str(tmp_path))
    monkeypatch.setattr(environment.shutil, "which", lambda *_, **__: None)
    with pytest.raises(PolicyError, match="needs uv"):
        environment.ensure()


def test_the_lock_names_versions_and_hashes_and_no_index() -> None:
    lines = environment.LOCK.read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(packages) > 50
    assert all("==" in line for line in packages)
    assert sum("--hash=sha256:" in line for line in lines) >= len(packages)
    assert not [line for line in lines if "://" in line or "--index" in line]


def test_the_lock_belongs_to_what_is_asked_for() -> None:
    wanted = environment.LOCK.with_suffix(".in").read_text(encoding="utf-8").split()
    assert wanted == ["checkov"]
    assert f"checkov=={environment.version()}" in environment.LOCK.read_text(encoding="utf-8")


def test_programs_that_print_nothing_still_get_a_sentence(installer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = installer.with_name("silent")
    silent.write_text("#!/bin/sh\nexit 3\n")
    silent.chmod(0o755)
    assert subprocess.run([silent], check=False).returncode == 3
    monkeypatch.setenv("UV", str(silent))
    with pytest.raises(PolicyError, match="no message"):
        environment.ensure()
