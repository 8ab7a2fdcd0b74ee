"""Tells of work why it has no nodes, as events of its Workload; one event per reason, renewed and not repeated."""

import hashlib
from collections.abc import Callable
from typing import Any

from kubernetes.client.exceptions import ApiException

from falaj.scheduler.autoscale_state import Work
from falaj.scheduler.connection import Connection
from falaj.scheduler.words import moment

COMPONENT = "falaj-autoscaler"
WAITS, REFUSED, ARRIVED = "WaitsForNodes", "NodesRefused", "NodesArrived"
RENEWED = 60.0
"""Seconds after which an event is told again though nothing changed but the time in it."""
_GONE, _CONFLICT = 404, 409

Tell = Callable[[Work, str, str], None]
"""Writes an event: of a work, with a reason, in a sentence."""


class Events:
    """The events of the cluster that the connection reaches."""

    def __init__(self, connection: Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock

    def tell(self, work: Work, reason: str, message: str) -> None:
        """Write an event, or renew the one that the work has with this reason."""
        name = f"{work.name[:200]}.{hashlib.sha256(f'{work.uid} {work.pool} {reason}'.encode()).hexdigest()[:16]}"
        path = f"/api/v1/namespaces/{work.namespace}/events"
        told = {"message": message, "lastTimestamp": moment(self._clock())}
        try:
            there: Any = self._connection.get(f"{path}/{name}")
            self._connection.send("PATCH", f"{path}/{name}", told | {"count": there.get("count", 0) + 1})
        except ApiException as error:
            if error.status != _GONE:
                raise
            self._create(path, told | event(name, work, reason, told["lastTimestamp"]))

    def _create(self, path: str, made: dict[str, Any]) -> None:
        try:
            self._connection.send("POST", path, made)
        except ApiException as error:
            # The namespace has gone, and with it everybody who would read this; or it was told just now.
            if error.status not in {_GONE, _CONFLICT}:
                raise


def event(name: str, work: Work, reason: str, at: str) -> dict[str, Any]:
    """Return a new event of a work, without its sentence."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": work.namespace},
        "involvedObject": {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "kind": "Workload",
            "namespace": work.namespace,
            "name": work.name,
            "uid": work.uid,
        },
        "reason": reason,
        "type": "Warning" if reason == REFUSED else "Normal",
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": at,
        "count": 1,
    }
