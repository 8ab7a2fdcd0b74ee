"""TritonService with a drift watch: copies for it alone, its pod bound, samples erasable, the unknown an alert too."""

import pytest

from falaj.components import ConfigError, TritonService

DIGEST = "sha256:" + "0123456789abcdef" * 4
PEM = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
KEY = f"-----BEGIN PUBLIC KEY-----\n{PEM}\n-----END PUBLIC KEY-----\n"
STORE = {
    "bucket": "artifacts",
    "arn": "arn:aws:s3:::artifacts",
    "classification": "restricted",
    "kind": "model-artifacts",
}
SAMPLES = STORE | {"bucket": "samples", "kind": "dataset"}
ARGS = {
    "tenant": {"namespace": "vision", "labels": {"owner": "vision-team"}},
    "image": f"registry.example/nvidia/tritonserver@{DIGEST}",
    "model": "detector",
    "version": 3,
    "store": STORE,
    "signing_key": KEY,
    "sealing_key": "arn:aws:kms:me-central-1:123456789012:key/0a1b",
    "fetcher_image": f"registry.example/falaj/serving@{DIGEST}",
    "gateway": "gateways/serving",
    "client_names": ["web.vision.svc"],
    "storage_cidrs": ["10.20.8.0/24"],
    "drift": {},
}
ANALYSIS = {"prometheus": "http://prometheus.monitoring.svc:9090"}
HOOK = {
    "webhook": "https://ci.example.com/retrain",
    "webhook_cidrs": ["10.30.0.0/24"],
    "service_account": "watcher",
}


@pytest.fixture
def made(run, engine, providers):
    def make(**change):
        given = {name: each for name, each in {**ARGS, **change}.items() if each is not None}
        run(lambda: TritonService("detector", given, providers()).url)
        return engine

    return make


def watch_pod(engine):
    return next(each for each in engine.all("Deployment") if each["metadata"]["name"] == "detector-watch")["spec"]


def words(engine) -> dict[str, str]:
    (container,) = watch_pod(engine)["template"]["spec"]["containers"]
    first, *rest = container["args"]
    assert first == "watch"
    return dict(zip(rest[::2], rest[1::2], strict=True))


def policy(engine, name):
    return next(each for each in engine.all("NetworkPolicy") if each["metadata"]["name"] == name)["spec"]


def mirrors(rule):
    copied = [each["requestMirror"] for each in rule.get("filters", []) if each["type"] == "RequestMirror"]
    return [(each["backendRef"]["name"], each["percent"]) for each in copied]


def test_a_share_of_the_requests_over_http_is_copied_to_the_watch(made):
    engine = made(drift={"percent": 5})
    (rule,) = engine.one("HTTPRoute")["spec"]["rules"]
    assert mirrors(rule) == [("detector-watch", 5)]
    (rule,) = engine.one("GRPCRoute")["spec"]["rules"]
    assert mirrors(rule) == [], "the watch does not read gRPC"


def test_without_drift_nothing_is_copied(made):
    engine = made(drift=None)
    (rule,) = engine.one("HTTPRoute")["spec"]["rules"]
    assert mirrors(rule) == []
    assert [each["metadata"]["name"] for each in engine.all("Deployment")] == ["detector"]


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("canary", {"steps": [{"weight": 5}]}, [[("detector-watch", 10)]]),
        ("blue_green", {}, [[], [("detector-watch", 10)]]),
        ("shadow", {"mirror": 50}, [[("detector-shadow", 50), ("detector-watch", 10)]]),
    ],
)
def test_with_every_strategy_what_clients_ask_is_copied_and_previews_are_not(made, kind, said, expected):
    engine = made(strategy={kind: {"analysis": ANALYSIS, **said}}, unrecorded=True)
    assert [mirrors(rule) for rule in engine.one("HTTPRoute")["spec"]["rules"]] == expected


def test_the_watch_asks_the_service_and_reads_the_model_s_store(made):
    told = words(made())
    assert told["--ask"] == "http://detector.vision.svc:8000"
    assert told["--store"] == "s3://artifacts/vision"
    assert (told["--model"], told["--tenant"], told["--window"], told["--above"]) == (
        "detector",
        "vision",
        "3600",
        "0.25",
    )
    assert told["--address"] == "$(POD_IP)"
    assert not {"--samples", "--webhook", "--version"} & told.keys()


def test_the_watch_s_pod_is_restricted_and_there_is_one_of_it(made):
    spec = watch_pod(made())
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert all(each.get("emptyDir", {"medium": "Memory"})["medium"] == "Memory" for each in pod["volumes"])
    assert pod["volumes"][0]["configMap"]["name"].startswith("detector-publisher-")


def test_only_the_gateway_brings_requests_and_only_the_watch_asks_back(made):
    engine = made(drift=HOOK)
    spec = policy(engine, "detector-watch")
    requests, metrics = spec["ingress"]
    assert requests["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}]
    assert [each["port"] for each in requests["ports"]] == [8000]
    assert metrics["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    ways = {
        peer["ipBlock"]["cidr"]: rule["ports"][0]["port"]
        for rule in spec["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
    }
    assert ways == {"10.20.8.0/24": 443, "10.30.0.0/24": 443, "169.254.170.23/32": 80}
    (asked,) = [rule for rule in spec["egress"] if "podSelector" in rule["to"][0]]
    assert asked["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "detector"
    asking = policy(engine, "detector")["ingress"][-1]
    assert asking["from"] == [{"podSelector": {"matchLabels": spec["podSelector"]["matchLabels"]}}]
    assert [each["port"] for each in asking["ports"]] == [8000]


def test_the_watch_is_no_instance_of_the_service_that_it_could_be_counted_for(made):
    tags = watch_pod(made())["template"]["metadata"]["labels"]
    assert tags["app.kubernetes.io/instance"] == "detector-watch"
    assert tags["owner"] == "vision-team"


def test_a_webhook_is_told_with_a_token_that_is_no_argument(made):
    engine = made(drift={**HOOK, "webhook_secret": "retrain"})
    told = words(engine)
    assert told["--webhook"] == HOOK["webhook"]
    assert told["--webhook-token"] == "/etc/falaj/webhook/token"
    pod = watch_pod(engine)["template"]["spec"]
    assert pod["volumes"][-1]["secret"]["secretName"] == "retrain"
    assert pod["serviceAccountName"] == "watcher"


def test_samples_go_where_they_can_be_erased(made):
    engine = made(drift={"samples": SAMPLES, "identifying": ["name"], "service_account": "watcher"})
    told = words(engine)
    assert (told["--samples"], told["--samples-per-hour"], told["--identifying"]) == (
        "s3://samples/vision",
        "1000",
        "name",
    )


@pytest.mark.parametrize(
    ("drift", "change", "field"),
    [
        ({"percent": 0}, {}, "percent"),
        ({"above": 0.01}, {}, "above"),
        ({"window_minutes": 1}, {}, "window_minutes"),
        ({"samples": STORE, "service_account": "watcher"}, {}, "samples"),
        ({"samples": SAMPLES}, {}, "service_account"),
        ({"identifying": ["name"]}, {}, "samples"),
        ({"webhook": "https://ci.example.com/", "webhook_cidrs": ["10.0.0.0/24"]}, {}, "service_account"),
        ({**HOOK, "webhook": "http://ci.example.com/"}, {}, "webhook"),
        ({**HOOK, "webhook": "https://me:secret@ci.example.com/"}, {}, "webhook"),
        ({**HOOK, "webhook_cidrs": []}, {}, "webhook_cidrs"),
        ({**HOOK, "webhook_cidrs": ["0.0.0.0/0"]}, {}, "webhook_cidrs"),
        ({"webhook_secret": "retrain"}, {}, "webhook_secret"),
        ({}, {"gateway": None, "client_names": None}, "gateway"),
    ],
)
def test_what_could_not_be_watched_or_would_be_unsafe_is_refused(made, engine, drift, change, field):
    with pytest.raises(ConfigError, match=field) as refused:
        made(drift=drift, **change)
    assert "secret@" not in str(refused.value)
    assert engine.all("HTTPRoute") == []


def test_what_is_no_published_model_has_no_reference(run, providers):
    bare = {"tenant": ARGS["tenant"], "image": ARGS["image"], "model_repository": "s3://models/vision"}
    behind = {name: ARGS[name] for name in ("gateway", "client_names")}
    with pytest.raises(ConfigError, match="model must be given for drift"):
        run(lambda: TritonService("detector", {**bare, **behind, "drift": {}}, providers()).url)


def alerts(engine) -> dict[str, str]:
    rules = next(each for each in engine.all("PrometheusRule") if each["metadata"]["name"] == "detector-watch")
    return {each["alert"]: each["expr"] for each in rules["spec"]["groups"][0]["rules"]}


def test_drift_is_an_alert_and_so_is_that_nobody_can_tell(made, engine):
    found = alerts(made(monitoring=True))
    assert found.keys() == {"ModelDrift", "ModelDriftUnknown", "ModelDriftRequestsDropped"}
    assert found["ModelDriftUnknown"].startswith("absent(")
    assert all('namespace="vision", app_kubernetes_io_instance="detector-watch"' in each for each in found.values())
    engine.made.clear()
    assert "ModelDriftUntold" in alerts(made(monitoring=True, drift=HOOK))


def test_the_watch_is_scraped_apart_from_the_service(made):
    monitors = {each["metadata"]["name"]: each["spec"] for each in made(monitoring=True).all("PodMonitor")}
    assert monitors.keys() == {"detector", "detector-watch"}
    assert monitors["detector-watch"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == "detector-watch"
