"""The demonstration's clients: tritonclient with a certificate, at its own pace, counting what is right by version."""

import http.server
import json
import re
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import demo_told  # noqa: F401 - it lets the demonstration be found
import numpy as np
import pytest
from gateway_cases import authority
from serving_demo.stage import CLIENT, HOST
from serving_demo.traffic import FAILED, LANES, Traffic

from falaj.lab.serving.services import targets
from falaj.lab.state import Lab

PATIENCE = 60.0
ROWS, LABELS = [[0.0, 1.0], [1.0, 0.0]], [1, 0]


@dataclass
class Served:
    """A server that speaks as Triton does behind a gateway, and remembers who asked."""

    credentials: Path
    answer: Callable[[Any], tuple[int, str, list[float]]] = lambda row: (200, "1", row)
    """Status, version and scores of an answer to a row."""
    hosts: set[str] = field(default_factory=set[str])
    names: set[str] = field(default_factory=set[str])
    port: int = 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    signs = authority()
    server, client = signs.sign(HOST, server=True), signs.sign(CLIENT)
    for name, pem in (("server.pem", server.certificate), ("server.key", server.key)):
        (tmp_path / name).write_bytes(pem)
    for name, pem in (("client.pem", client.certificate), ("client.key", client.key)):
        (tmp_path / name).write_bytes(pem)
    (tmp_path / "authority.pem").write_text(signs.pem)
    served = Served(tmp_path)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            row = np.frombuffer(body[int(self.headers["Inference-Header-Content-Length"]) :], dtype=np.float32)
            served.hosts.add(self.headers["Host"])
            connection: Any = self.connection
            served.names |= {name for _, name in connection.getpeercert()["subjectAltName"]}
            status, version, scores = served.answer(row.tolist())
            output = {"name": "scores", "datatype": "FP32", "shape": [1, len(scores)], "data": scores}
            told = {"model_name": "tumours", "model_version": version, "outputs": [output]}
            said = json.dumps(told if status == 200 else {"error": "not now"}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=signs.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    served.port = listening.server_port
    yield served
    listening.shutdown()
    listening.server_close()


def asked(
    served: Served, tmp_path: Path, count: int, rate: float = 50, settled: Callable[[str], bool] = lambda _: True
) -> tuple[Traffic, str]:
    """Ask until there are so many answers; return the clients, and what Prometheus would have read of them then.

    An answer is counted in several steps: what is read must be ``settled``, not in the midst of them.
    """
    traffic, lab = Traffic(ROWS, LABELS, rate), Lab(tmp_path / "lab")
    try:
        traffic.begin(lab, served.port, served.credentials)
        (target,) = json.loads((targets(lab) / "clients.json").read_text())
        deadline = time.monotonic() + PATIENCE
        while len(traffic.answers) < count:
            traffic.check()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        page = f"http://{target['targets'][0]}/metrics"
        while not settled(read := urllib.request.urlopen(page, timeout=PATIENCE).read().decode()):
            assert time.monotonic() < deadline, read
            time.sleep(0.02)
    finally:
        traffic.end()
    return traffic, read


def counted(read: str, name: str) -> dict[str, float]:
    return {version: float(count) for version, count in re.findall(rf'{name}_total{{version="(\d+)"}} (\S+)', read)}


def test_clients_show_their_certificate_and_ask_for_the_service_by_its_name(served: Served, tmp_path: Path):
    traffic, _ = asked(served, tmp_path, 20)
    assert served.hosts == {HOST}
    assert served.names == {CLIENT}
    assert {(each.status, each.version, each.right) for each in traffic.answers} == {(200, 1, True)}


def test_right_answers_are_counted_by_the_version_that_gave_them(served: Served, tmp_path: Path):
    served.answer = lambda row: (200, "1", row) if row[0] else (200, "2", [-each for each in row])

    def settled(read: str) -> bool:
        labelled, right = counted(read, "labelled_answers"), counted(read, "right_answers")
        return right.keys() == labelled.keys() and right.get("1") == labelled.get("1")

    _, read = asked(served, tmp_path, 40, settled=settled)
    labelled, right = counted(read, "labelled_answers"), counted(read, "right_answers")
    assert set(labelled) == {"1", "2"}
    assert right == {"1": labelled["1"], "2": 0}


def test_an_error_is_the_answer_of_no_version(served: Served, tmp_path: Path):
    served.answer = lambda row: (503, "", [])
    traffic, read = asked(served, tmp_path, 5)
    assert {(each.status, each.version, each.right) for each in traffic.answers} == {(503, 0, False)}
    assert counted(read, "labelled_answers") == {}


def test_a_gateway_that_is_not_there_is_a_failed_request_and_no_end_of_the_traffic(served: Served, tmp_path: Path):
    served.port = 9  # nothing listens there
    traffic, _ = asked(served, tmp_path, 5)
    assert {each.status for each in traffic.answers} == {FAILED}


def test_a_slow_service_is_asked_by_as_many_clients_as_there_are_lanes_and_no_more(served: Served, tmp_path: Path):
    held, most, now = threading.Event(), [0], [0]
    guard = threading.Lock()

    def slow(row: list[float]) -> tuple[int, str, list[float]]:
        with guard:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == LANES:
                held.set()
        assert held.wait(PATIENCE)
        with guard:
            now[0] -= 1
        return 200, "1", row

    served.answer = slow
    asked(served, tmp_path, 2 * LANES, rate=200)
    assert most[0] == LANES
