"""What was seen of a run: small records in the order of time, written one a line, from which everything is measured."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Seen(StrEnum):
    """What an event says."""

    SUBMITTED = "submitted"
    """The API server has taken the job."""
    ADMITTED = "admitted"
    """Kueue has given it its quota; ``note`` says how many of its pods on which nodes, as ``NODE=PODS NODE=PODS``."""
    EVICTED = "evicted"
    """Kueue has taken its quota back, ``value`` seconds after it had decided so; ``note`` says why."""
    READY = "ready"
    """``value`` of its pods run."""
    FINISHED = "finished"
    """All its pods have succeeded."""
    FAILED = "failed"
    """It has ended without success."""
    LOST = "lost"
    """``value`` simulated GPU seconds of its work are lost, since its last checkpoint; ``note`` says by what."""
    CAPACITY = "capacity"
    """``value`` GPUs are on nodes that are ready; ``note`` says what changed."""
    GONE = "gone"
    """The nodes that ``note`` names are not there, and all others are."""
    WARNED = "warned"
    """An event of the reason ``note`` was written about the job by the controller, and not by Kueue."""


@dataclass(frozen=True)
class Event:
    """One thing that was seen."""

    at: float
    """Real seconds since the run began."""
    seen: Seen
    job: str = ""
    value: float = 0.0
    note: str = ""


def write(path: Path, events: Iterable[Event]) -> None:
    """Write events."""
    path.write_text("".join(json.dumps(asdict(event)) + "\n" for event in events))


def read(path: Path) -> list[Event]:
    """Read events that were written here."""
    lines: Iterable[dict[str, Any]] = map(json.loads, path.read_text().splitlines())
    return [Event(line["at"], Seen(line["seen"]), line["job"], line["value"], line["note"]) for line in lines]
