"""A model of two numbers and its reference, requests to it, and a server that stands for it."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from falaj.training.lineage.digests import file_digest
from falaj.training.watch.gathering import Gathering, View
from falaj.training.watch.reference import REFERENCE, Reference
from falaj.training.watch.tensors import Message, Tensor, UnreadableError
from falaj.training.watch.watcher import Received

MODEL = "income"


def drawn(seed: int, rows: int, shift: float = 0.0) -> np.ndarray[Any, Any]:
    """Return examples: one number from a bell curve, one that is 0 or 1."""
    random = np.random.default_rng(seed)
    return np.stack([random.normal(shift, 1, rows), random.integers(0, 2, rows)], axis=1).astype(np.float32)


def predicted(features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what the model says of examples: scores of two classes."""
    return np.stack([features[:, 0], -features[:, 0]], axis=1)


def reference(rows: int = 2000) -> Reference:
    gathering = Gathering({"features": View(2)}, {"scores": View(2, largest=True)}, seed=1)
    features = drawn(1, rows)
    gathering.add({"features": features}, {"scores": predicted(features)})
    found = gathering.reference("sha256:" + "a" * 64)
    assert found is not None
    return found


def asked(features: np.ndarray[Any, Any], **more: Any) -> bytes:
    """Return a request as JSON."""
    return json.dumps({"inputs": [said("features", features)], "id": "of-somebody", **more}).encode()


def said(name: str, array: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": list(array.shape), "data": array.reshape(-1).tolist()}


def received(features: np.ndarray[Any, Any], caller: str | None = None, **more: Any) -> Received:
    return Received(asked(features, **more), None, caller)


class Answers:
    """Asks nobody: computes what the model would."""

    def __init__(self, version: str = "3") -> None:
        self.version = version
        self.why: str | None = None
        self.asked = 0

    def ask(self, request: Message) -> Message:
        self.asked += 1
        if self.why:
            raise UnreadableError(self.why)
        return Message({"scores": Tensor("FP32", predicted(request.tensors["features"].array))}, {}, self.version)


def with_reference(folder: Path, content: bytes) -> None:
    """Put a reference into an exported folder, and into what the export says of its files."""
    (folder / REFERENCE).write_bytes(content)
    told = json.loads((folder / "manifest.json").read_text())
    written = file_digest(folder / REFERENCE)
    told["files"] = dict(sorted({**told["files"], REFERENCE: written}.items()))
    (folder / "manifest.json").write_text(json.dumps(told))


@contextmanager
def answering(reply: Any) -> Generator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """Serve on loopback; yield the address, and what was asked: path, headers and body."""
    seen: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, headers, answer = reply(self.headers, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
