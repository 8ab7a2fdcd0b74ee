"""Crossings: from no drift to drift. Each is written down before anybody is told, and told once.

What was written down outlives this process: after a restart nobody is told again of what they know, and whoever was
not told yet is told, by an event of the same identity.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from falaj.training.errors import TrainingError, in_words
from falaj.training.watch.figures import Deliveries
from falaj.training.watch.webhook import UntoldError, Webhook, cloud_event
from falaj.training.watch.window import Measured

DRIFT, TOLD, OVER = "drift", "drift-told", "drift-over"
"""What events are called: a crossing, that the webhook took it, and that what had drifted is as it was again."""
LONGEST_PAUSE = 300.0
"""Seconds between attempts at most."""
MOST_COLUMNS = 20
"""Columns that an event names, those with the largest index."""


class Journal(Protocol):
    """Where events are written down."""

    def append(self, event: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Write an event down; return its identity, and the event with its time."""
        ...

    def events(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return all events with their identities, in their order."""
        ...


@dataclass
class _Version:
    """What is known of a version's crossings."""

    drifted: frozenset[str] = frozenset()
    """The columns of a crossing that is not over."""
    untold: tuple[str, Mapping[str, Any]] | None = None
    """A crossing that nobody was told of, with its identity."""


@dataclass
class Crossings:
    """The crossings of one model."""

    tenant: str
    model: str
    journal: Journal
    webhook: Webhook | None
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    deliveries: Deliveries = field(default_factory=Deliveries)
    """How the webhook stands."""

    def __post_init__(self) -> None:
        self._versions: dict[int, _Version] | None = None
        self._attempts, self._not_before = 0, float("-inf")

    def look(self, found: Mapping[int, Sequence[Measured] | None]) -> None:
        """Write down what crossed since the last look, and tell the webhook of what it was not told.

        Where the journal or the webhook is out of reach, it is tried again at a later look.
        """
        try:
            known = self._known()
            for version, columns in found.items():
                if columns is not None:
                    self._look_at(version, columns, known.setdefault(version, _Version()))
        except (TrainingError, OSError) as error:
            self.deliveries = replace(self.deliveries, unrecorded=self.deliveries.unrecorded + 1)
            self.say(f"the audit log cannot be written to, so nobody is told: {in_words(error)}")
            return
        self._tell(known)

    def _known(self) -> dict[int, _Version]:
        if self._versions is None:
            self._versions = recovered(self.journal.events(), told=self.webhook is not None)
        return self._versions

    def _look_at(self, version: int, columns: Sequence[Measured], known: _Version) -> None:
        drifted = frozenset(_name(each) for each in columns if each.outcome == "fail")
        passes = {_name(each) for each in columns if each.outcome == "pass"}
        if drifted and not known.drifted:
            event = self._event(DRIFT, version) | {
                "columns": _told(columns),
                "rows": max(each.rows for each in columns),
            }
            written = self.journal.append(event)
            known.drifted = drifted
            known.untold = written if self.webhook is not None else None
            self._attempts, self._not_before = 0, float("-inf")
        elif known.drifted and not drifted and known.drifted <= passes:
            self.journal.append(self._event(OVER, version))
            known.drifted = frozenset()

    def _tell(self, known: Mapping[int, _Version]) -> None:
        for version, each in known.items():
            if self.webhook is not None and each.untold is not None and self.clock() >= self._not_before:
                self._tell_of(self.webhook, version, each, *each.untold)
        pending = sum(each.untold is not None for each in known.values())
        self.deliveries = replace(self.deliveries, pending=pending)

    def _tell_of(
        self, webhook: Webhook, version: int, known: _Version, identity: str, event: Mapping[str, Any]
    ) -> None:
        data = {name: event[name] for name in ("tenant", "model", "version", "columns", "rows") if name in event}
        source, when = f"/falaj/{self.tenant}/{self.model}", str(event.get("time", ""))
        told = cloud_event(identity, source=source, subject=f"{self.model}/{version}", when=when, data=data)
        try:
            status = webhook.tell(told)
        except UntoldError as error:
            self._attempts += 1
            self._not_before = self.clock() + min(2.0**self._attempts, LONGEST_PAUSE)
            self.deliveries = replace(self.deliveries, failed=self.deliveries.failed + 1)
            self.say(str(error))
            return
        known.untold = None
        self._attempts = 0
        self.deliveries = replace(self.deliveries, delivered=self.deliveries.delivered + 1)
        try:
            told_event = {"crossing": identity, "webhook": webhook.host, "status": status}
            self.journal.append(self._event(TOLD, version) | told_event)
        except (TrainingError, OSError) as error:
            # After a restart it is told again, by the same identity: better twice than never.
            self.deliveries = replace(self.deliveries, unrecorded=self.deliveries.unrecorded + 1)
            self.say(f"{webhook.host} was told, and the audit log cannot be written to: {in_words(error)}")

    def _event(self, what: str, version: int) -> dict[str, Any]:
        return {"what": what, "tenant": self.tenant, "model": self.model, "version": version}


def recovered(events: Sequence[tuple[str, Mapping[str, Any]]], *, told: bool) -> dict[int, _Version]:
    """Return what the journal knows of each version; ``told``: whether there is somebody to be told."""
    found: dict[int, _Version] = {}
    for identity, event in events:
        version, what = event.get("version"), event.get("what")
        if not isinstance(version, int):
            continue
        if what == DRIFT:
            columns = (f"{each['kind']} {each['column']}" for each in event.get("columns", ()))
            found[version] = _Version(frozenset(columns), (identity, event) if told else None)
        elif what == OVER and version in found:
            found[version].drifted = frozenset()
        elif what == TOLD and version in found:
            untold = found[version].untold
            if untold is not None and untold[0] == event.get("crossing"):
                found[version].untold = None
    return found


def _name(each: Measured) -> str:
    return f"{each.kind} {each.column}"


def _told(columns: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return the columns that drifted: how far, and never any value."""
    drifted = [(each.moved.index, each) for each in columns if each.outcome == "fail" and each.moved is not None]
    drifted.sort(key=lambda pair: -pair[0])
    return [
        {"kind": each.kind, "column": each.column, "index": round(index, 4), "rows": each.rows}
        for index, each in drifted[:MOST_COLUMNS]
    ]
