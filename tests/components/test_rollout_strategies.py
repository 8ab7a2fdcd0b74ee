"""How a new version takes over: by growing shares, at once, or behind a mirror, and never unseen."""

import pytest

from falaj.components import ConfigError, TritonService
from falaj.components.rollout_analysis import Promise, check_analysis, template_spec

DIGEST = "sha256:" + "0123456789abcdef" * 4
ANALYSIS = {"prometheus": "http://prometheus.monitoring.svc:9090"}
CANARY = {"canary": {"steps": [{"weight": 5}, {"weight": 50, "measurements": 9}], "analysis": ANALYSIS}}
ARGS = {
    "tenant": {"namespace": "vision", "labels": {"owner": "vision-team"}},
    "image": f"registry.example/nvidia/tritonserver@{DIGEST}",
    "model_repository": "s3://models/vision",
    "gateway": "gateways/serving",
    "client_names": ["web.vision.svc"],
}
QUALITY = {"name": "agreement", "query": 'avg(agreement{hash="{{args.hash}}"})', "at_least": 0.9}


@pytest.fixture
def made(run, engine, providers):
    def make(strategy, without=(), **change):
        args = {key: value for key, value in {**ARGS, "strategy": strategy, **change}.items() if key not in without}
        run(lambda: TritonService("detector", args, providers()).url)
        return engine

    return make


def rollout(engine):
    return engine.one("Rollout")["spec"]


def said(step):
    return {each["name"]: each.get("value") for each in step["analysis"]["args"]}


def metrics(**change):
    spec = template_spec(check_analysis("analysis", {**ANALYSIS, **change}), Promise(250, 1.0), "vision")
    return {each["name"]: each for each in spec["metrics"]}


def test_a_canary_s_share_grows_only_after_it_was_measured(made):
    canary = rollout(made(CANARY))["strategy"]["canary"]
    weights = [step["setWeight"] for step in canary["steps"][::2]]
    measured = canary["steps"][1::2]
    assert weights == [5, 50]
    assert [said(step)["measurements"] for step in measured] == ["5", "9"]
    # The first one waits for traffic, the second one has that of the first.
    assert [said(step)["delay"] for step in measured] == ["60s", "0s"]
    assert {said(step)["service"] for step in measured} == {"detector-canary"}
    assert {step["analysis"]["templates"][0]["templateName"] for step in measured} == {"detector"}


def test_a_canary_s_weights_are_set_by_the_plugin_on_both_routes(made):
    canary = rollout(made(CANARY))["strategy"]["canary"]
    assert (canary["stableService"], canary["canaryService"]) == ("detector", "detector-canary")
    assert canary["trafficRouting"]["plugins"] == {
        "argoproj-labs/gatewayAPI": {
            "namespace": "vision",
            "httpRoutes": [{"name": "detector"}],
            "grpcRoutes": [{"name": "detector-grpc"}],
        }
    }


def test_the_way_back_is_at_once_and_needs_nobody(made):
    spec = rollout(made(CANARY, ready_timeout="90s"))
    canary = spec["strategy"]["canary"]
    # Nothing of the old version goes while the new one grows: that is what Argo does unless it is told otherwise.
    assert "dynamicStableScale" not in canary
    assert (canary["scaleDownDelaySeconds"], canary["abortScaleDownDelaySeconds"]) == (600, 60)
    assert (spec["progressDeadlineAbort"], spec["progressDeadlineSeconds"]) == (True, 90)
    assert spec["rollbackWindow"] == {"revisions": 10}
    assert spec["analysis"]["unsuccessfulRunHistoryLimit"] == 20


def test_the_rollout_has_the_pods_that_a_deployment_would_have(made, engine):
    template = rollout(made(CANARY))["template"]
    engine.made.clear()
    made(None, without=("strategy",))
    deployment = engine.one("Deployment")["spec"]
    assert template == deployment["template"]


def test_there_is_a_service_of_each_version_and_argo_owns_which_pods_they_have(made):
    services = {each["metadata"]["name"]: each for each in made(CANARY).all("Service")}
    assert set(services) == {"detector", "detector-canary"}
    for each in services.values():
        assert each["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}
        assert each["spec"]["selector"]["app.kubernetes.io/instance"] == "detector"


def test_what_is_not_seen_to_be_good_is_bad():
    for each in metrics(quality=QUALITY).values():
        seen = each["successCondition"].split(" && ")
        assert seen[:2] == ["len(result) > 0", "!isNaN(result[0])"]
        assert len(seen) == 3
        # With both conditions a figure between them would be inconclusive, and wait for a person.
        assert "failureCondition" not in each
        assert each["failureLimit"] == 1
        assert each["consecutiveErrorLimit"] == 2


def test_errors_refusals_latency_and_quality_are_each_held_to_their_limit():
    found = {name: each["successCondition"].split(" && ")[2] for name, each in metrics(quality=QUALITY).items()}
    assert found == {
        "errors": "result[0] <= 0.01",
        "refusals": "result[0] <= 0.01",
        "latency": "result[0] <= 250",
        "agreement": "result[0] >= 0.9",
    }


def test_the_figures_are_those_of_the_new_version_at_the_gateway():
    queries = {name: each["provider"]["prometheus"]["query"] for name, each in metrics(window_seconds=30).items()}
    canary = 'envoy_cluster_name="{{args.namespace}}/{{args.service}}"'
    total = f"sum(rate(envoy_cluster_upstream_rq_xx{{{canary}}}[30s]))"
    assert queries["errors"] == (
        f'(sum(rate(envoy_cluster_upstream_rq_xx{{{canary}, envoy_response_code_class="5"}}[30s])) or vector(0))'
        f" / {total}"
    )
    assert queries["latency"] == (
        f"histogram_quantile(0.99, sum by (le) (rate(envoy_cluster_upstream_rq_time_bucket{{{canary}}}[30s])))"
    )
    assert "{{args.stable}}" in queries["refusals"]


def test_another_gateway_may_name_its_clusters_otherwise():
    query = metrics(cluster_name="outbound|{service}.{namespace}")["latency"]["provider"]["prometheus"]["query"]
    assert 'envoy_cluster_name="outbound|{{args.service}}.{{args.namespace}}"' in query


def test_every_argument_of_the_template_has_a_value_or_is_given_by_the_step(made):
    engine = made(CANARY)
    template = engine.one("AnalysisTemplate")["spec"]
    without = {each["name"] for each in template["args"] if "value" not in each}
    (first,) = rollout(engine)["strategy"]["canary"]["steps"][1:2]
    assert without == {"service", "stable", "hash"} <= {*said(first)}
    # Argo checks counts and delays before a step gives them.
    assert {each["name"]: each["value"] for each in template["args"] if "value" in each} == {
        "namespace": "vision",
        "measurements": "5",
        "delay": "60s",
    }


def test_blue_green_switches_at_once_and_keeps_the_old_version_while_the_new_one_is_measured(made):
    strategy = {"blue_green": {"preview": 120, "soak": 600, "analysis": ANALYSIS}}
    engine = made(strategy)
    found = rollout(engine)["strategy"]["blueGreen"]
    assert (found["activeService"], found["previewService"]) == ("detector", "detector-preview")
    assert (found["autoPromotionEnabled"], found["autoPromotionSeconds"]) == (True, 120)
    # From 60 seconds on, every 30 seconds until 600.
    after = {each["name"]: each.get("value") for each in found["postPromotionAnalysis"]["args"]}
    assert (after["service"], after["measurements"]) == ("detector", "19")
    # No other version has traffic that refusals could be compared with.
    assert after["stable"] == "-"
    # With a delay of its own Argo would end the measurements when that is over.
    assert "scaleDownDelaySeconds" not in found
    assert {each["metadata"]["name"] for each in engine.all("Service")} == {"detector", "detector-preview"}


def test_a_preview_is_reached_by_a_header_at_the_gateway(made):
    engine = made({"blue_green": {"analysis": ANALYSIS}})
    for kind in ("HTTPRoute", "GRPCRoute"):
        preview, active = engine.one(kind)["spec"]["rules"]
        assert preview["matches"][0]["headers"] == [{"type": "Exact", "name": "falaj-preview", "value": "true"}]
        assert [each["name"] for each in preview["backendRefs"]] == ["detector-preview"]
        assert [each["name"] for each in active["backendRefs"]] == ["detector"]


def test_a_shadow_gets_copies_and_no_share_of_the_answers_until_it_was_measured(made):
    engine = made({"shadow": {"mirror": 20, "replicas": 2, "analysis": ANALYSIS}})
    canary = rollout(engine)["strategy"]["canary"]
    scale, weight, measured = canary["steps"]
    assert (scale, weight) == ({"setCanaryScale": {"replicas": 2}}, {"setWeight": 0})
    assert (said(measured)["service"], said(measured)["stable"]) == ("detector-shadow", "detector")
    for kind, port in (("HTTPRoute", 8000), ("GRPCRoute", 8001)):
        (rule,) = engine.one(kind)["spec"]["rules"]
        (mirror,) = rule["filters"]
        copied = mirror["requestMirror"]
        assert (copied["backendRef"]["name"], copied["backendRef"]["port"]) == ("detector-shadow", port)
        assert copied["percent"] == 20
        assert [each["weight"] for each in rule["backendRefs"]] == [100, 0]


def test_copies_go_to_nobody_when_there_is_no_new_version(made):
    engine = made({"shadow": {"analysis": ANALYSIS}})
    canary = rollout(engine)["strategy"]["canary"]
    services = {each["metadata"]["name"]: each["spec"]["selector"] for each in engine.all("Service")}
    role = services["detector-shadow"]["falaj.dev/role"]
    # Argo gives the label to the pods of a new version, and takes it from them when they serve.
    assert canary["canaryMetadata"]["labels"] == {"falaj.dev/role": role}
    assert canary["stableMetadata"]["labels"]["falaj.dev/role"] != role
    assert "falaj.dev/role" not in services["detector-canary"]


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ({}, "strategy must have exactly one of canary, blue_green, shadow (got [])"),
        (
            {**CANARY, "shadow": {"analysis": ANALYSIS}},
            "strategy must have exactly one of canary, blue_green, shadow (got ['canary', 'shadow'])",
        ),
        *(
            (
                {kind: {"steps": [{"weight": 5}]}},
                f"strategy.{kind}.analysis must be given: a version that nobody measures takes over unseen (got None)",
            )
            for kind in ("canary", "blue_green", "shadow")
        ),
        *(
            (
                {"canary": {"steps": [{"weight": each} for each in weights], "analysis": ANALYSIS}},
                "strategy.canary.steps must be at least one share, the first below 100 and each larger than the one"
                f" before (got {weights})",
            )
            for weights in ([], [50, 5], [5, 5], [100])
        ),
        (
            {"canary": {"steps": [{"weight": 0}], "analysis": ANALYSIS}},
            "strategy.canary.steps[0].weight must be a whole number from 1 to 100 percent (got 0)",
        ),
        (
            {"canary": {"steps": [{"weight": 5, "measurements": 1}], "analysis": ANALYSIS}},
            "strategy.canary.steps[0].measurements must be more than the 1 bad ones that the analysis tolerates"
            " (got 1)",
        ),
        (
            {"blue_green": {"soak": 60, "analysis": ANALYSIS}},
            "strategy.blue_green.soak must be at least 90: in less time no version could fail (got 60)",
        ),
        (
            {"shadow": {"mirror": 0, "analysis": ANALYSIS}},
            "strategy.shadow.mirror must be a whole number from 1 to 100 percent (got 0)",
        ),
        (
            {"shadow": {"analysis": {"prometheus": "prometheus:9090"}}},
            "strategy.shadow.analysis.prometheus must be a URL such as http://prometheus.monitoring.svc:9090"
            " (got 'prometheus:9090')",
        ),
        (
            {"shadow": {"analysis": {**ANALYSIS, "measurements": 3, "tolerated": 3}}},
            "strategy.shadow.analysis.tolerated must be less than measurements, 3: no version could fail (got 3)",
        ),
        (
            {"shadow": {"analysis": {**ANALYSIS, "interval_seconds": 1}}},
            "strategy.shadow.analysis.interval_seconds must be a whole number from 5 to 3600 seconds (got 1)",
        ),
        (
            {"shadow": {"analysis": {**ANALYSIS, "quality": {"name": "agreement", "query": "1"}}}},
            "strategy.shadow.analysis.quality.at_least must be given, or at_most: without a limit nothing is decided"
            " (got None)",
        ),
        (
            {"shadow": {"analysis": {**ANALYSIS, "quality": {**QUALITY, "name": "errors"}}}},
            "strategy.shadow.analysis.quality.name must differ from errors, refusals, latency (got 'errors')",
        ),
        (
            {"shadow": {"analysis": {**ANALYSIS, "cluster_name": "all"}}},
            "strategy.shadow.analysis.cluster_name must have {service} in it, and no quotes: figures of both versions"
            " together show neither (got 'all')",
        ),
    ],
)
def test_a_strategy_that_could_let_a_version_pass_unseen_is_refused(made, strategy, message):
    with pytest.raises(ConfigError) as refused:
        made(strategy)
    assert str(refused.value) == f"detector.{message}"


def test_a_strategy_needs_a_gateway_that_tells_the_versions_apart(made):
    with pytest.raises(ConfigError, match=r"detector.gateway must be given for a strategy"):
        made(CANARY, without=("gateway", "client_names"))


@pytest.mark.parametrize("percent", [0, 51, True])
def test_a_promise_of_errors_is_a_small_share(made, percent):
    with pytest.raises(ConfigError, match=r"detector.error_percent must be more than 0 and at most 50"):
        made(CANARY, error_percent=percent)
