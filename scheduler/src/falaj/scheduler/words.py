"""What a person may say on work: tier, deadline, expected seconds, measured progress."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from falaj.scheduler.errors import RefusedError

TIER = "kueue.x-k8s.io/priority-class"
"""Label: the tier, by the name of its WorkloadPriorityClass."""
DEADLINE = "falaj.dev/deadline"
"""Annotation: when the work has to be done, RFC 3339 with an offset."""
EXPECTED = "falaj.dev/expected-seconds"
"""Annotation: how long the whole work takes once it has all its GPUs."""
PROGRESS = "falaj.dev/progress"
"""Annotation: the share of the work, 0 to 1, that was done and saved when it last began to run."""
CHECKPOINT = "falaj.dev/checkpoint-seconds"
"""Annotation: how often the work saves what is done, so that being displaced undoes no more than that."""
PORT = "falaj.dev/progress-port"
"""Annotation: the port on which the work's first pod tells Prometheus how much is done and saved."""

_FAR = 10 * 365 * 86400
"""Seconds that no run takes: ten years."""


@dataclass(frozen=True, slots=True)
class Words:
    """What was said, as numbers; ``None`` is what was not."""

    deadline: float | None = None
    """Seconds since the epoch."""
    expected: float | None = None
    """Seconds."""
    progress: float | None = None
    """Measured share from 0 to 1."""
    measured: float | None = None
    """When that was so, in seconds since the epoch; ``None`` is when the work last began."""
    checkpoint: float | None = None
    """Seconds of work that being displaced undoes at most."""
    port: int | None = None
    """Where the first pod tells its progress."""
    refused: RefusedError | None = None
    """The first word that cannot be understood, which makes the others void."""


def read_words(annotations: Mapping[str, str]) -> Words:
    """Read the annotations; what cannot be understood is kept as the refusal."""
    try:
        return Words(
            deadline=read_deadline(annotations.get(DEADLINE)),
            expected=read_expected(annotations.get(EXPECTED)),
            progress=read_progress(annotations.get(PROGRESS)),
            checkpoint=read_checkpoint(annotations.get(CHECKPOINT)),
            port=read_port(annotations.get(PORT)),
        )
    except RefusedError as refused:
        return Words(refused=refused)


def read_deadline(text: str | None) -> float | None:
    """Read a moment; without an offset it would mean another moment on another machine, and is refused."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RefusedError(DEADLINE, text, "must be a moment with an offset, such as 2030-01-31T18:00:00Z")
    return moment.timestamp()


def read_expected(text: str | None) -> float | None:
    """Read how long the work takes."""
    return None if text is None else _number(EXPECTED, text, 1, _FAR, "seconds, a number from 1 on, such as 7200")


def read_progress(text: str | None) -> float | None:
    """Read how much is done."""
    return None if text is None else _number(PROGRESS, text, 0, 1, "a share from 0 to 1, such as 0.25")


def read_checkpoint(text: str | None) -> float | None:
    """Read how often the work saves what is done."""
    return None if text is None else _number(CHECKPOINT, text, 1, _FAR, "seconds, a number from 1 on, such as 1800")


def read_port(text: str | None) -> int | None:
    """Read where progress is told."""
    return None if text is None else int(_number(PORT, text, 1, 65535, "a port from 1 to 65535, such as 9410"))


def check_deadline_ahead(text: str, deadline: float, now: float) -> None:
    """Refuse a deadline that has passed already."""
    if deadline <= now:
        raise RefusedError(DEADLINE, text, f"must be later than {moment(now)}: set a moment to come, or none")


def moment(seconds: float) -> str:
    """Write a moment as a person and a program read it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def duration(seconds: float) -> str:
    """Write a duration as a person reads it."""
    minutes, rest = divmod(round(abs(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{rest} s"


def _number(field: str, text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise RefusedError(field, text, f"must be {what}")
    return value
