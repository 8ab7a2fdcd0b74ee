"""What a run says about itself while it runs; it is written down at once, and carried to whoever is told later.

Nothing here waits for a server, and nothing here fails a run: what cannot even be written down is warned about once.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from falaj.training.lineage.courier import EVENTS, TRACKING, CourierProcess, Receivers
from falaj.training.lineage.facts import EnergyFacts, Facts, ModelFacts
from falaj.training.lineage.mlflow_runs import parameters
from falaj.training.lineage.outbox import Outbox
from falaj.training.lineage.section import LineageSection, TrackingSection

_log = logging.getLogger(__name__)
_LONGEST_ERROR = 500  # characters of it: an error may quote the data that it is about


class RunLog:
    """The log of one run, for its first worker alone.

    As a context it says how the run ended: COMPLETE, ABORT where it was interrupted, or FAIL with what was raised.
    """

    def __init__(
        self,
        facts: Facts,
        folder: Path,
        *,
        base: Path,
        tracking: TrackingSection | None = None,
        lineage: LineageSection | None = None,
        settings: Mapping[str, Any] | None = None,
        resumed: bool = False,
    ) -> None:
        """Keep the log below ``folder``, the run's; ``base`` is the folder of the job file.

        ``settings`` are the job's, for whoever compares runs; ``resumed`` says that the run goes on that began before.
        """
        self._facts, self._resumed = facts, resumed
        self._tracking, self._lineage = tracking, lineage
        self._settings = settings or {}
        self._file = lineage.events_file(base, folder) if lineage else None
        self._box = folder / "outbox"
        self._models: list[ModelFacts] = []
        self._warned = False
        self._process: CourierProcess | None = None
        if tracking or lineage:
            self._written(lambda: self._receivers(base, folder).write(self._box))

    def __enter__(self) -> Self:
        if self._tracking or self._lineage:
            with contextlib.suppress(OSError):
                self._process = CourierProcess(self._box)
        self._event("RUNNING" if self._resumed else "START")
        self._track("start", **self._beginning())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end("COMPLETE", "FINISHED")
        elif isinstance(error, Exception):
            self._end("FAIL", "FAILED", f"{type(error).__name__}: {error}".strip(": "))
        else:
            self._end("ABORT", "KILLED", f"interrupted by {type(error).__name__}")
        if self._process is not None:
            self._process.close()

    @property
    def waiting(self) -> int:
        """Bytes that nobody has received yet; the next command of the job sends them."""
        return waiting(self._box)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Say what was measured at a step; tens of microseconds, for a run that measures every step too."""
        self._track("metrics", step=step, values={name: float(value) for name, value in values.items()})

    def progress(self, step: int) -> None:
        """Say that the run is alive, and where it is: an OpenLineage event; once in minutes is enough."""
        self._event("RUNNING", step=step)

    def energy(self, energy: EnergyFacts) -> None:
        """Say what the run has cost."""
        self._facts = self._facts.model_copy(update={"energy": energy})
        said = {"falaj.energy_joules": f"{energy.joules:.6g}", "falaj.energy_method": energy.method}
        self._track("tags", tags=said)

    def exported(self, model: ModelFacts, registered: str | None = None) -> None:
        """Say that the run has exported a model: it is the run's output, and a version in the registry."""
        self._models.append(model)
        tags = {"falaj.format": model.format, "falaj.signed_by": model.signed_by, "falaj.verdict": model.verdict}
        self._track(
            "model",
            name=registered or (self._tracking.model if self._tracking else None) or model.name,
            digest=model.digest,
            location=model.location,
            tags={name: value for name, value in tags.items() if value is not None},
        )

    def _beginning(self) -> dict[str, Any]:
        facts, code = self._facts, self._facts.code
        tags: dict[str, str | None] = {
            "falaj.job_digest": facts.job_digest,
            "falaj.code_digest": code.digest,
            "falaj.dirty": None if code.dirty is None else str(code.dirty).lower(),
            "falaj.image": facts.image,
            "falaj.seed": str(facts.seed),
            "mlflow.source.git.commit": code.commit,
            "mlflow.source.git.repoURL": code.repository,
            **{f"falaj.data.{each.name}": each.known_by or "unknown" for each in facts.data},
            **{f"falaj.library.{name}": facts.libraries.get(name) for name in ("torch", "numpy", "falaj-training")},
        }
        return {
            "name": f"{facts.job}-{facts.run[:8]}",
            "experiment": (self._tracking.experiment if self._tracking else None) or facts.job,
            "tags": {name: value for name, value in tags.items() if value is not None},
            "parameters": parameters(self._settings),
        }

    def _end(self, event: str, status: str, error: str | None = None) -> None:
        self._event(event, error=error)
        self._track("end", status=status)

    def _event(self, kind: str, error: str | None = None, step: int | None = None) -> None:
        if self._lineage is None:
            return
        from falaj.training.lineage.events import run_event  # noqa: PLC0415 - its library takes half a second

        said = error if error is None else error[:_LONGEST_ERROR]
        namespace = self._lineage.namespace
        event = run_event(kind, self._facts, namespace=namespace, models=self._models, error=said, step=step)
        if self._file is not None:
            self._written(lambda: _append(self._file, event))
        if self._lineage.url is not None:
            self._written(lambda: Outbox(self._box / EVENTS).append(event))

    def _track(self, kind: str, **more: Any) -> None:
        if self._tracking is None:
            return
        record = {"kind": kind, "run": self._facts.run, "time": int(time.time() * 1000), **more}
        self._written(lambda: Outbox(self._box / TRACKING).append(record))

    def _written(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            if not self._warned:
                _log.warning("%s: nothing more may be known of this run: %s", self._box, error.strerror)
            self._warned = True

    def _receivers(self, base: Path, folder: Path) -> Receivers:
        return Receivers(
            tracking=self._tracking.place(base, folder) if self._tracking else None,
            artifacts=(folder.absolute() / "artifacts").as_uri(),
            lineage=self._lineage.url if self._lineage else None,
            endpoint=self._lineage.endpoint if self._lineage else "api/v1/lineage",
        )


def waiting(box: Path) -> int:
    """Return how many bytes of a folder's outboxes nobody has received yet."""
    return sum(Outbox(box / name).waiting for name in (TRACKING, EVENTS))


def send_waiting(folder: Path, patience: float = 10.0) -> int:
    """Send what earlier runs in ``folder`` could not; return the bytes that wait still. Quick where nothing does."""
    box = folder / "outbox"
    if waiting(box):
        CourierProcess(box, patience).close()
    return waiting(box)


def _append(path: Path | None, event: Mapping[str, Any]) -> None:
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")
        os.fsync(file.fileno())
