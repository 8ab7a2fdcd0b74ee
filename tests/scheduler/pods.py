"""Pods that tell their progress."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from falaj.scheduler.measured import GAUGE


def told(share: float) -> str:
    registry = CollectorRegistry()
    Gauge(GAUGE, "Share.", ["job"], registry=registry).labels("manual").set(share)
    return generate_latest(registry).decode()


@contextmanager
def pod(answer: bytes, status: int = 200, location: str = "") -> Iterator[int]:
    """Serve one answer on a loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
