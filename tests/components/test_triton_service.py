"""TritonService: restricted pods on GPU nodes, by digest, reachable by name only."""

import pytest
from component_samples import OWNERSHIP

from falaj.components import ConfigError, Tenant, TritonService

DIGEST = "sha256:" + "0123456789abcdef" * 4
TENANT = {"namespace": "vision", "labels": {"owner": "vision-team", "classification": "restricted"}}
ARGS = {
    "tenant": TENANT,
    "image": f"registry.example/nvidia/tritonserver@{DIGEST}",
    "model_repository": "s3://models/vision",
}


@pytest.fixture
def made(run, engine, providers):
    def make(change=None):
        run(lambda: TritonService("detector", {**ARGS, **(change or {})}, providers()).url)
        return engine

    return make


def test_the_pod_is_restricted_as_pod_security_wants_it(made):
    pod = made().one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_pod_asks_for_its_gpus_and_tolerates_gpu_nodes(made):
    pod = made({"gpus": 2, "pool": "inference"}).one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["requests"]["nvidia.com/gpu"] == "2"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true", "pool": "inference"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_probes_ask_triton_itself(made):
    (container,) = made().one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": "http"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/v2/health/live", "port": "http"}


def test_replicas_are_spread_and_replaced_one_by_one(made):
    engine = made()
    spec = engine.one("Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert [each["topologyKey"] for each in spec["template"]["spec"]["topologySpreadConstraints"]] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    budget = engine.one("PodDisruptionBudget")["spec"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": spec["selector"]["matchLabels"]}}


def test_only_named_clients_call_and_only_monitoring_scrapes(made):
    spec = made().one("NetworkPolicy")["spec"]
    inference, metrics = spec["ingress"]
    assert inference["from"] == [{"podSelector": {"matchLabels": {"triton-client": "detector"}}}]
    assert [port["port"] for port in inference["ports"]] == [8000, 8001]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    assert [port["port"] for port in metrics["ports"]] == [8002]
    assert spec["egress"] == []


def test_the_service_is_reachable_within_the_cluster_only(made):
    service = made().one("Service")["spec"]
    assert service["type"] == "ClusterIP"
    assert {port["name"]: port["port"] for port in service["ports"]} == {"http": 8000, "grpc": 8001, "metrics": 8002}


def test_it_serves_in_the_tenants_namespace_under_the_tenants_labels(run, engine, providers):
    def program():
        opts = providers()
        tenant = Tenant("vision", {"ownership": OWNERSHIP, "gpus": 4}, opts)
        return TritonService("detector", {**ARGS, "tenant": tenant.ref}, opts).url

    assert run(program) == "http://detector.vision.svc:8000"
    metadata = engine.one("Deployment")["metadata"]
    assert metadata["namespace"] == "vision"
    assert metadata["labels"]["owner"] == "ml-platform"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"image": "nvcr.io/nvidia/tritonserver:24.12-py3"},
            "detector.image must be an image by digest, registry/repository@sha256:<64 hex digits>"
            " (got 'nvcr.io/nvidia/tritonserver:24.12-py3')",
        ),
        (
            {"image": f"tritonserver@{DIGEST}"},
            "detector.image must be an image by digest, registry/repository@sha256:<64 hex digits>"
            f" (got 'tritonserver@{DIGEST}')",
        ),
        ({"gpus": 0}, "detector.gpus must be a whole number from 1 to 16 (got 0)"),
        ({"replicas": 0}, "detector.replicas must be a whole number from 1 to 1000 (got 0)"),
        ({"clients": {}}, "detector.clients must name at least one label, else every pod could call (got {})"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(made, change, message):
    with pytest.raises(ConfigError) as refused:
        made(change)
    assert str(refused.value) == message


def test_serving_is_production_work_unless_it_says_otherwise(made):
    deployment = made().one("Deployment")
    for labels in (deployment["metadata"]["labels"], deployment["spec"]["template"]["metadata"]["labels"]):
        assert labels["kueue.x-k8s.io/priority-class"] == "production"


def test_a_tier_that_does_not_exist_is_refused(made):
    with pytest.raises(ConfigError, match=r"detector.tier must be among the tiers scavenger.*got 'urgent'"):
        made({"tier": "urgent"})
