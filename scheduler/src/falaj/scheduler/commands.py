"""The commands `run`, `check` and `explain`."""

import logging
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer
from kubernetes.client.exceptions import ApiException
from prometheus_client import CollectorRegistry
from urllib3.exceptions import HTTPError

from falaj.scheduler.check import check as check_text
from falaj.scheduler.cluster import Cluster
from falaj.scheduler.connection import Connection
from falaj.scheduler.controller import Controller
from falaj.scheduler.errors import SchedulerError
from falaj.scheduler.leader import Leader, LeaseName
from falaj.scheduler.measured import Measured
from falaj.scheduler.metrics import Metrics
from falaj.scheduler.policy import load_policy
from falaj.scheduler.probes import serve
from falaj.scheduler.story import story

REFUSED = 2
"""Exit code for work that is refused; 1 is for everything else that went wrong."""
_STUCK = 120.0

AsUser = Annotated[str | None, typer.Option("--as", metavar="USER", help="Ask the API server in this user's name.")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="Tiers and numbers of the rules.  [default: built in]")
]


def run(
    *,
    policy: PolicyFile = None,
    impersonate: AsUser = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where probes and Prometheus ask; port 0 draws one.")
    ] = "127.0.0.1:9440",
    namespace: Annotated[str, typer.Option(help="Namespace of the lease that the replicas share.")] = "falaj-system",
    lease_seconds: Annotated[float, typer.Option(min=1, help="How long a replica leads unless it renews.")] = 15,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks when nothing changes.")] = 2,
    writes_per_second: Annotated[float, typer.Option(min=1, help="How many Workloads are written at most.")] = 50,
    measure_seconds: Annotated[
        float, typer.Option(min=0.5, help="How often work that runs is asked for progress.")
    ] = 30,
    time_scale: Annotated[
        float, typer.Option(metavar="FACTOR", min=0.001, help="For simulations: divide all times of the policy by it.")
    ] = 1,
) -> None:
    """Give work its priorities, as one of several replicas of which one leads. SIGTERM ends it and frees the lease.

    \b
    Examples:
      falaj-scheduler run
      falaj-scheduler run --policy policy.yaml --listen 0.0.0.0:9440
      falaj-lab exec -- falaj-scheduler run --as system:serviceaccount:falaj-system:sla-scheduler
      falaj-lab simulate steady --compare --controller "falaj-scheduler run --time-scale {scale} --namespace default"
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    rules = load_policy(policy).faster(time_scale)
    # The process too, since a kill and a restart in the same pod must not pass for the former one.
    identity = f"{socket.gethostname()}-{time.time_ns():x}"
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    registry = CollectorRegistry()
    connection = Connection(impersonate)
    cluster = Cluster(connection, identity)
    leader = Leader(connection, LeaseName(namespace, "falaj-scheduler"), identity, lease_seconds)
    metrics = Metrics(registry)
    controller = Controller(cluster, leader, rules, metrics, interval=interval, writes_per_second=writes_per_second)
    port = serve(listen, registry, lambda: time.monotonic() - controller.beat < _STUCK, lambda: controller.ready)
    logging.info("%s serves probes and metrics on port %d", identity, port)
    cluster.follow(stop)
    election = threading.Thread(target=leader.hold, args=(stop,))
    election.start()
    measured = Measured(cluster, leader, metrics, every=measure_seconds)
    threading.Thread(target=measured.run, args=(stop,), daemon=True).start()
    try:
        controller.run(stop)
    finally:
        # However this ends, the lease must not be held by a process that does nothing with it.
        stop.set()
        election.join()
    logging.info("%s ends", identity)


def check(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Manifests, YAML or JSON; - reads the input.")],
    policy: PolicyFile = None,
) -> None:
    """Check manifests without a cluster; exit with 2 when something of them would be refused.

    \b
    Examples:
      falaj-scheduler check train.yaml
      kubectl create job train --image IMAGE --dry-run=client -o yaml | falaj-scheduler check -
    """
    text = sys.stdin.read() if file == "-" else Path(file).read_text()
    names, refused = check_text(text, time.time(), load_policy(policy))
    for error in refused:
        typer.echo(f"falaj-scheduler: {error}", err=True)
    if refused:
        raise typer.Exit(REFUSED)
    typer.echo(f"Nothing to refuse: {', '.join(names)}.")


def explain(
    job: Annotated[str, typer.Argument(metavar="NAMESPACE/JOB", help="The work, by its Job's name.")],
    policy: PolicyFile = None,
    impersonate: AsUser = None,
) -> None:
    """Say why a job waits, or was displaced, and how it stands with its deadline.

    \b
    Example:
      falaj-scheduler explain vision/train-7
    """
    namespace, slash, name = job.partition("/")
    if not slash or not namespace or not name:
        raise SchedulerError(f"{job}: write NAMESPACE/JOB, such as vision/train-7")
    try:
        lines = story(Connection(impersonate), namespace, name, time.time(), load_policy(policy))
    except (ApiException, HTTPError) as error:
        raise SchedulerError(f"the cluster does not say: {' '.join(str(error).split())[:300]}") from error
    for line in lines:
        typer.echo(line)
