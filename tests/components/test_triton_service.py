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
POOL = {
    "pool_name": "mig",
    "node_labels": {"pool": "mig", "falaj.dev/tenant": "vision"},
    "resource": "nvidia.com/mig-1g.18gb",
    "max_gpus": 8,
    "gpu_model": "H200",
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


def test_a_pod_that_goes_serves_on_until_the_gateway_knows(made):
    spec = made().one("Deployment")["spec"]["template"]["spec"]
    (triton,) = spec["containers"]
    served_on = triton["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < served_on < spec["terminationGracePeriodSeconds"]


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
        ({"gpus": 17}, "detector.gpus must be a whole number from 0 to 16 (got 17)"),
        (
            {"memory": "2Gi"},
            "detector.memory must be more than what models, cache, /tmp and shared memory take of it, 2Gi (got '2Gi')",
        ),
        (
            {"ready_timeout": "5 minutes"},
            "detector.ready_timeout must be a duration such as 90s, 5m or 1h (got '5 minutes')",
        ),
        (
            {"pool": "inference", "gpu_pool": POOL},
            "detector.pool must be left out where gpu_pool tells which one it is (got 'inference')",
        ),
        ({"rate_limits": {"copies": 0}}, "detector.rate_limits.copies must be a whole number from 1 to 10000 (got 0)"),
        (
            {"rate_limits": {"copies:9": 1}},
            "detector.rate_limits must name resources by letters, digits, _ and -, as models do (got 'copies:9')",
        ),
        (
            {"response_cache": "lots"},
            "detector.response_cache must be an amount of memory such as 512Mi or 64Gi (got 'lots')",
        ),
        (
            {"response_cache": "15Gi"},
            "detector.memory must be more than what models, cache, /tmp and shared memory take of it, 17Gi"
            " (got '16Gi')",
        ),
        (
            {"largest_request": "0"},
            "detector.largest_request must be an amount of memory such as 512Mi or 64Gi (got '0')",
        ),
        (
            {"storage_cidrs": ["10.0.0.0/8"]},
            "detector.storage_cidrs must be endpoints' addresses, at most a /16 each (got '10.0.0.0/8')",
        ),
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


def test_partitions_of_gpus_are_asked_for_under_the_pools_name_in_a_pool_kept_for_the_tenant(made):
    pod = made({"gpu_pool": POOL}).one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"memory": "16Gi", "nvidia.com/mig-1g.18gb": "1"}
    assert pod["nodeSelector"] == POOL["node_labels"]
    assert {"key": "falaj.dev/tenant", "operator": "Equal", "value": "vision", "effect": "NoSchedule"} in pod[
        "tolerations"
    ]


def test_several_partitions_of_gpus_are_asked_for_together(made):
    pod = made({"gpu_pool": POOL, "gpus": 4}).one("Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["requests"]["nvidia.com/mig-1g.18gb"] == "4"


def test_a_small_model_is_served_on_cpus_without_a_gpu_node(made):
    taint = {"key": "falaj.dev/small", "value": "true"}
    pod = made({"gpus": 0, "node_labels": {"small": "yes"}, "taints": [taint]}).one("Deployment")["spec"]["template"][
        "spec"
    ]
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"memory": "16Gi"}
    assert pod["nodeSelector"] == {"small": "yes"}
    assert pod["tolerations"] == [
        {"key": "falaj.dev/small", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    ]


def test_triton_is_told_what_it_may_do_and_nothing_is_guessed(made):
    (container,) = made().one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert {"--exit-on-error=true", "--disable-auto-complete-config", "--metrics-config=summary_latencies=true"} <= {
        *container["args"]
    }
    assert "--model-repository=s3://models/vision" in container["args"]
    assert not any("rate-limit" in each or "cache" in each or "max-input" in each for each in container["args"])


def test_cache_rate_limiter_and_largest_request_are_said_in_triton_s_words(made):
    change = {
        "response_cache": "512Mi",
        "rate_limits": {"copies": 4},
        "largest_request": "8Mi",
        "auto_complete_config": True,
    }
    (container,) = made(change).one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert {
        "--cache-config=local,size=536870912",
        "--rate-limit=execution_count",
        "--rate-limit-resource=copies:4",
        "--http-max-input-size=8388608",
    } <= {*container["args"]}
    assert "--disable-auto-complete-config" not in container["args"]


def test_clients_cannot_load_models_since_the_key_is_the_pods_uid(made):
    (container,) = made().one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}]
    for flag in ("--http-restricted-api", "--grpc-restricted-protocol"):
        (said,) = (each for each in container["args"] if each.startswith(flag))
        apis, _, key = said.removeprefix(f"{flag}=").partition(":")
        assert {"model-repository", "shared-memory", "trace", "logging"} == {*apis.split(",")}
        assert key == "falaj-closed=$(POD_UID)"


def test_without_a_strategy_nothing_of_argo_or_of_a_gateway_is_needed(made):
    engine = made()
    assert not [each.typ for each in engine.made if ".io/v1" in each.typ and "argoproj" in each.typ]
    assert not [each.typ for each in engine.made if "gateway.networking" in each.typ or "coreos" in each.typ]
