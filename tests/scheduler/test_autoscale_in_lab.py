"""Pools grow and shrink in a lab: real Kueue and scheduler, EKS's own calls on the emulated AWS, nodes by KWOK."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from examples import Example

from falaj.lab.testing import RunningLab, temporary_lab
from falaj.scheduler.autoscale_reading import CONDEMNED

pytestmark = pytest.mark.lab
ONLY = ["eks-nodes", "kwok", "kube-scheduler", "kube-controller-manager", "kueue"]
GPU = "nvidia.com/gpu"
IDLE = 10
"""More than Kueue takes from the end of one work until it lets the pods of the next go."""
USER = "system:serviceaccount:falaj-system:gpu-autoscaler"
FAST = {
    "tiers": {"batch": {"grows": True, "after_seconds": 6}},
    "idle_seconds": IDLE,
    "cooldown_seconds": 2,
    "settle_seconds": 3,
}
"""What of the policy has the pace of a test; all else is what the example says."""
ROLE = "arn:aws:iam::123456789012:role/nodes"


def eventually(find: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)
    return found


class Scene:
    """A lab with one pool of no nodes, two tenants, and the autoscaler as a process that may be killed."""

    def __init__(self, lab: RunningLab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        client = kubernetes.config.new_client_from_config(config_file=lab.env["KUBECONFIG"])
        self.core = kubernetes.client.CoreV1Api(client)
        self.batch = kubernetes.client.BatchV1Api(client)
        self.authorization = kubernetes.client.AuthorizationV1Api(client)
        self.custom = kubernetes.client.CustomObjectsApi(client)
        self.eks: Any = lab.aws("eks")
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        ec2 = self.lab.aws("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zone = f"{self.lab.env['AWS_REGION']}a"
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/20", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        self.eks.create_cluster(name="falaj", roleArn=ROLE, resourcesVpcConfig={"subnetIds": [subnet]})
        for pool, size in (("gpu", 0), ("near", 0), ("system", 1)):
            self.eks.create_nodegroup(
                clusterName="falaj",
                nodegroupName=pool,
                subnets=[subnet],
                nodeRole=ROLE,
                instanceTypes=["m7i.xlarge" if size else "p5en.48xlarge"],
                labels={"pool": pool},
                taints=[] if size else [{"key": GPU, "value": "present", "effect": "NO_SCHEDULE"}],
                scalingConfig={"minSize": 0, "maxSize": 4, "desiredSize": size},
            )
        for priority, tier in enumerate(("scavenger", "batch", "interactive", "production")):
            self.make("WorkloadPriorityClass", tier, value=1000 * priority)
        self.make("ResourceFlavor", "gpu", spec={"nodeLabels": {"pool": "gpu"}})
        self.make("Topology", "near", spec={"levels": [{"nodeLabel": "kubernetes.io/hostname"}]})
        toleration = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}
        near = {"nodeLabels": {"pool": "near"}, "topologyName": "near", "tolerations": [toleration]}
        self.make("ResourceFlavor", "near", spec=near)
        for tenant, pool in (("vision", "gpu"), ("speech", "gpu"), ("robotics", "near")):
            labels = {"falaj.dev/tenant": tenant, "cost-centre": "cc-1"}
            self.core.create_namespace({"metadata": {"name": tenant, "labels": labels}})
            quota = {"name": pool, "resources": [{"name": GPU, "nominalQuota": 80}]}
            groups = [{"coveredResources": [GPU], "flavors": [quota]}]
            self.make("ClusterQueue", tenant, spec={"namespaceSelector": {}, "resourceGroups": groups})
            self.make("LocalQueue", "default", tenant, spec={"clusterQueue": tenant})

    def install(self) -> None:
        """Bring the component up as its example shows it, policies first; what it makes is what the process may do."""
        example = Example(self.lab, "gpu-autoscaler")
        example.up(giveBack="resize")
        policy = json.loads(example.outputs()["policy"])
        (self.folder / "policy.json").write_text(json.dumps(policy | FAST))

    def make(self, kind: str, name: str, namespace: str | None = None, **more: Any) -> None:
        version = "v1beta2"
        body = {
            "apiVersion": f"kueue.x-k8s.io/{version}",
            "kind": kind,
            "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
            **more,
        }
        plural = {"Topology": "topologies"}.get(kind, f"{kind.lower()}{'es' if kind.endswith('s') else 's'}")

        def attempt() -> bool:
            try:
                if namespace:
                    self.custom.create_namespaced_custom_object("kueue.x-k8s.io", version, namespace, plural, body)
                else:
                    self.custom.create_cluster_custom_object("kueue.x-k8s.io", version, plural, body)
            except kubernetes.client.exceptions.ApiException as error:
                if error.status == 500:  # a webhook that does not answer yet
                    return False
                raise
            return True

        eventually(attempt)

    def submit(
        self, name: str, pods: int, *, tier: str = "production", tenant: str = "vision", seconds: int = 4
    ) -> None:
        delays = {
            "pod-complete.stage.kwok.x-k8s.io/delay": f"{seconds}s",
            "pod-complete.stage.kwok.x-k8s.io/jitter-delay": f"{seconds}s",
        }
        spec = {
            "restartPolicy": "Never",
            "tolerations": [{"key": GPU, "operator": "Exists"}],
            "containers": [{"name": "main", "image": "none", "resources": {"limits": {GPU: "8"}}}],
        }
        job: Any = {
            "metadata": {"name": name, "namespace": tenant, "labels": {"kueue.x-k8s.io/priority-class": tier}},
            "spec": {
                "parallelism": pods,
                "completions": pods,
                "template": {"metadata": {"annotations": delays}, "spec": spec},
            },
        }
        self.batch.create_namespaced_job(tenant, job)

    def start(self, lease: int = 10) -> None:
        command = [sys.executable, "-P", "-m", "falaj.scheduler.cli", "autoscale", "--interval", "0.5"]
        command += ["--lease-seconds", str(lease), "--listen", "127.0.0.1:0", "--as", USER]
        with (self.folder / "autoscale.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--policy", str(self.folder / "policy.json")], env=self.lab.env, stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "autoscale.log").read_text()

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)

    def desired(self, pool: str = "gpu") -> int:
        found = self.eks.describe_nodegroup(clusterName="falaj", nodegroupName=pool)["nodegroup"]
        return found["scalingConfig"]["desiredSize"]

    def nodes(self, pool: str = "gpu") -> set[str]:
        return {node.metadata.name for node in self.core.list_node(label_selector=f"pool={pool}").items}

    def may(self, verb: str, resource: str, group: str) -> bool:
        attributes = {"verb": verb, "resource": resource, "group": group, "namespace": "vision"}
        asked: Any = {"spec": {"user": USER, "resourceAttributes": attributes}}
        return self.authorization.create_subject_access_review(asked).status.allowed

    def marked(self, annotation: str) -> bool:
        return any(annotation in (node.metadata.annotations or {}) for node in self.core.list_node().items)

    def pods(self, job: str, tenant: str = "vision") -> list[Any]:
        return self.core.list_namespaced_pod(tenant, label_selector=f"job-name={job}").items

    def running(self, job: str, tenant: str = "vision") -> int:
        return sum(pod.status.phase == "Running" for pod in self.pods(job, tenant))

    def ended(self, job: str) -> datetime:
        pods = self.pods(job)
        return max(pod.status.container_statuses[0].state.terminated.finished_at for pod in pods)

    def forget(self, job: str, tenant: str = "vision") -> None:
        self.batch.delete_namespaced_job(job, tenant, propagation_policy="Background")
        eventually(lambda: not self.pods(job, tenant))

    def done(self, job: str, tenant: str = "vision") -> bool:
        return bool(self.batch.read_namespaced_job(job, tenant).status.completion_time)

    def events(self, job: str, reason: str, tenant: str = "vision") -> list[str]:
        found = self.core.list_namespaced_event(tenant, field_selector=f"reason={reason}").items
        return [each.message for each in found if each.involved_object.name.startswith(f"job-{job}-")]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("autoscale")
    with temporary_lab(folder / "state", only=ONLY) as lab:
        made = Scene(lab, folder)
        made.prepare()
        made.install()
        made.start(lease=30)  # who loses it forgets what it has told
        eventually(lambda: " leads" in made.log)
        yield made
        made.stop()


@pytest.mark.parametrize(
    ("verb", "resource", "group"),
    [
        ("get", "secrets", ""),
        ("create", "pods", ""),
        ("delete", "nodes", ""),
        ("delete", "pods", ""),
        ("patch", "workloads", "kueue.x-k8s.io"),
        ("update", "clusterqueues", "kueue.x-k8s.io"),
        ("impersonate", "users", ""),
    ],
)
def test_the_autoscaler_may_not(scene: Scene, verb: str, resource: str, group: str) -> None:
    assert scene.may("patch", "nodes", "")
    assert not scene.may(verb, resource, group)


def test_a_pool_bursts_from_zero_for_work_and_goes_back_to_zero(scene: Scene) -> None:
    assert (scene.desired(), scene.nodes()) == (0, set())
    began = time.monotonic()
    scene.submit("train", 2, seconds=30)
    eventually(lambda: scene.running("train") == 2)
    print(f"time to scale: {time.monotonic() - began:.1f} s from submission to two running pods")
    assert scene.desired() == 2
    (said,) = eventually(lambda: scene.events("train", "WaitsForNodes"))
    assert re.fullmatch(r"waits for (2 nodes|1 node) of pool gpu, asked \d+ s ago", said)
    eventually(lambda: scene.done("train"))
    emptied = scene.ended("train")
    assert eventually(lambda: scene.events("train", "NodesArrived"))[0].startswith("has its nodes of pool gpu, ")
    eventually(lambda: not scene.nodes())
    assert datetime.now(UTC) - emptied >= timedelta(seconds=IDLE)
    assert scene.desired() == 0


def test_work_that_is_placed_by_topology_gets_nodes_before_kueue_admits_it(scene: Scene) -> None:
    scene.submit("rest", 1, tier="scavenger", tenant="robotics")
    said = eventually(lambda: scene.events("rest", "WaitsForNodes", "robotics"))
    assert said == ["waits in pool near: a pool does not grow for the tier scavenger"]
    began = time.monotonic()
    scene.submit("later", 1, tier="batch", tenant="robotics", seconds=15)
    # Kueue admits in the order of the tiers: the node is for the work that made the pool grow.
    eventually(lambda: scene.running("later", "robotics") == 1)
    assert time.monotonic() - began >= 5
    assert not scene.done("rest", "robotics")
    eventually(lambda: scene.done("later", "robotics") and scene.done("rest", "robotics"))
    eventually(lambda: not scene.nodes("near"))
    assert "near: 0 to 1" in scene.log
    assert "near: 1 to 2" not in scene.log


def test_a_pool_never_costs_more_than_its_budget_and_says_so(scene: Scene) -> None:
    scene.submit("wide", 4)
    (said,) = eventually(lambda: scene.events("wide", "NodesRefused"))
    key = said.split(" for ")[1].split(",")[0]
    assert said == (
        f"gets no nodes: gpu.usd_per_hour must be 200.00 USD per hour or more for {key}, or other work has to end first"
        " (is 150.0)"
    )
    scene.submit("greedy", 2, tenant="speech")
    (said,) = eventually(lambda: scene.events("greedy", "NodesRefused", "speech"))
    assert said.startswith("gets no nodes: tenants.speech must be 100.00 USD per hour or more for speech/job-greedy-")
    assert scene.nodes() == set()
    scene.forget("wide")
    scene.forget("greedy", "speech")
    scene.submit("fits", 3, seconds=30)
    eventually(lambda: scene.running("fits") == 3)
    assert scene.desired() == len(scene.nodes()) == 3
    eventually(lambda: not scene.nodes(), seconds=120)


def test_a_killed_autoscaler_goes_on_where_it_was(scene: Scene) -> None:
    scene.submit("long", 2, seconds=600)
    eventually(lambda: scene.desired() == 2)
    scene.kill()
    scene.submit("more", 1, seconds=600)
    scene.start()
    eventually(lambda: (scene.running("long"), scene.running("more")) == (2, 1), seconds=120)
    assert scene.desired() == 3
    there = scene.nodes()
    scene.forget("long")
    eventually(lambda: scene.marked(CONDEMNED) or scene.nodes() < there)  # a mark goes with its node
    scene.kill()
    scene.start()
    busy = {pod.spec.node_name for pod in scene.pods("more")}
    eventually(lambda: scene.nodes() == busy)
    assert scene.running("more") == 1
    scene.forget("more")
    eventually(lambda: not scene.nodes())


def test_no_size_was_ever_asked_for_beyond_the_budget(scene: Scene) -> None:
    assert max(int(size) for size in re.findall(r"gpu: \d+ to (\d+)", scene.log)) == 3
