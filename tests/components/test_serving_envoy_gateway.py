"""TritonService behind Envoy Gateway: the policies that say what the lab's gateway reads from annotations."""

import re

import pytest

from falaj.components import ConfigError, TritonService

ARGS = {
    "tenant": {"namespace": "vision", "labels": {"owner": "vision-team"}},
    "image": f"registry.example/nvidia/tritonserver@sha256:{'0123456789abcdef' * 4}",
    "model_repository": "s3://models/vision",
    "gateway": "gateways/serving",
    "envoy_gateway": {},
    "client_names": ["web.vision.svc", "batch.vision.svc", "spiffe://vision/batch"],
}
ANALYSIS = {"prometheus": "http://prometheus.monitoring.svc:9090"}
CANARY = {"canary": {"steps": [{"weight": 5}], "analysis": ANALYSIS}}
ROUTES = [("HTTPRoute", "detector"), ("GRPCRoute", "detector-grpc")]


@pytest.fixture
def made(run, engine, providers):
    def make(**change):
        run(lambda: TritonService("detector", {**ARGS, **change}, providers()).url)
        return engine

    return make


def targets(policy):
    return [(each["kind"], each["name"]) for each in policy["spec"]["targetRefs"]]


def traffic(engine):
    return {targets(each)[0][0]: each["spec"] for each in engine.all("BackendTrafficPolicy")}


def test_clients_are_known_by_the_names_in_their_certificates_and_others_are_denied(made):
    policy = made().one("SecurityPolicy")
    assert targets(policy) == ROUTES
    authorization = policy["spec"]["authorization"]
    assert authorization["defaultAction"] == "Deny"
    assert [(each["action"], each["cel"]) for each in authorization["rules"]] == [
        ("Allow", 'connection.mtls && connection.uri_san_peer_certificate in ["spiffe://vision/batch"]'),
        (
            "Allow",
            'connection.mtls && connection.dns_san_peer_certificate in ["web.vision.svc", "batch.vision.svc"]',
        ),
    ]


def test_where_no_client_has_a_name_of_a_kind_there_is_no_rule_of_it(made):
    (rule,) = made(client_names=["web.vision.svc"]).one("SecurityPolicy")["spec"]["authorization"]["rules"]
    assert rule["name"] == "clients-by-dns"


def test_what_no_pod_has_seen_goes_to_another_one_and_more_only_if_that_is_said(made, engine):
    unseen = ["connect-failure", "refused-stream", "reset-before-request"]
    for idempotent, triggers in ((False, unseen), (True, [*unseen, "reset"])):
        engine.made.clear()
        found = traffic(made(idempotent=idempotent))
        assert set(found) == {"HTTPRoute", "GRPCRoute"}
        assert all(each["retry"]["retryOn"] == {"triggers": triggers} for each in found.values())


def test_a_request_over_http_is_bounded_and_a_stream_is_not_held(made):
    found = traffic(made(largest_request="8Mi"))
    assert found["HTTPRoute"]["requestBuffer"] == {"limit": "8388608"}
    assert "requestBuffer" not in found["GRPCRoute"]


def test_pods_are_reached_from_the_envoys_namespace_which_is_not_the_gateway_s(made, engine):
    for given, namespace in (({}, "envoy-gateway-system"), ({"namespace": "gateways"}, "gateways")):
        engine.made.clear()
        inference, _ = made(envoy_gateway=given).one("NetworkPolicy")["spec"]["ingress"]
        assert inference["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]


def test_each_version_s_share_has_a_filter_of_its_own_without_which_both_are_counted_as_one(made):
    engine = made(strategy=CANARY)
    for kind, _ in ROUTES:
        (rule,) = engine.one(kind)["spec"]["rules"]
        changed = [each["filters"][0]["requestHeaderModifier"]["set"] for each in rule["backendRefs"]]
        assert changed == [[{"name": "falaj-service", "value": each["name"]}] for each in rule["backendRefs"]]


@pytest.mark.parametrize(
    ("strategy", "new", "old"),
    [
        (CANARY, "rule/0/backend/1", "rule/0/backend/0"),
        ({"shadow": {"analysis": ANALYSIS}}, "rule/0-mirror-0", "rule/0/backend/0"),
        ({"blue_green": {"analysis": ANALYSIS}}, "rule/1", "-"),
    ],
    ids=["canary", "shadow", "blue-green"],
)
def test_versions_are_measured_by_what_envoy_gateway_calls_their_shares(made, strategy, new, old):
    engine = made(strategy=strategy)
    argo = engine.one("Rollout")["spec"]["strategy"]
    runs = [step["analysis"] for step in argo.get("canary", {}).get("steps", ()) if "analysis" in step]
    (run,) = runs or [argo["blueGreen"]["postPromotionAnalysis"]]
    said = {each["name"]: each.get("value") for each in run["args"]}
    assert (said["route"], said["service-part"], said["stable-part"]) == ("detector", new, old)
    template = engine.one("AnalysisTemplate")["spec"]
    given = {each["name"] for each in template["args"] if "value" not in each}
    assert given <= set(said)
    queries = {each["name"]: each["provider"]["prometheus"]["query"] for each in template["metrics"]}
    chosen = re.search(r'envoy_cluster_name=~"([^"]*)"', queries["latency"])
    assert chosen is not None
    values = {"args.namespace": "vision"} | {f"args.{name}": value for name, value in said.items()}
    pattern = re.sub(r"\{\{(.*?)\}\}", lambda match: values[match[1]], chosen[1])
    assert re.fullmatch(pattern, f"httproute/vision/detector/{new}")
    assert re.fullmatch(pattern, f"grpcroute/vision/detector-grpc/{new}")
    assert not re.fullmatch(pattern, f"httproute/vision/detector/{new}0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gateway": None}, "envoy_gateway must be left out unless gateway is given (got {})"),
        (
            {"envoy_gateway": {"namespace": "Envoys"}},
            "envoy_gateway.namespace must be lower-case letters, digits and hyphens, start with a letter, at most 63"
            " long (got 'Envoys')",
        ),
        (
            {"client_names": [f"client-{number}.vision.svc" for number in range(200)]},
            "client_names must be fewer: a rule of Envoy Gateway has at most 4096 characters"
            " (got 'rule 0 of 4948 characters')",
        ),
        (
            {"strategy": {"canary": {**CANARY["canary"], "analysis": {**ANALYSIS, "cluster_name": "x/{service}"}}}},
            "strategy.canary.analysis.cluster_name must be left out with envoy_gateway, whose names are known"
            " (got 'x/{service}')",
        ),
        (
            {
                "autoscaling": {"most": 4, "least": 0, "by": "keda", "prometheus": "http://prometheus:9090"},
                "monitoring": True,
            },
            "autoscaling.least must be at least 1 with envoy_gateway, which counts no requests for a service without"
            " pods (got 0)",
        ),
    ],
)
def test_what_envoy_gateway_cannot_do_is_refused(run, providers, change, message):
    args = {key: value for key, value in {**ARGS, **change}.items() if value is not None}
    if "gateway" not in args:
        del args["client_names"]
    with pytest.raises(ConfigError) as refused:
        run(lambda: TritonService("detector", args, providers()).url)
    assert str(refused.value) == f"detector.{message}"
