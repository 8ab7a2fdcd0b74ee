"""How a job stands, from its run's own files: no torch, no store, no cluster is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from falaj.training import events
from falaj.training.job import Job
from falaj.training.launch import is_locked


class State(StrEnum):
    """What became of a job."""

    NEW = "new"
    """It has not begun."""
    RUNNING = "running"
    """A process of this machine runs it."""
    STOPPED = "stopped"
    """It was asked to stop, and saved where it was."""
    INTERRUPTED = "interrupted"
    """It ended without saying so: it failed, or was killed."""
    DONE = "done"
    """Its budget is used up."""


@dataclass(frozen=True)
class Status:
    """How a job stands."""

    name: str
    state: State
    step: int = 0
    """Steps that are done, as far as was told."""
    steps: int | None = None
    """Steps that there are to do; None where time decides."""
    saved_step: int | None = None
    """Step of the last checkpoint that is known to be durable."""
    workers: int | None = None
    starts: int = 0
    """How often its workers were started, from the beginning or from a checkpoint."""
    last: Mapping[str, Any] | None = None
    """The last line of progress."""
    seconds_left: float | None = None
    """Seconds until the budget is used up, at the present pace."""
    error: str | None = None
    """What it failed with last, where it does not run."""


def status(job: Job) -> Status:
    """Return how a job stands."""
    lines = events.read(job.folder)
    if not lines:
        state = State.RUNNING if is_locked(job.folder) else State.NEW
        return Status(job.name, state, error=_error(job, 0) if state is State.NEW else None)
    begins = [each for each in lines if each["event"] in ("begin", "resume")]
    state = _state(job, lines[-1])
    told = [each for each in lines if each["event"] == "progress"]
    saved = [each["step"] for each in lines if each["event"] == "checkpoint"]
    steps = begins[-1].get("steps") if begins else None
    step = lines[-1].get("step", 0)
    pace = told[-1]["seconds"] / told[-1]["step"] if told else None
    return Status(
        name=job.name,
        state=state,
        step=step,
        steps=steps,
        saved_step=saved[-1] if saved else None,
        workers=begins[-1].get("workers") if begins else None,
        starts=len(begins),
        last=told[-1] if told else None,
        seconds_left=(steps - step) * pace if steps and pace and state is State.RUNNING else None,
        error=_error(job, begins[-1]["time"]) if begins and state is State.INTERRUPTED else None,
    )


def in_words(status: Status) -> Sequence[str]:
    """Say it in lines for a person."""
    of = f" of {status.steps}" if status.steps else ""
    lines = [f"{status.name}: {status.state}, step {status.step}{of}"]
    if status.last:
        lines.append(line_in_words(status.last))
    if status.saved_step is not None:
        lines.append(f"Last checkpoint: step {status.saved_step}.")
    if status.starts > 1:
        lines.append(f"Its workers were started {status.starts} times.")
    if status.seconds_left is not None:
        lines.append(f"About {duration(status.seconds_left)} to go.")
    if status.error:
        lines.append(f"It failed: {status.error}")
    return lines


def line_in_words(line: Mapping[str, Any]) -> str:
    """Say a line of progress in short."""
    of = f"/{line['steps']}" if "steps" in line else ""
    parts = [f"step {line['step']}{of}", f"loss {line['loss']:.4g}"]
    parts += [f"{name} {value:.4g}" for name, value in line.get("metrics", {}).items()]
    parts += [f"lr {line['learning_rate']:.3g}", f"{line['samples_per_second']:.4g} samples/s"]
    if "mfu" in line:
        parts.append(f"MFU {line['mfu']:.1%}")
    parts.append(f"{line['memory_bytes'] / 2**30:.2f} GiB")
    if "power_watts" in line:
        parts.append(f"{line['power_watts']:.0f} W")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Say a duration in its largest unit."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _state(job: Job, last: Mapping[str, Any]) -> State:
    if is_locked(job.folder):
        return State.RUNNING
    return {"end": State.DONE, "stopped": State.STOPPED}.get(last["event"], State.INTERRUPTED)


def _error(job: Job, since: float) -> str | None:
    errors = [each for each in events.read(job.folder, events.ERRORS) if each["time"] >= since]
    if not errors:
        return None
    first = errors[0]
    return first.get("message") or f"{first['field']} {first['remedy']} (got {first['value']!r})"
