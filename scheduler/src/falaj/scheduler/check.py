"""The offline check of a manifest: what would be refused in the cluster, before it is there."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from falaj.scheduler.errors import RefusedError
from falaj.scheduler.policy import Policy
from falaj.scheduler.words import (
    CHECKPOINT,
    DEADLINE,
    EXPECTED,
    PORT,
    PROGRESS,
    TIER,
    check_deadline_ahead,
    read_checkpoint,
    read_deadline,
    read_expected,
    read_port,
    read_progress,
)

_READERS = {
    DEADLINE: read_deadline,
    EXPECTED: read_expected,
    PROGRESS: read_progress,
    CHECKPOINT: read_checkpoint,
    PORT: read_port,
}


def check(text: str, now: float, policy: Policy) -> tuple[list[str], list[RefusedError]]:
    """Return which works the manifests hold, and all that is refused of them."""
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise RefusedError("manifest", str(error).splitlines()[0], "must be YAML or JSON") from None
    names: list[str] = []
    refused: list[RefusedError] = []
    for document in documents:
        if not isinstance(document, Mapping) or "kind" not in document:
            raise RefusedError("manifest", document, "must be Kubernetes objects, each with its kind")
        for each in [document, *document.get("items", [])]:
            meta: Any = each.get("metadata") or {}
            if each.get("kind") != "List":
                names.append(f"{each.get('kind')} {meta.get('name') or meta.get('generateName', '')}")
                refused += _refusals(meta, now, policy)
    if not names:
        raise RefusedError("manifest", text[:40], "must hold at least one object")
    return names, refused


def _refusals(meta: Mapping[str, Any], now: float, policy: Policy) -> Iterator[RefusedError]:
    tier = (meta.get("labels") or {}).get(TIER)
    if tier is not None and tier not in policy.tiers:
        yield RefusedError(TIER, tier, f"must be a tier: {', '.join(policy.tiers)}")
    said: Mapping[str, Any] = meta.get("annotations") or {}
    for name in _READERS:
        try:
            _check(name, said.get(name), now)
        except RefusedError as error:
            yield error


def _check(name: str, value: object, now: float) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise RefusedError(name, value, "must be text: put it in quotes")
    read = _READERS[name](value)
    if name == DEADLINE:
        assert read is not None
        check_deadline_ahead(value, read, now)
