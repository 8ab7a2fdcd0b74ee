"""A node whose pods are processes of this machine: what it claims to have, and that it is alive."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from falaj.lab.errors import LabError
from falaj.lab.serving.expansion import HOST
from falaj.lab.serving.node_api import CONFLICT, NOT_FOUND, STRATEGIC, Manifest, NodeApi, RefusedError
from falaj.lab.serving.statuses import now
from falaj.lab.state import Lab
from falaj.lab.table import find

NODE_SETTING = "serving-node"
"""Under which a lab remembers what each such node claims, as JSON: the fields of ``Claims``."""
MARK = "falaj.dev/lab-processes"
"""Label and taint of the node: a pod gets here only if it says so, and KWOK leaves it alone."""
LEASE = 40
"""Seconds that the node's lease holds; it is renewed four times in that."""
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


@dataclass(frozen=True)
class Claims:
    """What the node says that it has: the scheduler counts with it, and nothing measures or limits its use."""

    cpus: int = 32
    memory: str = "128Gi"
    pods: int = 50
    gpus: int = 8
    """How many ``nvidia.com/gpu`` are claimed; no GPU is behind them."""
    labels: Mapping[str, str] = field(default_factory=lambda: {"nvidia.com/gpu.present": "true"})
    """More labels, for the node selectors of what is to run here, for example ``pool``."""


def claims_of(lab: Lab) -> Claims:
    """Return what each such node of this lab claims; raises ``LabError`` for a setting that is not understood."""
    told = json.loads(lab.settings().get(NODE_SETTING, "{}"))
    try:
        return Claims(**told)
    except TypeError as error:
        names = ", ".join(Claims.__dataclass_fields__)
        raise LabError(f"the setting {NODE_SETTING} is {told}; its fields are {names}: {error}") from None


def manifest(name: str, claims: Claims) -> Manifest:
    """Return the node as it is made."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels(name, claims), "annotations": annotations(claims)},
        "spec": {"taints": [{"key": MARK, "value": "true", "effect": "NoSchedule"}]},
    }


def labels(name: str, claims: Claims) -> dict[str, str]:
    """Return the node's labels."""
    return {
        **claims.labels,
        MARK: "true",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    }


def annotations(claims: Claims) -> dict[str, str]:
    """Return what a person should know who looks at the node."""
    simulated = ["cpu", "memory", "pods", *(["nvidia.com/gpu"] if claims.gpus else [])]
    return {"falaj.dev/simulated": ",".join(simulated)}


def status(name: str, claims: Claims) -> Manifest:
    """Return the node's status; what nobody measures here, the pressures, is left unsaid."""
    capacity = {"cpu": str(claims.cpus), "memory": claims.memory, "pods": str(claims.pods)}
    capacity |= {"ephemeral-storage": "100Gi", "nvidia.com/gpu": str(claims.gpus)}
    uname = platform.uname()
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "addresses": [{"type": "InternalIP", "address": HOST}, {"type": "Hostname", "address": name}],
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "KubeletReady",
                "message": "the lab's kubelet runs pods as processes",
                "lastHeartbeatTime": now(),
            }
        ],
        "nodeInfo": {
            "architecture": uname.machine,
            "operatingSystem": "linux",
            "kernelVersion": uname.release,
            "osImage": "processes of this machine",
            "containerRuntimeVersion": "process://1",
            "kubeletVersion": f"v{find('kube-apiserver').version.removeprefix('v')}+falaj-lab",
            "kubeProxyVersion": "",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
        },
    }


async def register(api: NodeApi, claims: Claims) -> None:
    """Make the node, or bring it into line with what it claims now, and say that it is ready."""
    name = api.node_name
    path = f"/api/v1/nodes/{name}"
    try:
        known = await api.get(path)
    except RefusedError as error:
        if error.status != NOT_FOUND:
            raise
        known = await api.call("POST", "/api/v1/nodes", manifest(name, claims))
    metadata = {"labels": labels(name, claims), "annotations": annotations(claims)}
    if not all(told.items() <= known["metadata"].get(kind, {}).items() for kind, told in metadata.items()):
        await api.call("PATCH", path, {"metadata": metadata}, kind=STRATEGIC)
    if MARK not in {taint["key"] for taint in known["spec"].get("taints", [])}:
        raise LabError(f"the node {name} is there without its taint {MARK}; delete it: kubectl delete node {name}")
    told = status(name, claims)
    before = [each for each in known.get("status", {}).get("conditions", []) if each["type"] == "Ready"]
    ready = told["conditions"][0]
    same = bool(before) and before[0]["status"] == "True"
    ready["lastTransitionTime"] = before[0]["lastTransitionTime"] if same else now()
    await api.call("PATCH", f"{path}/status", {"status": told}, kind=STRATEGIC)


async def renew(api: NodeApi) -> None:
    """Renew the node's lease: for as long as this is done, the control plane holds the node for alive."""
    name, time = api.node_name, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec: dict[str, Any] = {"holderIdentity": name, "leaseDurationSeconds": LEASE, "renewTime": time}
    try:
        await api.call("PATCH", f"{_LEASES}/{name}", {"spec": spec}, kind=STRATEGIC)
    except RefusedError as error:
        if error.status != NOT_FOUND:
            raise
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": spec,
        }
        try:
            await api.call("POST", _LEASES, lease)
        except RefusedError as refused:
            if refused.status != CONFLICT:
                raise
