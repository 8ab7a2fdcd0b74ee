"""The courier: a process beside a run that carries what is in its outboxes to MLflow and to the lineage server.

It is a process of its own because MLflow takes seconds of processor time to load, which a training step would feel.
It ends soon after the run does, however the run ends; what it could not deliver waits for the next courier.
"""

import contextlib
import logging
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from falaj.training.lineage.mlflow_runs import MlflowRuns
from falaj.training.lineage.outbox import Outbox, Record, RejectedError
from falaj.training.section import Section

TRACKING, EVENTS = "tracking.jsonl", "events.jsonl"
"""The outboxes."""
RECEIVERS = "receivers.json"
LOG = "courier.log"

_log = logging.getLogger(__name__)
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds between two rounds; it doubles while somebody is away
_REFUSALS = (400, 413, 415, 422)  # statuses that another try will not change


class Receivers(Section):
    """Who is told, without any secret: those are in the environment."""

    tracking: str | None = None
    """MLflow's database or server."""
    artifacts: str | None = None
    """Folder for artifacts of runs in a database."""
    lineage: str | None = None
    """Address of the lineage server."""
    endpoint: str = "api/v1/lineage"
    """Path below that address."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read who is told of a folder's outboxes; nobody where that was never written."""
        try:
            return cls.model_validate_json((folder / RECEIVERS).read_bytes())
        except FileNotFoundError:
            return cls()

    def write(self, folder: Path) -> None:
        """Write it beside the outboxes, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{RECEIVERS}.{os.getpid()}"
        fresh.write_text(self.model_dump_json())
        fresh.replace(folder / RECEIVERS)


class Courier:
    """Carries what is in a folder's outboxes."""

    def __init__(self, folder: Path) -> None:
        receivers = Receivers.read(folder)
        self._rounds: list[tuple[Outbox, Callable[[Sequence[Record]], None]]] = []
        if receivers.tracking:
            runs = MlflowRuns(receivers.tracking, receivers.artifacts)
            self._rounds.append((Outbox(folder / TRACKING), runs.send))
        if receivers.lineage:
            server = LineageServer(receivers.lineage, receivers.endpoint)
            self._rounds.append((Outbox(folder / EVENTS), server.send))

    @property
    def waiting(self) -> int:
        """Bytes that are not delivered."""
        return sum(outbox.waiting for outbox, _ in self._rounds)

    def round(self) -> bool:
        """Deliver what can be delivered; say whether everybody was there."""
        everybody = True
        for outbox, send in self._rounds:
            try:
                outbox.deliver(send)
            except Exception as error:
                _log.warning("%s waits: %s", outbox.path.name, str(error).partition("\n")[0] or type(error).__name__)
                everybody = False
        return everybody


class LineageServer:
    """A server that takes OpenLineage events, one request each, in their order."""

    def __init__(self, url: str, endpoint: str) -> None:
        self._url = url if url.endswith("/") else f"{url}/"
        self._endpoint = endpoint
        self._transport: Any = None

    def send(self, records: Sequence[Record]) -> None:
        """Send events; raise `RejectedError` for one that the server finds malformed."""
        from requests import HTTPError  # noqa: PLC0415 - with the transport

        self._transport = self._transport or self._open()
        for record in records:
            try:
                self._transport.emit(dict(record))
            except HTTPError as error:
                if error.response is not None and error.response.status_code in _REFUSALS:
                    raise RejectedError(str(error)) from error
                raise

    def _open(self) -> Any:
        from openlineage.client.transport import http  # noqa: PLC0415 - only where there is such a server

        key = os.environ.get("OPENLINEAGE_API_KEY")
        auth = http.ApiKeyTokenProvider({"api_key": key}) if key else http.TokenProvider({})
        once = {"total": 0, "allowed_methods": ["POST"]}
        return http.HttpTransport(http.HttpConfig(self._url, self._endpoint, timeout=5.0, auth=auth, retry=once))


class CourierProcess:
    """A courier that runs beside this process, and for ``patience`` seconds after it at most."""

    def __init__(self, folder: Path, patience: float = 10.0) -> None:
        self._patience = patience
        with (folder / LOG).open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(folder), str(patience)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def close(self) -> None:
        """Let it deliver what is left, and end it where that takes too long."""
        assert self._process.stdin is not None
        # More than its closing: a forked loader of data may still hold the other end.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"end")
            self._process.stdin.close()
        try:
            self._process.wait(self._patience + 30)  # in which it may still be loading
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def follow(folder: Path, patience: float, ends: Any = sys.stdin) -> None:
    """Deliver until ``ends`` is written to or closed, and then what is left, for ``patience`` seconds at most."""
    courier, pause, deadline = Courier(folder), _PAUSE, float("inf")
    while True:
        pause = _PAUSE if courier.round() else min(2 * pause, _LONGEST_PAUSE)
        if deadline < float("inf") and (not courier.waiting or time.monotonic() > deadline):
            return
        if deadline == float("inf") and _ended(ends, pause):
            deadline = time.monotonic() + patience
        elif deadline < float("inf"):
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))


def _ended(stream: Any, seconds: float) -> bool:
    return bool(select.select([stream], [], [], seconds)[0])


def main(arguments: Sequence[str]) -> None:
    """Run as a process: the folder of the outboxes, and the seconds of patience."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    os.nice(10)  # a training step comes first
    follow(Path(arguments[0]), float(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
