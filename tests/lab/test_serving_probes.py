"""Probes and hooks of processes that stand in for containers."""

import asyncio
import http.server
import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import aiohttp
import pytest

from falaj.lab.serving.expansion import ConfigError
from falaj.lab.serving.probes import Target, check_action, keep_probing


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers with the next of some statuses, and the last of them from then on."""

    statuses: ClassVar[list[int]] = []
    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(f"{self.path} {self.headers.get('X-Probe', '')}")
        self.send_response(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.1.0.7", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Answering.seen.clear()
        yield server.server_port
        server.shutdown()


async def execute(command: Sequence[str]) -> tuple[int, str]:
    return (0, "") if command[0] == "true" else (1, "it is broken")


async def tried(action: dict[str, Any], ports: dict[str, int], timeout: float = 30) -> str | None:
    async with aiohttp.ClientSession(trust_env=False) as session:
        return await Target("127.1.0.7", ports, execute, session).attempt(action, timeout)


def test_http_is_asked_at_the_address_of_the_pod_by_the_name_of_the_port(port: int) -> None:
    Answering.statuses = [204, 500]
    action = {"httpGet": {"path": "/live", "port": "http", "httpHeaders": [{"name": "X-Probe", "value": "1"}]}}
    assert asyncio.run(tried(action, {"http": port})) is None
    assert "status 500" in str(asyncio.run(tried(action, {"http": port})))
    assert Answering.seen == ["/live 1", "/live 1"]


def test_a_port_takes_connections_or_not(port: int) -> None:
    assert asyncio.run(tried({"tcpSocket": {"port": port}}, {})) is None
    assert asyncio.run(tried({"tcpSocket": {"port": 1}}, {}))
    assert "no port named grpc" in str(asyncio.run(tried({"tcpSocket": {"port": "grpc"}}, {})))


def test_a_command_passes_by_its_exit_code() -> None:
    assert asyncio.run(tried({"exec": {"command": ["true"]}}, {})) is None
    assert "it is broken" in str(asyncio.run(tried({"exec": {"command": ["false"]}}, {})))


def test_what_takes_too_long_has_failed() -> None:
    assert asyncio.run(tried({"sleep": {"seconds": 60}}, {}, timeout=0.05)) == "no answer within 0.05 s"


def test_what_cannot_be_tried_here_is_refused() -> None:
    with pytest.raises(ConfigError, match="readinessProbe is done by grpc"):
        check_action("readinessProbe", {"grpc": {"port": 8001}, "periodSeconds": 10})


def test_a_result_changes_after_as_many_tries_in_a_row_as_the_probe_asks_for(port: int) -> None:
    Answering.statuses = [200, 500, 200, 200, 500, 500, 200]
    action = {"httpGet": {"port": port}, "timeoutSeconds": 10}  # one that came too late would count as a failure
    probe = {**action, "periodSeconds": 0.01, "successThreshold": 2, "failureThreshold": 2}
    told: list[tuple[bool, int]] = []

    async def until_told_thrice() -> None:
        enough = asyncio.Event()

        def on_change(good: bool, _: str) -> None:
            told.append((good, len(Answering.seen)))
            if len(told) == 3:
                enough.set()

        async with aiohttp.ClientSession(trust_env=False) as session:
            target = Target("127.1.0.7", {}, execute, session)
            probing = asyncio.create_task(keep_probing(probe, target, on_change))
            await asyncio.wait_for(enough.wait(), 30)
            probing.cancel()

    asyncio.run(until_told_thrice())
    assert told == [(True, 4), (False, 6), (True, 8)]
