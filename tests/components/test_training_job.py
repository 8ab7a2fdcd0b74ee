"""TrainingJob and SweepJob: restricted pods by digest that meet by name, wait in the queue, and are closed."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from component_samples import OWNERSHIP

from falaj.components import ConfigError, SweepJob, Tenant, TrainingJob
from falaj.components.kubernetes_names import camel
from falaj.components.training_checks import check_promise

DIGEST = "sha256:" + "0123456789abcdef" * 4
TENANT = {"namespace": "vision", "labels": {"owner": "vision-team", "classification": "restricted"}}
JOB = 'version = 1\nname = "detector"\n[checkpoints]\nlocation = "s3://artifacts/vision"\n'
ARGS = {"tenant": TENANT, "image": f"registry.example/vision/trainer@{DIGEST}", "job": JOB}
SWEEP = {**ARGS, "storage_secret": "sweeps", "database_cidrs": ["10.20.9.0/28"]}
POOL = {
    "pool_name": "mig",
    "node_labels": {"pool": "mig", "falaj.dev/tenant": "vision"},
    "resource": "nvidia.com/mig-1g.18gb",
    "max_gpus": 8,
    "gpu_model": "H200",
}


@pytest.fixture
def made(run, engine, providers):
    def make(component=TrainingJob, **change):
        args = SWEEP if component is SweepJob else ARGS
        run(lambda: component("detector", {**args, **change}, providers()).job_name)
        return engine

    return make


def pod_of(engine, kind="Job"):
    pod = engine.one(kind)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    return pod, container


def arguments(container):
    """Return what the command is told with --set."""
    args = container["args"]
    return dict(args[at + 1].split("=", 1) for at, each in enumerate(args) if each == "--set")


@pytest.mark.parametrize("component", [TrainingJob, SweepJob])
def test_the_pods_are_restricted_and_have_no_token(made, component):
    pod, container = pod_of(made(component))
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["image"].endswith(DIGEST)
    assert {"name": "FALAJ_IMAGE_DIGEST", "value": DIGEST} in container["env"]
    assert pod["restartPolicy"] == "Never"


def test_all_pods_of_an_indexed_job_run_at_once_and_count_their_failures_together(made):
    spec = made(nodes=3, retries=2).one("Job")["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (6, "Failed")
    refused, displaced, stopped = spec["podFailurePolicy"]["rules"]
    assert (refused["action"], refused["onExitCodes"]["values"]) == ("FailJob", [2, 3, 4])
    assert (displaced["action"], displaced["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (stopped["action"], stopped["onExitCodes"]["values"]) == ("Ignore", [143])


@pytest.mark.parametrize("component", [TrainingJob, SweepJob])
def test_it_neither_runs_nor_stays_for_ever(made, component):
    spec = made(component, longest_hours=2, kept_days=1).one("Job")["spec"]
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (7200, 86400)


def test_the_pods_meet_at_the_first_ones_name_in_a_headless_service(made):
    engine = made(nodes=2, gpus=4)
    service = engine.one("Service")
    pod, container = pod_of(engine)
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    labels = engine.one("Job")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    # Kubernetes gives the pod of index 0 the host name <job>-0, and its subdomain is the Service.
    assert pod["subdomain"] == service["metadata"]["name"]
    job = engine.one("Job")["metadata"]["name"]
    said = arguments(container)
    assert json.loads(said["parallel.rendezvous"]) == f"{job}-0.{pod['subdomain']}:29400"
    assert (said["parallel.nodes"], said["parallel.workers"]) == ("2", "4")
    assert container["args"][:2] == ["resume", "/etc/falaj/job/job.toml"]


def test_a_single_pod_meets_nobody(made):
    assert "parallel.rendezvous" not in arguments(pod_of(made())[1])


def test_queue_tier_and_promise_are_labels_and_annotations_of_the_job(made):
    said = {"deadline": "2099-01-31T18:00:00+04:00", "expected_seconds": 7200, "checkpoint_seconds": 600}
    metadata = made(**said, tier="scavenger").one("Job")["metadata"]
    assert metadata["labels"]["kueue.x-k8s.io/queue-name"] == "default"
    assert metadata["labels"]["kueue.x-k8s.io/priority-class"] == "scavenger"
    assert metadata["labels"]["owner"] == "vision-team"
    assert metadata["annotations"]["falaj.dev/deadline"] == "2099-01-31T18:00:00+04:00"
    assert metadata["annotations"]["falaj.dev/expected-seconds"] == "7200"
    assert metadata["annotations"]["falaj.dev/checkpoint-seconds"] == "600"
    assert metadata["annotations"]["pulumi.com/skipAwait"] == "true"


def test_a_training_that_says_how_long_it_takes_tells_the_scheduler_alone_how_far_it_is(made):
    engine = made(expected_seconds=7200)
    assert engine.one("Job")["metadata"]["annotations"]["falaj.dev/progress-port"] == "9410"
    said = arguments(pod_of(engine)[1])
    assert (said["report.metrics_port"], said["report.metrics_host"]) == ("9410", '"0.0.0.0"')
    _, way = engine.one("NetworkPolicy")["spec"]["ingress"]
    assert way["ports"] == [{"protocol": "TCP", "port": 9410}]
    (scheduler,) = way["from"]
    assert scheduler["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "falaj-system"}
    assert scheduler["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "sla-scheduler"}


def test_pods_by_themselves_are_in_no_queue(made):
    labels = made().one("Job")["spec"]["template"]["metadata"]["labels"]
    assert "kueue.x-k8s.io/queue-name" not in labels
    assert labels["kueue.x-k8s.io/priority-class"] == "batch"


def test_a_deadline_is_judged_by_the_clock():
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert check_promise("x", "2030-01-01T00:00:01Z", None, now=now) == {"falaj.dev/deadline": "2030-01-01T00:00:01Z"}
    with pytest.raises(ConfigError, match=r"x\.deadline must be in the future: renew it, or leave it out"):
        check_promise("x", "2030-01-01T04:00:00+04:00", None, now=now)


def test_workers_reach_each_other_names_and_stores_and_nothing_else(made):
    engine = made(storage_cidrs=["10.20.8.0/24"])
    spec = engine.one("NetworkPolicy")["spec"]
    among = [{"podSelector": {"matchLabels": {"falaj.dev/training": "detector"}}}]
    assert spec["podSelector"]["matchLabels"] == {"falaj.dev/training": "detector"}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"from": among}]
    dns, stores, workers = spec["egress"]
    assert [port["port"] for port in dns["ports"]] == [53, 53]
    assert stores == {"to": [{"ipBlock": {"cidr": "10.20.8.0/24"}}], "ports": [{"protocol": "TCP", "port": 443}]}
    assert workers == {"to": among}


def test_workers_of_a_sweep_do_not_reach_each_other(made):
    spec = made(SweepJob, storage_cidrs=["10.20.8.0/24"]).one("NetworkPolicy")["spec"]
    assert spec["ingress"] == []
    assert [each["ports"][0]["port"] for each in spec["egress"]] == [53, 443, 5432]


@pytest.mark.parametrize("component", [TrainingJob, SweepJob])
def test_scratch_is_memory_or_a_disk_of_the_class_and_never_the_nodes(made, component):
    in_memory, _ = pod_of(made(component))
    for volume in in_memory["volumes"]:
        assert "hostPath" not in volume
        assert volume.get("emptyDir", {}).get("medium", "Memory") == "Memory"
    assert [each["emptyDir"]["sizeLimit"] for each in in_memory["volumes"] if "emptyDir" in each] == [
        "16Gi",
        "1Gi",
        "8Gi",
    ]


def test_a_disk_for_scratch_goes_with_the_pod(made):
    pod, container = pod_of(made(scratch_class="encrypted", scratch_size="2Ti"))
    scratch = pod["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert scratch["storageClassName"] == "encrypted"
    assert scratch["resources"]["requests"] == {"storage": "2Ti"}
    assert container["volumeMounts"][0] == {"name": "scratch", "mountPath": "/scratch"}
    assert json.loads(arguments(container)["report.folder"]).startswith("/scratch/")


def test_the_job_file_cannot_change_under_a_running_pod(made):
    engine = made()
    config = engine.one("ConfigMap")
    assert config["immutable"] is True
    assert config["data"] == {"job.toml": JOB}
    assert config["metadata"]["name"].endswith(hashlib.sha256(JOB.encode()).hexdigest()[:10])
    pod, _ = pod_of(engine)
    assert {"name": "job", "configMap": {"name": config["metadata"]["name"]}} in pod["volumes"]


def test_a_job_file_of_the_image_needs_no_config_map(run, engine, providers):
    args = {key: value for key, value in ARGS.items() if key != "job"} | {"job_path": "/app/job.toml"}
    run(lambda: TrainingJob("detector", args, providers()).job_name)
    assert pod_of(engine)[1]["args"][1] == "/app/job.toml"
    assert engine.all("ConfigMap") == []


def test_a_pool_decides_nodes_resource_and_whose_it_is(made):
    pod, container = pod_of(made(pool=POOL, gpus=2))
    assert pod["nodeSelector"] == POOL["node_labels"]
    assert container["resources"]["limits"]["nvidia.com/mig-1g.18gb"] == "2"
    assert container["resources"]["requests"]["nvidia.com/mig-1g.18gb"] == "2"
    assert [each["key"] for each in pod["tolerations"]] == ["nvidia.com/gpu", "falaj.dev/tenant"]
    assert pod["tolerations"][1]["value"] == "vision"


def test_without_gpus_it_runs_on_any_node(made):
    pod, container = pod_of(made(gpus=0))
    assert not pod.get("nodeSelector")
    assert not pod.get("tolerations")
    assert container["resources"]["limits"] == {"memory": "64Gi"}
    assert arguments(container)["parallel.workers"] == "1"


def test_efa_and_nearness_are_asked_for(made):
    engine = made(nodes=2, efa=16, near="topology.k8s.aws/network-node-layer-3")
    container = pod_of(engine)[1]
    assert container["resources"]["limits"]["vpc.amazonaws.com/efa"] == "16"
    assert container["resources"]["limits"]["hugepages-2Mi"] == "5120Mi"
    annotations = engine.one("Job")["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"kueue.x-k8s.io/podset-required-topology": "topology.k8s.aws/network-node-layer-3"}


def test_each_worker_of_a_sweep_fails_for_itself(made):
    spec = made(SweepJob, parallel=4).one("Job")["spec"]
    assert (spec["completions"], spec["parallelism"], spec["backoffLimitPerIndex"]) == (4, 4, 3)
    assert spec["maxFailedIndexes"] == 4
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "FailIndex"


def test_workers_of_a_sweep_share_a_database_whose_url_is_a_mounted_secret(made):
    engine = made(SweepJob, parallel=4)
    pod, container = pod_of(engine)
    assert container["args"][:3] == ["sweep", "/etc/falaj/job/job.toml", "--worker"]
    said = arguments(container)
    assert said["sweep.workers"] == "4"
    mount = next(each for each in container["volumeMounts"] if each["name"] == "storage")
    assert json.loads(said["sweep.storage"]) == f"file:{mount['mountPath']}/url"
    secret = next(each["secret"] for each in pod["volumes"] if each["name"] == "storage")
    assert secret["secretName"] == "sweeps"
    assert not any("sweeps" in str(each) for each in container["env"])
    assert engine.one("Job")["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "scavenger"
    assert engine.all("Service") == []


def test_kubeflow_gets_the_same_pods_in_a_runtime_of_their_own(made):
    engine = made(kubeflow=True, nodes=2, gpus=4, deadline="2099-01-31T18:00:00Z")
    assert engine.all("Job") == []
    assert engine.all("Service") == []
    runtime = engine.one("TrainingRuntime")["spec"]
    assert runtime["mlPolicy"] == {"numNodes": 2}
    (replicated,) = runtime["template"]["spec"]["replicatedJobs"]
    job = replicated["template"]
    assert job["metadata"]["labels"]["trainer.kubeflow.org/trainjob-ancestor-step"] == "trainer"
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "default"
    assert job["metadata"]["annotations"]["falaj.dev/deadline"] == "2099-01-31T18:00:00Z"
    pod = job["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert json.loads(arguments(container)["parallel.rendezvous"]) == "detector-node-0-0.detector:29400"
    assert engine.one("TrainJob")["spec"]["runtimeRef"]["name"] == "detector"


def test_a_custom_resource_has_kubernetes_own_names_but_words_stay_as_they_are():
    given = {"node_selector": {"my_label": "a"}, "volumes": [{"empty_dir": {"size_limit": "1Gi"}}]}
    assert camel(given) == {"nodeSelector": {"my_label": "a"}, "volumes": [{"emptyDir": {"sizeLimit": "1Gi"}}]}


def test_it_trains_in_the_tenants_namespace_under_the_tenants_labels(run, engine, providers):
    def program():
        opts = providers()
        tenant = Tenant("vision", {"ownership": OWNERSHIP, "gpus": 4}, opts)
        return TrainingJob("detector", {**ARGS, "tenant": tenant.ref}, opts).rendezvous

    assert run(program) == "detector-0.detector:29400"
    for kind in ("Job", "Service", "ConfigMap"):
        metadata = engine.one(kind)["metadata"]
        assert (metadata["namespace"], metadata["labels"]["owner"]) == ("vision", "ml-platform")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"image": "registry.example/vision/trainer:1"},
            "detector.image must be an image by digest, registry/repository@sha256:<64 hex digits>"
            " (got 'registry.example/vision/trainer:1')",
        ),
        (
            {"deadline": "2020-01-31T18:00:00Z"},
            "detector.deadline must be in the future: renew it, or leave it out (got '2020-01-31T18:00:00Z')",
        ),
        (
            {"deadline": "2099-01-31T18:00:00"},
            "detector.deadline must have an offset from UTC, such as Z or +04:00 (got '2099-01-31T18:00:00')",
        ),
        (
            {"deadline": "soon"},
            "detector.deadline must be a time such as 2030-01-31T18:00:00Z (got 'soon')",
        ),
        ({"nodes": 0}, "detector.nodes must be a whole number from 1 to 1024 (got 0)"),
        (
            {"memory": "25Gi"},
            "detector.memory must be more than what shared memory and scratch take of it, 25Gi; or name scratch_class"
            " (got '25Gi')",
        ),
        (
            {"job": JOB.replace("s3://artifacts", "artifacts")},
            "detector.job must have checkpoints.location in a bucket, s3://BUCKET/PREFIX: a pod's own files go with the"
            " pod (got 'artifacts/vision')",
        ),
        (
            {"job_path": "/app/job.toml"},
            f"detector.job must be given where job_path is not, and only there: there is one job file (got {JOB!r})",
        ),
        (
            {"environment": {"FALAJ_IMAGE_DIGEST": "sha256:1"}},
            "detector.environment must leave out what the platform and torchrun set themselves"
            " (got 'FALAJ_IMAGE_DIGEST')",
        ),
        ({"near": "rack"}, "detector.near must be among topology.kubernetes.io/zone, "),
        ({"storage_cidrs": ["0.0.0.0/0"]}, "detector.storage_cidrs[0].cidrs must be endpoints' addresses, at most a"),
        ({"job_name": "x" * 44}, "detector.job_name must be lower-case letters, digits and hyphens"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(made, change, message):
    with pytest.raises(ConfigError) as refused:
        made(**change)
    assert str(refused.value).startswith(message)


def test_a_sweep_without_a_way_to_its_database_is_refused(made):
    with pytest.raises(ConfigError, match=r"detector.database_cidrs must name at least one range"):
        made(SweepJob, database_cidrs=[])
