"""The evidence of a run: its reports and a signed list of them, chained to the run before."""

import base64
import binascii
import datetime
import hashlib
import json
import platform
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from falaj.policies.assessment import Assessment, plain
from falaj.policies.catalogue import controls
from falaj.policies.errors import RefusedError
from falaj.policies.evidence.signing import fingerprint, is_signature, read_private, read_public
from falaj.policies.model import Rule
from falaj.policies.report import FORMATS, render
from falaj.policies.report.findings import schema
from falaj.policies.report.text import tool_version

MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MANIFEST_VERSION = "1.0"
REPORTS = ("json", "sarif", "oscal", "html")
"""The formats of the reports in a bundle."""
_LARGEST = 1 << 30
"""Bytes that a bundle may have when it is read."""
_OLDEST = (1980, 1, 1, 0, 0, 0)
"""The time of each file in an archive: the time of the run is in the manifest."""
Files = dict[str, bytes]


def bundle(
    assessment: Assessment,
    path: Path,
    key: Path,
    *,
    inputs: Iterable[Path] = (),
    previous: Path | None = None,
    flow: str | None = None,
) -> Path:
    """Write the evidence of a run to a folder, or to an archive where the name ends with .zip, and return where it is.

    ``inputs`` are the files beside the state that decided (configuration, waivers, transfer register): their digests
    are kept, never their contents. ``previous`` is the bundle of the run before. ``flow`` is the picture in the page.

    Raises ``RefusedError`` for a path that is taken, a key that is none, and a previous bundle that is none.
    """
    if path.exists():
        raise RefusedError("evidence", str(path), "must not be there yet: evidence is never overwritten")
    private = read_private(key)
    files = {FORMATS[format]: render(assessment, format, flow).encode() for format in REPORTS}
    manifest = _manifest(assessment, files, inputs, previous) | {"key": fingerprint(private.public_key())}
    files[MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    files[SIGNATURE] = base64.b64encode(private.sign(files[MANIFEST])) + b"\n"
    return _write(path, files)


def catalogue_version(rules: Iterable[Rule]) -> str:
    """Return a digest that another set of rules, or another wording, severity or use of one, does not have."""
    listed = sorted([rule.id, rule.title, rule.severity.value, *rule.controls] for rule in rules)
    return hashlib.sha256(json.dumps([controls.VERSION, listed]).encode()).hexdigest()


def verify(path: Path, public_key: Path, previous: Path | None = None) -> list[str]:
    """Return what is wrong with a bundle, one line for each problem: nothing where it is as it was signed.

    Raises ``RefusedError`` where there is no bundle to read, or the key is none.
    """
    key = read_public(public_key)
    files = _read(path)
    if MANIFEST not in files:
        return [f"{MANIFEST}: is missing"]
    problems: list[str] = []
    if SIGNATURE not in files:
        problems.append(f"{SIGNATURE}: is missing")
    elif not is_signature(key, _signature(files[SIGNATURE]), files[MANIFEST]):
        problems.append(f"{SIGNATURE}: is not a signature of {MANIFEST} by this key")
    manifest = _json(files[MANIFEST])
    errors = _errors(_MANIFEST_SCHEMA, manifest)
    if errors:
        return [*problems, *(f"{MANIFEST}: {error}" for error in errors)]
    if manifest["key"] != fingerprint(key):
        problems.append(f"{MANIFEST}: names another key as its signer")
    problems += _changed(manifest["files"], files)
    problems += _findings(manifest, files)
    return problems if previous is None else [*problems, *_chain(manifest, previous)]


def _manifest(assessment: Assessment, files: Files, inputs: Iterable[Path], previous: Path | None) -> dict[str, Any]:
    told = plain(assessment)
    return {
        "manifestVersion": MANIFEST_VERSION,
        "at": told["at"],
        "stack": told["stack"],
        "packs": told["packs"],
        "source": told["source"],
        "inputs": [{"name": each.name, "sha256": _digest(each.read_bytes())} for each in inputs],
        "catalogue": {"version": catalogue_version(assessment.rules), "rules": len(assessment.rules)},
        "waivers": {"used": _used(told), **told["waivers"]},
        "tools": {"falaj-policies": tool_version(), "python": platform.python_version()},
        "files": {name: _digest(content) for name, content in sorted(files.items())},
        "previous": None if previous is None else _digest(_manifest_of(previous)),
    }


def _used(told: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return each waiver that a failure needed, once."""
    used = [finding["waiver"] for finding in told["findings"] if finding["waiver"]]
    return list({json.dumps(waiver): waiver for waiver in used}.values())


def _manifest_of(path: Path) -> bytes:
    files = _read(path)
    if MANIFEST not in files:
        raise RefusedError("previous", str(path), f"must be a bundle, with a {MANIFEST}")
    return files[MANIFEST]


def _changed(listed: Mapping[str, str], files: Files) -> list[str]:
    found = files.keys() - {MANIFEST, SIGNATURE}
    problems = [f"{_shown(name)}: is missing" for name in sorted(listed.keys() - found)]
    problems += [f"{_shown(name)}: is not in {MANIFEST}" for name in sorted(found - listed.keys())]
    both = sorted(found & listed.keys())
    return problems + [f"{_shown(name)}: was changed" for name in both if _digest(files[name]) != listed[name]]


def _findings(manifest: Mapping[str, Any], files: Files) -> list[str]:
    """Return what is wrong with the findings themselves: whoever signs can sign nonsense."""
    name = FORMATS["json"]
    if name not in files:
        return []
    found = _json(files[name])
    if errors := _errors(schema(), found):
        return [f"{name}: {error}" for error in errors]
    keys = ("at", "stack", "packs", "source")
    return [f"{name}: has another {key} than {MANIFEST}" for key in keys if found[key] != manifest[key]]


def _chain(manifest: Mapping[str, Any], previous: Path) -> list[str]:
    before = _manifest_of(previous)
    if manifest["previous"] != _digest(before):
        return [f"{MANIFEST}: does not follow {previous.name}"]
    at = _json(before).get("at")
    later = isinstance(at, str) and _moment(at) > _moment(manifest["at"])
    return [f"{MANIFEST}: is of an earlier time than {previous.name}, which it follows"] if later else []


def _moment(text: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return datetime.datetime.max.replace(tzinfo=datetime.UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _errors(wanted: Mapping[str, Any], value: Any) -> list[str]:
    """Return where a value does not fit its schema, without quoting it."""
    errors = Draft202012Validator(wanted).iter_errors(value)  # pyright: ignore[reportUnknownMemberType] - untyped
    return sorted({f"does not fit its schema at {_shown(error.json_path)} ({error.validator})" for error in errors})


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _signature(content: bytes) -> bytes:
    try:
        return base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        return b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _write(path: Path, files: Files) -> Path:
    """Write a bundle whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name, _OLDEST), content, zipfile.ZIP_DEFLATED)
    else:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        for name, content in files.items():
            (unfinished / name).write_bytes(content)
    return unfinished.rename(path)


def _read(path: Path) -> Files:
    """Return the files of a bundle by name; what lies in a folder of it has the folder in its name."""
    if path.is_dir():
        found = [each for each in sorted(path.rglob("*")) if not each.is_dir() or each.is_symlink()]
        if sum(each.lstat().st_size for each in found) > _LARGEST:
            raise RefusedError("evidence", str(path), f"must have {_LARGEST} bytes at most")
        return {
            # What a link leads to is not in the bundle.
            each.relative_to(path).as_posix(): b"" if each.is_symlink() or not each.is_file() else each.read_bytes()
            for each in found
        }
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len({entry.filename for entry in entries}) < len(entries):
                raise RefusedError("evidence", str(path), "must not have two files of one name")
            if sum(entry.file_size for entry in entries) > _LARGEST:
                raise RefusedError("evidence", str(path), f"must have {_LARGEST} bytes at most")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError("evidence", str(path), "must be a folder or a .zip that can be read whole") from None


_HEX = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_PROPERTIES: Mapping[str, Any] = {
    "manifestVersion": {"const": MANIFEST_VERSION},
    "at": {"type": "string"},
    "stack": {"type": "string"},
    "packs": {"type": "array", "items": {"type": "string"}},
    "source": {"type": "object"},
    "inputs": {
        "type": "array",
        "items": {"type": "object", "properties": {"name": {"type": "string"}, "sha256": _HEX}},
    },
    "catalogue": {"type": "object", "properties": {"version": _HEX, "rules": {"type": "integer"}}},
    "waivers": {"type": "object"},
    "tools": {"type": "object"},
    "files": {"type": "object", "additionalProperties": _HEX, "required": [FORMATS[each] for each in REPORTS]},
    "previous": {"oneOf": [{"type": "null"}, _HEX]},
    "key": _HEX,
}
_MANIFEST_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
    "additionalProperties": False,
}
