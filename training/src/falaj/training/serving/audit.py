"""The audit log of a model: what was done with it, one object for each event, none of them ever written twice.

Events are numbered without gaps, and each holds the digest of the one before it, so that none can be changed, removed
from the middle or put in between unseen. That the last ones were cut off is seen by whoever kept a later digest: each
action prints its event with its own.
"""

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from falaj.training.errors import TrainingError
from falaj.training.lineage.digests import bytes_digest
from falaj.training.stores import Store

_ATTEMPTS = 50
_READERS = 8
_LARGEST = 1 << 20
Event = Mapping[str, Any]


@dataclass(frozen=True)
class Recorded:
    """An event as it lies in the log."""

    number: int
    """Which one, from 1."""
    digest: str
    """Digest of its bytes."""
    event: Event | None
    """What it says; None where it is no event."""

    def line(self) -> str:
        """Return it as one line of JSON, with its digest."""
        return json.dumps({**(self.event or {}), "digest": self.digest}, sort_keys=True)


class AuditLog:
    """The events of one model."""

    def __init__(self, store: Store, model: str) -> None:
        self._store, self._folder = store, f"{model}/audit/"

    def append(self, event: Event) -> Recorded:
        """Write an event as the next one; of two that are written at once, one comes after the other."""
        for _ in range(_ATTEMPTS):
            numbers = self._numbers()
            last = numbers[-1] if numbers else 0
            previous = self._read(last).digest if last else None
            when = datetime.now(UTC).isoformat(timespec="milliseconds")
            told = {**event, "format": 1, "number": last + 1, "time": when, "previous": previous}
            content = json.dumps(told, sort_keys=True).encode() + b"\n"
            try:
                self._store.create(self._name(last + 1), content)
            except FileExistsError:
                time.sleep(secrets.randbelow(50) / 1000)
                continue
            return Recorded(last + 1, bytes_digest(content), told)
        raise TrainingError(f"the audit log {self._folder} could not be written to in {_ATTEMPTS} attempts")

    def events(self) -> list[Recorded]:
        """Return all events in their order."""
        with ThreadPoolExecutor(_READERS, "audit") as pool:
            return list(pool.map(self._read, self._numbers()))

    def _numbers(self) -> Sequence[int]:
        names = (name.removeprefix(self._folder) for name in self._store.names(self._folder))
        return sorted(int(name[:-5]) for name in names if re.fullmatch(r"\d{10}\.json", name))

    def _read(self, number: int) -> Recorded:
        with self._store.read(self._name(number)) as file:
            content = file.read(_LARGEST)
        try:
            event = json.loads(content)
        except (ValueError, RecursionError):
            event = None
        return Recorded(number, bytes_digest(content), event if isinstance(event, dict) else None)

    def _name(self, number: int) -> str:
        return f"{self._folder}{number:010d}.json"


def broken_links(events: Sequence[Recorded], holds: str | None = None) -> list[str]:
    """Return what is wrong with a log, in words; nothing where every event follows from the one before it.

    ``holds`` is the digest of an event that somebody kept: the log must have it.
    """
    wrong: list[str] = []
    previous: Recorded | None = None
    for each in events:
        expected = 1 if previous is None else previous.number + 1
        if each.number != expected:
            wrong.append(f"event {expected} is not there")
        if each.event is None:
            wrong.append(f"event {each.number} is no event")
        elif each.event.get("number") != each.number:
            wrong.append(f"event {each.number} says that it is event {each.event.get('number')}")
        elif each.event.get("previous") != (previous.digest if previous else None) and each.number == expected:
            wrong.append(f"event {each.number} does not follow from the one before it: one of the two was changed")
        previous = each
    if holds is not None and holds not in {each.digest for each in events}:
        wrong.append(f"no event has the digest {holds}: it was changed or removed")
    return wrong
