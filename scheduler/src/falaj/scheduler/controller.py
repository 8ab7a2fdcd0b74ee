"""The loop: look, decide, tell, write. All that counts is in the cluster, so that a kill loses nothing."""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from kubernetes.client.exceptions import ApiException

from falaj.scheduler import explain
from falaj.scheduler.cluster import Cluster
from falaj.scheduler.connection import TROUBLE
from falaj.scheduler.decide import Decision, decide
from falaj.scheduler.leader import Leader
from falaj.scheduler.metrics import Metrics
from falaj.scheduler.policy import Policy

SILENCE = 120.0
"""Seconds without a word of the API server after which nothing is decided: it would be decided on old facts."""
WRITERS = 8
"""How many writes are under way at once: one alone would wait for the API server most of its time."""
_CONFLICT, _GONE = 409, 404
_FAULTS_OF_ONE = (400, 500)
"""Answers that are about the one object that was written, and not about the API server."""

log = logging.getLogger(__name__)


class Controller:
    """Decides when something changes, and every ``interval`` seconds, since slack shrinks by itself."""

    def __init__(
        self,
        cluster: Cluster,
        leader: Leader,
        policy: Policy,
        metrics: Metrics,
        *,
        interval: float = 2,
        writes_per_second: float = 50,
        writers: int = WRITERS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cluster, self._leader, self._policy, self._metrics = cluster, leader, policy, metrics
        self._interval, self._pace, self._clock = interval, 1 / writes_per_second, clock
        self._batch = max(1, round(writes_per_second * interval))
        self._pool = ThreadPoolExecutor(writers, thread_name_prefix="writer")
        self._written: dict[str, str] = {}
        self.beat = time.monotonic()
        """When the loop last went round."""

    @property
    def ready(self) -> bool:
        """Whether the cluster is known as it is now."""
        return self._cluster.silent < SILENCE

    def run(self, stop: threading.Event) -> None:
        """Go round until told to stop."""
        while not stop.is_set():
            self._cluster.changed.wait(self._interval)
            self._cluster.changed.clear()
            self.beat = time.monotonic()
            began = time.thread_time()
            try:
                self.round(stop)
            except TROUBLE as error:
                log.warning("trying again: %s", " ".join(str(error).split())[:300])
            # However many works there are and however much they change, this takes a fifth of a core at most.
            stop.wait(max(min(self._interval, 1), 4 * (time.thread_time() - began)))

    def round(self, stop: threading.Event) -> None:
        """Look once, and write what has to change, as much as the pace allows; the rest is decided anew."""
        self._metrics.leads.set(self._leader.leads)
        if not self.ready:
            return
        now = self._clock()
        works = self._cluster.works()
        self._metrics.observe(works, now)
        if not self._leader.leads:
            return
        # What was written and has not come back yet would be written again, in vain.
        self._written = {work.uid: work.version for work in works if self._written.get(work.uid) == work.version}
        with self._metrics.decide.time():
            decided = decide(works, now, self._policy, self._cluster.pools())
        decisions = [each for each in decided if each.work.uid not in self._written]
        self._metrics.left.set(max(0, len(decisions) - self._batch))
        for _, wave in itertools.groupby(decisions[: self._batch], key=lambda decision: decision.wave):
            self._carry_out_all(wave, now, stop)

    def _carry_out_all(self, decisions: Iterable[Decision], now: float, stop: threading.Event) -> None:
        """Carry out decisions side by side, and wait for all; after one that failed no further one is begun."""
        failed = threading.Event()

        def carry_out(decision: Decision) -> None:
            if stop.is_set() or failed.is_set() or not self._leader.leads:
                return
            try:
                self._carry_out(decision, now)
            except BaseException:
                failed.set()
                raise

        begun: list[Future[None]] = []
        for decision in decisions:
            begun.append(self._pool.submit(carry_out, decision))
            stop.wait(self._pace)
        for each in begun:
            each.result()

    def _carry_out(self, decision: Decision, now: float) -> None:
        """Tell, then write: killed in between it is told again under the same name, and so only once."""
        work = decision.work
        try:
            for notice in decision.notices:
                self._cluster.tell(work, notice, now)
            self._cluster.write(decision)
        except ApiException as error:
            status = error.status or 0
            if not _FAULTS_OF_ONE[0] <= status < _FAULTS_OF_ONE[1]:
                raise
            # Changed or gone since it was read, it comes back through the watch; refused, it must not stop the others.
            outcome = {_CONFLICT: "changed", _GONE: "gone"}.get(status, "refused")
            if outcome == "refused":
                log.warning("%s/%s cannot be written: %s", work.namespace, work.name, error.reason)
            self._metrics.writes.labels(outcome).inc()
            return
        self._written[work.uid] = work.version
        self._metrics.writes.labels("written").inc()
        log.info("%s/%s: %s, priority %d", work.namespace, work.owner.name, decision.standing, decision.priority)
        for notice in decision.notices:
            self._metrics.told.labels(work.queue, notice.reason).inc()
            if notice.reason == "Preempted":
                self._metrics.displaced.labels(work.queue, explain.displaced_because(work)).inc()
