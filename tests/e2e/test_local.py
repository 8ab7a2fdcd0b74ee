"""The environment `local`, whole: brought up, used, disturbed, interrupted and removed again."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from platform_in_lab import PYTHON, ROOT, Platform, counts, wait_until

from falaj.lab.testing import RunningLab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def bare(own_lab: RunningLab) -> dict[str, frozenset[str]]:
    """What exists in a lab before anything was deployed."""
    return dict(Platform(own_lab, "local").inventory())


@pytest.fixture(scope="module")
def local(own_lab: RunningLab, bare: dict[str, frozenset[str]]) -> Iterator[Platform]:
    """The deployed environment."""
    assert not bare["cluster"]
    platform = Platform(own_lab, "local")
    tracked = ROOT / "stacks" / "Pulumi.local.yaml"
    before = tracked.read_bytes()
    platform.said = platform.deploy().stdout
    yield platform
    assert tracked.read_bytes() == before


def pod(gpus: int, **container: Any) -> dict[str, Any]:
    """Return a pod that keeps to Pod Security's restricted level."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"asks-for-{gpus}", "namespace": "vision"},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "containers": [
                {
                    "name": "main",
                    "image": "example",
                    "resources": {
                        "requests": {"cpu": "1", "memory": "1Gi"},
                        "limits": {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": gpus},
                    },
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    **container,
                }
            ],
        },
    }


def test_the_policies_run_first_and_the_command_says_what_exists(local: Platform) -> None:
    assert "mandatory" not in local.said
    assert local.said.index("Previewing") < local.said.index("Policies:") < local.said.index("Updating")
    for component in (
        "ResidencyKey",
        "DataStore",
        "Network",
        "ImageRegistry",
        "AuditTrail",
        "DetectiveBaseline",
        "Backup",
        "Cluster",
        "GpuNodePool",
        "GpuQueues",
        "SlaScheduler",
        "TenantAdmission",
        "SecretsVault",
        "Tenant",
        "TritonService",
    ):
        assert component in local.said.rpartition("COMPONENT")[2]
    assert "Try next" in local.said


def test_triton_is_scheduled_onto_the_nodes_that_the_pool_made(local: Platform) -> None:
    nodes = {node["metadata"]["name"]: node for node in local.get("nodes")}
    pods = local.get("pods", "-n", "vision")
    assert len(pods) == 2
    for found in pods:
        labels = nodes[found["spec"]["nodeName"]]["metadata"]["labels"]
        assert labels["node.kubernetes.io/instance-type"] == "g5.12xlarge"
        assert labels["eks.amazonaws.com/nodegroup"]
        assert found["status"]["phase"] == "Running"
    events = local.get("events", "-n", "vision", "--field-selector=reason=Scheduled")
    assert {event.get("reportingComponent") or event["source"]["component"] for event in events} == {
        "default-scheduler"
    }


def test_nodes_carry_what_the_instance_type_really_has(local: Platform) -> None:
    facts = local.aws("ec2").describe_instance_types(InstanceTypes=["g5.12xlarge"])["InstanceTypes"][0]
    capacities = [node["status"]["capacity"] for node in local.get("nodes", "-l", "pool=gpu")]
    assert [capacity["nvidia.com/gpu"] for capacity in capacities] == [str(facts["GpuInfo"]["Gpus"][0]["Count"])] * 2
    assert {capacity["cpu"] for capacity in capacities} == {str(facts["VCpuInfo"]["DefaultVCpus"])}


def test_one_gpu_more_than_the_quota_is_refused(local: Platform) -> None:
    quota = local.get("resourcequota", "-n", "vision")[0]["status"]
    left = int(quota["hard"]["requests.nvidia.com/gpu"]) - int(quota["used"]["requests.nvidia.com/gpu"])
    assert left > 0
    assert local.kubectl("create", "--dry-run=server", "-f", "-", given=pod(left)).returncode == 0
    refused = local.kubectl("create", "--dry-run=server", "-f", "-", given=pod(left + 1), check=False)
    assert refused.returncode != 0
    assert "exceeded quota" in refused.stderr


def test_a_privileged_pod_is_refused(local: Platform) -> None:
    privileged = pod(1, securityContext={"privileged": True})
    refused = local.kubectl("create", "--dry-run=server", "-f", "-", given=privileged, check=False)
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr


def test_a_second_run_changes_nothing(local: Platform) -> None:
    before = local.inventory()
    assert not local.changes("preview", "--refresh")
    local.deploy()
    assert local.inventory() == before


def test_a_refresh_shows_exactly_what_changed_behind_pulumis_back(local: Platform) -> None:
    s3, kms = local.aws("s3"), local.aws("kms")
    bucket = next(b["Name"] for b in s3.list_buckets()["Buckets"] if "datasets" in b["Name"])
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    key = kms.describe_key(KeyId="alias/local/nodes")["KeyMetadata"]["KeyId"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    policy["Statement"] = policy["Statement"][:1]
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    opened = json.dumps({"spec": {"policyTypes": ["Ingress"]}})
    local.kubectl("-n", "vision", "patch", "networkpolicy", "default-deny", "--type=merge", "-p", opened)
    assert local.changes("refresh", "--preview-only") == {
        "datasets-versioning": {"versioningConfiguration.status"},
        "nodes-key": {"policy"},
        "vision-default-deny": {"spec.policyTypes[1]"},
    }
    local.pulumi("up", "--yes", "--refresh", "--skip-preview")
    assert not local.changes("preview", "--refresh")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_a_configuration_that_breaks_a_rule_is_refused_before_anything_exists(local: Platform) -> None:
    before = local.inventory()
    example = ROOT / "docs" / "examples" / "refused"
    pack = str(ROOT / "policies")
    local.run("pulumi", "stack", "select", "--create", "broken", cwd=example)
    done = local.run(
        "pulumi",
        "up",
        "--yes",
        "--stack",
        "broken",
        "--policy-pack",
        pack,
        "--non-interactive",
        cwd=example,
        check=False,
    )
    assert done.returncode != 0
    assert "[mandatory]" in done.stdout
    assert local.inventory() == before


def test_a_wrong_configuration_is_refused_with_its_path(local: Platform) -> None:
    done = local.pulumi("preview", "--config", "falaj:nonsense=1", check=False)
    local.pulumi("config", "rm", "falaj:nonsense")
    assert done.returncode != 0
    assert "falaj:nonsense" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_pool_goes_from_no_nodes_to_four_and_back(local: Platform, tmp_path: Path) -> None:
    def burst(nodes: int) -> tuple[str, str]:
        pool = {"name": "burst", "instanceTypes": ["g6.12xlarge"], "max": 4, "nodes": nodes, "common": 16}
        return local.with_changes(tmp_path, lambda config: config["falaj:pools"].append(pool))

    def nodes() -> int:
        return len(local.get("nodes", "-l", "pool=burst"))

    added = local.changes("preview", *burst(0))
    assert {name for name in added if not name.startswith("burst")} == {
        "queues-flavor-burst",
        "queues-cohort-falaj",
    }
    local.pulumi("up", "--yes", "--skip-preview", *burst(0))
    assert nodes() == 0
    for wanted in (4, 0):
        assert local.changes("preview", *burst(wanted)) == {"burst-nodes": {"scalingConfig.desiredSize"}}
        local.pulumi("up", "--yes", "--skip-preview", *burst(wanted))
        wait_until(lambda wanted=wanted: nodes() == wanted, seconds=60)
        assert nodes() == wanted
    local.pulumi("up", "--yes", "--skip-preview")
    assert not local.changes("preview")


def test_a_changed_share_changes_one_queue_and_what_is_common(local: Platform, tmp_path: Path) -> None:
    def share(config: dict[str, Any]) -> None:
        config["falaj:tenants"][0]["shares"][0]["nominal"] = 6
        config["falaj:pools"][1]["common"] = 6

    def nominal() -> dict[str, str]:
        queues = {each["metadata"]["name"]: each["spec"]["resourceGroups"] for each in local.get("clusterqueues")}
        return {name: groups[0]["flavors"][0]["resources"][0]["nominalQuota"] for name, groups in queues.items()}

    options = local.with_changes(tmp_path, share)
    assert set(local.changes("preview", *options)) == {"queues-queue-vision", "queues-cohort-falaj"}
    assert nominal() == {"vision": "8", "speech": "4"}
    local.pulumi("up", "--yes", "--skip-preview", *options)
    assert nominal() == {"vision": "6", "speech": "4"}
    local.pulumi("up", "--yes", "--skip-preview")
    assert nominal() == {"vision": "8", "speech": "4"}


def test_a_share_sum_above_the_pool_is_refused_with_what_everybody_has(local: Platform, tmp_path: Path) -> None:
    def share(config: dict[str, Any]) -> None:
        config["falaj:pools"][1]["common"] = 5

    refused = local.pulumi("preview", *local.with_changes(tmp_path, share), check=False)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert "17" in said
    assert "16" in said
    assert "Traceback" not in said


def test_a_gpu_that_the_region_lacks_is_refused_with_what_it_has(local: Platform, tmp_path: Path) -> None:
    def pool(config: dict[str, Any]) -> None:
        needs = {"gpus": 16, "gpuModel": "B200"}
        config["falaj:pools"][1] = {"name": "gpu", "needs": needs, "common": 4}

    refused = local.pulumi("preview", *local.with_changes(tmp_path, pool), check=False)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert "B200" in said
    assert "H200" in said
    assert "Traceback" not in said


def test_a_tenant_comes_and_goes_without_touching_another(local: Platform, tmp_path: Path) -> None:
    tenant = {
        "name": "audio",
        "owner": "audio-team",
        "costCentre": "cc-2003",
        "gpus": 4,
        "shares": [{"pool": "gpu", "nominal": 0, "borrowingLimit": 4}],
    }
    before = local.inventory()
    options = local.with_changes(tmp_path, lambda config: config["falaj:tenants"].append(tenant))
    added = local.changes("preview", *options)
    assert {name for name in added if not name.startswith("audio")} == {"queues-queue-audio"}
    local.pulumi("up", "--yes", "--skip-preview", *options)
    assert [each["metadata"]["name"] for each in local.get("localqueues", "-n", "audio")] == ["default"]
    removed = local.changes("preview")
    assert {name for name in removed if not name.startswith("audio")} == {"queues-queue-audio"}
    local.pulumi("up", "--yes", "--skip-preview")
    wait_until(lambda: local.inventory() == before, seconds=60)
    assert local.inventory() == before


def test_a_deadline_becomes_a_priority_with_the_rights_of_the_component(local: Platform) -> None:
    account = "system:serviceaccount:falaj-system:sla-scheduler"
    local.lab.run("up", "--run", f"sla-scheduler=falaj-scheduler run --listen 127.0.0.1:0 --as {account}")
    # More than is left of what the tenant may have, so that it waits.
    local.kubectl("create", "-f", "-", given=job("due", pods=3, gpus=4, due_in=timedelta(hours=1)))

    def priority() -> int:
        workloads = local.get("workloads", "-n", "vision", "-l", f"kueue.x-k8s.io/job-uid={uid}")
        return workloads[0]["spec"]["priority"] if workloads else 0  # Kueue makes it when it has seen the job

    uid = local.get("jobs", "-n", "vision")[0]["metadata"]["uid"]
    wait_until(lambda: priority() > 1000, seconds=180)
    assert 1000 < priority() < 1900
    local.kubectl("delete", "job", "due", "-n", "vision")
    local.lab.run("up", "--run", "sla-scheduler=none")


def job(name: str, pods: int, gpus: int, due_in: timedelta) -> dict[str, Any]:
    """Return a job of the tier batch with a deadline."""
    template = pod(gpus)
    template["spec"]["restartPolicy"] = "Never"
    annotations = {
        "falaj.dev/deadline": (datetime.now(UTC) + due_in).isoformat(),
        "falaj.dev/expected-seconds": "600",
    }
    labels = {"kueue.x-k8s.io/priority-class": "batch"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "vision", "labels": labels, "annotations": annotations},
        "spec": {"parallelism": pods, "completions": pods, "template": {"spec": template["spec"]}},
    }


def test_killed_services_come_back_with_all_that_they_held(local: Platform) -> None:
    before = local.inventory()
    status = local.lab.status()
    for name in ("moto", "openbao", "etcd", "kube-apiserver"):
        os.kill(status[name]["pid"], signal.SIGKILL)
    wait_until_healthy(local.lab)
    assert local.inventory() == before
    assert not local.changes("preview", "--refresh")


def test_the_platform_outlives_a_stop_of_the_lab(local: Platform) -> None:
    before = local.inventory()
    local.lab.run("down")
    local.lab.run("up")
    assert local.inventory() == before
    assert not local.changes("preview", "--refresh")


def test_destroying_leaves_everything_as_empty_as_it_was(local: Platform, bare: dict[str, frozenset[str]]) -> None:
    whole = counts(local.inventory())
    local.deploy("--destroy")
    wait_until(lambda: local.inventory() == bare, seconds=120)
    assert local.inventory() == bare

    # Interrupted at three points, the next run ends well, and nothing is lost or doubled.
    for resources in (3, 40, 90):
        kill_at(local, resources)
    local.deploy()
    wait_until(lambda: counts(local.inventory()) == whole, seconds=60)  # a node group is there before its nodes are
    assert counts(local.inventory()) == whole
    assert not local.changes("preview", "--refresh")


def kill_at(platform: Platform, resources: int) -> None:
    """Start a deployment and kill it and the CLI when its state holds that many resources."""
    state = platform.lab.root / "pulumi-state/.pulumi/stacks/falaj" / f"{platform.stack}.json"
    process = subprocess.Popen(
        [PYTHON, "stacks/deploy.py", platform.stack],
        cwd=ROOT,
        env={name: value for name, value in platform.lab.env.items() if name != "PULUMI_SKIP_CHECKPOINTS"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: process.poll() is not None or held(state) >= resources, seconds=300)
    assert process.poll() is None, "the deployment ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def held(state: Any) -> int:
    """Return how many resources a state file holds; it may be replaced while it is read."""
    try:
        return len(json.loads(state.read_text())["checkpoint"]["latest"].get("resources") or [])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def wait_until_healthy(lab: RunningLab) -> None:
    """Wait for every service to be healthy."""
    states: dict[str, str] = {}

    def healthy() -> bool:
        states.update((name, service["state"]) for name, service in lab.status().items())
        return set(states.values()) == {"healthy"}

    wait_until(healthy, seconds=240)
    assert set(states.values()) == {"healthy"}, states
