"""Reads a stack from what the Pulumi CLI writes: `pulumi stack export`, or `pulumi preview --json` in its two forms."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from falaj.policies.assessment import Source
from falaj.policies.decoding import PartlyKnown, from_json, provider_values
from falaj.policies.engine import Stack
from falaj.policies.errors import PolicyError, RefusedError
from falaj.policies.model import Resource
from falaj.policies.previews import is_preview, records_of_preview
from falaj.policies.values import UNKNOWN, View

LARGEST = 1 << 30
"""Bytes that a file may have: what is larger is refused before it is read."""
_STATE_VERSIONS = (3, 4)
_PROVIDER = "pulumi:providers:"
Record = Mapping[str, Any]


def read_state(path: Path) -> tuple[Stack, Source]:
    """Read a state as `pulumi stack export` writes it; a secret that is encrypted there is unknown.

    Raises ``RefusedError`` for what is no such file.
    """
    return _read("state", path, _records_of_state)


def read_preview(path: Path) -> tuple[Stack, Source]:
    """Read what `pulumi preview --json` printed, with PULUMI_ENABLE_STREAMING_JSON_PREVIEW or without.

    Raises ``RefusedError`` for what is no such file.
    """
    return _read("preview", path, _records_of_preview)


def read_stack(name: str) -> tuple[Stack, Source]:
    """Read the state of a stack by `pulumi stack export`, in the current folder and with its backend."""
    command = ["pulumi", "stack", "export", "--stack", name, "--non-interactive"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise PolicyError(f"pulumi cannot be run ({error.strerror}): install it, or give a file with --state") from None
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise PolicyError(f"{' '.join(command)}: {reason[-1] if reason else f'ended with {done.returncode}'}")
    return _stack("stack", name, done.stdout, _records_of_state)


def _read(kind: str, path: Path, records: Callable[[str, str], Iterator[Record]]) -> tuple[Stack, Source]:
    if path.stat().st_size > LARGEST:
        raise RefusedError(str(path), path.stat().st_size, f"must have {LARGEST} bytes at most")
    return _stack(kind, str(path), path.read_bytes(), records)


def _stack(
    kind: str, name: str, content: bytes, records: Callable[[str, str], Iterator[Record]]
) -> tuple[Stack, Source]:
    try:
        found = [_checked(name, number, record) for number, record in enumerate(records(name, content.decode()))]
        stack = _made(name, found)
    except UnicodeDecodeError:
        raise RefusedError(name, content[:20], "must be text in UTF-8") from None
    except RecursionError:
        raise RefusedError(name, "a value in a value in a value", "must not be nested that deep") from None
    return stack, Source(kind, name, hashlib.sha256(content).hexdigest())


def _records_of_state(name: str, text: str) -> Iterator[Record]:
    given = _json(name, text)
    version = given.get("version") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or "deployment" not in given:
        raise RefusedError(name, _kind(given), "must be a state as `pulumi stack export` writes it")
    if version not in _STATE_VERSIONS:
        raise RefusedError(f"{name}: version", version, f"must be one of {_STATE_VERSIONS}: export the stack anew")
    deployment = given["deployment"]
    resources = deployment.get("resources", []) if isinstance(deployment, Mapping) else None
    if not isinstance(resources, list):
        raise RefusedError(f"{name}: deployment.resources", _kind(resources), "must be a list")
    yield from (each for each in resources if not (isinstance(each, Mapping) and each.get("delete")))


def _records_of_preview(name: str, text: str) -> Iterator[Record]:
    given = _json(name, text, lines=True)
    if not is_preview(given):
        raise RefusedError(name, _kind(given), "must be what `pulumi preview --json` printed")
    yield from records_of_preview(name, given)


def _json(name: str, text: str, *, lines: bool = False) -> Any:
    """Return the JSON in a text, or the list of what its lines hold."""
    try:
        return json.loads(text)
    except ValueError as error:
        if not lines or not text.lstrip().startswith("{") or "\n" not in text.strip():
            raise RefusedError(name, text[:20], f"must be JSON; it is not: {error}") from None
    found: list[Any] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise RefusedError(f"{name}: line {number}", line[:20], f"must be JSON; it is not: {error}") from None
    return found


def _checked(name: str, number: int, record: Any) -> Record:
    """Return a resource's record, or refuse one that could not be judged: leaving it out would let it pass."""
    at = f"{name}: resource {number}"
    if not isinstance(record, Mapping):
        raise RefusedError(at, _kind(record), "must be an object")
    for key in ("urn", "type"):
        if not isinstance(record.get(key), str):
            raise RefusedError(f"{at}: {key}", _kind(record.get(key)), "must be text")
    for key in ("inputs", "outputs", "propertyDependencies"):
        if not isinstance(record.get(key) or {}, Mapping):
            raise RefusedError(f"{at}: {key}", _kind(record[key]), "must be an object")
    if not isinstance(record.get("provider") or "", str):
        raise RefusedError(f"{at}: provider", _kind(record["provider"]), "must be text")
    return record


def _made(name: str, records: list[Record]) -> Stack:
    providers = {
        record["urn"]: _configuration(record, record.get("inputs"))
        for record in records
        if record["type"].startswith(_PROVIDER)
    }
    # What is only read is no part of what the engine has judged, alone or in the graph.
    own = [record for record in records if not record.get("external")]
    declared = tuple(_resource(record, "inputs", providers) for record in own)
    known = tuple(_resource(record, "outputs", providers) for record in own)
    urn = next((record["urn"] for record in records), "").split("::")[0]
    return Stack(urn.removeprefix("urn:pulumi:") or name, declared, known)


def _resource(record: Record, part: str, providers: Mapping[str, Mapping[str, Any]]) -> Resource:
    type_, urn = record["type"], record["urn"]
    given = record.get(part) or (record.get("inputs") if part == "outputs" else None) or {}
    properties = _configuration(record, given) if type_.startswith(_PROVIDER) else from_json(given)
    # Of a provider that the file does not hold nothing is known.
    reference = (record.get("provider") or "").rpartition("::")[0]
    provider = providers.get(reference, UNKNOWN) if reference else None
    links = {
        key: frozenset(origins)
        for key, origins in (record.get("propertyDependencies") or {}).items()
        if isinstance(origins, list) and all(isinstance(origin, str) for origin in origins)
    }
    return Resource(type_, urn, urn.rpartition("::")[2], View(properties), View(provider, "provider"), links)


def _configuration(record: Record, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a provider's configuration, whether whole or what the file knows of it."""
    found = provider_values(given or {})
    return PartlyKnown(found) if record.get("partly") else found


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "text", type(None): "nothing"}.get(
        type(value), type(value).__name__
    )
