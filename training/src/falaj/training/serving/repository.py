"""A folder of a Triton model repository, before it is published and before it is handed to the server."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from falaj.training.errors import RefusedError
from falaj.training.serving.triton_text import top_fields

CONFIG = "config.pbtxt"
NAME = r"[A-Za-z_][A-Za-z0-9_\-]{0,62}"
"""What a model may be called: as an export calls it."""
MOST_FILES = 1_000
"""Files of a model; more are a mistake, and each costs a request."""
LARGEST_FILE = 150 << 30
"""Bytes of a file; S3 takes 10,000 parts of an upload."""
ARTIFACTS = {"python": "model.py", "onnxruntime": "model.onnx", "pytorch": "model.pt", "tensorrt": "model.plan"}
"""What a backend loads of a version's folder, unless `config.pbtxt` names another by `default_model_filename`."""
_LARGEST_CONFIG = 1 << 20
_LONGEST_PATH = 512


@dataclass(frozen=True)
class Layout:
    """A folder that is as Triton wants it."""

    folder: Path
    """Where it is."""
    version_folder: str
    """Name of the one folder in it that holds a version."""
    config: str
    """What its `config.pbtxt` says."""


def check_name(name: str, field: str = "--name") -> str:
    """Return a model's name; raise `RefusedError` for one that could not name it in a store and on a server."""
    if not re.fullmatch(NAME, name):
        raise RefusedError(field, name, "must be a letter or _, then letters, digits, - and _, at most 63")
    return name


def check_repository(folder: Path, name: str) -> Layout:
    """Return how a model's folder is laid out; raise `RefusedError` for one that Triton could not serve as ``name``.

    Refused are: no `config.pbtxt` or one that is not in its format, one that names another model, no version's folder
    or several, a folder without what its backend loads, symbolic and special files, and more or larger files than a
    store takes.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise RefusedError("model", str(folder), "must be the folder of an exported model")
    _check_files(folder)
    config = _config(folder)
    fields = top_fields(config)
    named = [field.value for field in fields if field.name == "name"]
    if len(named) > 1 or (named and named[0] != name):
        raise RefusedError(f"{CONFIG} name", named[0] if len(named) == 1 else named, f"must be {name}, as --name says")
    versions = sorted(each.name for each in folder.iterdir() if each.is_dir() and each.name.isdigit())
    if len(versions) != 1 or versions[0].startswith("0"):
        remedy = "must be one, a number from 1, with the artifact in it: export one version into a folder of its own"
        raise RefusedError(f"version folders of {folder}", versions, remedy)
    _check_artifact(folder / versions[0], {field.name: field.value for field in fields})
    return Layout(folder, versions[0], config)


def _check_artifact(version: Path, config: Mapping[str, str | None]) -> None:
    """Refuse a folder that lacks what is loaded: Triton's Python backend would wait for it, and say nothing."""
    name = config.get("default_model_filename") or ARTIFACTS.get(config.get("backend") or "")
    if name and not (version / name).exists():
        found = sorted(each.name for each in version.iterdir())
        raise RefusedError(f"files of {version}", found, f"must have {name} among them, which the backend loads")


def _check_files(folder: Path) -> None:
    count = 0
    for path in _below(folder):
        name = path.relative_to(folder).as_posix()
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            continue
        count += 1
        if not stat.S_ISREG(found.st_mode):
            raise RefusedError("model", name, "must be an ordinary file: links and special files are not published")
        if len(name.encode()) > _LONGEST_PATH or not name.isprintable() or "\\" in name:
            raise RefusedError("model", name, f"must have a printable name of {_LONGEST_PATH} bytes at most")
        if found.st_size > LARGEST_FILE:
            raise RefusedError("model", f"{name}, {found.st_size} bytes", f"must be of {LARGEST_FILE} bytes at most")
        if count > MOST_FILES:
            raise RefusedError("model", str(folder), f"must be of {MOST_FILES} files at most")


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        yield from (Path(place) / each for each in (*folders, *files))


def _config(folder: Path) -> str:
    path = folder / CONFIG
    if not path.is_file():
        raise RefusedError("model", str(folder), f"must hold {CONFIG}: export it by `falaj-train export`")
    if path.stat().st_size > _LARGEST_CONFIG:
        raise RefusedError(CONFIG, path.stat().st_size, f"must be of {_LARGEST_CONFIG} bytes at most")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise RefusedError(CONFIG, str(path), "must be text in UTF-8") from None
