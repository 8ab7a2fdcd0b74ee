"""What is known of each job while a run goes on: from what the watches say, told on as events."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from falaj.lab.simulation.events import Event, Seen
from falaj.lab.simulation.placement import placed, written
from falaj.lab.simulation.trace import TraceJob

Manifest = dict[str, Any]
STOPPING = "kueue.x-k8s.io/stopping"
"""The annotation that a Job has while Kueue is still stopping it."""


@dataclass
class Known:
    """One job, as it is now."""

    job: TraceJob
    admitted: bool = False
    ready: int = 0
    done: bool = False
    since: float | None = None
    """Real seconds of the run at which all its pods ran, if they do."""
    kept: float = 0.0
    """Simulated seconds of its work that are saved in a checkpoint."""
    planned: float = 0.0
    """Of those, what its pods that run now began with."""
    stopped: bool = False
    """Whether Kueue has stopped it, so that its pods can be told something else."""
    to_resume: bool = False
    """Whether its pods have yet to be told to go on from a checkpoint."""
    hit: bool = False
    """Whether it was stopped since a node of it failed, and has to be queued again."""
    leaves: float | None = None
    """Real seconds of the run at which Kueue decided that it has to give its place up, until it has."""
    workload: str = ""


class Jobs:
    """All jobs of a run."""

    def __init__(self, trace: list[TraceJob], scale: float, interval: float, resume: Callable[[Known], None]):
        """Checkpoints are ``interval`` simulated seconds apart; ``resume`` is called for a job that can go on."""
        self.known = {job.name: Known(job) for job in trace}
        self.events: list[Event] = []
        self.began = time.time()
        self._scale = scale
        self._interval = interval
        self._resume = resume
        self._guard = threading.RLock()
        self._said: set[str] = set()

    def now(self) -> float:
        """Return the real seconds since the run began."""
        return time.time() - self.began

    def see(self, seen: Seen, job: str = "", value: float = 0.0, note: str = "") -> None:
        """Note an event."""
        self.events.append(Event(round(self.now(), 3), seen, job, value, note))

    def on_job(self, kind: str, manifest: Manifest) -> None:
        """Take what a watch says of a Job."""
        known = self.known.get(manifest["metadata"]["name"])
        if known and not known.done and kind != "DELETED":
            with self._guard:
                self._take_job(known, manifest)

    def _take_job(self, known: Known, manifest: Manifest) -> None:
        status, spec = manifest.get("status", {}), manifest["spec"]
        ready = status.get("ready") or 0
        if ready != known.ready:
            known.ready = ready
            self.see(Seen.READY, known.job.name, ready)
        suspended = bool(spec.get("suspend"))
        if known.since is None and not suspended and ready + (status.get("succeeded") or 0) >= known.job.pods:
            known.since = self.now()
        ended = {one["type"] for one in status.get("conditions", []) if one["status"] == "True"}
        if ended & {"Complete", "Failed"}:
            known.done = True
            self.see(Seen.FINISHED if "Complete" in ended else Seen.FAILED, known.job.name)
        stopping = STOPPING in manifest["metadata"].get("annotations", {})
        known.stopped = suspended and not status.get("startTime") and not stopping
        self._go_on(known)

    def on_workload(self, kind: str, manifest: Manifest) -> None:
        """Take what a watch says of a Workload, Kueue's side of a Job."""
        owners = manifest["metadata"].get("ownerReferences", [])
        known = next((self.known[owner["name"]] for owner in owners if owner["name"] in self.known), None)
        if known and not known.done and kind != "DELETED":
            with self._guard:
                self._take_workload(known, manifest)

    def _take_workload(self, known: Known, manifest: Manifest) -> None:
        known.workload = manifest["metadata"]["name"]
        conditions = {one["type"]: one for one in manifest.get("status", {}).get("conditions", [])}
        admitted = conditions.get("Admitted", {}).get("status") == "True"
        if known.leaves is None and conditions.get("Evicted", {}).get("status") == "True":
            known.leaves = self.now()
        if admitted and not known.admitted:
            known.admitted, known.leaves = True, None
            self.see(Seen.ADMITTED, known.job.name, note=written(placed(manifest)))
            if known.to_resume:
                known.to_resume = False
                self.began_anew(known)
        elif known.admitted and not admitted and conditions.get("Finished", {}).get("status") != "True":
            known.admitted = False
            why, now = reason(conditions), self.now()
            took = round(now - (now if known.leaves is None else known.leaves), 3)
            self.see(Seen.EVICTED, known.job.name, took, why)
            self.lose(known, "failure" if known.hit or why == "NodeFailures" else "preemption")
            known.to_resume = True
            self._go_on(known)

    def _go_on(self, known: Known) -> None:
        """Have a job go on from its checkpoint as soon as both watches have said that it is stopped."""
        if known.to_resume and known.stopped and not known.admitted:
            known.to_resume = False
            self._resume(known)

    def lose(self, known: Known, why: str) -> None:
        """Keep what a job has done up to its last checkpoint, and note what is lost."""
        done = known.planned
        if known.since is not None:
            done = min(done + (self.now() - known.since) * self._scale, known.job.seconds)
        # The last moments of a job are not worth a checkpoint, and a pod needs some time to run.
        known.kept = min(math.floor(done / self._interval) * self._interval, known.job.seconds * 0.99)
        known.since = None
        self.see(Seen.LOST, known.job.name, (done - known.kept) * known.job.all_gpus, why)

    def began_anew(self, known: Known) -> None:
        """Note that a job's pods began from nothing: it was admitted before they could be told of its checkpoint."""
        self.see(Seen.LOST, known.job.name, known.kept * known.job.all_gpus, "restart without its checkpoint")
        known.kept = known.planned = 0.0

    def on_event(self, _: str, manifest: Manifest) -> None:
        """Take what a controller has said about a job: once, though it is listed again and dropped in the end."""
        job, uid = manifest["involvedObject"]["name"], manifest["metadata"]["uid"]
        if job in self.known and uid not in self._said:
            self._said.add(uid)
            self.see(Seen.WARNED, job, note=manifest["reason"])


def reason(conditions: dict[str, Manifest]) -> str:
    """Return why a workload was evicted, in Kueue's words."""
    why = str(conditions.get("Evicted", {}).get("reason", "unknown"))
    preempted = conditions.get("Preempted", {})
    return f"{why}: {preempted['reason']}" if why == "Preempted" and preempted.get("reason") else why
