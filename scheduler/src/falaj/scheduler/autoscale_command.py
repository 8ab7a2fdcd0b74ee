"""`falaj-scheduler autoscale`: keeps looking, as one of several of which one leads."""

import logging
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from prometheus_client import CollectorRegistry

from falaj.scheduler.autoscale import Autoscaler
from falaj.scheduler.autoscale_cluster import SILENCE, Cluster, SilentError
from falaj.scheduler.autoscale_events import Events
from falaj.scheduler.autoscale_groups import NodeGroups
from falaj.scheduler.autoscale_metrics import Metrics
from falaj.scheduler.autoscale_news import News
from falaj.scheduler.autoscale_policy import Policy, read_policy
from falaj.scheduler.connection import TROUBLE, Connection
from falaj.scheduler.leader import Leader, LeaseName
from falaj.scheduler.probes import serve

LEASE = "gpu-autoscaler"
_PASSES = (*TROUBLE, BotoCoreError, ClientError, SilentError)
"""What ends by itself: something does not answer, or not as it should."""
_STUCK = 120.0

log = logging.getLogger(__name__)


def autoscale(
    *,
    policy: Annotated[
        Path, typer.Option("--policy", metavar="FILE", help="Pools, tiers, budgets: docs/scheduling.md tells how.")
    ],
    impersonate: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="Ask the API server in this user's name.")
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where probes and Prometheus ask; port 0 draws one.")
    ] = "127.0.0.1:9441",
    namespace: Annotated[str, typer.Option(help="Namespace of the lease that the replicas share.")] = "falaj-system",
    lease_seconds: Annotated[float, typer.Option(min=1, help="How long a replica leads unless it renews.")] = 15,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 5,
) -> None:
    """Size GPU pools by the work that has no nodes, within bounds and budgets. AWS is the one of the environment.

    \b
    Examples:
      falaj-scheduler autoscale --policy policy.json
      falaj-lab exec -- falaj-scheduler autoscale --policy policy.json
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    rules = read_policy(policy)
    # The process too, since a kill and a restart in the same pod must not pass for the former one.
    identity = f"{socket.gethostname()}-{time.time_ns():x}"
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    connection, registry = Connection(impersonate), CollectorRegistry()
    leader = Leader(connection, LeaseName(namespace, LEASE), identity, lease_seconds)
    loop = _Loop(rules, connection, leader, Metrics(registry))
    port = serve(listen, registry, lambda: time.monotonic() - loop.beat < _STUCK, lambda: loop.cluster.silent < SILENCE)
    log.info("%s sizes the pools %s; probes and metrics are on port %d", identity, ", ".join(rules.pools), port)
    loop.cluster.follow(stop)
    election = threading.Thread(target=leader.hold, args=(stop,))
    election.start()
    loop.run(stop, interval)
    election.join()
    log.info("%s ends", identity)


class _Loop:
    """Looks as long as it leads, with a memory that begins when it begins to lead."""

    def __init__(self, rules: Policy, connection: Connection, leader: Leader, metrics: Metrics) -> None:
        self._rules, self._connection, self._leader, self._metrics = rules, connection, leader, metrics
        self._machines = NodeGroups(rules)
        self.cluster = Cluster(connection, rules)
        self.beat = time.monotonic()
        """When it last went round."""

    def run(self, stop: threading.Event, interval: float) -> None:
        """Go round until told to stop."""
        scaler: Autoscaler | None = None
        while not stop.is_set():
            self.beat = time.monotonic()
            if not self._leader.leads:
                scaler = None  # what it remembers of changes will be out of date
                stop.wait(min(interval, 0.5))
                continue
            scaler = scaler or self._new()
            try:
                scaler.look()
            except _PASSES as error:
                log.warning("trying again: %s", " ".join(str(error).split())[:300])
            except (KeyError, ValueError):
                log.exception("something cannot be understood; nothing was done about it, trying again")
            stop.wait(interval)

    def _new(self) -> Autoscaler:
        return Autoscaler(
            self._rules,
            self.cluster,
            self._machines,
            news=News(Events(self._connection, time.time).tell, self._metrics),
            metrics=self._metrics,
            leads=lambda: self._leader.leads,
        )
