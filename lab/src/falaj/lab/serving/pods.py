"""One pod: its address and volumes, its containers in their order, its status, and its end."""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falaj.lab.serving import statuses
from falaj.lab.serving.addresses import Addresses
from falaj.lab.serving.containers import Runner
from falaj.lab.serving.expansion import ConfigError
from falaj.lab.serving.node_api import CONFLICT, NOT_FOUND, STRATEGIC, TROUBLE, Manifest, RefusedError
from falaj.lab.serving.preparation import Machine
from falaj.lab.serving.volumes import Volumes

FINISHED = ("Succeeded", "Failed")
RETRY = 2.0
"""Seconds after which it is tried again to prepare a pod, or to tell the API server."""
GRACE = 30.0
"""Seconds that a pod has to end when it does not say."""

logger = logging.getLogger("falaj.lab.kubelet")


@dataclass(frozen=True)
class Place:
    """What a pod has of this machine."""

    machine: Machine
    addresses: Addresses
    pods: Path

    def folder(self, pod: Manifest) -> Path:
        """Return where a pod's volumes are."""
        return self.pods / pod["metadata"]["uid"]


class Worker:
    """Keeps one pod of the node until it is gone: ``run`` returns then."""

    def __init__(self, place: Place, pod: Manifest):
        self.pod = pod
        self._place = place
        self._api = place.machine.api
        self._folder = place.folder(pod)
        self._address = ""
        self._changed = asyncio.Event()
        self._end_asked = asyncio.Event()
        self._grace: float | None = None
        self._gone = False
        self._volumes = Volumes(self._api, self._folder / "volumes")
        self._tasks: set[asyncio.Task[object]] = set()
        known = pod.get("status", {}) if self._folder.exists() else {}
        policy = pod["spec"].get("restartPolicy", "Always")
        self._inits = [
            self._runner(
                spec,
                known.get("initContainerStatuses", []),
                init=True,
                policy="Always" if statuses.is_sidecar(spec) else "Never" if policy == "Never" else "OnFailure",
            )
            for spec in pod["spec"].get("initContainers", [])
        ]
        self._containers = [
            self._runner(spec, known.get("containerStatuses", []), init=False, policy=policy)
            for spec in pod["spec"]["containers"]
        ]

    @property
    def finished(self) -> bool:
        """Whether the pod has ended for good, and is only kept for who wants to read its status."""
        return self.pod.get("status", {}).get("phase") in FINISHED

    def update(self, pod: Manifest) -> None:
        """Take note of a change of the pod, its deletion above all."""
        own = self.pod.get("status", {})
        self.pod = pod | {"status": pod.get("status", {}) | {k: v for k, v in own.items() if k == "startTime"}}
        if "deletionTimestamp" in pod["metadata"]:
            self.end(pod["metadata"].get("deletionGracePeriodSeconds", 0))
        self._changed.set()

    def end(self, grace: float, *, gone: bool = False) -> None:
        """Have the pod end within ``grace`` seconds; ``gone`` says that the API server knows it no longer."""
        self._gone = self._gone or gone
        shorter = self._grace is not None and grace < self._grace
        if self._grace is None or shorter:
            self._grace = grace
        if shorter and self._end_asked.is_set():
            self._later(self._stop_all(grace))
        self._end_asked.set()

    async def run(self) -> None:
        """Run the pod to its end, tell of it all the while, and clean up behind it once it is deleted."""
        if "deletionTimestamp" in self.pod["metadata"]:
            self.end(self.pod["metadata"].get("deletionGracePeriodSeconds", 0))
        telling = asyncio.create_task(self._keep_telling())
        try:
            if not self.finished and not self._end_asked.is_set():
                await self._live_until_end_is_asked()
            await self._end_asked.wait()
        finally:
            telling.cancel()
            await asyncio.wait({telling})
        await self._leave()

    async def close(self, grace: float) -> None:
        """End the pod's processes since the kubelet ends; the pod is taken up again when that is started anew."""
        await self._stop_all(grace)
        with contextlib.suppress(*TROUBLE):
            await self._tell_status()

    async def refresh(self) -> None:
        """Bring files from secrets, config maps, tokens and the pod's own fields up to date."""
        if self._address and not self.finished and not self._end_asked.is_set():
            with contextlib.suppress(*TROUBLE):
                await self._volumes.update(self.pod, self._address)

    async def _live_until_end_is_asked(self) -> None:
        living = asyncio.create_task(self._live())
        asked = asyncio.create_task(self._end_asked.wait())
        await asyncio.wait({living, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not living.done():
            await self._stop_all(self._grace or 0)
            living.cancel()
            await asyncio.wait({living})
        asked.cancel()
        if not living.cancelled() and (error := living.exception()):
            raise error

    async def _live(self) -> None:
        await self._prepare()
        for runner in self._inits:
            if statuses.is_sidecar(runner.spec):
                self._later(runner.keep(self._volumes, self._address))
                await runner.started.wait()
            elif await runner.keep(self._volumes, self._address) != 0:
                return  # it may not be started again: the pod has failed
        await asyncio.gather(*(runner.keep(self._volumes, self._address) for runner in self._containers))
        # What is left are sidecars, which end when nothing is left to serve.
        await asyncio.gather(*(runner.stop(self._patience(), "the pod is done") for runner in self._inits))

    async def _prepare(self) -> None:
        """Give the pod its address and volumes; try again for as long as something is missing."""
        told = ""
        while True:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                spec = self.pod["spec"]
                everything = spec["containers"] + spec.get("initContainers", [])
                ports = [port["containerPort"] for each in everything for port in each.get("ports", [])]
                address = self._place.addresses.draw(self.pod["metadata"]["uid"], ports)
                await self._volumes.update(self.pod, address)
            except TROUBLE as error:
                if str(error) != told:
                    told = str(error)
                    self._event("Warning", "FailedMount", told)
                    reason = "CreateContainerConfigError" if isinstance(error, ConfigError) else "ContainerCreating"
                    for runner in self._containers:
                        runner.state = runner.state.waiting(reason, told)
                    self._changed.set()
                await asyncio.sleep(RETRY)
            else:
                self._address = address
                for runner in self._containers if not self._inits else []:
                    if runner.state.exit_code is None:
                        runner.state = runner.state.waiting("ContainerCreating")
                self._changed.set()
                return

    async def _stop_all(self, grace: float) -> None:
        """End the containers together, then the sidecars with what is left of the time."""
        deadline = time.monotonic() + grace
        sidecars = [runner for runner in self._inits if statuses.is_sidecar(runner.spec)]
        others = [runner for runner in (*self._inits, *self._containers) if runner not in sidecars]
        for group in (others, sidecars):
            left = max(deadline - time.monotonic(), 0)
            await asyncio.gather(*(runner.stop(left, "the pod ends") for runner in group))
            while any(runner.at_work for runner in group):  # its keeper takes note of the end
                await asyncio.sleep(0.02)

    async def _leave(self) -> None:
        """Tell how the pod ended, have the API server forget it, and remove what it had."""
        metadata = self.pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        known = {"uid": metadata["uid"]}
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": known}
        while not self._gone:
            try:
                await self._tell_status()
                await self._api.call("DELETE", path, options)
            except TROUBLE as error:
                self._gone = isinstance(error, RefusedError) and error.status in {NOT_FOUND, CONFLICT}
                if not self._gone:
                    await asyncio.sleep(RETRY)
            else:
                self._gone = True
        self._place.addresses.release(metadata["uid"])
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _keep_telling(self) -> None:
        """Write the pod's status at each change of it; several at once are written as one."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._tell_status()
            except TROUBLE as error:
                refused = isinstance(error, RefusedError) and error.status in {NOT_FOUND, CONFLICT}
                if not refused:  # one that is gone is seen to be by the watch
                    logger.warning("cannot write the status of %s: %s", self.pod["metadata"]["name"], error)
                    self._changed.set()
                await asyncio.sleep(RETRY)

    async def _tell_status(self) -> None:
        inits = {runner.spec["name"]: runner.state for runner in self._inits}
        containers = [runner.state for runner in self._containers]
        status = statuses.pod_status(self.pod, self._address, inits, containers)
        if self.finished or _says(self.pod.get("status", {}), status):
            return
        metadata = self.pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        change = {"metadata": {"uid": metadata["uid"]}, "status": status}
        told = await self._api.call("PATCH", path, change, kind=STRATEGIC)
        self.pod = self.pod | {"status": told["status"]}

    def _runner(self, spec: Manifest, known: Sequence[Manifest], *, init: bool, policy: str) -> Runner:
        return Runner(
            self._place.machine,
            self.pod,
            spec,
            statuses.found(spec, known, init=init),
            folder=self._folder / "containers" / spec["name"],
            policy=policy,
            on_change=self._changed.set,
            tell=self._event,
        )

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._place.machine.events.leave(self.pod, kind, reason, message)

    def _patience(self) -> float:
        return self.pod["spec"].get("terminationGracePeriodSeconds", GRACE)

    def _later(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _says(known: Manifest, wanted: Manifest) -> bool:
    """Say whether a status holds all of what is wanted: conditions of others stay beside ours."""
    others = {each["type"]: each for each in known.get("conditions", [])}
    same = all(known.get(name) == value for name, value in wanted.items() if name != "conditions")
    return same and all(
        others.get(each["type"], {}).get("status") == each["status"]
        and others[each["type"]].get("message", "") == each["message"]
        for each in wanted["conditions"]
    )
