"""The drift watch's alerts, evaluated by the real Prometheus over what the watch really tells it."""

import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from training.watch_world import MODEL, Answers, drawn, received, reference

from falaj.components.serving_watch_alerts import watch_rules
from falaj.lab import tools
from falaj.lab.state import free_port
from falaj.training.watch.figures import CONTENT_TYPE, Deliveries, Figures
from falaj.training.watch.watcher import Watcher

pytestmark = pytest.mark.lab
DEADLINE = 60.0
SCRAPED_AS = {"namespace": "vision", "app_kubernetes_io_instance": "detector-watch"}


class Watched:
    """A watch that Prometheus scrapes each second."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.answers, self.deliveries = Answers(), Deliveries()
        self.watcher = Watcher(lambda _: reference(), self.answers, version=3)
        self.figures = Figures(MODEL, self.watcher, lambda: self.deliveries)

    def alerts(self) -> set[tuple[str, str]] | None:
        """Return the alerts that fire, their names and what of the model they are about; None before it listens."""
        try:
            found = self._asked("alerts")["alerts"]
        except OSError:
            return None
        return {(each["labels"]["alertname"], each["labels"].get("kind", "")) for each in found}

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, self.alerts()
            time.sleep(0.2)

    def fires(self, *alerts: tuple[str, str]) -> None:
        """Wait until these alerts fire, and no others."""
        self.until(lambda: self.alerts() == set(alerts))

    def knows_inputs(self) -> bool:
        """Say whether inputs are known for so long that the rules have seen it."""
        known = 'count_over_time((falaj_drift_found{kind="input"} == 0)[6s:1s]) >= 5'
        query = urllib.parse.urlencode({"query": known})
        return bool(self._asked(f"query?{query}")["result"])

    def _asked(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/{path}", timeout=DEADLINE) as answer:
            return json.load(answer)["data"]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    # Not one of those that the system draws for connections, as others may until Prometheus listens.
    port = free_port()
    found = Watched(port)

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = found.figures.text()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            pass

    page = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=page.serve_forever, args=(0.05,), daemon=True).start()
    command = [
        tools.ensure(["prometheus"])["prometheus"].path,
        f"--config.file={configured(tmp_path, page.server_port)}",
    ]
    command += [f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield found
    finally:
        process.terminate()
        process.wait(DEADLINE)
        page.shutdown()
        page.server_close()


def configured(folder: Path, page: int) -> Path:
    """Write Prometheus's files: the rules as the component makes them, but for how long something has to last."""

    class Drift:
        webhook = "https://ci.example.com/retrain"

    rules = watch_rules(Drift, "detector", "vision")  # type: ignore[arg-type]
    for rule in rules["groups"][0]["rules"]:
        rule["for"] = "0s"
    (folder / "rules.yml").write_text(json.dumps(rules))
    target = {"targets": [f"127.0.0.1:{page}"], "labels": SCRAPED_AS}
    told = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(folder / "rules.yml")],
        "scrape_configs": [{"job_name": "watch", "static_configs": [target]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(told))
    return folder / "prometheus.yml"


def test_drift_is_an_alert_and_so_is_that_it_cannot_be_told(watched: Watched) -> None:
    unknown = ("ModelDriftUnknown", "")
    watched.fires(unknown)
    watched.answers.why = "unreachable"
    watched.watcher.look_at(received(drawn(1, 400)))
    watched.until(watched.knows_inputs)
    assert watched.alerts() == {unknown}, "predictions are not known yet"
    watched.answers.why = None
    watched.watcher.look_at(received(drawn(2, 400)))
    watched.fires()
    watched.watcher.look_at(received(drawn(3, 2000, shift=3.0)))
    drift = ("ModelDrift", "input"), ("ModelDrift", "prediction")
    watched.fires(*drift)
    watched.deliveries = Deliveries(pending=1)
    watched.fires(*drift, ("ModelDriftUntold", ""))
