"""TritonService's canary on the real API server and Argo Rollouts; its pods are simulated by KWOK and serve nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from examples import Example
from gpu_cluster import GpuCluster
from served_world import shortened_analysis

from falaj.lab.state import Lab
from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab

SERVICES = ["kwok", "kube-scheduler", "kube-controller-manager"]
TEAM, NAME = "vision", "detector"
VERSION = "falaj.dev/model-version"
ARGO, GATEWAY = ("argoproj.io", "v1alpha1"), ("gateway.networking.k8s.io", "v1")
READY = 120.0
MEASURED = 300.0
"""Seconds in which the first share is measured: it looks back twice, on traffic that never came."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with temporary_lab(tmp_path_factory.mktemp("serving") / "state", only=SERVICES, serving=True) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(lab: RunningLab) -> GpuCluster:
    """One node with GPUs, as the GPU operator labels it, and one for what needs none."""
    cluster = GpuCluster(lab)
    plain = {"name": "plain", "labels": {"pool": "plain"}, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    capacity = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    cluster.core.create_node({"metadata": plain, "status": {"capacity": capacity, "allocatable": capacity}})
    for node in cluster.add_nodes("gpu", 1, 8, "me-central-1a"):
        cluster.core.patch_node(node, {"metadata": {"labels": {"nvidia.com/gpu.present": "true"}}})
    return cluster


@pytest.fixture(scope="module")
def prometheus(lab: RunningLab) -> str:
    return f"http://127.0.0.1:{Lab(lab.root).ports()['prometheus']}"


@pytest.fixture(scope="module")
def example(lab: RunningLab, cluster: GpuCluster, prometheus: str) -> Example:
    made = Example(lab, "triton-canary")
    made.up(prometheus=prometheus)
    cluster.until(lambda: phase(cluster) == "Healthy", lambda: json.dumps(rollout(cluster)["status"]), READY)
    return made


@pytest.fixture
def impatient(example: Example, cluster: GpuCluster) -> Iterator[None]:
    del example
    with shortened_analysis(cluster):
        yield


def rollout(cluster: GpuCluster) -> Any:
    return cluster.custom.get_namespaced_custom_object(*ARGO, TEAM, "rollouts", NAME)


def phase(cluster: GpuCluster) -> str:
    return rollout(cluster).get("status", {}).get("phase", "")


def weights(cluster: GpuCluster, kind: str, name: str) -> dict[str, int]:
    route = cluster.custom.get_namespaced_custom_object(*GATEWAY, TEAM, kind, name)
    return {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}


@pytest.mark.usefixtures("impatient")
def test_a_version_without_traffic_is_never_promoted_and_goes_back_by_itself(example, cluster, prometheus):
    stable = rollout(cluster)["status"]["stableRS"]
    published = {"spec": {"template": {"metadata": {"annotations": {VERSION: "2"}}}}}
    cluster.custom.patch_namespaced_custom_object(*ARGO, TEAM, "rollouts", NAME, published, field_manager="falaj-serve")

    def canary() -> bool:
        # One route after the other.
        found = [weights(cluster, "httproutes", NAME), weights(cluster, "grpcroutes", f"{NAME}-grpc")]
        return found == 2 * [{NAME: 95, f"{NAME}-canary": 5}]

    cluster.until(canary, lambda: json.dumps(rollout(cluster)["status"]), READY)
    # What Argo sets on the way is no drift for a program that is run meanwhile.
    assert example.changes(prometheus=prometheus) == {}

    cluster.until(lambda: phase(cluster) == "Degraded", lambda: json.dumps(rollout(cluster)["status"]), MEASURED)
    status = rollout(cluster)["status"]
    assert (status["abort"], status["stableRS"]) == (True, stable)
    assert "assessed Failed due to failed (2) > failureLimit (1)" in status["message"]
    cluster.until(
        lambda: weights(cluster, "httproutes", NAME) == {NAME: 100, f"{NAME}-canary": 0}, lambda: "weights", READY
    )


def test_an_update_of_the_program_leaves_the_published_version_as_it_is(example, cluster, prometheus):
    # Whoever wrote another version into the program does not publish it so.
    example.up(prometheus=prometheus, version="7")
    assert rollout(cluster)["spec"]["template"]["metadata"]["annotations"][VERSION] == "2"
    key = f"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA{'A' * 43}=\n-----END PUBLIC KEY-----\n"
    before = volume(cluster)
    example.up(prometheus=prometheus, **{"public-key": key})
    # Something else of the pods did change, and that is not the version.
    assert volume(cluster) != before
    assert rollout(cluster)["spec"]["template"]["metadata"]["annotations"][VERSION] == "2"
    example.destroy()


def volume(cluster: GpuCluster) -> str:
    """Return the name of the map with the publisher's key."""
    volumes = rollout(cluster)["spec"]["template"]["spec"]["volumes"]
    return next(each["configMap"]["name"] for each in volumes if each["name"] == "publisher")
