"""What falaj asks of each chart of ``GpuOperators``: the home region's images, GPU nodes only, few rights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from falaj.components.gpu_node_pool import GPU_LABEL, GPU_TAINT

Values = dict[str, Any]
# The taint's key alone: a pool of a team's own may give it another value.
TOLERATION = {"key": GPU_TAINT["key"], "operator": "Exists", "effect": "NoSchedule"}
ON_GPU_NODES: Values = {"nodeSelector": {GPU_LABEL: "true"}, "tolerations": [TOLERATION]}
_REQUESTS: Values = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}


@dataclass(frozen=True)
class ImageAt:
    """An image in the home region's registry."""

    repository: str
    tag: str
    """Tag, followed by the digest where one is known: ``v0.19.2@sha256:...``."""


@dataclass(frozen=True)
class Wishes:
    """What the charts' values depend on, besides the images."""

    mig_strategy: str
    time_slices: Sequence[int]


def kueue_configuration() -> dict[str, Any]:
    """Return how Kueue shares GPUs, the same on EKS and in the lab; addresses and certificates are not part of it."""
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        # Nothing of a tenant starts without a place in a queue: work that names none waits in the queue `default`.
        "manageJobsWithoutQueueName": True,
        "managedJobsNamespaceSelector": {"matchExpressions": [{"key": "falaj.dev/tenant", "operator": "Exists"}]},
        "integrations": {"frameworks": ["batch/job", "pod", "deployment", "statefulset"]},
        "fairSharing": {"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]},
        # Of works that would displace the same work in one cycle, each finds its own; and who is displacing work comes
        # first until it has its place. Without them whoever is second waits for another cycle, and again.
        "featureGates": {
            "RecomputeAssignmentUponPreemptionTargetsOverlap": True,
            "PrioritizePreemptorWorkloads": True,
        },
        # Kueue shares accelerators; a tenant's ResourceQuota bounds the rest.
        "resources": {
            "excludeResourcePrefixes": [
                *("cpu", "memory", "ephemeral-storage", "pods"),
                *("hugepages-", "vpc.amazonaws.com/"),
            ]
        },
    }


def kueue_values(image: ImageAt, _: Wishes) -> Values:
    """Two managers, one of which leads, on ordinary nodes; as the chart has them, their pods are restricted."""
    serving = {
        "health": {"healthProbeBindAddress": ":8081"},
        "metrics": {"bindAddress": ":8443", "enableClusterQueueResources": True},
        "webhook": {"port": 9443},
        "leaderElection": {"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
        "clientConnection": {"qps": 50, "burst": 100},
    }
    manager = {
        "image": {"repository": image.repository, "tag": image.tag, "pullPolicy": "IfNotPresent"},
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
    }
    configuration = yaml.safe_dump(kueue_configuration() | serving, sort_keys=False)
    return {
        "controllerManager": {"replicas": 2, "manager": manager, "podDisruptionBudget": {"enabled": True}},
        "managerConfig": {"controllerManagerConfigYaml": configuration},
        "enableKueueViz": False,
    }


def plugin_configurations(wishes: Wishes) -> dict[str, str]:
    """Return the device plugin's configurations by name; a node's label ``nvidia.com/device-plugin.config`` picks one.

    A slice of a GPU is ``nvidia.com/gpu.shared``: who asks for a GPU is not given a slice of one.
    """
    flags = {"version": "v1", "flags": {"migStrategy": wishes.mig_strategy, "failOnInitError": True}}
    configurations: dict[str, Values] = {"default": flags}
    for slices in wishes.time_slices:
        sliced = {"renameByDefault": True, "resources": [{"name": "nvidia.com/gpu", "replicas": slices}]}
        configurations[f"time-slices-{slices}"] = flags | {"sharing": {"timeSlicing": sliced}}
    return {name: yaml.safe_dump(each, sort_keys=False) for name, each in configurations.items()}


def device_plugin_values(image: ImageAt, wishes: Wishes) -> Values:
    """Tells the kubelet of the node's GPUs; it writes a socket of the kubelet, which is why it is root."""
    return {
        **ON_GPU_NODES,
        "image": {"repository": image.repository, "tag": image.tag, "pullPolicy": "IfNotPresent"},
        "config": {"map": plugin_configurations(wishes), "default": "default"},
        "gfd": {"enabled": False},
        "resources": _REQUESTS,
    }


def dcgm_values(image: ImageAt, _: Wishes) -> Values:
    """Metrics of GPUs; those of what a GPU is busy with want SYS_ADMIN, and root."""
    return {
        **ON_GPU_NODES,
        "image": {"repository": image.repository, "tag": image.tag, "pullPolicy": "IfNotPresent"},
        # The kind ServiceMonitor is there only where Prometheus' operator is: the annotation serves any Prometheus.
        "serviceMonitor": {"enabled": False},
        "podAnnotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9400"},
        "securityContext": {
            "runAsNonRoot": False,
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
        },
        "resources": _REQUESTS,
    }


def efa_values(image: ImageAt, _: Wishes) -> Values:
    """Tells the kubelet of the node's EFA interfaces, on types that have them, as the chart lists them."""
    return {
        **ON_GPU_NODES,
        "image": {"repository": image.repository, "tag": image.tag},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": False,
        },
        "resources": {"requests": {"cpu": "10m", "memory": "20Mi"}, "limits": {"memory": "64Mi"}},
    }


def operator_values(images: dict[str, ImageAt], wishes: Wishes) -> Values:
    """NVIDIA's operator for the device plugin and MIG; driver and toolkit are in EKS's NVIDIA images already."""

    def at(name: str) -> Values:
        repository, _, image = images[name].repository.rpartition("/")
        return {"repository": repository, "image": image, "version": images[name].tag}

    off = {"enabled": False}
    discovery = images["node-feature-discovery"]
    return {
        "operator": at("gpu-operator"),
        "validator": at("gpu-operator"),
        "driver": off,
        "toolkit": off,
        "sandboxWorkloads": off,
        # The exporter is a chart of its own, the same with both agents.
        "dcgm": off,
        "dcgmExporter": off,
        "mig": {"strategy": wishes.mig_strategy},
        "daemonsets": {"tolerations": [TOLERATION]},
        "devicePlugin": {
            **at("k8s-device-plugin"),
            "config": {
                "create": True,
                "name": "device-plugin-configurations",
                "default": "default",
                "data": plugin_configurations(wishes),
            },
        },
        "gfd": at("k8s-device-plugin"),
        "migManager": at("k8s-mig-manager"),
        "node-feature-discovery": {
            "image": {"repository": discovery.repository, "tag": discovery.tag},
            "worker": {"tolerations": [TOLERATION], "nodeSelector": {GPU_LABEL: "true"}},
        },
    }


VALUES: dict[str, Callable[[ImageAt, Wishes], Values]] = {
    "aws-efa-k8s-device-plugin": efa_values,
    "dcgm-exporter": dcgm_values,
    "kueue": kueue_values,
    "nvidia-device-plugin": device_plugin_values,
}
"""The values of each chart that has one image."""
