"""Tells of work why it has no nodes, as events of its Workload; one event per reason, renewed and not repeated."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api
from kubernetes.client.exceptions import ApiException

from falaj.scheduler.autoscale_state import Work

COMPONENT = "falaj-autoscaler"
WAITS, REFUSED, ARRIVED = "WaitsForNodes", "NodesRefused", "NodesArrived"
RENEWED = 60.0
"""Seconds after which an event is told again though nothing changed but the time in it."""
TIMEOUT = 10.0
_GONE, _CONFLICT = 404, 409

Tell = Callable[[Work, str, str], None]
"""Writes an event: of a work, with a reason, in a sentence."""


class Events:
    """The events of the cluster that the given client reaches."""

    def __init__(self, client: ApiClient, clock: Callable[[], float]) -> None:
        self._core = CoreV1Api(client)
        self._clock = clock

    def tell(self, work: Work, reason: str, message: str) -> None:
        """Write an event, or renew the one that the work has with this reason."""
        name = f"{work.name[:200]}.{hashlib.sha256(f'{work.uid} {work.pool} {reason}'.encode()).hexdigest()[:16]}"
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        try:
            there: Any = self._core.read_namespaced_event(name, work.namespace, _request_timeout=TIMEOUT)
            renewed = {"message": message, "lastTimestamp": now, "count": (there.count or 0) + 1}
            self._core.patch_namespaced_event(name, work.namespace, renewed, _request_timeout=TIMEOUT)
        except ApiException as error:
            if error.status != _GONE:
                raise
            self._create(name, work, reason, message, now)

    def _create(self, name: str, work: Work, reason: str, message: str, now: str) -> None:
        event: Any = {
            "metadata": {"name": name, "namespace": work.namespace},
            "involvedObject": {
                "apiVersion": "kueue.x-k8s.io/v1beta2",
                "kind": "Workload",
                "namespace": work.namespace,
                "name": work.name,
                "uid": work.uid,
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if reason == REFUSED else "Normal",
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._core.create_namespaced_event(work.namespace, event, _request_timeout=TIMEOUT)
        except ApiException as error:
            # The namespace goes, or has gone, and with it everybody who would read this.
            if error.status not in {_GONE, _CONFLICT, 403}:
                raise
