"""What the audit log and the store together say of a model's versions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from falaj.training.errors import RefusedError
from falaj.training.lineage.digests import bytes_digest
from falaj.training.sealing import KeySource
from falaj.training.serving.audit import Event, Recorded
from falaj.training.serving.manifest import Manifest
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.standing import Standing
from falaj.training.serving.versions import Versions

PUBLISH, DEPLOY = "publish", "deploy"


@dataclass(frozen=True)
class Release:
    """A version, as its publishing was recorded."""

    version: int
    """Its number."""
    published: str | None
    """When, ISO 8601; None where no event says so."""
    who: Mapping[str, str]
    """By whom."""
    tenant: str | None
    """Whose it is."""
    classification: str | None
    """How confidential it is."""
    model_digest: str | None
    """Digest over the model's files."""
    manifest_digest: str | None
    """Digest of the sealed manifest."""
    verdict: Mapping[str, Any] | None
    """Digest and outcome of the gate's verdict."""
    served: str | None = None
    """`stable` or `new`, where a service was asked and serves it."""


def publish_event(manifest: Manifest, digest: str) -> Event:
    """Return the event of a version's publishing."""
    return {
        "what": PUBLISH,
        "tenant": manifest.tenant,
        "model": manifest.model,
        "version": manifest.version,
        "classification": manifest.classification,
        "model_digest": manifest.model_digest,
        "manifest_digest": digest,
        "verdict": {"digest": manifest.verdict.digest, "outcome": manifest.verdict.outcome},
        "published": manifest.published.isoformat(),
        "who": dict(manifest.who),
    }


def recorded_releases(events: Sequence[Recorded]) -> dict[int, Release]:
    """Return the versions whose publishing was recorded; the first record of a version counts."""
    found: dict[int, Release] = {}
    for each in events:
        told = each.event or {}
        number = told.get("version")
        if told.get("what") != PUBLISH or not isinstance(number, int) or number in found:
            continue
        found[number] = Release(
            version=number,
            published=told.get("published"),
            who=told.get("who") or {},
            tenant=told.get("tenant"),
            classification=told.get("classification"),
            model_digest=told.get("model_digest"),
            manifest_digest=told.get("manifest_digest"),
            verdict=told.get("verdict"),
        )
    return found


def release(number: int, versions: Versions, events: Sequence[Recorded]) -> Release:
    """Return a version that is to be served again.

    Raises `NotServedError` where it is not there, or is not what was recorded, and `RefusedError` where nothing was
    recorded of it.
    """
    sealed = versions.sealed(number)
    found = recorded_releases(events).get(number)
    if found is None:
        raise RefusedError("--to", number, "must have an event of its publishing: publish the same folder again")
    if bytes_digest(sealed) != found.manifest_digest:
        place = versions.place(number)
        raise NotServedError("tampered", "store", place, f"must have the recorded digest {found.manifest_digest}")
    return found


def served_before(number: int, service: str, events: Sequence[Recorded]) -> int | None:
    """Return the version that was stable when ``number`` was last deployed; None where no event says so."""
    for each in reversed(events):
        told = each.event or {}
        if told.get("what") == DEPLOY and told.get("version") == number and told.get("service") == service:
            before = told.get("stable")
            return before if isinstance(before, int) and before != number else None
    return None


def history(
    versions: Versions, events: Sequence[Recorded], service: Standing | None = None, keys: KeySource | None = None
) -> list[Release]:
    """Return all versions, the newest first; with ``keys`` they are read from their manifests, and not from the log."""
    logged = recorded_releases(events)
    found: list[Release] = []
    for number in reversed(versions.numbers()):
        known = logged.get(number) or Release(number, None, {}, None, None, None, None, None)
        if keys is not None:
            opened = versions.open(number, keys)
            told = Recorded(0, "", publish_event(opened.manifest, opened.digest))
            known = recorded_releases([told])[number]
        found.append(replace(known, served=_served(number, service)))
    return found


def disagreements(versions: Versions, events: Sequence[Recorded]) -> list[str]:
    """Return where the store and the log do not agree, in words."""
    logged, there = recorded_releases(events), versions.numbers()
    wrong = [f"version {number} is in the log and not in the store" for number in logged if number not in there]
    for number in there:
        if number not in logged:
            wrong.append(f"version {number} is in the store and no event tells of it: publish the same folder again")
        elif bytes_digest(versions.sealed(number)) != logged[number].manifest_digest:
            wrong.append(f"version {number} is not what was published: its manifest has another digest than recorded")
    return wrong


def in_words(found: Sequence[Release], line: Callable[[str], None]) -> None:
    """Say the versions, one in a line."""
    for each in found:
        who = each.who.get("aws") or f"{each.who.get('user', 'unknown')}@{each.who.get('host', 'unknown')}"
        served = f"  <- {each.served}" if each.served else ""
        outcome = (each.verdict or {}).get("outcome", "unknown")
        digest = (each.model_digest or "unknown")[:19]
        line(f"{each.version:>5}  {each.published or 'no event':<25}  {outcome:<7}  {digest}  {who}{served}")


def _served(number: int, service: Standing | None) -> str | None:
    if service is None:
        return None
    if service.stable is not None and service.stable.version == number:
        return "stable"
    return "new" if service.updating and service.canary is not None and service.canary.version == number else None
