"""Which Kubernetes nodes the emulated EKS node groups stand for, and what differs in a cluster: pure functions.

The instance types' facts come from EC2's DescribeInstanceTypes; what the kubelet holds back, from the rules that the
EKS-optimized images apply (https://github.com/awslabs/amazon-eks-ami): a pod that fits here fits a real node.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]

MADE_BY = {"falaj.dev/lab": "eks-nodes"}
"""The label of the nodes that the lab made; it never touches others."""
OWNED = "falaj.dev/owned"
"""Annotation: the labels and taints of a node that come from its node group; whatever else it has is left alone."""
LEAVING = "falaj.dev/leaving-since"
"""Annotation: when a node that is to go was cordoned, in seconds since the epoch."""
CLUSTER_LABEL = "falaj.dev/eks-cluster"
GROUP_LABEL = "eks.amazonaws.com/nodegroup"

MIG = "nvidia.com/mig.config"
"""Label: how NVIDIA's MIG manager cuts a node's GPUs up, ``all-`` and a profile."""
TIME_SLICES = "nvidia.com/device-plugin.config"
"""Label: which configuration the device plugin has on a node; here only ``time-slices-`` and a number mean anything."""

_ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


@dataclass(frozen=True)
class NodeGroup:
    """What matters of one EKS node group, its launch template included."""

    cluster: str
    name: str
    arn: str
    instance_type: str
    zones: Sequence[tuple[str, str]]
    """Name and id of the zone of each subnet."""
    size: int
    disk_gib: int
    efa: int = 0
    """Network interfaces that carry EFA."""
    local_nvme: bool = False
    """Whether pods and images live on the local NVMe disks, as one."""
    capacity_type: str = "ON_DEMAND"
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    taints: Sequence[Mapping[str, str]] = ()
    """As EKS writes them: key, value, effect (``NO_SCHEDULE``)."""

    @property
    def prefix(self) -> str:
        """What the names of its nodes begin with: nodes that have other resources are other nodes."""
        identity = f"{self.arn} {self.instance_type} {self.disk_gib}"
        parts = [label for name in (MIG, TIME_SLICES) if (label := self.labels.get(name))]
        if self.efa or self.local_nvme or parts:
            identity += f" {self.efa} {self.local_nvme} {parts}"
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.lower())[:40].strip("-")
        return f"{slug}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}-"


@dataclass(frozen=True)
class Changes:
    """What has to happen for a cluster to have the wanted nodes."""

    create: list[Manifest]
    patch: dict[str, Manifest]
    """Merge patches, by the name of the node."""
    remove: list[str]


def desired_nodes(
    groups: Iterable[NodeGroup],
    instance_types: Mapping[str, Mapping[str, Any]],
    region: str,
    pods: Mapping[str, int],
) -> list[Manifest]:
    """Return the nodes that the groups stand for.

    ``pods`` holds every node that exists, with the number of pods on it; when a group shrinks, its emptiest nodes are
    the ones left out, when it grows, the lowest free numbers are taken.
    """
    existing: defaultdict[str, list[str]] = defaultdict(list)
    for name in pods:
        existing[re.sub(r"\d+$", "", name)].append(name)
    return [
        _node(group, number, instance_types[group.instance_type], region)
        for group in groups
        for number in _numbers(group, existing[group.prefix], pods)
    ]


def changes(desired: Iterable[Manifest], actual: Iterable[Manifest]) -> Changes:
    """Return what turns the lab's nodes as they are into the desired ones."""
    wanted = {node["metadata"]["name"]: node for node in desired}
    there = {node["metadata"]["name"]: node for node in actual}
    patches = {name: _patch(wanted[name], there[name]) for name in sorted(wanted.keys() & there.keys())}
    return Changes(
        create=[node for name, node in wanted.items() if name not in there],
        patch={name: patch for name, patch in patches.items() if patch},
        remove=sorted(there.keys() - wanted.keys()),
    )


def _numbers(group: NodeGroup, existing: Sequence[str], pods: Mapping[str, int]) -> list[int]:
    numbers = {int(name.removeprefix(group.prefix)): pods[name] for name in existing}
    kept = sorted(numbers, key=lambda number: (-numbers[number], number))[: group.size]
    free = (number for number in range(group.size) if number not in numbers)
    return sorted([*kept, *(number for number, _ in zip(free, range(group.size - len(kept)), strict=False))])


def _node(group: NodeGroup, number: int, facts: Mapping[str, Any], region: str) -> Manifest:
    name = f"{group.prefix}{number}"
    zone, zone_id = group.zones[number % len(group.zones)]
    architecture = _ARCHITECTURES[facts["ProcessorInfo"]["SupportedArchitectures"][0]]
    labels = {
        **group.labels,
        **MADE_BY,
        **_gpu_labels(facts, group),
        CLUSTER_LABEL: group.cluster,
        GROUP_LABEL: group.name,
        "eks.amazonaws.com/capacityType": group.capacity_type,
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": group.instance_type,
        "topology.k8s.aws/zone-id": zone_id,
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": zone,
    }
    taints = [
        {"key": taint["key"], "effect": _EFFECTS[taint["effect"]]}
        | ({"value": taint["value"]} if taint.get("value") else {})
        for taint in group.taints
    ]
    owned = {"labels": sorted(labels), "taints": [[taint["key"], taint["effect"]] for taint in taints]}
    capacity, allocatable = resources(facts, group)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {"kwok.x-k8s.io/node": "fake", OWNED: json.dumps(owned)},
        },
        "spec": {"providerID": f"aws:///{zone}/i-{hashlib.sha256(name.encode()).hexdigest()[:17]}", "taints": taints},
        "status": {"capacity": capacity, "allocatable": allocatable},
    }


def resources(facts: Mapping[str, Any], group: NodeGroup) -> tuple[dict[str, str], dict[str, str]]:
    """Return capacity and allocatable of an instance type, in this group, as Kubernetes quantities."""
    cpus = facts["VCpuInfo"]["DefaultVCpus"]
    memory = facts["MemoryInfo"]["SizeInMiB"]
    network = facts["NetworkInfo"]
    cards = network.get("NetworkCards") or [{"MaximumNetworkInterfaces": network["MaximumNetworkInterfaces"]}]
    # Each interface of the default card keeps one address for itself; the host network's pods need none (hence 2).
    pods = cards[0]["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2
    disk_gib = group.disk_gib
    if group.local_nvme:
        disk_gib = facts["InstanceStorageInfo"]["TotalSizeInGB"] * 10**9 // 2**30
    devices = {
        **_gpu_devices(facts, group.labels),
        "vpc.amazonaws.com/efa": group.efa,
        "aws.amazon.com/neuron": sum(
            device["Count"] for device in (facts.get("NeuronInfo") or {}).get("NeuronDevices", [])
        ),
    }
    shared = {"pods": str(pods)} | {name: str(count) for name, count in devices.items() if count}
    capacity = {"cpu": str(cpus), "memory": f"{memory}Mi", "ephemeral-storage": f"{disk_gib}Gi"}
    # kube-reserved (255 MiB and 11 MiB per pod) and the eviction threshold (100 MiB; a tenth of the disk, and 1 GiB).
    allocatable = {
        "cpu": f"{cpus * 1000 - _reserved_millicores(cpus)}m",
        "memory": f"{memory - (255 + 11 * pods) - 100}Mi",
        "ephemeral-storage": f"{disk_gib * 1024 * 9 // 10 - 1024}Mi",
    }
    return capacity | shared, allocatable | shared


def _reserved_millicores(cpus: int) -> int:
    """Return 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the others."""
    shares = [60, 10, 5, 5, *[2.5] * max(cpus - 4, 0)]
    return int(sum(shares[:cpus]))


def _nvidia_gpus(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [gpu for gpu in (facts.get("GpuInfo") or {}).get("Gpus", []) if gpu["Manufacturer"] == "NVIDIA"]


def _gpu_devices(facts: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, int]:
    """Return what NVIDIA's device plugin offers: GPUs, or partitions or slices of them as the labels say."""
    gpus = _nvidia_gpus(facts)
    count = sum(gpu["Count"] for gpu in gpus)
    profile, slices = labels.get(MIG, "").removeprefix("all-"), labels.get(TIME_SLICES, "")
    if gpus and re.fullmatch(r"\d+g\.\d+gb", profile):
        return {f"nvidia.com/mig-{profile}": count * partitions(profile, gpus[0]["MemoryInfo"]["SizeInMiB"])}
    if gpus and re.fullmatch(r"time-slices-\d+", slices):
        return {"nvidia.com/gpu.shared": count * int(slices.rpartition("-")[2])}
    return {"nvidia.com/gpu": count}


def partitions(profile: str, gpu_mib: int) -> int:
    """Return how many MIG partitions of a profile a GPU has: of its compute there are 7 slices, of its memory 8."""
    compute, gigabytes = (int(number) for number in re.findall(r"\d+", profile))
    memory = max(round(gigabytes * 8 * 1024 / gpu_mib), 1)
    return min(7 // compute, 8 // memory)


def _gpu_labels(facts: Mapping[str, Any], group: NodeGroup) -> dict[str, str]:
    """Return the labels that NVIDIA's GPU feature discovery gives, as far as EC2 knows the facts."""
    gpus = _nvidia_gpus(facts)
    if not gpus:
        return {}
    parts = {f"{name}.count": str(count) for name, count in _gpu_devices(facts, group.labels).items() if "mig-" in name}
    return {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": f"NVIDIA-{gpus[0]['Name'].replace(' ', '-')}",
        "nvidia.com/gpu.count": str(sum(gpu["Count"] for gpu in gpus)),
        "nvidia.com/gpu.memory": str(gpus[0]["MemoryInfo"]["SizeInMiB"]),
        **({"nvidia.com/mig.strategy": "mixed"} | parts if parts else {}),
    }


def _patch(wanted: Manifest, there: Manifest) -> Manifest:
    """Return the merge patch that gives a node what its group says, and leaves what others gave it."""
    metadata, spec = there["metadata"], there["spec"]
    labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
    owned = json.loads(annotations.get(OWNED, '{"labels": [], "taints": []}'))
    new_labels: Mapping[str, str] = wanted["metadata"]["labels"]
    label_changes: dict[str, str | None] = {
        name: value for name, value in new_labels.items() if labels.get(name) != value
    }
    label_changes |= {name: None for name in owned["labels"] if name in labels and name not in new_labels}
    annotation_changes: dict[str, str | None] = {
        name: value for name, value in wanted["metadata"]["annotations"].items() if annotations.get(name) != value
    }
    spec_changes: dict[str, Any] = {}
    if LEAVING in annotations:  # it was to go, and is wanted again
        annotation_changes[LEAVING] = None
        spec_changes["unschedulable"] = None
    taints, new_taints = spec.get("taints", []), wanted["spec"]["taints"]
    own = [*owned["taints"], *([taint["key"], taint["effect"]] for taint in new_taints)]
    merged = [taint for taint in taints if [taint["key"], taint["effect"]] not in own] + new_taints
    if sorted(map(_taint_key, merged)) != sorted(map(_taint_key, taints)):
        spec_changes["taints"] = merged
    changed = {"labels": label_changes, "annotations": annotation_changes}
    patch: Manifest = {name: change for name, change in changed.items() if change}
    if not patch and not spec_changes:
        return {}
    # Taints are replaced as a whole: not when the control plane changed them since they were read.
    return {"metadata": patch | {"resourceVersion": metadata.get("resourceVersion")}, "spec": spec_changes}


def _taint_key(taint: Mapping[str, str]) -> tuple[str, str, str]:
    return taint["key"], taint["effect"], taint.get("value", "")
