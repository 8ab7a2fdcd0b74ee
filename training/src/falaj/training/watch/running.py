"""The watch as a process: two servers, a look from time to time, and an orderly end."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass

from falaj.training.watch.crossings import Crossings
from falaj.training.watch.figures import CONTENT_TYPE, Figures
from falaj.training.watch.samples import Samples
from falaj.training.watch.server import HEAD, Page, Server
from falaj.training.watch.watcher import Watcher

_HEALTH = Page("text/plain", lambda: b"ok\n")


@dataclass(frozen=True)
class Listening:
    """Where it listens, and how often it looks."""

    model: str
    address: str
    port: int
    """For mirrored requests; 0: any that is free."""
    metrics_port: int
    """For metrics, and for whether it lives."""
    largest: int
    """Bytes of a request at most."""
    every: float
    """Seconds between looks."""


def run(
    watcher: Watcher, crossings: Crossings, samples: Samples | None, listening: Listening, say: Callable[[str], None]
) -> None:
    """Watch until SIGTERM or SIGINT; raises ``OSError`` where it cannot listen."""
    asyncio.run(_run(watcher, crossings, samples, listening, say))


async def _run(
    watcher: Watcher, crossings: Crossings, samples: Samples | None, listening: Listening, say: Callable[[str], None]
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    figures = Figures(listening.model, watcher, lambda: crossings.deliveries if crossings.webhook else None, samples)
    pages = {"/metrics": Page(CONTENT_TYPE, figures.text), "/healthz": _HEALTH}
    mirrored = Server(listening.model, watcher.take, watcher.drop, largest=listening.largest, pages={})
    shown = Server(listening.model, None, watcher.drop, largest=0, pages=pages)
    servers = [
        await asyncio.start_server(server.connected, listening.address, port, limit=HEAD)
        for server, port in ((mirrored, listening.port), (shown, listening.metrics_port))
    ]
    watcher.start()
    requests, metrics = (server.sockets[0].getsockname()[1] for server in servers)
    say(f"watches {listening.model} on {listening.address}:{requests}, metrics on port {metrics}")
    try:
        while not ended.is_set():
            await asyncio.to_thread(_look, watcher, crossings, samples)
            try:
                await asyncio.wait_for(ended.wait(), listening.every)
            except TimeoutError:
                continue
    finally:
        for server in servers:
            server.close()
        await asyncio.to_thread(watcher.stop)
        if samples is not None:
            await asyncio.to_thread(samples.flush)


def _look(watcher: Watcher, crossings: Crossings, samples: Samples | None) -> None:
    crossings.look(watcher.measured())
    if samples is not None:
        samples.flush(only_old=True)
