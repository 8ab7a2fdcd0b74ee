"""Turns moto's EKS node groups into nodes of the lab's cluster. ``python -m falaj.lab.eks_nodes``.

Emulated: no machine is behind such a node; KWOK plays its kubelet. Real: the scheduler, quotas, taints and evictions
see it as they would see an EC2 instance of that type. It watches EKS itself, so it works whatever made the node group;
every node group of every EKS cluster in the emulated AWS becomes nodes of the lab's one Kubernetes cluster.

A node that has to go is drained as EKS does it: cordoned, its pods evicted, and after a grace period removed anyway.
"""

import base64
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import boto3
import kubernetes
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from falaj.lab.nodes import (
    CLUSTER_LABEL,
    GROUP_LABEL,
    LEAVING,
    MADE_BY,
    Manifest,
    NodeGroup,
    changes,
    desired_nodes,
)
from falaj.lab.state import Lab

INTERVAL = 1.0
LONGEST_INTERVAL = 15.0
"""Seconds between two looks, while all is well and when something does not answer."""
BUSY_SHARE, LONGEST_PAUSE = 1 / 15, 4.0
"""Part of the time that looking may take, on a machine that has much else to do; and the longest pause for it."""
GRACE = 30.0
"""Seconds that a node's pods have to leave it; EKS gives 15 minutes, which nobody wants to wait for in a lab."""
TIMEOUT = 10.0
_GONE, _CONFLICT, _TOO_MANY = 404, 409, 429

_TROUBLE = (BotoCoreError, ClientError, ApiException, ConfigException, HTTPError, OSError)


class EmulatedEks:
    """Reads node groups from the EKS and EC2 APIs that the environment names."""

    def __init__(self) -> None:
        # No proxies: everything is on this machine.
        config = Config(
            connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"total_max_attempts": 1}, proxies=dict[str, str]()
        )
        self._eks = boto3.client("eks", config=config)
        self._ec2 = boto3.client("ec2", config=config)
        self.region = self._eks.meta.region_name
        self._zones: dict[str, tuple[str, str]] = {}
        self.instance_types: dict[str, Mapping[str, Any]] = {}

    def groups(self) -> tuple[list[NodeGroup], dict[tuple[str, str], str]]:
        """Return the node groups, and for those that cannot be understood (by cluster and name) why not."""
        groups: list[NodeGroup] = []
        unclear: dict[tuple[str, str], str] = {}
        for cluster in self._names("list_clusters", "clusters"):
            for name in self._names("list_nodegroups", "nodegroups", clusterName=cluster):
                group: Mapping[str, Any] = self._eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)[
                    "nodegroup"
                ]  # pyright: ignore[reportAssignmentType]
                try:
                    groups.append(self._group(group))
                except ClientError as error:
                    unclear[cluster, name] = str(error)
                except (KeyError, IndexError) as error:
                    unclear[cluster, name] = f"no instance type, or facts of it are missing: {error!r}"
        return groups, unclear

    def _names(self, operation: Any, key: str, **arguments: str) -> list[str]:
        return [name for page in self._eks.get_paginator(operation).paginate(**arguments) for name in page[key]]

    def _group(self, group: Mapping[str, Any]) -> NodeGroup:
        template = self._template(group.get("launchTemplate"))
        # Several instance types let EKS choose by capacity; the lab always has the first.
        instance_type = template.get("InstanceType") or group["instanceTypes"][0]
        if instance_type not in self.instance_types:
            found = self._ec2.describe_instance_types(InstanceTypes=[instance_type])["InstanceTypes"]
            self.instance_types[instance_type] = found[0]  # pyright: ignore[reportArgumentType]
        disks = [
            mapping["Ebs"]["VolumeSize"] for mapping in template.get("BlockDeviceMappings", []) if "Ebs" in mapping
        ]
        interfaces = [each.get("InterfaceType", "interface") for each in template.get("NetworkInterfaces", [])]
        scaling = group["scalingConfig"]
        return NodeGroup(
            cluster=group["clusterName"],
            name=group["nodegroupName"],
            arn=group["nodegroupArn"],
            instance_type=instance_type,
            zones=[self._zone(subnet) for subnet in group["subnets"]],
            size=scaling.get("desiredSize", scaling.get("minSize", 0)),
            # Bottlerocket has a small disk for itself beside the one for images and pods.
            disk_gib=int(max(disks) if disks else group.get("diskSize") or 20),
            efa=sum(kind in {"efa", "efa-only"} for kind in interfaces),
            local_nvme=_uses_local_nvme(template.get("UserData", "")),
            capacity_type=group.get("capacityType", "ON_DEMAND"),
            labels=group.get("labels") or {},
            taints=group.get("taints") or [],
        )

    def _template(self, reference: Mapping[str, str] | None) -> Mapping[str, Any]:
        if not reference:
            return {}
        versions = self._ec2.describe_launch_template_versions(
            LaunchTemplateId=reference["id"], Versions=[str(reference.get("version") or "$Default")]
        )["LaunchTemplateVersions"]
        return versions[0]["LaunchTemplateData"]  # pyright: ignore[reportTypedDictNotRequiredAccess, reportReturnType]

    def _zone(self, subnet: str) -> tuple[str, str]:
        if subnet not in self._zones:
            found: Any = self._ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]
            self._zones[subnet] = (found["AvailabilityZone"], found["AvailabilityZoneId"])
        return self._zones[subnet]


class Nodes:
    """The nodes of the cluster that ``KUBECONFIG`` names."""

    def __init__(self, scratch: Path) -> None:
        """``scratch`` holds the kubeconfig's key as a file, which TLS needs; after a kill it is there, not in /tmp."""
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(client_configuration=configuration, temp_file_path=str(scratch))
        configuration.proxy = None
        self._api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))

    def all(self) -> list[Manifest]:
        """Return the nodes that the lab made."""
        selector = ",".join(f"{key}={value}" for key, value in MADE_BY.items())
        return self._items(self._api.list_node, label_selector=selector)

    def pods(self, name: str | None = None) -> list[Manifest]:
        """Return the pods that have to leave with their node: on one node, or on any."""
        selector = f"spec.nodeName={name}" if name else "spec.nodeName!="
        pods = self._items(self._api.list_pod_for_all_namespaces, field_selector=selector)
        return [pod for pod in pods if not _stays(pod)]

    def create(self, node: Manifest) -> None:
        """Make a node; one that is there already is met at the next look."""
        try:
            self._api.create_node(node, _request_timeout=TIMEOUT)  # pyright: ignore[reportArgumentType]  # a dict will do
        except ApiException as error:
            if error.status != _CONFLICT:
                raise
        else:
            labels = node["metadata"]["labels"]
            kind, zone = labels["node.kubernetes.io/instance-type"], labels["topology.kubernetes.io/zone"]
            _log(f"made {node['metadata']['name']}, a {kind} in {zone}")

    def patch(self, name: str, patch: Manifest) -> None:
        """Change a node; one that changed or went meanwhile is met at the next look."""
        try:
            self._api.patch_node(name, patch, _content_type="application/merge-patch+json", _request_timeout=TIMEOUT)
        except ApiException as error:
            if error.status not in {_CONFLICT, _GONE}:
                raise
        else:
            _log(f"changed {name}")

    def drain_and_remove(self, node: Manifest) -> None:
        """Take the next step of a node's leaving."""
        metadata = node["metadata"]
        name, since = metadata["name"], metadata.get("annotations", {}).get(LEAVING)
        if since is None:
            cordon = {"metadata": {"annotations": {LEAVING: str(time.time())}}, "spec": {"unschedulable": True}}
            self.patch(name, cordon)
            since = time.time()
        pods = self.pods(name)
        overdue = time.time() - float(since) > GRACE
        for pod in pods:
            self._dismiss(pod["metadata"], force=overdue)
        if not pods or overdue:
            self._ignoring(self._api.delete_node, name)
            _log(f"removed {name}" + (f", with {len(pods)} pods that would not leave" if pods else ""))

    def _dismiss(self, pod: Manifest, *, force: bool) -> None:
        name, namespace = pod["name"], pod["namespace"]
        if force:
            self._ignoring(self._api.delete_namespaced_pod, name, namespace, grace_period_seconds=0)
        elif "deletionTimestamp" not in pod:
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
            # 429: a disruption budget wants the pod where it is, for now.
            self._ignoring(self._api.create_namespaced_pod_eviction, name, namespace, eviction, also=_TOO_MANY)

    def _ignoring(self, call: Any, *arguments: Any, also: int = _GONE, **options: Any) -> None:
        try:
            call(*arguments, _request_timeout=TIMEOUT, _preload_content=False, **options)
        except ApiException as error:
            if error.status not in {_GONE, also}:
                raise

    def _items(self, call: Any, **options: Any) -> list[Manifest]:
        return json.loads(call(_preload_content=False, _request_timeout=TIMEOUT, **options).data)["items"]


class Reconciler:
    """Brings the nodes into line with the node groups, one look at a time."""

    def __init__(self, eks: EmulatedEks, nodes: Nodes):
        self._eks = eks
        self._nodes = nodes
        self._said: dict[tuple[str, str], str] = {}

    def look(self) -> None:
        """Look once and do what is due."""
        groups, unclear = self._eks.groups()
        for (cluster, name), why in unclear.items():
            if self._said.get((cluster, name)) != why:
                _log(f"left the nodes of {cluster}/{name} alone: {why}")
        self._said = unclear
        # The nodes of a group that is not understood are neither counted nor removed.
        nodes = [node for node in self._nodes.all() if _group_of(node) not in unclear]
        due = changes(
            desired_nodes(groups, self._eks.instance_types, self._eks.region, self._load(nodes, groups)), nodes
        )
        for node in due.create:
            self._nodes.create(node)
        for name, patch in due.patch.items():
            self._nodes.patch(name, patch)
        for node in nodes:
            if node["metadata"]["name"] in due.remove:
                self._nodes.drain_and_remove(node)

    def _load(self, nodes: Iterable[Manifest], groups: Iterable[NodeGroup]) -> dict[str, int]:
        """Return the number of pods on each node, which matters (and is asked) only when a group shrinks."""
        leaving = {node["metadata"]["name"]: LEAVING in node["metadata"].get("annotations", {}) for node in nodes}
        shrinks = any(sum(name.startswith(group.prefix) for name in leaving) > group.size for group in groups)
        pods = Counter(pod["spec"]["nodeName"] for pod in self._nodes.pods()) if shrinks else Counter[str]()
        return {name: -1 if leaves else pods[name] for name, leaves in leaving.items()}


def run(stop: threading.Event, lab: Lab) -> None:
    """Look again and again until ``stop`` is set; wait longer while something does not answer.

    The file ``run/eks-nodes.looked`` is touched after each look that succeeded: its age tells whether this works.
    """
    looked, scratch = lab.folder("run") / "eks-nodes.looked", lab.folder("run", "eks-nodes")
    looked.unlink(missing_ok=True)
    for leftover in scratch.iterdir():
        leftover.unlink()
    reconciler: Reconciler | None = None
    interval, trouble = INTERVAL, ""
    while not stop.is_set():
        began = time.monotonic()
        try:
            reconciler = reconciler or Reconciler(EmulatedEks(), Nodes(scratch))
            reconciler.look()
            looked.touch(mode=0o600)
        except _TROUBLE as error:
            said = " ".join(str(error).split())[:300]
            if said != trouble:
                _log(f"trying again: {said}")
            reconciler, trouble = None, said  # made anew: kubeconfig and ports may be others by then
            stop.wait(interval)
            interval = min(interval * 2, LONGEST_INTERVAL)
        else:
            if trouble:
                _log("all answers again")
            interval, trouble = INTERVAL, ""
            stop.wait(min(max(interval, (time.monotonic() - began) / BUSY_SHARE), LONGEST_PAUSE))


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    missing = [name for name in ("FALAJ_LAB", "AWS_ENDPOINT_URL", "KUBECONFIG") if not os.environ.get(name)]
    if missing:
        sys.exit(
            f"eks-nodes: {' and '.join(missing)} not set; start it with `falaj-lab up`, or inside `falaj-lab exec`"
        )
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    _log(f"watching the node groups of {os.environ['AWS_ENDPOINT_URL']}")
    run(stop, Lab.at())


def _uses_local_nvme(user_data: str) -> bool:
    """Say whether AL2023's nodeadm, or Bottlerocket, is told to put images and pods on the local disks."""
    told = base64.b64decode(user_data).decode(errors="replace")
    return "strategy: RAID0" in told or '"ephemeral-storage", "init"' in told


def _group_of(node: Manifest) -> tuple[str, str]:
    labels = node["metadata"]["labels"]
    return labels.get(CLUSTER_LABEL, ""), labels.get(GROUP_LABEL, "")


def _stays(pod: Manifest) -> bool:
    finished = pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
    return finished or any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", []))


def _log(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
