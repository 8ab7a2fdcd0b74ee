"""TrainingJob and SweepJob on the real API server, Kueue and scheduler, with nodes that KWOK simulates."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from examples import Example
from gpu_cluster import GPU, TIER, GpuCluster, holds

from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab

SERVICES = ["kueue", "kwok", "kube-scheduler", "kube-controller-manager"]
TEAM = "vision"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with temporary_lab(tmp_path_factory.mktemp("training") / "state", only=SERVICES) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(lab: RunningLab) -> GpuCluster:
    """Nodes of the pool, and storage of the class that scratch is of, both simulated."""
    cluster = GpuCluster(lab)
    cluster.add_nodes("h200", 2, 8, "me-central-1a")
    return cluster


@pytest.fixture(scope="module")
def example(lab: RunningLab, cluster: GpuCluster) -> Example:
    made = Example(lab, "training-job")
    made.up()
    return made


def job(cluster: GpuCluster, name: str) -> Any:
    return cluster.batch.read_namespaced_job(name, TEAM)


def test_both_are_admitted_by_the_teams_queue_as_wholes(example, cluster):
    def admitted() -> bool:
        return all(holds(cluster.workloads(TEAM).get(name, {}), "Admitted") for name in ("detector", "search"))

    cluster.until(admitted, lambda: json.dumps(cluster.workloads(TEAM), default=str)[:4000])
    workloads = cluster.workloads(TEAM)
    assert {name: each["spec"]["queueName"] for name, each in workloads.items()} == dict.fromkeys(workloads, "default")
    assert workloads["detector"]["spec"]["podSets"][0]["count"] == 2
    # What the queue counts goes down again as soon as a pod of the sweep has ended.
    given = [each for one in workloads.values() for each in one["status"]["admission"]["podSetAssignments"]]
    assert {each["flavors"][GPU] for each in given} == {"h200"}
    assert sum(int(each["resourceUsage"][GPU]) for each in given) == 2 * 4 + 2 * 1


def test_the_pods_run_with_what_was_promised(example, cluster):
    cluster.until(lambda: len(cluster.pods(TEAM, "detector")) == 2, lambda: str(job(cluster, "detector").status))

    def claims() -> dict[str, Any]:
        listed = cluster.core.list_namespaced_persistent_volume_claim(TEAM).items
        return {each.metadata.name: each for each in listed}

    wanted = {f"{pod.metadata.name}-scratch" for pod in cluster.pods(TEAM, "detector")}
    cluster.until(lambda: wanted <= claims().keys(), lambda: f"the pods have disks: {claims().keys()}")
    for pod in cluster.pods(TEAM, "detector"):
        (container,) = pod.spec.containers
        assert pod.spec.service_account_name == "trainer"
        assert pod.spec.automount_service_account_token is False
        assert pod.spec.security_context.run_as_non_root
        assert container.security_context.read_only_root_filesystem
        assert container.resources.limits[GPU] == "4"
        assert "@sha256:" in container.image
        assert pod.metadata.labels[TIER] == "batch"
        assert pod.spec.node_selector["pool"] == "h200"
        scratch = next(each for each in pod.spec.volumes if each.name == "scratch")
        claim = claims()[f"{pod.metadata.name}-scratch"]
        assert scratch.ephemeral.volume_claim_template.spec.storage_class_name == claim.spec.storage_class_name
        # The disk is the pod's: it goes when the pod goes.
        assert claim.metadata.owner_references[0].name == pod.metadata.name
    annotations = job(cluster, "detector").metadata.annotations
    assert annotations["falaj.dev/deadline"] == "2099-01-31T18:00:00Z"
    assert annotations["falaj.dev/expected-seconds"] == "7200"


def test_the_workers_of_the_sweep_run_on_the_nodes_of_the_pool(example, cluster):
    def run() -> bool:
        phases = [each.status.phase for each in cluster.pods(TEAM, "search")]
        return len(phases) == 2 and set(phases) <= {"Running", "Succeeded"}

    cluster.until(run, lambda: str([each.status for each in cluster.pods(TEAM, "search")])[:4000])
    assert {each.spec.node_name for each in cluster.pods(TEAM, "search")} <= {"h200-a-0", "h200-a-1"}


def test_the_meeting_point_is_the_first_pods_name_in_the_service(example, cluster):
    cluster.until(lambda: len(cluster.pods(TEAM, "detector")) == 2, lambda: str(job(cluster, "detector").status))
    host, _, port = example.outputs()["rendezvous"].partition(":")
    first, service_name = host.split(".")
    service = cluster.core.read_namespaced_service(service_name, TEAM)
    pods = cluster.pods(TEAM, "detector")
    assert service.spec.cluster_ip == "None"
    assert service.spec.publish_not_ready_addresses
    assert [str(each.port) for each in service.spec.ports] == [port]
    assert {pod.spec.subdomain for pod in pods} == {service_name}
    # A DNS server answers for <hostname>.<subdomain> with the addresses of the Service's pods of these names.
    assert first in {pod.spec.hostname for pod in pods}
    assert all(service.spec.selector.items() <= pod.metadata.labels.items() for pod in pods)
    said = pods[0].spec.containers[0].args
    assert f'parallel.rendezvous="{host}:{port}"' in said
    assert "parallel.nodes=2" in said


def test_the_policy_selects_these_pods_alone(example, cluster):
    from kubernetes import client

    policy = client.NetworkingV1Api(cluster.core.api_client).read_namespaced_network_policy("detector", TEAM)
    chosen = policy.spec.pod_selector.match_labels
    for name, inside in (("detector", True), ("search", False)):
        for pod in cluster.pods(TEAM, name):
            assert (chosen.items() <= pod.metadata.labels.items()) is inside


def test_it_stays_as_it_came_up_while_it_runs(example):
    assert example.changes() == {}


def test_another_teams_queue_is_refused(example, cluster):
    refused = example.up(check=False, queue="speech")
    assert refused.returncode != 0
    assert "default" in refused.stdout + refused.stderr
    example.up()
    assert job(cluster, "detector").metadata.labels["kueue.x-k8s.io/queue-name"] == "default"


def test_a_deadline_in_the_past_is_refused_before_anything_changes(example, cluster):
    before = job(cluster, "detector").metadata.uid
    refused = example.up(check=False, deadline="2020-01-31T18:00:00Z")
    assert refused.returncode != 0
    assert "detector.deadline must be in the future" in refused.stdout + refused.stderr
    assert job(cluster, "detector").metadata.uid == before


def test_it_goes_with_all_that_it_made(example, cluster):
    example.destroy()
    assert cluster.batch.list_namespaced_job(TEAM).items == []
    cluster.until(lambda: not cluster.pods(TEAM, "detector"), lambda: "pods go")
