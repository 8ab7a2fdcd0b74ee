"""Facts of a run to tell of, and a lineage server that goes away and comes back."""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from training.runs import free_port

from falaj.training.lineage.code import CodeFacts
from falaj.training.lineage.facts import CheckFacts, ColumnFacts, DataFacts, Facts, ModelFacts
from falaj.training.lineage.run_log import RunLog
from falaj.training.lineage.section import LineageSection

DIGEST = f"sha256:{'0a' * 32}"


CODE = CodeFacts(digest=DIGEST, repository="https://git.example.com/a.git", path=".", commit="a" * 40, dirty=True)


def facts(**more: Any) -> Facts:
    given: dict[str, Any] = {
        "run": str(uuid.UUID(int=7)),
        "job": "income",
        "job_digest": DIGEST,
        "seed": 3,
        "started": "2026-01-01T00:00:00+00:00",
        "code": CodeFacts(
            digest=DIGEST, repository="https://git.example.com/a.git", path=".", commit="a" * 40, dirty=True
        ),
        "image": DIGEST,
        "python": "3.11.2",
        "libraries": {"torch": "2.15.0"},
        "data": (
            DataFacts(
                name="train",
                location="s3://datasets/income/train.parquet",
                digest=DIGEST,
                classification="confidential",
                region="me-central-1",
                owner="team:risk",
                rows=100,
                columns=(ColumnFacts(name="age", type="int64", nulls=2), ColumnFacts(name="pay", type="float64")),
                checks=(CheckFacts(check="not_null", passed=False, column="age"),),
            ),
            DataFacts(name="reference", classification="public"),
        ),
    }
    return Facts(**{**given, **more})


MODEL = ModelFacts(
    name="income", digest=DIGEST, location="s3://models/income", format="onnx", size=12, files=3, signed_by="ab" * 32
)


class LineageEndpoint:
    """A server thread that takes events; it can go away, come back on its port, hang, or refuse."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 201
        self.hanging = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = free_port()
        self.up()

    def up(self) -> None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if endpoint.hanging.is_set():
                    time.sleep(30)
                event = json.loads(body)
                # Who had no answer in time says it again.
                if endpoint.status < 400 and event not in endpoint.events:
                    assert self.path == "/api/v1/lineage"
                    endpoint.events.append(event)
                    endpoint.headers.append(dict(self.headers))
                self.send_response(endpoint.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    @property
    def section(self) -> LineageSection:
        return LineageSection(url=f"http://127.0.0.1:{self.port}")

    @property
    def kinds(self) -> list[str]:
        return [event["eventType"] for event in self.events]


def log(folder: Path, section: LineageSection | None, **more: Any) -> RunLog:
    return RunLog(facts(), folder, base=folder, lineage=section, **more)
