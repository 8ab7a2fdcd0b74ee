"""What a watch of a published model is put together of: its reference, its samples, and where crossings are told."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from falaj.training.lineage.digests import bytes_digest
from falaj.training.sealing import KeySource
from falaj.training.serving.audit import AuditLog
from falaj.training.serving.caller import caller
from falaj.training.serving.options import say
from falaj.training.serving.references import read_reference
from falaj.training.serving.verification import Trust
from falaj.training.serving.versions import Versions
from falaj.training.stores import Store
from falaj.training.watch.asking import Service
from falaj.training.watch.crossings import Crossings
from falaj.training.watch.pseudonyms import open_pseudonyms
from falaj.training.watch.reference import Reference
from falaj.training.watch.running import Listening, run
from falaj.training.watch.samples import Samples
from falaj.training.watch.watcher import Watcher
from falaj.training.watch.webhook import Webhook
from falaj.training.watch.window import Judgement

__all__ = ["Judgement", "Listening", "Service", "Watcher", "Webhook", "crossings", "keep_samples", "reader", "run"]


def reader(place: Versions, keys: KeySource, trust: Trust) -> Callable[[int], Reference | None]:
    """Return what reads the reference of a version."""
    return lambda number: read_reference(place, number, keys, trust)


def keep_samples(store: Store, keys: KeySource, place: Versions, per_hour: int, identifying: Sequence[str]) -> Samples:
    """Return what keeps samples of a model's requests in ``store``."""
    pseudonyms = open_pseudonyms(store, keys, tenant=place.tenant, model=place.model)
    return Samples(store, keys, pseudonyms, place.tenant, place.model, per_hour, frozenset(identifying), say)


def crossings(place: Versions, webhook: Webhook | None) -> Crossings:
    """Return what writes crossings down: with a webhook into the model's audit log, else on the standard output."""
    journal = _Printed() if webhook is None else _Log(AuditLog(place.store, place.model), caller(place.store))
    return Crossings(place.tenant, place.model, journal, webhook, say)


class _Log:
    """The model's audit log as a journal; what is written there is printed too."""

    def __init__(self, log: AuditLog, who: Mapping[str, str]) -> None:
        self._log, self._who = log, who

    def append(self, event: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        written = self._log.append({**event, "who": self._who})
        typer.echo(written.line())
        return written.digest, written.event or {}

    def events(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return [(each.digest, each.event or {}) for each in self._log.events()]


class _Printed:
    """A journal that is the standard output: without a webhook nothing has to be known after a restart."""

    def append(self, event: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        told = {**event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        line = json.dumps(told, sort_keys=True)
        typer.echo(line)
        return bytes_digest(line.encode()), told

    def events(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return []
