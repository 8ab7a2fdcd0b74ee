"""Measure how long a request of Kueue's takes while its events are written, against the same with nothing else asked.

    python tests/bench/events_bench.py                  8 and 400 events at the same time, 20 s each
    python tests/bench/events_bench.py --writers 1000

In a lab of its own, by Kueue's own identity: alone, with as many events at the same time as the lab's Kueue writes, and
with hundreds. Kueue as it comes sends thousands at once after its client library has written which series have ended.
"""

import argparse
import http.client
import json
import ssl
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from falaj.lab.state import Lab
from falaj.lab.testing import temporary_lab

EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
WORKLOAD = "/apis/kueue.x-k8s.io/v1beta2/namespaces/default/workloads/none"
EVENT = {
    "apiVersion": "events.k8s.io/v1",
    "kind": "Event",
    "metadata": {"generateName": "told-", "namespace": "default"},
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "regarding": {"kind": "Namespace", "name": "default", "namespace": "default"},
    "reportingController": "bench",
    "reportingInstance": "bench",
    **{"action": "Wait", "reason": "Pending", "type": "Normal"},
}
BEGINNING = 4.0
"""Seconds of events before the first request that counts."""
AGAIN = 1.0
"""Seconds after which a request that was shed is sent again: what the API server tells clients to wait."""
AT_ONCE = 8
"""How many the lab's Kueue writes; ``tools.toml`` has the edit."""


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=400, help="events that are sent at once (default: 400)")
    parser.add_argument("--seconds", type=float, default=20, help="how long each is measured (default: 20)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, temporary_lab(Path(folder) / "state", only=["kueue"]) as running:
        lab = Lab(running.root)
        print("| events | a request of Kueue's: median, ms | 95 % | as a ratio | events a second |")
        print("| --- | --- | --- | --- | --- |")
        alone = show("none", *measure(lab, 0, options.seconds))
        for writers in (AT_ONCE, options.writers):
            show(f"{writers} at a time", *measure(lab, writers, options.seconds), alone=alone)


def show(what: str, took: list[float], events: float, *, alone: float | None = None) -> float:
    """Print a row; return the median."""
    median, late = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    print(f"| {what} | {median * 1e3:.0f} | {late * 1e3:.0f} | {median / (alone or median):.1f} | {events:.0f} |")
    sys.stdout.flush()
    return median


def measure(lab: Lab, writers: int, seconds: float) -> tuple[list[float], float]:
    """Return how long each request took, and how many events were written in a second meanwhile."""
    context = ssl.create_default_context(cafile=lab.root / "pki" / "ca.crt")
    context.load_cert_chain(lab.root / "pki" / "kueue.crt", lab.root / "pki" / "kueue.key")
    port, over = lab.ports()["kube-apiserver"], threading.Event()
    written, took = [0] * writers, list[float]()

    def connected() -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=120, context=context)

    def write(number: int) -> None:
        connection, body = connected(), json.dumps(EVENT)
        while not over.is_set():
            if asked(connection, "POST", EVENTS, body) == http.HTTPStatus.CREATED:
                written[number] += 1
            else:
                time.sleep(AGAIN)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    time.sleep(BEGINNING if writers else 0)
    connection, before, began = connected(), sum(written), time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        while asked(connection, "GET", WORKLOAD) != http.HTTPStatus.NOT_FOUND:
            time.sleep(AGAIN)
        took.append(time.monotonic() - now)
        time.sleep(0.05)
    rate = (sum(written) - before) / (time.monotonic() - began)
    over.set()
    for thread in threads:
        thread.join()
    return took, rate


def asked(connection: http.client.HTTPSConnection, method: str, path: str, body: str | None = None) -> int:
    """Ask, and return the status."""
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


if __name__ == "__main__":
    main()
