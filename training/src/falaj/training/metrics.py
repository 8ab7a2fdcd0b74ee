"""What a run tells Prometheus: a file for its textfile collector, or a port that it asks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server, write_to_textfile

from falaj.training.errors import RefusedError
from falaj.training.job import Job

_GAUGES = {
    "step": "Steps that are done",
    "steps": "Steps that there are to do",
    "loss": "Loss, the mean since the line of progress before",
    "learning_rate": "Learning rate",
    "samples_per_second": "Examples a second, of all workers",
    "mfu": "Share of the devices' floating-point operations that the model took",
    "memory_bytes": "Most memory that one worker held",
    "power_watts": "Power of all workers' GPUs",
    "energy_joules": "Energy of the run so far",
    "saved_step": "Step of the last checkpoint",
    "saved_share": "Share of the steps that are done and saved, where their number is known",
}


class Metrics:
    """The gauges of one job, kept by the lines of its run."""

    def __init__(self, job: Job) -> None:
        registry = CollectorRegistry()
        self._job = job
        self._registry = registry
        self._gauges = {
            name: Gauge(f"falaj_training_{name}", words, ["job"], registry=registry) for name, words in _GAUGES.items()
        }
        self._starts = Counter("falaj_training_starts", "Starts of the workers", ["job"], registry=registry)
        self._file = job.folder / job.report.metrics_file if job.report.metrics_file else None
        self._steps: int | None = None
        self.port: int | None = None
        """The port that Prometheus may ask, where one is open."""
        if job.report.metrics_port is not None:
            self._open(job.report.metrics_host, job.report.metrics_port)

    def _open(self, host: str, port: int) -> None:
        try:
            server, _thread = start_http_server(port, host, self._registry)
        except OSError as error:
            raise RefusedError("report.metrics_port", port, f"must be free on {host}: {error.strerror}") from error
        self.port = server.server_port

    def take(self, line: Mapping[str, Any]) -> None:
        """Take what a line says."""
        if line["event"] in ("begin", "resume"):
            self._starts.labels(self._job.name).inc()
        values = dict(line)
        self._steps = line.get("steps") or self._steps
        if line["event"] in ("begin", "resume", "checkpoint"):
            values["saved_step"] = line["step"]
            if self._steps:
                values["saved_share"] = min(1.0, line["step"] / self._steps)
        for name, gauge in self._gauges.items():
            if isinstance(values.get(name), int | float):
                gauge.labels(self._job.name).set(values[name])
        if self._file is not None:
            write_to_textfile(str(Path(self._file)), self._registry)
