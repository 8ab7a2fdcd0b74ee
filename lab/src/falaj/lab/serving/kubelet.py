"""The lab's kubelet: runs the pods of its nodes as processes. ``python -m falaj.lab.serving.kubelet STATE_FOLDER``.

Real: what binds pods to a node, what they are told, and what they do. In the place of containers: processes, which
share this machine's files, network and user (see docs/lab-serving.md).
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp

from falaj.lab.errors import LabError
from falaj.lab.serving import nodes, pod_logs
from falaj.lab.serving.addresses import Addresses, network
from falaj.lab.serving.events import Events
from falaj.lab.serving.leftovers import end_recorded
from falaj.lab.serving.node_api import TROUBLE, Manifest, NodeApi
from falaj.lab.serving.own_node import LEASE, claims_of, register, renew
from falaj.lab.serving.pods import Place, Worker
from falaj.lab.serving.preparation import Machine
from falaj.lab.serving.sessions import Sessions
from falaj.lab.state import Lab

STATUS = 60.0
"""Seconds between two times that a node says what it has."""
TIDY = 30.0
"""Seconds between two looks after logs and after files that Kubernetes' objects fill."""
CLOSING = 8.0
"""Seconds that pods have to end when the kubelet is asked to, whatever they say: the lab does not wait longer."""
AGAIN = 10.0
"""Seconds after which a pod is taken up again that the kubelet could not deal with."""

logger = logging.getLogger("falaj.lab.kubelet")


class Kubelet:
    """Keeps the pods that are bound to one node, each by a coroutine of its own."""

    def __init__(self, place: Place):
        self._place = place
        self._workers: dict[str, Worker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def take_all(self, pods: list[Manifest]) -> None:
        """Take note of all pods that there are: those that are not among them are gone."""
        uids = {pod["metadata"]["uid"] for pod in pods}
        for pod in pods:
            self.take("ADDED", pod)
        for uid, worker in self._workers.items():
            if uid not in uids:
                worker.end(0, gone=True)
        kept = uids | set(self._workers)
        self._place.addresses.keep_only(kept)
        for folder in self._place.pods.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def take(self, what: str, pod: Manifest) -> None:
        """Take note of a change of one pod."""
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if what == "DELETED":
            if worker:
                worker.end(0, gone=True)
        elif worker:
            worker.update(pod)
        else:
            self._workers[uid] = Worker(self._place, pod)
            self._tasks[uid] = asyncio.create_task(self._keep(uid))

    async def _keep(self, uid: str) -> None:
        """Run a pod; a fault of the kubelet's own ends its processes, and is tried again."""
        while True:
            worker = self._workers[uid]
            try:
                await worker.run()
            except Exception:
                logger.exception("lost the pod %s", worker.pod["metadata"]["name"])
                await worker.close(0)
                await asyncio.sleep(AGAIN)
                self._workers[uid] = Worker(self._place, self._workers[uid].pod)
            else:
                del self._workers[uid], self._tasks[uid]
                return

    async def follow(self) -> None:
        """Learn of the node's pods, for ever."""
        api = self._place.machine.api
        await api.follow("/api/v1/pods", self.take_all, self.take, fieldSelector=f"spec.nodeName={api.node_name}")

    async def keep_tidy(self) -> None:
        """Bring files that Kubernetes' objects fill up to date."""
        while True:
            await asyncio.sleep(TIDY)
            for worker in [*self._workers.values()]:
                await worker.refresh()

    async def close(self) -> None:
        """End all processes; their pods are taken up again by the next kubelet."""
        closing = [asyncio.create_task(worker.close(CLOSING)) for worker in self._workers.values()]
        if closing:
            await asyncio.wait(closing, timeout=CLOSING + 4)
        for task in self._tasks.values():
            task.cancel()


async def keep_nodes(lab: Lab, apis: Sequence[NodeApi]) -> None:
    """Say again and again that the nodes live; ``run/kubelet.looked`` is touched each time that all were heard."""
    looked = lab.folder("run") / "kubelet.looked"
    rounds = max(int(STATUS / (LEASE / 4)), 1)
    count = 0
    while True:
        try:
            for api in apis:
                if count % rounds == 0:
                    await register(api, claims_of(lab))
                await renew(api)
        except TROUBLE as error:
            logger.warning("a node is not heard: %s", error or type(error).__name__)
            count = 0
            await asyncio.sleep(1)
        else:
            looked.touch(mode=0o600)
            count += 1
            await asyncio.sleep(LEASE / 4)


async def bound_logs(logs: Path) -> None:
    """Keep the logs of all pods from growing for ever."""
    while True:
        await asyncio.sleep(TIDY)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(pod_logs.tidy, logs)


def place_of(lab: Lab, api: NodeApi, number: int, sessions: Sessions, http: aiohttp.ClientSession) -> Place:
    """Return what the pods of one node have of this machine: a folder and a network of their own."""
    pods = lab.folder("data", "pods" if number == 0 else f"pods-{number + 1}")
    machine = Machine(lab, api, Events(api), sessions, http, lab.folder("logs", "pods"))
    return Place(machine, Addresses(pods / "addresses.json", network(number)), pods)


async def run(lab: Lab, stop: asyncio.Event) -> None:
    """Be the kubelet of a lab until ``stop`` is set."""
    (lab.root / "run" / "kubelet.looked").unlink(missing_ok=True)
    claims_of(lab)  # a setting that is not understood is told at once
    sessions = Sessions(lab.folder("run", "kubelet"))
    if left := end_recorded(lab.folder("run", "kubelet")):
        logger.warning("ended %d processes that an earlier kubelet left", left)
    apis = [NodeApi(lab, node) for node in nodes.names(lab)]
    # Each probe with a connection of its own, as a kubelet's.
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), trust_env=False)
    kubelets = [Kubelet(place_of(lab, api, number, sessions, http)) for number, api in enumerate(apis)]
    works: list[Callable[[], Awaitable[None]]] = [
        sessions.guard,
        lambda: keep_nodes(lab, apis),
        lambda: bound_logs(lab.folder("logs", "pods")),
        *(work for kubelet in kubelets for work in (kubelet.keep_tidy, kubelet.follow)),
    ]
    tasks = [asyncio.ensure_future(work()) for work in works]
    stopped = asyncio.create_task(stop.wait())
    try:
        ended, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in ended - {stopped}:
            task.result()  # raises what ended it: none of them ends by itself
    finally:
        for task in (stopped, *tasks):
            task.cancel()
        await asyncio.gather(*(kubelet.close() for kubelet in kubelets))
        await sessions.close()
        await http.close()
        await asyncio.gather(*(api.close() for api in apis))


def main() -> None:
    """Be the kubelet of the lab whose folder is the one argument, until SIGTERM or SIGINT."""
    if sys.platform != "linux":
        sys.exit("kubelet: pods as processes need Linux: other systems have one loopback address only")
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    lab = Lab(Path(sys.argv[1]).absolute())

    async def until_asked() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run(lab, stop)

    try:
        asyncio.run(until_asked())
    except LabError as error:
        sys.exit(f"kubelet: {error}")


if __name__ == "__main__":
    main()
