"""TritonService behind a gateway, as many pods as requests need, and what is seen of it."""

import json
from pathlib import Path

import pulumi
import pytest

from falaj.components import ConfigError, TritonService

DIGEST = "sha256:" + "0123456789abcdef" * 4
ARGS = {
    "tenant": {"namespace": "vision", "labels": {"owner": "vision-team"}},
    "image": f"registry.example/nvidia/tritonserver@{DIGEST}",
    "model_repository": "s3://models/vision",
}
BEHIND = {"gateway": "gateways/serving", "client_names": ["web.vision.svc", "spiffe://vision/batch"]}
KEDA = {"by": "keda", "least": 0, "most": 4, "prometheus": "http://prometheus.monitoring.svc:9090"}
CANARY = {"canary": {"steps": [{"weight": 5}], "analysis": {"prometheus": "http://prometheus.monitoring.svc:9090"}}}
MIG = {
    "pool_name": "mig",
    "node_labels": {"pool": "mig"},
    "resource": "nvidia.com/mig-1g.18gb",
    "max_gpus": 8,
    "gpu_model": "H200",
}
EXAMPLE = Path(__file__).parents[2] / "docs/examples/triton-canary/__main__.py"


@pytest.fixture
def made(run, engine, providers):
    def make(**change):
        engine.url = run(lambda: TritonService("detector", {**ARGS, **change}, providers()).url)
        return engine

    return make


def test_routes_lead_from_the_gateway_to_the_service_for_named_clients_alone(made):
    engine = made(**BEHIND)
    for kind, name, port in (("HTTPRoute", "detector", 8000), ("GRPCRoute", "detector-grpc", 8001)):
        route = engine.one(kind)
        assert route["metadata"]["name"] == name
        assert route["metadata"]["annotations"]["falaj.dev/clients"] == "web.vision.svc,spiffe://vision/batch"
        (parent,) = route["spec"]["parentRefs"]
        assert (parent["namespace"], parent["name"]) == ("gateways", "serving")
        (rule,) = route["spec"]["rules"]
        assert [(each["name"], each["port"]) for each in rule["backendRefs"]] == [("detector", port)]
    assert engine.url == "https://detector.vision.svc"


def test_http_and_grpc_have_names_of_their_own_since_a_listener_takes_one_kind_for_each(made):
    engine = made(**BEHIND)
    assert engine.one("HTTPRoute")["spec"]["hostnames"] == ["detector.vision.svc"]
    assert engine.one("GRPCRoute")["spec"]["hostnames"] == ["detector-grpc.vision.svc"]


def test_behind_a_gateway_pods_are_reached_from_its_namespace_alone(made):
    inference, metrics = made(**BEHIND).one("NetworkPolicy")["spec"]["ingress"]
    assert inference["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_requests_are_repeated_only_where_it_is_said_that_they_may_be(made, engine):
    made(**BEHIND)
    for kind in ("HTTPRoute", "GRPCRoute"):
        assert "falaj.dev/idempotent" not in engine.one(kind)["metadata"]["annotations"]
    engine.made.clear()
    made(**BEHIND, idempotent=True)
    for kind in ("HTTPRoute", "GRPCRoute"):
        assert engine.one(kind)["metadata"]["annotations"]["falaj.dev/idempotent"] == "true"


def test_the_gateway_is_told_that_grpc_is_http_2(made):
    ports = {each["name"]: each for each in made(**BEHIND).one("Service")["spec"]["ports"]}
    assert ports["grpc"]["appProtocol"] == "kubernetes.io/h2c"


def test_the_autoscaler_goes_by_the_time_in_the_queue(made):
    engine = made(autoscaling={"most": 6, "queue_milliseconds": 50}, monitoring=True)
    spec = engine.one("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "detector"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 6)
    (metric,) = spec["metrics"]
    assert metric["external"]["metric"]["selector"] == {"matchLabels": {"service": "detector"}}
    assert metric["external"]["target"] == {"type": "Value", "value": "50"}
    # The metric that it reads is the one that is recorded.
    recorded = engine.one("PrometheusRule")["spec"]["groups"][0]["rules"][0]
    assert recorded["record"] == metric["external"]["metric"]["name"]
    assert recorded["labels"] == {"namespace": "vision", "service": "detector"}
    assert spec["behavior"]["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]


def test_the_number_of_pods_is_the_autoscaler_s_alone(made):
    engine = made(autoscaling={"most": 6}, monitoring=True)
    assert "replicas" not in engine.one("Deployment")["spec"]


def test_a_rare_model_sleeps_until_the_gateway_sees_a_request(made):
    engine = made(**BEHIND, autoscaling=KEDA, monitoring=True, strategy=CANARY)
    spec = engine.one("ScaledObject")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "detector"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"], spec["cooldownPeriod"]) == (0, 4, 900)
    queue, requests = (each["metadata"] for each in spec["triggers"])
    assert "nv_inference_queue_duration_us" in queue["query"]
    assert 'envoy_cluster_name="vision/detector"' in requests["query"]
    assert engine.all("HorizontalPodAutoscaler") == []


def test_a_service_that_may_sleep_is_not_missed(made, engine):
    def alerts():
        rules = engine.one("PrometheusRule")["spec"]["groups"][0]["rules"]
        return {each["alert"] for each in rules if "alert" in each}

    made(monitoring=True, gpus=0)
    assert alerts() == {"TritonErrors", "TritonSlow", "TritonQueueGrows", "TritonGone"}
    engine.made.clear()
    made(**BEHIND, autoscaling=KEDA, monitoring=True)
    assert "TritonGone" not in alerts()


def test_alerts_hold_the_service_to_what_it_promises(made):
    rules = made(monitoring=True, p99_milliseconds=250, error_percent=0.5).one("PrometheusRule")["spec"]["groups"][0]
    expressions = {each.get("alert"): each["expr"] for each in rules["rules"]}
    assert expressions["TritonSlow"].endswith("> 250000")
    assert expressions["TritonErrors"].endswith("> 0.005")
    for alert in ("TritonErrors", "TritonSlow", "TritonQueueGrows", "TritonGone"):
        assert 'app_kubernetes_io_instance="detector"' in expressions[alert]


def test_gpus_of_the_service_s_pods_are_watched_by_their_duty_their_memory_and_their_faults(made):
    (group,) = made(monitoring=True).one("PrometheusRule")["spec"]["groups"]
    rules = {each.get("alert") or each["record"]: each["expr"] for each in group["rules"]}
    mine = 'namespace="vision", pod=~"detector-[a-z0-9]+-[a-z0-9]+"'
    assert rules["falaj_triton_gpu_percent"] == f"avg(DCGM_FI_DEV_GPU_UTIL{{{mine}}})"
    assert rules["TritonGpuFault"] == f"max(DCGM_FI_DEV_XID_ERRORS{{{mine}}}) > 0"
    assert mine in rules["TritonGpuMemoryFull"]


def test_the_autoscaler_goes_by_the_duty_of_the_gpus_too_where_that_is_said(made):
    engine = made(autoscaling={"most": 6, "gpu_percent": 70}, monitoring=True)
    _, duty = engine.one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert duty["external"]["metric"] == {
        "name": "falaj_triton_gpu_percent",
        "selector": {"matchLabels": {"service": "detector"}},
    }
    assert duty["external"]["target"] == {"type": "Value", "value": "70"}


def test_keda_takes_no_pod_away_while_nobody_tells_the_duty_of_the_gpus(made):
    scaling = {**KEDA, "least": 1, "gpu_percent": 70}
    queue, duty = made(autoscaling=scaling, monitoring=True).one("ScaledObject")["spec"]["triggers"]
    assert "ignoreNullValues" not in queue["metadata"]
    assert duty["metadata"]["threshold"] == "70"
    assert duty["metadata"]["ignoreNullValues"] == "false"


def test_a_service_that_sleeps_is_woken_by_requests_though_its_gpus_have_no_figures(made):
    triggers = made(**BEHIND, autoscaling={**KEDA, "gpu_percent": 70}, monitoring=True).one("ScaledObject")["spec"][
        "triggers"
    ]
    assert len(triggers) == 3
    assert all("ignoreNullValues" not in each["metadata"] for each in triggers)


def test_pods_are_scraped_under_the_labels_that_the_figures_are_asked_by(made):
    spec = made(monitoring=True).one("PodMonitor")["spec"]
    assert spec["podTargetLabels"] == ["app.kubernetes.io/instance", "rollouts-pod-template-hash"]
    assert spec["podMetricsEndpoints"][0]["port"] == "metrics"


def test_the_dashboard_is_found_by_grafana_and_has_a_plot_of_each_figure(made):
    found = made(monitoring=True).one("ConfigMap")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    page = json.loads(found["data"]["detector.json"])
    queries = " ".join(panel["targets"][0]["expr"] for panel in page["panels"])
    for figure in ("nv_inference_request_success", "nv_inference_request_summary_us", "DCGM_FI_DEV_GPU_UTIL"):
        assert figure in queries


@pytest.mark.parametrize("lab", [False, True])
def test_the_example_makes_a_canary_on_nodes_of_a_cluster_or_of_the_lab(run, engine, lab):
    pulumi.runtime.set_all_config({"project:lab": str(lab).lower()})
    try:
        run(lambda: exec(compile(EXAMPLE.read_text(), str(EXAMPLE), "exec"), {"__name__": "example"}))  # noqa: S102 - it is ours
    finally:
        pulumi.runtime.set_all_config({})
    spec = engine.one("Rollout")["spec"]
    assert [step["setWeight"] for step in spec["strategy"]["canary"]["steps"][::2]] == [5, 25, 50]
    selector = {"falaj.dev/lab-processes": "true"} if lab else {"nvidia.com/gpu.present": "true"}
    assert spec["template"]["spec"]["nodeSelector"] == selector


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"gateway": "gateways/serving"},
            "client_names must name at least one client by its certificate's name: none is allowed unnamed (got [])",
        ),
        (
            {**BEHIND, "client_names": ["*.vision.svc"]},
            "client_names must be names of certificates without wildcards, such as web.vision.svc or"
            " spiffe://vision/web (got '*.vision.svc')",
        ),
        (
            {**BEHIND, "clients": {"app": "web"}},
            "clients must be left out behind a gateway, through which pods call too (got {'app': 'web'})",
        ),
        ({**BEHIND, "gateway": "serving"}, "gateway must be a gateway as NAMESPACE/NAME (got 'serving')"),
        (
            {**BEHIND, "hostnames": ["*.svc"]},
            "hostnames must be host names such as detector.vision.svc, without wildcards (got '*.svc')",
        ),
        (
            {**BEHIND, "hostnames": ["a.svc"], "grpc_hostnames": ["a.svc"]},
            "grpc_hostnames must differ from hostnames: a listener takes one kind of route for each name"
            " (got ['a.svc'])",
        ),
        ({"hostnames": ["a.svc"]}, "hostnames must be left out unless gateway is given (got ['a.svc'])"),
        (
            {"autoscaling": {"most": 4}},
            "monitoring must be true for autoscaling: nobody else measures the queue (got False)",
        ),
        (
            {"autoscaling": {"most": 4}, "replicas": 2, "monitoring": True},
            "replicas must be left out where autoscaling sets them (got 2)",
        ),
        (
            {"autoscaling": {"most": 4, "least": 0}, "monitoring": True, **BEHIND},
            "autoscaling.least must be at least 1 unless KEDA sets the number (got 0)",
        ),
        (
            {"autoscaling": KEDA, "monitoring": True},
            "autoscaling.least must be at least 1 without a gateway, where requests are seen (got 0)",
        ),
        (
            {"autoscaling": {"most": 4, "least": 5}, "monitoring": True},
            "autoscaling.least must be at most 4, which is most (got 5)",
        ),
        (
            {"autoscaling": {"most": 4, "by": "vpa"}, "monitoring": True},
            "autoscaling.by must be among hpa, keda (got 'vpa')",
        ),
        (
            {"autoscaling": {"most": 4, "gpu_percent": 70}, "monitoring": True, "gpus": 0},
            "autoscaling.gpu_percent must be left out where pods have no GPU (got 70)",
        ),
        (
            {"autoscaling": {"most": 4, "gpu_percent": 70}, "monitoring": True, "gpu_pool": MIG},
            "autoscaling.gpu_percent must be left out for nvidia.com/mig-1g.18gb: the duty is that of whole GPUs"
            " (got 70)",
        ),
        (
            {"autoscaling": {"most": 4, "gpu_percent": 100}, "monitoring": True},
            "autoscaling.gpu_percent must be a whole number from 10 to 95 percent (got 100)",
        ),
        (
            {"autoscaling": {"most": 4, "by": "keda"}, "monitoring": True},
            "autoscaling.prometheus must be given for KEDA, such as http://prometheus.monitoring:9090 (got None)",
        ),
    ],
)
def test_what_would_let_in_anybody_or_never_move_is_refused(made, change, message):
    with pytest.raises(ConfigError) as refused:
        made(**change)
    assert str(refused.value) == f"detector.{message}"
