"""EKS node groups become nodes: what they are (pure functions), and that they do in a real cluster."""

import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import kubernetes
import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from falaj.lab.nodes import LEAVING, MIG, OWNED, TIME_SLICES, NodeGroup, changes, desired_nodes, resources
from falaj.lab.state import REGION
from falaj.lab.testing import RunningLab

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
GROUP = NodeGroup(
    cluster="c",
    name="GPU_pool",
    arn="arn:aws:eks:me-central-1:123456789012:nodegroup/c/GPU_pool/1",
    instance_type="p5en.48xlarge",
    zones=[("me-central-1a", "mec1-az1"), ("me-central-1b", "mec1-az2")],
    size=3,
    disk_gib=200,
    efa=16,
    labels={"team": "vision"},
    taints=[GPU_TAINT],
)


def nodes_of(group: NodeGroup, pods: dict[str, int] | None = None) -> list[dict[str, Any]]:
    return desired_nodes([group], INSTANCE_TYPES, REGION, pods or {})


def names(nodes: list[dict[str, Any]]) -> list[str]:
    return [node["metadata"]["name"] for node in nodes]


def as_served(node: dict[str, Any]) -> dict[str, Any]:
    """Return a node as the API server gives it back a moment after it was made."""
    served = json.loads(json.dumps(node))
    served["metadata"]["resourceVersion"] = "7"
    served["metadata"]["labels"]["beta.kubernetes.io/os"] = "linux"
    served["spec"]["taints"].append({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})
    return served


def test_a_node_has_the_capacity_and_the_labels_of_its_instance_type_and_group():
    node = nodes_of(GROUP)[0]
    assert node["status"]["capacity"] == {
        "cpu": "192",
        "memory": "2097152Mi",
        "ephemeral-storage": "200Gi",
        "pods": "198",
        "nvidia.com/gpu": "8",
        "vpc.amazonaws.com/efa": "16",
    }
    labels = node["metadata"]["labels"]
    assert labels["team"] == "vision"
    assert labels["node.kubernetes.io/instance-type"] == "p5en.48xlarge"
    assert labels["eks.amazonaws.com/nodegroup"] == "GPU_pool"
    assert labels["topology.kubernetes.io/region"] == REGION
    assert labels["topology.kubernetes.io/zone"] == "me-central-1a"
    assert labels["kubernetes.io/arch"] == "amd64"
    assert labels["kubernetes.io/hostname"] == node["metadata"]["name"]
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-H200"
    assert node["metadata"]["annotations"]["kwok.x-k8s.io/node"] == "fake"
    assert node["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    assert node["spec"]["providerID"].startswith("aws:///me-central-1a/i-")


@pytest.mark.parametrize(
    ("instance_type", "pods", "cpu", "memory", "devices"),
    [
        # Pods: AWS's eni-max-pods.txt. The rest: kube-reserved as the EKS-optimized images compute it.
        ("t3.medium", "17", "1930m", f"{4096 - 255 - 11 * 17 - 100}Mi", {}),
        ("m7i.4xlarge", "234", "15890m", f"{65536 - 255 - 11 * 234 - 100}Mi", {}),
        ("g5.xlarge", "58", "3920m", f"{16384 - 255 - 11 * 58 - 100}Mi", {"nvidia.com/gpu": "1"}),
        ("inf2.xlarge", "58", "3920m", f"{16384 - 255 - 11 * 58 - 100}Mi", {"aws.amazon.com/neuron": "1"}),
    ],
)
def test_what_the_kubelet_keeps_for_itself_cannot_be_allocated(
    instance_type: str, pods: str, cpu: str, memory: str, devices: dict[str, str]
):
    group = NodeGroup("c", "g", "arn", instance_type, [], size=1, disk_gib=20)
    allocatable = resources(INSTANCE_TYPES[instance_type], group)[1]
    assert allocatable == {"cpu": cpu, "memory": memory, "ephemeral-storage": "17408Mi", "pods": pods} | devices


def test_nodes_are_spread_over_the_zones_of_the_subnets():
    zones = [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes_of(GROUP)]
    assert zones == ["me-central-1a", "me-central-1b", "me-central-1a"]


def test_a_group_has_the_same_nodes_whenever_it_is_asked():
    nodes = nodes_of(GROUP)
    assert nodes == nodes_of(GROUP, dict.fromkeys(names(nodes), 0))
    assert len(set(names(nodes))) == 3
    assert not any(changes(nodes, [as_served(node) for node in nodes]).__dict__.values())


def test_a_node_has_the_efa_interfaces_of_its_launch_template_and_no_others():
    assert "vpc.amazonaws.com/efa" not in nodes_of(dataclasses.replace(GROUP, efa=0))[0]["status"]["capacity"]


def test_local_nvme_takes_the_place_of_the_disk():
    node = nodes_of(dataclasses.replace(GROUP, local_nvme=True))[0]
    assert node["status"]["capacity"]["ephemeral-storage"] == f"{30400 * 10**9 // 2**30}Gi"


@pytest.mark.parametrize(
    ("profile", "each"),
    [("1g.18gb", 7), ("1g.35gb", 4), ("2g.35gb", 3), ("3g.71gb", 2), ("4g.71gb", 1), ("7g.141gb", 1)],
)
def test_gpus_that_are_cut_up_are_there_as_partitions_only(profile: str, each: int):
    node = nodes_of(dataclasses.replace(GROUP, labels={MIG: f"all-{profile}"}))[0]
    offered = {name: count for name, count in node["status"]["allocatable"].items() if name.startswith("nvidia.com")}
    assert offered == {f"nvidia.com/mig-{profile}": str(8 * each)}
    assert node["metadata"]["labels"]["nvidia.com/mig.strategy"] == "mixed"
    assert node["metadata"]["labels"][f"nvidia.com/mig-{profile}.count"] == str(8 * each)


def test_gpus_in_time_slices_are_there_as_slices_only():
    capacity = nodes_of(dataclasses.replace(GROUP, labels={TIME_SLICES: "time-slices-4"}))[0]["status"]["capacity"]
    assert {name: count for name, count in capacity.items() if name.startswith("nvidia.com")} == {
        "nvidia.com/gpu.shared": "32"
    }


@pytest.mark.parametrize(
    "change",
    [
        {"arn": "other"},
        {"instance_type": "g6e.12xlarge"},
        {"disk_gib": 500},
        {"efa": 1},
        {"local_nvme": True},
        {"labels": {MIG: "all-1g.18gb"}},
    ],
)
def test_nodes_with_other_resources_are_other_nodes(change: dict[str, Any]):
    other = dataclasses.replace(GROUP, **change)
    due = changes(nodes_of(other), nodes_of(GROUP))
    assert len(due.create) == len(due.remove) == 3


def test_a_growing_group_keeps_its_nodes_and_fills_the_gaps():
    first, second, third = names(nodes_of(GROUP))
    grown = names(nodes_of(dataclasses.replace(GROUP, size=4), {first: 1, third: 0}))
    assert grown[:3] == [first, second, third]
    assert len(grown) == 4


def test_a_shrinking_group_gives_up_its_emptiest_nodes():
    first, second, third = names(nodes_of(GROUP))
    smaller = dataclasses.replace(GROUP, size=1)
    assert names(nodes_of(smaller, {first: 0, second: 2, third: 1})) == [second]
    assert names(nodes_of(smaller, {first: 0, second: 0, third: 0})) == [first]
    assert names(nodes_of(dataclasses.replace(GROUP, size=0), {first: 5})) == []


def test_changed_labels_and_taints_are_replaced_and_those_of_others_stay():
    there = as_served(nodes_of(GROUP)[0])
    there["metadata"]["labels"]["mine"] = "stays"
    changed = dataclasses.replace(
        GROUP, labels={"tier": "batch"}, taints=[GPU_TAINT | {"value": "yes"}, {"key": "t", "effect": "NO_EXECUTE"}]
    )
    patch = changes([nodes_of(changed)[0]], [there]).patch[there["metadata"]["name"]]
    assert patch["metadata"]["labels"] == {"tier": "batch", "team": None}
    assert patch["metadata"]["resourceVersion"] == "7"
    assert patch["spec"]["taints"] == [
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "value": "yes", "effect": "NoSchedule"},
        {"key": "t", "effect": "NoExecute"},
    ]
    without = changes([nodes_of(dataclasses.replace(GROUP, taints=[]))[0]], [there]).patch[there["metadata"]["name"]]
    assert without["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


def test_a_node_that_was_leaving_and_is_wanted_again_is_uncordoned_and_a_persons_cordon_stays():
    node = nodes_of(GROUP)[0]
    cordoned = as_served(node)
    cordoned["spec"]["unschedulable"] = True
    assert changes([node], [cordoned]).patch == {}
    cordoned["metadata"]["annotations"][LEAVING] = "1.0"
    patch = changes([node], [cordoned]).patch[node["metadata"]["name"]]
    assert patch["spec"] == {"unschedulable": None}
    assert patch["metadata"]["annotations"] == {LEAVING: None}
    assert OWNED not in patch["metadata"]["annotations"]


# --- in a real cluster -----------------------------------------------------------------------------------------------


class Cluster:
    """A running lab: a real control plane, the emulated AWS, and the module under test as one of its services."""

    def __init__(self, lab: RunningLab):
        self.lab = lab
        self.core = kubernetes.client.CoreV1Api(
            kubernetes.config.new_client_from_config(config_file=lab.env["KUBECONFIG"])
        )
        options = {
            "endpoint_url": lab.env["AWS_ENDPOINT_URL"],
            "region_name": REGION,
            "aws_access_key_id": lab.env["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": lab.env["AWS_SECRET_ACCESS_KEY"],
        }
        self.eks: Any = boto3.client("eks", **options)
        self.ec2: Any = boto3.client("ec2", **options)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")[
                "Subnet"
            ]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        self.role = "arn:aws:iam::123456789012:role/r"
        self.eks.create_cluster(name="c", roleArn=self.role, resourcesVpcConfig={"subnetIds": self.subnets})

    def remove(self) -> None:
        """Leave the lab, which other tests share, as it was."""
        for name in self.eks.list_nodegroups(clusterName="c")["nodegroups"]:
            self.eks.delete_nodegroup(clusterName="c", nodegroupName=name)
        self.eks.delete_cluster(name="c")
        for subnet in self.subnets:
            self.ec2.delete_subnet(SubnetId=subnet)
        self.ec2.delete_vpc(VpcId=self.vpc)
        for name in ("fits", "too-big"):
            try:
                self.core.delete_namespaced_pod(name, "default", grace_period_seconds=0)
            except kubernetes.client.ApiException as error:
                if error.status != 404:
                    raise

    def kill_watcher(self) -> None:
        """Kill the module under test; the supervisor starts it again."""
        pid = self.lab.status()["eks-nodes"]["pid"]
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.lab.status()["eks-nodes"]["pid"] not in {None, pid})

    def nodes(self, *groups: str) -> list[Any]:
        selector = f"falaj.dev/lab=eks-nodes,eks.amazonaws.com/nodegroup in ({','.join(groups or ['gpu'])})"
        return self.core.list_node(label_selector=selector).items

    def phase(self, pod: str) -> str | None:
        found = self.core.list_namespaced_pod("default", field_selector=f"metadata.name={pod}").items
        return found[0].status.phase if found else None

    def why_it_waits(self, pod: str) -> str:
        """Return what the scheduler said last of a pod that it could not place."""
        conditions = self.core.read_namespaced_pod(pod, "default").status.conditions or []
        return " ".join(each.message or "" for each in conditions if each.reason == "Unschedulable")


def eventually(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def cluster(lab: RunningLab) -> Iterator[Cluster]:
    made = Cluster(lab)
    yield made
    made.remove()


def pod(name: str, gpus: int) -> dict[str, Any]:
    resources = {"limits": {"nvidia.com/gpu": str(gpus)}}
    container = {"name": "main", "image": "example.invalid/nothing", "resources": resources}
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists"}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [container], "tolerations": [toleration], "terminationGracePeriodSeconds": 1},
    }


@pytest.mark.lab
def test_a_node_group_lives_through_growing_shrinking_changes_kills_and_its_end(cluster: Cluster):
    template = cluster.ec2.create_launch_template(
        LaunchTemplateName="t",
        LaunchTemplateData={
            "InstanceType": "g6e.12xlarge",
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 300}}],
        },
    )["LaunchTemplate"]["LaunchTemplateId"]
    group = {"clusterName": "c", "nodegroupName": "gpu"}
    cluster.eks.create_nodegroup(
        **group,
        subnets=cluster.subnets,
        nodeRole=cluster.role,
        launchTemplate={"id": template, "version": "1"},
        scalingConfig={"minSize": 0, "maxSize": 4, "desiredSize": 2},
        labels={"team": "vision"},
        taints=[GPU_TAINT],
    )
    ready = [("Ready", "True")]
    eventually(
        lambda: (
            [
                [(c.type, c.status) for c in node.status.conditions or [] if c.type == "Ready"]
                for node in cluster.nodes()
            ]
            == [ready, ready]
        )
    )
    for node in cluster.nodes():
        assert node.status.capacity["nvidia.com/gpu"] == "4"
        assert node.status.capacity["ephemeral-storage"] == "300Gi"
        assert node.metadata.labels["team"] == "vision"

    # The real scheduler places a pod by the GPUs that a node has, and not a second one that asks for too many.
    eventually(lambda: bool(cluster.core.list_namespaced_service_account("default").items))
    cluster.core.create_namespaced_pod("default", pod("fits", 4))
    cluster.core.create_namespaced_pod("default", pod("too-big", 5))
    eventually(lambda: cluster.phase("fits") == "Running")
    eventually(lambda: "Insufficient nvidia.com/gpu" in cluster.why_it_waits("too-big"))
    assert cluster.phase("too-big") == "Pending"
    busy = cluster.core.read_namespaced_pod("fits", "default").spec.node_name

    # Killed amid a change: the node without pods goes, and nothing is doubled.
    cluster.eks.update_nodegroup_config(**group, scalingConfig={"minSize": 0, "maxSize": 4, "desiredSize": 1})
    cluster.kill_watcher()
    eventually(lambda: [node.metadata.name for node in cluster.nodes()] == [busy])
    assert cluster.phase("fits") == "Running"

    cluster.eks.update_nodegroup_config(
        **group,
        labels={"addOrUpdateLabels": {"tier": "batch"}, "removeLabels": ["team"]},
        taints={
            "removeTaints": [GPU_TAINT],
            "addOrUpdateTaints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}],
        },
        scalingConfig={"minSize": 0, "maxSize": 4, "desiredSize": 3},
    )
    eventually(
        lambda: [[(t.key, t.value) for t in node.spec.taints or []] for node in cluster.nodes()] == [[("k", "v")]] * 3
    )
    assert [(n.metadata.labels.get("tier"), n.metadata.labels.get("team")) for n in cluster.nodes()] == [
        ("batch", None)
    ] * 3

    # Someone removes a node: it comes back. A node that the lab did not make stays when the group goes.
    cluster.core.delete_node(busy)
    eventually(lambda: len(cluster.nodes()) == 3 and busy in [node.metadata.name for node in cluster.nodes()])
    cluster.core.create_node({"metadata": {"name": "not-ours"}})
    cluster.eks.delete_nodegroup(**group)
    eventually(lambda: cluster.nodes() == [])
    assert "not-ours" in [node.metadata.name for node in cluster.core.list_node().items]
    cluster.core.delete_node("not-ours")


@pytest.mark.lab
def test_a_group_with_an_unknown_instance_type_gets_no_nodes_and_others_do(cluster: Cluster):
    for name, kind in (("unknown", "zz9.huge"), ("known", "t3.medium")):
        cluster.eks.create_nodegroup(
            clusterName="c",
            nodegroupName=name,
            subnets=cluster.subnets,
            nodeRole=cluster.role,
            instanceTypes=[kind],
            scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1},
        )
    eventually(lambda: len(cluster.nodes("known")) == 1)
    log = cluster.lab.root / "logs" / "eks-nodes.log"
    eventually(lambda: "left the nodes of c/unknown alone" in log.read_text())
    assert cluster.nodes("unknown") == []
    for name in ("unknown", "known"):
        cluster.eks.delete_nodegroup(clusterName="c", nodegroupName=name)
    eventually(lambda: cluster.nodes("unknown", "known") == [])
