"""Progress that work measures itself: its first pod is asked, as Prometheus would ask, and the answer is kept.

Pods of training hold no credential for the API server, so that they cannot write it down themselves.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import urllib3
from prometheus_client.parser import text_string_to_metric_families

from falaj.scheduler.cluster import Cluster
from falaj.scheduler.connection import TROUBLE
from falaj.scheduler.leader import Leader
from falaj.scheduler.metrics import Metrics
from falaj.scheduler.work import Work

GAUGE = "falaj_training_saved_share"
"""The figure that is asked for: the share of the work, 0 to 1, that is done and saved."""
LEAST = 0.005
"""What has changed by less is not written again."""
_MOST_BYTES = 1 << 20
_TIMEOUT = urllib3.Timeout(connect=2, read=5)
_ASKERS = 8

log = logging.getLogger(__name__)
Ask = Callable[[str, int], float | None]


class Measured:
    """Asks the works that run and name a port, every so many seconds, while this replica leads."""

    def __init__(
        self, cluster: Cluster, leader: Leader, metrics: Metrics, *, every: float = 30, ask: Ask | None = None
    ) -> None:
        self._cluster, self._leader, self._metrics, self._every = cluster, leader, metrics, every
        self._ask = ask or saved_share
        self._pool = ThreadPoolExecutor(_ASKERS, thread_name_prefix="asker")

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        while not stop.wait(self._every):
            if self._leader.leads:
                self.look()

    def look(self) -> None:
        """Ask each work once, some side by side, and write what they said."""
        works = [each for each in self._cluster.works() if each.runs and each.words.port is not None]
        for outcome in self._pool.map(self._one, works):
            self._metrics.asked.labels(outcome).inc()

    def _one(self, work: Work) -> str:
        try:
            address = self._cluster.first_pod(work)
            share = self._ask(address, work.words.port) if address and work.words.port else None
            if share is None:
                return "silent"
            if work.noted.progress is None or abs(share - work.noted.progress) >= LEAST:
                self._cluster.note_progress(work, share, time.time())
        except TROUBLE as error:
            log.info("%s/%s tells no progress: %s", work.namespace, work.owner.name, " ".join(str(error).split())[:200])
            return "silent"
        return "told"


def saved_share(address: str, port: int) -> float | None:
    """Ask a pod for its figure; ``None`` where it has none, or one that is no share.

    The pod is the tenant's: what it answers is bounded in size and time, and it is not followed anywhere else.
    """
    pool = urllib3.HTTPConnectionPool(address, port, timeout=_TIMEOUT, retries=False)
    with pool:
        answer = pool.request("GET", "/metrics", redirect=False, preload_content=False)
        try:
            text = answer.read(_MOST_BYTES + 1)
        finally:
            answer.close()
    return None if answer.status != 200 or len(text) > _MOST_BYTES else read_share(text.decode(errors="replace"))


def read_share(text: str) -> float | None:
    """Read the figure out of Prometheus' text; ``None`` where there is not exactly one share from 0 to 1."""
    try:
        found = [
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == GAUGE
        ]
    except (ValueError, KeyError, IndexError):
        return None
    if len(found) != 1 or not math.isfinite(found[0]) or not 0 <= found[0] <= 1:
        return None
    return found[0]
