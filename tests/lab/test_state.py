import os
import stat
from pathlib import Path

import pytest

from falaj.lab.errors import LabError
from falaj.lab.state import MARKER, Lab, write_private


def test_a_folder_that_holds_something_else_is_not_made_a_lab(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(LabError, match="not a lab"):
        Lab(tmp_path).create()
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.txt"]


def test_an_empty_folder_becomes_a_lab_and_can_be_forgotten(tmp_path: Path) -> None:
    root = tmp_path / "lab"
    root.mkdir()
    lab = Lab(root)
    lab.create()
    lab.create()
    lab.secret("one")
    (root / "link").symlink_to(tmp_path)
    lab.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_forgetting_that_was_interrupted_leaves_a_lab_that_can_be_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(tmp_path / "lab")
    lab.create()
    lab.secret("one")

    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("shutil.rmtree", interrupt)
        lab.forget()
    assert (lab.root / MARKER).exists()
    lab.forget()
    assert not lab.root.exists()


def test_a_secret_is_random_kept_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    secret = lab.secret("token")
    assert lab.secret("token") == secret
    assert Lab(tmp_path / "other").secret("token") != secret
    assert stat.S_IMODE((lab.root / "secrets" / "token").stat().st_mode) == 0o600


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110 (a device)
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_private(path, "old")
    real = os.open
    monkeypatch.setattr("os.open", lambda *_, **__: real("/dev/full", os.O_WRONLY))
    with pytest.raises(LabError, match="No space left on device"):
        write_private(path, "new")
    assert path.read_text() == "old"
