"""Which of several replicas works: the one that holds a Lease of coordination.k8s.io.

The client library's own election cannot be stopped, dies of a connection that breaks, and tells nobody that the lease
was lost while work goes on; hence this one.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from kubernetes.client.exceptions import ApiException

from falaj.scheduler.connection import TROUBLE, Connection

_NOT_FOUND, _CONFLICT = 404, 409

log = logging.getLogger(__name__)


class LeaseName(NamedTuple):
    """Where the lease is."""

    namespace: str
    name: str


class Leader:
    """Holds a lease as long as it can; ``leads`` is true only while nobody else can hold it.

    Whether another's lease has run out is judged by how long it has not been seen to change, by the own monotonic
    clock: clocks of machines differ. The own counts as lost a third of its length before another may take it.
    """

    def __init__(
        self,
        connection: Connection,
        lease: LeaseName,
        identity: str,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._identity, self._seconds, self._clock = connection, identity, seconds, clock
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{lease.namespace}/leases"
        self._name = lease.name
        self._renewed: float | None = None
        self._seen: tuple[str, float] = ("", 0.0)

    @property
    def leads(self) -> bool:
        """Whether this replica may write."""
        return self._renewed is not None and self._clock() - self._renewed < self._seconds * 2 / 3

    def hold(self, stop: threading.Event) -> None:
        """Take the lease when it is free and renew it, until told to stop; then give it back."""
        while not stop.is_set():
            led = self.leads
            try:
                self.attempt()
            except (*TROUBLE, ValueError) as error:
                log.warning("lease: %s; trying again", " ".join(str(error).split())[:200])
            except Exception:  # a fault of ours must not end the thread unseen
                log.exception("lease: a fault; trying again")
            if led != self.leads:
                log.info("%s %s", self._identity, "leads" if self.leads else "does not lead any more")
            stop.wait(self._seconds / 5)
        self.release()

    def attempt(self) -> None:
        """Renew the lease, or take it if nobody has it any more."""
        asked = self._clock()
        try:
            lease: Any = self._connection.get(f"{self._leases}/{self._name}")
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise
            body = {"metadata": {"name": self._name}, "spec": self._spec(None)}
            self._write("POST", self._leases, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **body}, asked)
            return
        version: str = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, asked)
        spec: dict[str, Any] = lease.get("spec", {})
        holder = spec.get("holderIdentity")
        theirs = float(spec.get("leaseDurationSeconds") or self._seconds)
        if holder and holder != self._identity and asked - self._seen[1] < theirs:
            self._renewed = None
            return
        lease["spec"] = self._spec(spec if holder == self._identity else None, spec.get("leaseTransitions", 0))
        self._write("PUT", f"{self._leases}/{self._name}", lease, asked)

    def release(self) -> None:
        """Give the lease back, so that another need not wait for its end."""
        if not self.leads:
            return
        self._renewed = None
        try:
            lease: Any = self._connection.get(f"{self._leases}/{self._name}")
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                self._connection.send("PUT", f"{self._leases}/{self._name}", lease)
        except TROUBLE as error:
            log.warning("the lease could not be given back: %s", " ".join(str(error).split())[:200])

    def _write(self, method: str, path: str, lease: dict[str, Any], asked: float) -> None:
        """Write the lease as it was read; who was quicker has it, and this replica has not."""
        try:
            self._connection.send(method, path, lease)
        except ApiException as error:
            if error.status != _CONFLICT:
                raise
            self._renewed = None
        else:
            self._renewed = asked

    def _spec(self, mine: dict[str, Any] | None, transitions: int = 0) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._seconds)),
            "acquireTime": mine["acquireTime"] if mine else now,
            "renewTime": now,
            "leaseTransitions": transitions if mine else transitions + 1,
        }
