"""Clients of the service: a steady load by tritonclient with a certificate, which knows what the right answers are.

Each request asks about one row whose label is known. What came back is kept for the report, and counted by version for
Prometheus, from which the analysis takes how often the new version is right. In production nobody knows the answers
beforehand: there a probe asks about such rows now and then, or the truth comes later.
"""

import json
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, start_http_server

from falaj.lab.errors import LabError
from falaj.lab.serving import triton
from falaj.lab.serving.services import targets
from falaj.lab.state import Lab, write_private
from serving_demo.models import NAME
from serving_demo.stage import HOST

LANES = 32
"""Connections, and so requests, at a time; more wait, so that a slow service is not buried."""
FAILED = 0
"""The status of a request that got no answer."""


@dataclass(frozen=True)
class Answer:
    """What became of one request."""

    at: float
    """When it was asked, in seconds since the traffic began."""
    milliseconds: float
    """How long it took, as the client sees it."""
    status: int
    """HTTP's status, or ``FAILED``."""
    version: int
    """Which version answered; 0 where none did."""
    right: bool
    """Whether the answer was the row's label."""


class Traffic:
    """So many requests a second, from the beginning of the block to its end."""

    def __init__(self, rows: Sequence[Sequence[float]], labels: Sequence[int], rate: float) -> None:
        import numpy as np  # noqa: PLC0415 - beside tritonclient, of which `available` speaks

        self._rows = [np.asarray([row], dtype=np.float32) for row in rows]
        self._labels = labels
        self._rate = rate
        self._end = threading.Event()
        self._error: BaseException | None = None
        self.answers: list[Answer] = []
        """The oldest first, as they came back."""
        self.began = 0.0
        """When it began, as seconds of the clock of the day."""
        registry = CollectorRegistry()
        told = ("version",)
        self._labelled = Counter("labelled_answers", "Answers of which the label is known", told, registry=registry)
        self._right = Counter("right_answers", "Answers that were the label", told, registry=registry)
        self._metrics, self._metrics_thread = start_http_server(0, "127.0.0.1", registry)

    def begin(self, lab: Lab, port: int, credentials: Path) -> None:
        """Ask at the gateway's ``port``, with the client's certificate that lies in ``credentials``."""
        told = [{"targets": [f"127.0.0.1:{self._metrics.server_port}"], "labels": {"job": "clients"}}]
        write_private(targets(lab) / "clients.json", json.dumps(told))
        self.began = time.time()
        self._thread = threading.Thread(target=self._run, args=(port, credentials), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Ask nothing more, and wait for what is on its way."""
        self._end.set()
        if self.began:
            self._thread.join(90)
        self._metrics.shutdown()
        self._metrics.server_close()

    def check(self) -> None:
        """Raise ``LabError`` if the clients gave up."""
        if self._error is not None:
            raise LabError(f"the clients gave up: {self._error!r}") from self._error

    def now(self) -> float:
        """Seconds since it began."""
        return time.time() - self.began

    def _run(self, port: int, credentials: Path) -> None:
        try:
            self._ask_all(port, credentials)
        except BaseException as error:  # told by `check`, in the caller's thread
            self._error = error

    def _ask_all(self, port: int, credentials: Path) -> None:
        """Send each request when it is due, whether or not the earlier ones were answered."""
        import gevent.pool  # noqa: PLC0415 - as above

        pool = gevent.pool.Pool(LANES)
        asked = 0
        with connected(port, credentials) as asking:
            while not self._end.is_set():
                gevent.sleep(max(0.0, asked / self._rate - self.now()))
                pool.spawn(self._ask, asking, asked % len(self._rows))
                asked += 1
            pool.join(60)

    def _ask(self, asking: Any, row: int) -> None:
        began, clock = self.now(), time.perf_counter()
        status, version, scores = infer(asking, self._rows[row])
        took = 1000 * (time.perf_counter() - clock)
        right = scores is not None and int(scores.argmax()) == self._labels[row]
        self.answers.append(Answer(began, took, status, version, right))
        if version:
            self._labelled.labels(version).inc()
            # Also where it is wrong, so that there is a number of right ones from the first answer on.
            self._right.labels(version).inc(right)


def connected(port: int, credentials: Path) -> Any:
    """Return tritonclient's client of the gateway, with a client's certificate and the authority that it trusts."""
    from gevent.ssl import SSLContext  # noqa: PLC0415 - as above
    from tritonclient.http import InferenceServerClient  # noqa: PLC0415

    def context(cafile: str) -> SSLContext:
        # Left alone, the client makes one of Python's own, in which one request at a time blocks all others.
        made = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.load_verify_locations(cafile)
        return made

    return InferenceServerClient(
        f"127.0.0.1:{port}",
        concurrency=LANES,
        ssl=True,
        ssl_context_factory=context,
        ssl_options={
            "ca_certs": str(credentials / "authority.pem"),
            "certfile": str(credentials / "client.pem"),
            "keyfile": str(credentials / "client.key"),
            # The name in the gateway's certificate; it has no address of its own here.
            "server_hostname": HOST,
        },
    )


def infer(asking: Any, row: Any) -> tuple[int, int, Any]:
    """Ask about one row: the status, which version answered, and its scores; never raises."""
    from tritonclient.http import InferInput  # noqa: PLC0415 - as above
    from tritonclient.utils import InferenceServerException  # noqa: PLC0415

    given = InferInput("measurements", row.shape, "FP32")
    given.set_data_from_numpy(row)
    try:
        answer = asking.infer(NAME, [given], headers={"Host": HOST})
    except InferenceServerException as error:
        told = str(error.status() or "")
        return (int(told) if told.isdecimal() else FAILED), 0, None
    except Exception:
        return FAILED, 0, None
    return 200, int(answer.get_response()["model_version"]), answer.as_numpy("scores")


def available() -> None:
    """Raise ``LabError`` where this machine lacks Triton or its client."""
    if lacking := triton.lacks():
        raise LabError(f"the demonstration needs Triton: {lacking}")
    try:
        import_module("tritonclient.http")
    except ImportError as error:
        raise LabError(f"{error.name or 'tritonclient'} is missing; `make setup-training` installs it") from error
