"""Plays a trace against a running lab: sends the jobs when they are due, lets nodes fail, and watches what happens."""

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from falaj.lab import control
from falaj.lab.environment import environment
from falaj.lab.errors import LabError
from falaj.lab.simulation import objects
from falaj.lab.simulation.api import Api, RefusedError
from falaj.lab.simulation.costs import Costs
from falaj.lab.simulation.cycles import cycles
from falaj.lab.simulation.events import Event, Seen
from falaj.lab.simulation.jobs import Jobs, Known
from falaj.lab.simulation.scenario import Failure, Pool, Scenario
from falaj.lab.simulation.trace import TraceJob, window
from falaj.lab.state import Lab

SENDERS = 8
"""Connections that make and change objects."""
READY_DEADLINE = 300.0
"""Real seconds that nodes and queues have to become ready."""
SAID = ("DeadlineAtRisk", "DeadlineMissed", "DeadlineRefused", "PriorityRaised", "PriorityLowered", "Preempted")
"""Reasons of the events that a controller of deadlines writes."""
SCALE = "{scale}"
"""What stands in a controller's command for the simulated seconds that pass in a real one."""
_ADMITTED = (403, 422)
"""Answers to a change of pods that run, or are about to."""
Manifest = dict[str, Any]


@dataclass
class Outcome:
    """What a run leaves behind."""

    events: list[Event]
    scale: float
    seconds: float
    complete: bool
    """Whether it ended by itself, and not by Ctrl-C."""
    costs: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    restarts: dict[str, int] = field(default_factory=dict[str, int])
    """How often each service of the lab had to be started again."""
    cycles: dict[str, float] | None = None
    """Kueue's scheduling cycles, how many and how long; ``None`` where it did not say."""
    busy: float = 0.0
    """The machine's load average of the last minutes: what else ran beside the simulation shows here."""
    nodes: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    """How many nodes were made, and after how many seconds all were ready."""


class Run:
    """One run of a trace on one lab."""

    def __init__(self, lab: Lab, scenario: Scenario, trace: list[TraceJob], tell: Callable[[str], None]):
        self._lab = lab
        self._api = Api(lab)
        self._scenario = scenario
        self._trace = trace
        self._tell = tell
        self._window = window(trace, scenario.gpus, scenario.load)
        self.scale = self._window / (scenario.minutes * 60)
        """How many simulated seconds pass in a real one."""
        self._jobs = Jobs(trace, self.scale, scenario.checkpoint_minutes * 60, self._later(self._resume))
        self._pool = ThreadPoolExecutor(SENDERS)
        self._stop = threading.Event()
        self._troubles: list[BaseException] = []
        self._nodes: list[dict[str, float]] = []
        self._up = {
            node["metadata"]["name"]: pool.gpus_per_node for pool in scenario.pools for node in objects.nodes(pool)
        }
        """GPUs of each node that is there."""

    def run(self, controller: str | None, log: Path) -> Outcome:
        """Set the cluster up, play the trace, and return what was seen; Ctrl-C ends it early."""
        complete = True
        self._set_up()
        helper = self._start(controller, log) if controller else None
        costs = Costs(self._lab, {"controller": helper.pid} if helper else {})
        self._jobs.began = time.time()
        self._capacity("at the start")
        try:
            self._watch(controller is not None)
            self._play(helper, log)
        except KeyboardInterrupt:
            complete = False
            self._tell("stopped: writing what was seen so far")
        finally:
            seconds = self._jobs.now()
            spent = costs.stop()
            restarts = {view.name: view.restarts for view in control.views(self._lab) if view.restarts}
            gone_through = cycles(self._lab, self._api)
            self._stop.set()
            self._pool.shutdown(wait=False, cancel_futures=True)
            if helper:
                end(helper)
        busy = round(os.getloadavg()[2], 1)
        return Outcome(
            list(self._jobs.events), self.scale, seconds, complete, spent, restarts, gone_through, busy, self._nodes
        )

    def _set_up(self) -> None:
        """Make the nodes and the tenants, and wait until work can come."""
        self._tell(f"making {sum(pool.nodes for pool in self._scenario.pools)} nodes")
        self._make_nodes([node for pool in self._scenario.pools for node in objects.nodes(pool)])
        for path, manifest in objects.cluster(self._scenario):
            self._api.create(path, manifest)
        self._tell(f"made {len(self._scenario.tenants)} tenants, waiting for their queues")
        self._until("tenants' queues to be active", self._queues_active)

    def _queues_active(self) -> bool:
        """Say whether every queue takes work, and every namespace has the account that pods run as."""
        queues = self._api.get(f"{objects.KUEUE}/clusterqueues")["items"]
        active = [queue for queue in queues if "Active" in true_conditions(queue)]
        accounts = self._api.get("/api/v1/serviceaccounts", fieldSelector="metadata.name=default")["items"]
        named = {account["metadata"]["namespace"] for account in accounts}
        tenants = {tenant.name for tenant in self._scenario.tenants}
        return len(active) == len(queues) and tenants <= named

    def _make_nodes(self, nodes: list[Manifest]) -> None:
        began = time.monotonic()
        list(self._pool.map(partial(self._api.create, "/api/v1/nodes"), nodes))
        wanted = {node["metadata"]["name"] for node in nodes}
        self._until("nodes to be ready", lambda: wanted <= self._ready_nodes())
        self._nodes.append({"nodes": len(nodes), "seconds_until_ready": round(time.monotonic() - began, 2)})

    def _ready_nodes(self) -> set[str]:
        nodes = self._api.get("/api/v1/nodes", resourceVersion="0")["items"]
        return {node["metadata"]["name"] for node in nodes if "Ready" in true_conditions(node)}

    def _until(self, what: str, answer: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_DEADLINE
        while not answer():
            if time.monotonic() > deadline:
                raise LabError(f"waited {READY_DEADLINE:.0f} s for {what}; see `falaj-lab logs`")
            time.sleep(0.3)

    def _start(self, command: str, log: Path) -> subprocess.Popen[bytes]:
        """Start the controller that is to be judged, led to this lab."""
        with log.open("ab") as output:
            try:
                return subprocess.Popen(
                    shlex.split(command.replace(SCALE, f"{self.scale:.6g}")),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **environment(self._lab)},
                    start_new_session=True,
                )
            except OSError as error:
                raise LabError(f"--controller {command}: {error.strerror}; name a command that runs") from None

    def _watch(self, controlled: bool) -> None:
        on = self._jobs
        watches: list[tuple[str, Callable[[str, Manifest], None], dict[str, str]]] = [
            ("/apis/batch/v1/jobs", on.on_job, {}),
            (f"{objects.KUEUE}/workloads", on.on_workload, {}),
        ]
        if controlled:
            # About Jobs: Kueue says of Workloads that they are preempted, too.
            asked = [f"involvedObject.kind=Job,reason={reason}" for reason in SAID]
            watches += [("/api/v1/events", on.on_event, {"fieldSelector": each}) for each in asked]
        for path, taker, query in watches:
            threading.Thread(
                target=self._api.watch, args=(path, taker, self._stop), kwargs=query, daemon=True, name=path
            ).start()

    def _play(self, helper: subprocess.Popen[bytes] | None, log: Path) -> None:
        """Do what is due when it is due, until all work is done or time is up."""
        due = sorted([*self._arrivals(), *self._failures()], key=lambda pair: pair[0])
        end_at = self._scenario.minutes * 60 * (1 + self._scenario.drain)
        position, told = 0, 0.0
        while self._jobs.now() < end_at:
            now = self._jobs.now()
            while position < len(due) and due[position][0] <= now:
                due[position][1]()
                position += 1
            if self._troubles:
                raise self._troubles[0]
            if helper and helper.poll() is not None:
                raise LabError(f"the controller ended with status {helper.returncode}; {log} says why")
            if now - told >= 1:
                told = now
                self._tell(self.line())
                if position == len(due) and all(known.done for known in self._jobs.known.values()):
                    return
            next_at = due[position][0] if position < len(due) else now + 1
            time.sleep(min(max(next_at - self._jobs.now(), 0), 0.2))

    def line(self) -> str:
        """Say in one line how far the run is."""
        known = self._jobs.known.values()
        done = sum(one.done for one in known)
        running = sum(one.ready * one.job.gpus_per_pod for one in known)
        held = sum(one.job.all_gpus for one in known if one.admitted and not one.done)
        return (
            f"{self._jobs.now():.0f} s: {done}/{len(self._trace)} jobs done, {held} GPUs given, {running} at work"
            f" of {sum(self._up.values())}"
        )

    def _arrivals(self) -> Iterable[tuple[float, Callable[[], None]]]:
        send = self._later(self._send)
        for job in self._trace:
            yield job.arrival / self.scale, lambda job=job: send(job)

    def _send(self, job: TraceJob) -> None:
        saves, topology = self._scenario.checkpoint_minutes, self._scenario.topology
        manifest = objects.job(job, self.scale, self._jobs.began, checkpoint_minutes=saves, topology=topology)
        self._jobs.see(Seen.SUBMITTED, job.name)
        self._api.create(f"/apis/batch/v1/namespaces/{job.tenant}/jobs", manifest)

    def _resume(self, known: Known) -> None:
        """Have a stopped job go on from its checkpoint, and queue it again if it was taken out for a failure."""
        job, path = known.job, f"/apis/batch/v1/namespaces/{known.job.tenant}/jobs/{known.job.name}"
        delay = objects.delay((job.seconds - known.kept) / self.scale)
        change = {
            "metadata": {"annotations": {"falaj.dev/progress": f"{known.kept / job.seconds:.4f}"}},
            "spec": {"template": {"metadata": {"annotations": delay}}},
        }
        try:
            # As long as work is evicted, Kueue writes the pods of its Workload back into its Job, whatever that has.
            self._api.patch(
                f"{objects.KUEUE}/namespaces/{job.tenant}/workloads/{known.workload}", objects.first_pods(delay)
            )
            self._api.patch(path, change)
            known.planned = known.kept
        except RefusedError as error:
            if error.status not in _ADMITTED:
                raise
            self._jobs.began_anew(known)
        if known.hit:
            known.hit = False
            self._activate(known, active=True)

    def _activate(self, known: Known, *, active: bool) -> None:
        path = f"{objects.KUEUE}/namespaces/{known.job.tenant}/workloads/{known.workload}"
        self._api.patch(path, {"spec": {"active": active}}, ignore=(404,))

    def _failures(self) -> Iterable[tuple[float, Callable[[], None]]]:
        length = self._scenario.minutes * 60
        fail, mend = self._later(self._fail), self._later(self._mend)
        for failure in self._scenario.failures:
            chosen = [node for pool in self._scenario.pools for node in failing(failure, pool)]
            yield failure.at * length, lambda chosen=chosen: fail(chosen)
            yield failure.until * length, lambda chosen=chosen: mend(chosen)

    def _fail(self, nodes: list[Manifest]) -> None:
        """Take nodes away with all that runs on them; their jobs end, and go on from their checkpoints."""
        names = {node["metadata"]["name"] for node in nodes}
        for name in names:
            self._up.pop(name, None)
        self._capacity(f"{len(names)} nodes failed")
        for name in names:
            self._api.delete(f"/api/v1/nodes/{name}")
        pods = self._api.get("/api/v1/pods", fieldSelector="status.phase=Running")["items"]
        lost = [pod for pod in pods if pod["spec"].get("nodeName") in names]
        for owner in {pod["metadata"]["labels"].get("job-name", "") for pod in lost}:
            known = self._jobs.known.get(owner)
            # Kueue itself may have been quicker to take a failed node's work out (NodeFailures).
            if known and known.admitted and not known.done:
                known.hit = True
                self._activate(known, active=False)
                if not known.hit:  # it was stopped and told to go on while this was asked for
                    self._activate(known, active=True)
        for pod in lost:
            where, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
            self._api.delete(f"/api/v1/namespaces/{where}/pods/{name}", {"gracePeriodSeconds": 0})

    def _mend(self, nodes: list[Manifest]) -> None:
        self._make_nodes(nodes)
        gpus = {node["metadata"]["name"]: int(node["status"]["capacity"][objects.GPU]) for node in nodes}
        self._up |= gpus
        self._capacity(f"{len(nodes)} nodes came back")

    def _capacity(self, why: str) -> None:
        names = {node["metadata"]["name"] for pool in self._scenario.pools for node in objects.nodes(pool)}
        self._jobs.see(Seen.GONE, note=" ".join(sorted(names - self._up.keys())))
        self._jobs.see(Seen.CAPACITY, value=sum(self._up.values()), note=why)

    def _later(self, work: Callable[..., None]) -> Callable[..., None]:
        """Return what has some work done by the senders; what goes wrong ends the run."""

        def note(done: Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error and not self._stop.is_set():
                self._troubles.append(error)

        def start(*arguments: Any) -> None:
            if not self._stop.is_set():
                self._pool.submit(work, *arguments).add_done_callback(note)

        return start


def failing(failure: Failure, pool: Pool) -> list[Manifest]:
    """Return the nodes of a pool that a failure takes away."""
    in_zone = [node for node in objects.nodes(pool) if failure.zone in ("", node["metadata"]["labels"][objects.ZONE])]
    return in_zone[: failure.nodes] if failure.nodes else in_zone


def true_conditions(manifest: Manifest) -> set[str]:
    """Return the names of an object's conditions that are true."""
    return {one["type"] for one in manifest.get("status", {}).get("conditions", []) if one["status"] == "True"}


def end(helper: subprocess.Popen[bytes]) -> None:
    """End the controller and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if helper.poll() is None:
            os.killpg(helper.pid, number)
            try:
                helper.wait(10)
            except subprocess.TimeoutExpired:
                continue
