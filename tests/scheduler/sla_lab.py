"""A tenant's queue of eight GPUs in a lab with Kueue, and the scheduler beside it with its own rights."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from falaj.lab.testing import RunningLab
from falaj.scheduler.placement import pods_on

NAMESPACE = "vision"
USER = "system:serviceaccount:falaj-system:sla-scheduler"
SCHEDULER = str(Path(sys.executable).with_name("falaj-scheduler"))
TIERS = {"scavenger": 0, "batch": 1000, "interactive": 2000, "production": 3000}
_KWOK = "pod-complete.stage.kwok.x-k8s.io"


def kueue(kind: str, name: str, namespace: str = "", **body: Any) -> Mapping[str, Any]:
    """Return one of Kueue's objects."""
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": meta, **body}


def node(name: str, labels: Mapping[str, str], gpus: int) -> Mapping[str, Any]:
    """Return a node that KWOK plays."""
    has = {"cpu": "96", "memory": "512Gi", "pods": "110", **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
    meta = {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}}
    meta["annotations"] = {"kwok.x-k8s.io/node": "fake"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": {"capacity": has, "allocatable": has}}


def queue_of_eight() -> list[Mapping[str, Any]]:
    """Return a tenant's namespace with a queue of eight GPUs, and their node."""
    flavor = {"name": "gpu", "resources": [{"name": "nvidia.com/gpu", "nominalQuota": 8}]}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"falaj.dev/tenant": NAMESPACE}},
        },
        kueue("ResourceFlavor", "gpu"),
        kueue(
            "ClusterQueue",
            NAMESPACE,
            spec={
                "namespaceSelector": {"matchLabels": {"falaj.dev/tenant": NAMESPACE}},
                "preemption": {"withinClusterQueue": "LowerPriority"},
                "resourceGroups": [{"coveredResources": ["nvidia.com/gpu"], "flavors": [flavor]}],
            },
        ),
        kueue("LocalQueue", "default", NAMESPACE, spec={"clusterQueue": NAMESPACE}),
        *(kueue("WorkloadPriorityClass", name, value=value) for name, value in TIERS.items()),
        node("gpu-1", {}, 8),
        node("cpu-1", {}, 0),
    ]


def queue_of_two_nodes() -> list[Mapping[str, Any]]:
    """Return another queue of the tenant, with two nodes of eight GPUs, of which Kueue chooses those of each pod."""
    label = {"pool": "placed"}
    flavor = {"name": "placed", "resources": [{"name": "nvidia.com/gpu", "nominalQuota": 16}]}
    return [
        kueue("Topology", "placed", spec={"levels": [{"nodeLabel": "kubernetes.io/hostname"}]}),
        kueue("ResourceFlavor", "placed", spec={"nodeLabels": label, "topologyName": "placed"}),
        kueue(
            "ClusterQueue",
            "placed",
            spec={
                "namespaceSelector": {"matchLabels": {"falaj.dev/tenant": NAMESPACE}},
                "resourceGroups": [{"coveredResources": ["nvidia.com/gpu"], "flavors": [flavor]}],
            },
        ),
        kueue("LocalQueue", "placed", NAMESPACE, spec={"clusterQueue": "placed"}),
        node("placed-1", label, 8),
        node("placed-2", label, 8),
    ]


@dataclass
class SlaLab:
    """The lab, and what its tests do in it."""

    lab: RunningLab
    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def kubectl(self, *arguments: str, given: Any = None) -> str:
        """Run kubectl."""
        done = subprocess.run(
            ["kubectl", *arguments],
            env=dict(self.lab.env),
            input=None if given is None else yaml.safe_dump_all(given),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def submit(
        self,
        name: str,
        *,
        tier: str = "batch",
        seconds: int = 20,
        due: float | str | None = None,
        gpus: int = 8,
        queue: str = "default",
        **words: str,
    ) -> None:
        """Submit a Job of one pod that runs so long; ``due`` is in seconds from now, or as it is written."""
        if due is not None:
            moment = datetime.now(UTC) + timedelta(seconds=due) if not isinstance(due, str) else None
            words["deadline"] = moment.isoformat(timespec="seconds") if moment else str(due)
        delays = {f"{_KWOK}/{each}": f"{seconds}s" for each in ("delay", "jitter-delay")}
        limits = {"nvidia.com/gpu": str(gpus)}
        pod = {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "train", "resources": {"requests": limits, "limits": limits}}],
        }
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": {"kueue.x-k8s.io/priority-class": tier, "kueue.x-k8s.io/queue-name": queue},
                "annotations": {f"falaj.dev/{key.replace('_', '-')}": value for key, value in words.items()},
            },
            "spec": {
                "suspend": True,
                "completionMode": "Indexed",
                "completions": 1,
                "template": {"metadata": {"annotations": delays}, "spec": pod},
            },
        }
        self.kubectl("create", "-f", "-", given=[job])

    def works(self) -> dict[str, Mapping[str, Any]]:
        """Return the Workloads by their Job's name."""
        found = json.loads(self.kubectl("get", "workloads", "-n", NAMESPACE, "-o", "json"))["items"]
        return {each["metadata"]["ownerReferences"][0]["name"]: each for each in found}

    def told(self, job: str) -> dict[str, str]:
        """Return what the scheduler has told of a job, by reason; each once, but for priorities that rise again."""
        fields = f"involvedObject.name={job},involvedObject.kind=Job"
        events = json.loads(self.kubectl("get", "events", "-n", NAMESPACE, "--field-selector", fields, "-o", "json"))
        ours = [each for each in events["items"] if each.get("reportingComponent") == "falaj-scheduler"]
        reasons = [each["reason"] for each in ours if each["reason"] != "PriorityRaised"]
        assert len(set(reasons)) == len(reasons), f"told twice: {reasons}"
        return {each["reason"]: each["message"] for each in ours}

    def lease_holder(self) -> str:
        """Return who leads by the lease, or nothing where it is free."""
        where = ("get", "lease", "falaj-scheduler", "--namespace", "falaj-system")
        return self.kubectl(*where, "--output", "jsonpath={.spec.holderIdentity}")

    def clear(self) -> None:
        """Take all jobs away."""
        self.kubectl("delete", "jobs", "--all", "-n", NAMESPACE, "--wait=true")
        until(lambda: not self.works(), "the works are gone")

    @contextmanager
    def scheduler(
        self, name: str = "one", policy: Mapping[str, Any] | None = None, lease_seconds: int = 3
    ) -> Iterator["Replica"]:
        """Run a replica, with rights of the component's service account and a short lease."""
        rules = self.folder / f"{name}.yaml"
        rules.write_text(yaml.safe_dump(dict(policy or {})))
        log = self.folder / f"{name}-{time.monotonic_ns()}.log"
        command = [SCHEDULER, "run", "--as", USER, "--policy", str(rules), "--listen", "127.0.0.1:0"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, "--lease-seconds", str(lease_seconds), "--interval", "1", "--measure-seconds", "1"],
                env=dict(self.lab.env),
                stdout=out,
                stderr=out,
            )
        try:
            yield Replica(process, log)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(60)


@dataclass
class Replica:
    """A scheduler that runs."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def leads(self) -> bool:
        """Whether it says so."""
        return "falaj_scheduler_leads 1.0" in self.metrics()

    def metrics(self) -> str:
        """Return what Prometheus would get."""
        found = re.search(r"metrics on port (\d+)", self.log.read_text())
        if not found:
            return ""
        with urlopen(f"http://127.0.0.1:{found[1]}/metrics", timeout=30) as answer:
            return answer.read().decode()


def until(holds: Callable[[], Any], what: str, seconds: float = 60) -> float:
    """Wait until something holds, and return how long it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.3)
    return time.monotonic() - began


def place(work: Mapping[str, Any] | None) -> str:
    """Return the node that Kueue has chosen for a Workload of one pod; nothing while it waits."""
    admission = (work or {}).get("status", {}).get("admission") if runs(work) else None
    return next(iter(pods_on(admission or {}).get("main", {})), "")


def runs(work: Mapping[str, Any] | None) -> bool:
    """Return whether a Workload has its GPUs."""
    return holds(work, "QuotaReserved")


def holds(work: Mapping[str, Any] | None, condition: str) -> bool:
    """Return whether a condition of a Workload is true."""
    conditions = (work or {}).get("status", {}).get("conditions", [])
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)
