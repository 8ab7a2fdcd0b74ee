"""A bounded load on one server: clients with a connection each, one request after the other, in processes of their own.

    python tests/bench/serving_load.py SPEC    what `measure` starts, with its share of the clients as JSON

What is sent was made before, and an answer is read only as far as its end has to be found: a client library would take
the processors that the server is measured on.
"""

import json
import math
import re
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

PROCESSES = 2
BEGINNING, WARM_UP = 1.0, 1.0
"""Seconds until all clients are there, and seconds of load that do not count."""
LONGEST = 30.0
"""Seconds after which an answer does not come any more."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """A server, and what it is asked."""

    address: str
    port: int
    path: str
    body: str
    """The request's body, hexadecimal."""
    headers: dict[str, str]
    authority: str = ""
    """File of the authority that vouches for the server; left out: without TLS."""
    certificate: str = ""
    """File of the clients' certificate and key."""
    server: str = ""
    """Name in the server's certificate."""

    def connected(self) -> socket.socket:
        """Return a connection."""
        plain = socket.create_connection((self.address, self.port), timeout=LONGEST)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.authority:
            return plain
        context = ssl.create_default_context(cafile=self.authority)
        context.load_cert_chain(self.certificate)
        return context.wrap_socket(plain, server_hostname=self.server)

    def request(self) -> bytes:
        """Return a whole request."""
        body = bytes.fromhex(self.body)
        headers = {"Host": f"{self.address}:{self.port}", **self.headers, "Content-Length": str(len(body))}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + body


@dataclass(frozen=True)
class Measured:
    """What one load found."""

    rate: float
    """Right answers a second."""
    p50: float
    """Milliseconds."""
    p99: float
    """Milliseconds."""
    failed: int
    """Answers that were not right."""


def measure(target: Target, clients: int, seconds: float) -> Measured:
    """Load a server with some clients for a while; what was begun while it warmed up does not count."""
    begin = time.monotonic() + BEGINNING
    processes = min(PROCESSES, clients)
    shares = [clients // processes + (number < clients % processes) for number in range(processes)]
    specs = [{"target": asdict(target), "clients": share, "begin": begin, "seconds": seconds} for share in shares]
    started = [
        subprocess.Popen([sys.executable, "-S", __file__, json.dumps(spec)], stdout=subprocess.PIPE) for spec in specs
    ]
    told = [json.loads(each.communicate(timeout=BEGINNING + WARM_UP + seconds + 2 * LONGEST)[0]) for each in started]
    latencies = sorted(latency for each in told for latency in each["latencies"])
    failed = sum(each["failed"] for each in told)
    if not latencies:
        return Measured(0.0, math.inf, math.inf, failed)
    p50, p99 = (1000 * quantile(latencies, part) for part in (0.5, 0.99))
    return Measured(len(latencies) / seconds, p50, p99, failed)


def quantile(ordered: Sequence[float], part: float) -> float:
    """Return the value that this part of the values does not exceed."""
    return ordered[math.ceil(part * len(ordered)) - 1]


def middle(several: Sequence[Measured]) -> Measured:
    """Return the medians of several loads."""
    rate, p50, p99 = (statistics.median(getattr(each, name) for each in several) for name in ("rate", "p50", "p99"))
    return Measured(rate, p50, p99, sum(each.failed for each in several))


def told(several: Sequence[Measured]) -> str:
    """Return throughput and 99th percentile as a table has them."""
    return f"{spread([one.rate for one in several], '.0f')}, {spread([one.p99 for one in several], '.1f')}"


def spread(values: Sequence[float], digits: str) -> str:
    """Return the median, and the least and the most."""
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:{digits}} ({least:{digits}} to {most:{digits}})"


def main() -> None:
    """Run one process's share of the clients and print what they found."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    found: list[float | None] = []
    threads = [threading.Thread(target=_client, args=(spec, found)) for _ in range(spec["clients"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    latencies = [each for each in found if each is not None]
    print(json.dumps({"latencies": latencies, "failed": len(found) - len(latencies)}))


def _client(spec: dict[str, Any], found: list[float | None]) -> None:
    target = Target(**spec["target"])
    request, counted = target.request(), spec["begin"] + WARM_UP
    end = counted + spec["seconds"]
    try:
        with target.connected() as connection:
            time.sleep(max(0.0, spec["begin"] - time.monotonic()))
            while (asked := time.monotonic()) < end:
                right, answered = _ask(connection, request), time.monotonic()
                if counted <= asked and answered <= end:
                    found.append(answered - asked if right else None)
    except OSError:
        found.append(None)


def _ask(connection: socket.socket, request: bytes) -> bool:
    """Send the request and read the whole answer; say whether it is right."""
    connection.sendall(request)
    answer = b""
    while (end := answer.find(b"\r\n\r\n")) < 0:
        answer += _more(connection)
    length = _LENGTH.search(answer, 0, end + 2)
    if length is None:
        raise OSError("an answer without a length")
    missing = end + 4 + int(length[1]) - len(answer)
    while missing > 0:
        missing -= len(_more(connection))
    return answer.startswith(b"HTTP/1.1 200")


def _more(connection: socket.socket) -> bytes:
    read = connection.recv(1 << 16)
    if not read:
        raise OSError("the connection ended")
    return read


if __name__ == "__main__":
    main()
