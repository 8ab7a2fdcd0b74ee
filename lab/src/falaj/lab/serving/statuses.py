"""What a kubelet says of a pod: pure functions from the state of its containers to a pod's status."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from falaj.lab.serving.expansion import HOST
from falaj.lab.serving.node_api import Manifest

LOST = 137
"""Exit code of a process whose end nobody saw: it was killed with the kubelet."""


@dataclass(frozen=True)
class Container:
    """The state of one container, as the API writes it."""

    name: str
    image: str
    image_id: str = ""
    container_id: str = ""
    started: bool = False
    ready: bool = False
    restarts: int = 0
    state: Manifest = field(default_factory=lambda: {"waiting": {"reason": "PodInitializing"}})
    last: Manifest = field(default_factory=dict[str, object])
    init: bool = False
    """Whether it is an init container, which is ready when it has done its work."""

    @property
    def exit_code(self) -> int | None:
        """How it ended, if it has."""
        return self.state["terminated"]["exitCode"] if "terminated" in self.state else None

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return "running" in self.state

    def waiting(self, reason: str, message: str = "") -> "Container":
        """Return it as it waits; how it ended last is kept."""
        last = self.state if "terminated" in self.state else self.last
        state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        return replace(self, state=state, last=last, ready=False, started=False)

    def status(self) -> Manifest:
        """Return it as the API writes it."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image_id,
            "containerID": self.container_id,
            "started": self.started,
            "ready": self.ready or (self.init and self.exit_code == 0),
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last,
        }


def found(spec: Manifest, known: Iterable[Manifest], *, init: bool = False) -> Container:
    """Return the state of a container as an earlier kubelet told it; what ran then was killed with that one."""
    told = next((each for each in known if each["name"] == spec["name"]), None)
    fresh = Container(spec["name"], spec["image"], init=init)
    if told is None:
        return fresh
    container = replace(
        fresh,
        image_id=told.get("imageID", ""),
        container_id=told.get("containerID", ""),
        restarts=told.get("restartCount", 0),
        state=told.get("state") or fresh.state,
        last=told.get("lastState") or {},
    )
    if not container.running:
        waits = "waiting" in container.state and "terminated" in container.last
        return replace(container, state=container.last) if waits else container
    began = container.state["running"]["startedAt"]
    ended = terminated(LOST, began, container.container_id, "ended with the lab's kubelet", "ContainerStatusUnknown")
    return replace(container, state=ended)


def terminated(code: int, began: str, container_id: str, message: str = "", reason: str = "") -> Manifest:
    """Return the state of a container that has ended just now."""
    state = {
        "exitCode": code,
        "reason": reason or ("Completed" if code == 0 else "Error"),
        "startedAt": began,
        "finishedAt": now(),
        "containerID": container_id,
    }
    return {"terminated": state | ({"message": message} if message else {})}


def is_sidecar(spec: Manifest) -> bool:
    """Say whether an init container goes on running beside the others."""
    return spec.get("restartPolicy") == "Always"


def uninitialized(pod: Manifest, inits: Mapping[str, Container]) -> list[str]:
    """Return the init containers that have not done their work, or, as sidecars, not started."""
    return [
        spec["name"]
        for spec in pod["spec"].get("initContainers", [])
        if not (inits[spec["name"]].started if is_sidecar(spec) else inits[spec["name"]].exit_code == 0)
    ]


def phase(pod: Manifest, inits: Mapping[str, Container], containers: Sequence[Container]) -> str:
    """Return where a pod is in its life."""
    policy = pod["spec"].get("restartPolicy", "Always")
    if uninitialized(pod, inits) and not any(each.running or each.exit_code is not None for each in containers):
        failed = any((each.exit_code or 0) != 0 for each in inits.values())
        return "Failed" if failed and policy == "Never" else "Pending"
    if any("waiting" in each.state and not each.last for each in containers):
        return "Pending"
    codes = [each.exit_code for each in containers]
    if None in codes or policy == "Always":
        return "Running"
    if not any(codes):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def conditions(
    pod: Manifest, inits: Mapping[str, Container], containers: Sequence[Container], *, prepared: bool
) -> list[Manifest]:
    """Return the conditions that are a kubelet's; those that stay as they were keep the time of their change."""
    known = {each["type"]: each for each in pod.get("status", {}).get("conditions", [])}
    done = phase(pod, inits, containers) == "Succeeded"
    pending = uninitialized(pod, inits)
    sidecars = [inits[spec["name"]] for spec in pod["spec"].get("initContainers", []) if is_sidecar(spec)]
    unready = [each.name for each in (*sidecars, *containers) if not each.ready]
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates", [])]
    closed = [gate for gate in gates if known.get(gate, {}).get("status") != "True"]
    init = not pending or done or any(each.running for each in containers)
    why_unready = ("PodCompleted", "") if done else ("ContainersNotReady", f"containers not ready: {unready}")
    why_gated = ("ReadinessGatesNotReady", f"conditions not true: {closed}")
    told = [
        ("PodReadyToStartContainers", prepared, ("", "")),
        ("Initialized", init, ("ContainersNotInitialized", f"containers not done: {pending}")),
        ("ContainersReady", not unready and init, why_unready),
        ("Ready", not unready and init and not closed, why_unready if unready or not init else why_gated),
    ]
    if "PodScheduled" not in known:
        told.insert(0, ("PodScheduled", True, ("", "")))
    return [_condition(known.get(kind, {}), kind, holds, *why) for kind, holds, why in told]


def pod_status(
    pod: Manifest,
    address: str,
    inits: Mapping[str, Container],
    containers: Sequence[Container],
) -> Manifest:
    """Return what a kubelet writes as the status of a pod; without an address, its start is being prepared."""
    status = {
        "phase": phase(pod, inits, containers),
        "hostIP": HOST,
        "hostIPs": [{"ip": HOST}],
        "startTime": pod.get("status", {}).get("startTime") or now(),
        "conditions": conditions(pod, inits, containers, prepared=bool(address)),
        "containerStatuses": [each.status() for each in containers],
        "observedGeneration": pod["metadata"].get("generation", 0),
    }
    if inits:
        status["initContainerStatuses"] = [each.status() for each in inits.values()]
    if address:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    return status


def now() -> str:
    """Return the time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(known: Manifest, kind: str, holds: bool, reason: str, message: str) -> Manifest:
    status = str(holds)
    same = known.get("status") == status
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": known["lastTransitionTime"] if same else now(),
        "reason": "" if holds else reason,
        "message": "" if holds else message,
    }
