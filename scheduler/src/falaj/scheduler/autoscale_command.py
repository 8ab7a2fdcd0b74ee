"""`falaj-scheduler autoscale`: keeps looking, as one of several that take turns to lead."""

import logging
import signal
import threading
import time
from pathlib import Path
from typing import Annotated

import kubernetes
import typer
from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from prometheus_client import CollectorRegistry
from urllib3.exceptions import HTTPError

from falaj.scheduler.autoscale import Autoscaler
from falaj.scheduler.autoscale_cluster import Cluster
from falaj.scheduler.autoscale_events import Events
from falaj.scheduler.autoscale_groups import NodeGroups
from falaj.scheduler.autoscale_metrics import Metrics
from falaj.scheduler.autoscale_news import News
from falaj.scheduler.autoscale_policy import read_policy

TROUBLE = (ApiException, BotoCoreError, ClientError, HTTPError, OSError)
"""What ends by itself: something does not answer, or answers with an error."""

log = logging.getLogger(__name__)


def autoscale(
    policy: Annotated[Path, typer.Option(help="Policy file, YAML or JSON; docs/scheduling.md tells what it says.")],
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.2)] = 5,
) -> None:
    """Size GPU pools by the work that has no nodes, within bounds and budgets."""
    logging.getLogger("botocore").setLevel(logging.WARNING)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    rules = read_policy(policy)
    kubernetes.config.load_config()
    client = ApiClient()
    metrics = Metrics(CollectorRegistry())
    news = News(Events(client, time.time).tell, metrics)
    scaler = Autoscaler(rules, Cluster(client, rules), NodeGroups(rules), news=news, metrics=metrics)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    log.info("looking at the pools %s", ", ".join(rules.pools))
    while not stop.is_set():
        try:
            scaler.look()
        except TROUBLE as error:
            log.warning("trying again: %s", " ".join(str(error).split())[:300])
        stop.wait(interval)
