"""A cluster with GPUs as tests see it: nodes that KWOK simulates, jobs of teams, and what Kueue made of them."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes import client, config

from falaj.lab.testing import RunningLab

GPU = "nvidia.com/gpu"
PATIENCE = 60.0
"""Seconds after which what was to happen did not."""
ROUNDS = 3.0
"""Seconds within which Kueue has long tried what waits: what has not happened by then, does not."""
TIER = "kueue.x-k8s.io/priority-class"
ENDLESS = {f"pod-complete.stage.kwok.x-k8s.io/{delay}": "24h" for delay in ("delay", "jitter-delay")}
"""Annotations of pods that KWOK does not complete while a test runs."""
TOLERATES = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
_KUEUE = ("kueue.x-k8s.io", "v1beta2")


class GpuCluster:
    """One lab's API server, by the person's kubeconfig or as somebody else."""

    def __init__(self, lab: RunningLab, user: str | None = None, group: str | None = None) -> None:
        api = config.new_client_from_config(lab.env["KUBECONFIG"])
        for kind, name in (("User", user), ("Group", group)):
            if name:
                api.set_default_header(f"Impersonate-{kind}", name)
        self.core, self.batch, self.custom = (
            client.CoreV1Api(api),
            client.BatchV1Api(api),
            client.CustomObjectsApi(api),
        )
        self.apps, self.rbac = client.AppsV1Api(api), client.RbacAuthorizationV1Api(api)

    def add_nodes(self, pool: str, count: int, gpus: int, zone: str) -> list[str]:
        """Make nodes of a pool in a zone, labelled and tainted as a GpuNodePool's are."""
        names = [f"{pool}-{zone[-1]}-{number}" for number in range(count)]
        for name in names:
            labels = {"pool": pool, "topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name}
            capacity = {"cpu": "96", "memory": "1024Gi", "pods": "110", GPU: str(gpus)}
            self.core.create_node(
                {
                    "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
                    "spec": {"taints": [{"key": GPU, "value": "present", "effect": "NoSchedule"}]},
                    "status": {"capacity": capacity, "allocatable": capacity},
                }
            )
        return names

    def submit(self, team: str, name: str, gpus: int, tier: str | None = None, **more: Any) -> None:
        """Submit a job of a team; ``more`` as `job` takes it."""
        self.batch.create_namespaced_job(team, job(name, gpus, tier, **more))

    def stop(self, team: str, *names: str) -> None:
        """Delete jobs of a team, or all, with their pods."""
        for name in names or [each.metadata.name for each in self.batch.list_namespaced_job(team).items]:
            self.batch.delete_namespaced_job(name, team, propagation_policy="Background")

    def workloads(self, team: str) -> dict[str, dict[str, Any]]:
        """Return what Kueue made of a team's work, by the name of what it belongs to."""
        listed = self.custom.list_namespaced_custom_object(*_KUEUE, team, "workloads")["items"]
        return {
            each["metadata"].get("ownerReferences", [{"name": each["metadata"]["name"]}])[0]["name"]: each
            for each in listed
        }

    def running(self, *teams: str) -> dict[str, set[str]]:
        """Return the work that has its GPUs, by team."""
        return {
            team: {name for name, each in self.workloads(team).items() if holds(each, "Admitted")} for team in teams
        }

    def gpus(self, *teams: str) -> dict[str, int]:
        """Return how many GPUs each team has, in pools altogether."""
        return {team: sum(self.by_pool(team).values()) for team in teams}

    def by_pool(self, team: str) -> dict[str, int]:
        """Return how many GPUs of each pool a team has."""
        queue = self.custom.get_cluster_custom_object(*_KUEUE, "clusterqueues", team)
        usage = queue.get("status", {}).get("flavorsUsage", [])
        return {each["name"]: int(each["resources"][0].get("total", 0)) for each in usage}

    def pods(self, team: str, owner: str) -> list[Any]:
        """Return the pods of a job."""
        return self.core.list_namespaced_pod(team, label_selector=f"batch.kubernetes.io/job-name={owner}").items

    def clear(self, *teams: str) -> None:
        """Delete all jobs and wait until the queues are empty."""
        for team in teams:
            self.stop(team)
        self.until(lambda: not any(self.workloads(team) for team in teams), lambda: "work goes")
        self.until(lambda: not any(self.gpus(*teams).values()), lambda: f"GPUs come back: {self.gpus(*teams)}")

    def until(self, true: Callable[[], bool], told: Callable[[], str], within: float = PATIENCE) -> float:
        """Wait until something is true, and return the seconds that it took."""
        began = time.monotonic()
        while not true():
            assert time.monotonic() - began < within, f"not within {within:.0f} s: {told()}"
            time.sleep(0.1)
        return time.monotonic() - began

    def stays(self, true: Callable[[], bool], told: Callable[[], str], during: float = ROUNDS) -> None:
        """Expect something to stay true."""
        began = time.monotonic()
        while time.monotonic() - began < during:
            assert true(), told()
            time.sleep(0.2)


def holds(workload: Mapping[str, Any], condition: str) -> bool:
    """Return whether a condition of a workload is true."""
    conditions = workload.get("status", {}).get("conditions", [])
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def reason(workload: Mapping[str, Any], condition: str) -> str:
    """Return the reason of a condition that is true, else nothing."""
    conditions = workload.get("status", {}).get("conditions", [])
    return next((each["reason"] for each in conditions if each["type"] == condition and each["status"] == "True"), "")


def job(
    name: str,
    gpus: int,
    tier: str | None = None,
    *,
    pods: int = 1,
    annotations: Mapping[str, str] | None = None,
    selector: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    priority_class: str | None = None,
    owners: list[dict[str, Any]] | None = None,
    tolerates: bool = False,
) -> dict[str, Any]:
    """Return a job of so many pods with so many GPUs each, which runs until it is deleted."""
    own = dict(labels or {}) | ({TIER: tier} if tier else {})
    return {
        "metadata": {"name": name, "labels": own, **({"ownerReferences": owners} if owners else {})},
        "spec": {
            "parallelism": pods,
            "completions": pods,
            "template": {
                "metadata": {"annotations": ENDLESS | dict(annotations or {})},
                "spec": pod_spec(gpus, selector, priority_class) | ({"tolerations": TOLERATES} if tolerates else {}),
            },
        },
    }


def pod_spec(gpus: int, selector: Mapping[str, str] | None = None, priority_class: str | None = None) -> dict[str, Any]:
    """Return a pod that Pod Security ``restricted`` lets in."""
    closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    wants = {"cpu": "1", "memory": "1Gi", **({GPU: str(gpus)} if gpus else {})}
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "nodeSelector": dict(selector or {}),
        **({"priorityClassName": priority_class} if priority_class else {}),
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "train",
                "image": "trainer",
                "securityContext": closed,
                "resources": {"requests": wants, "limits": {k: v for k, v in wants.items() if k != "cpu"}},
            }
        ],
    }
