"""TritonService's recorder: who writes down what Argo decides, and how little else it may."""

import json

import pulumi
import pytest
from component_samples import CLUSTER, KEY, REGIME

from falaj.components import ConfigError, TritonService

DIGEST = "sha256:" + "0123456789abcdef" * 4
STORE = {
    "bucket": "artifacts",
    "arn": "arn:aws:s3:::artifacts",
    "classification": "restricted",
    "kind": "model-artifacts",
}
ARGS = {
    "tenant": {"namespace": "vision", "labels": {"owner": "vision-team"}},
    "image": f"registry.example/nvidia/tritonserver@{DIGEST}",
    "model": "iris",
    "version": 3,
    "store": STORE,
    "signing_key": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
    "sealing_key": "arn:aws:kms:me-central-1:123456789012:key/11111111-2222-3333-4444-555555555555",
    "fetcher_image": f"registry.example/falaj/serving@{DIGEST}",
    "storage_cidrs": ["10.20.8.0/24"],
    "gateway": "gateways/serving",
    "client_names": ["web.vision.svc"],
    "strategy": {
        "canary": {"steps": [{"weight": 5}], "analysis": {"prometheus": "http://prometheus.monitoring.svc:9090"}}
    },
}
HERE = {"api_server_cidrs": ["10.20.4.0/24"]}
IN_AWS = {**HERE, "identity": {"cluster": CLUSTER, "regime": REGIME, "key": KEY}}


@pytest.fixture
def made(run, engine, providers):
    def make(without=(), **change):
        args = {key: value for key, value in {**ARGS, **change}.items() if key not in without}
        run(lambda: TritonService("detector", args, providers()).url)
        return engine

    return make


def deployment(engine):
    (found,) = engine.all("Deployment")
    assert found["metadata"]["name"] == "detector-recorder"
    return found["spec"]


def test_beside_the_service_runs_what_writes_down_what_argo_decides(made):
    spec = deployment(made(recorder={**HERE, "every_seconds": 10}))
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    (container,) = spec["template"]["spec"]["containers"]
    assert container["command"] == ["falaj-serve"]
    assert container["args"] == [
        "record",
        *("--service", "vision/detector"),
        *("--store", "s3://artifacts/vision"),
        *("--name", "iris"),
        *("--every", "10"),
    ]
    assert container["image"] == ARGS["fetcher_image"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_it_reads_the_one_rollout_and_changes_nothing_in_the_cluster(made):
    engine = made(recorder=HERE)
    assert engine.one("Role")["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "resourceNames": ["detector"], "verbs": ["get"]},
        {"apiGroups": ["argoproj.io"], "resources": ["analysisruns"], "verbs": ["list"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
    ]
    (subject,) = engine.one("RoleBinding")["subjects"]
    assert (subject["kind"], subject["name"], subject["namespace"]) == ("ServiceAccount", "detector-recorder", "vision")
    pod = deployment(engine)["template"]["spec"]
    assert pod["serviceAccountName"] == "detector-recorder"


def test_its_token_ends_after_an_hour_and_lies_where_the_program_is_told(made):
    pod = deployment(made(recorder=HERE))["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    (folder,) = (each["value"] for each in container["env"] if each["name"] == "FALAJ_CLUSTER_FOLDER")
    assert {"name": "cluster", "mountPath": folder, "readOnly": True} in container["volumeMounts"]
    (volume,) = (each["projected"]["sources"] for each in pod["volumes"] if each["name"] == "cluster")
    assert volume[0] == {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    assert volume[1]["configMap"]["name"] == "kube-root-ca.crt"


def test_it_reaches_the_api_server_and_the_store_and_nobody_reaches_it(made):
    policies = {each["metadata"]["name"]: each["spec"] for each in made(recorder=HERE).all("NetworkPolicy")}
    spec = policies["detector-recorder"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    ways = [(rule["to"][0]["ipBlock"]["cidr"], rule["ports"][0]["port"]) for rule in spec["egress"]]
    assert ways == [("10.20.4.0/24", 443), ("10.20.8.0/24", 443)]
    # Its labels are not those of the service, to which the gateway leads.
    assert spec["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "model-recorder",
        "app.kubernetes.io/instance": "detector",
    }


def test_in_aws_it_adds_to_the_audit_log_and_reads_no_model(made):
    engine = made(recorder=IN_AWS)
    association = engine.one("PodIdentityAssociation")
    assert (association["namespace"], association["serviceAccount"]) == ("vision", "detector-recorder")
    (trusted,) = json.loads(
        next(each["assumeRolePolicy"] for each in engine.all("Role") if "assumeRolePolicy" in each)
    )["Statement"]
    assert trusted["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] == ["detector-recorder"]
    lists, reads, writes, opens = json.loads(engine.one("RolePolicy")["policy"])["Statement"]
    assert lists["Condition"] == {"StringLike": {"s3:prefix": "vision/iris/audit/*"}}
    assert (reads["Action"], reads["Resource"]) == (["s3:GetObject"], "arn:aws:s3:::artifacts/vision/iris/audit/*")
    assert (writes["Action"], writes["Resource"]) == (["s3:PutObject"], reads["Resource"])
    # Only on the condition that the number is free.
    assert writes["Condition"] == {"Null": {"s3:if-none-match": "false"}}
    assert opens["Condition"]["StringEquals"] == {"kms:ViaService": "s3.me-central-1.amazonaws.com"}
    ways = {each["metadata"]["name"]: each["spec"] for each in engine.all("NetworkPolicy")}["detector-recorder"]
    assert ways["egress"][-1] == {
        "to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}],
        "ports": [{"protocol": "TCP", "port": 80}],
    }


def test_without_a_strategy_nobody_decides_and_nothing_is_written_down(made):
    engine = made(without=("strategy",))
    assert [each["metadata"]["name"] for each in engine.all("Deployment")] == ["detector"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {},
            "recorder must be given for a published model with a strategy, or unrecorded be true: Argo forgets why"
            " (got None)",
        ),
        (
            {"recorder": HERE, "unrecorded": True},
            "unrecorded must be left out where recorder is given (got True)",
        ),
        (
            {"recorder": {"api_server_cidrs": []}},
            "recorder.api_server_cidrs must name at least one address range (got [])",
        ),
        (
            {"recorder": {"api_server_cidrs": ["0.0.0.0/0"]}},
            "recorder.api_server_cidrs must be endpoints' addresses, at most a /16 each (got '0.0.0.0/0')",
        ),
        (
            {"recorder": {**HERE, "every_seconds": 1}},
            "recorder.every_seconds must be a whole number from 5 to 3600 seconds (got 1)",
        ),
        (
            {"recorder": IN_AWS, "without": ("store",), "model_repository": "s3://artifacts/vision"},
            "recorder.identity must be left out unless store says which bucket it is for"
            " (got ['cluster', 'regime', 'key'])",
        ),
        (
            {"recorder": {**HERE, "identity": {**IN_AWS["identity"], "boundary": "none"}}},
            "recorder.identity.boundary must be the ARN of a policy of the account, such as policy_arn of a RegionGuard"
            " that is a boundary (got 'none')",
        ),
        (
            {"recorder": HERE, "without": ("strategy",)},
            "recorder must be left out unless a strategy decides over a published model"
            " (got {'api_server_cidrs': ['10.20.4.0/24']})",
        ),
    ],
)
def test_a_decision_is_not_left_unrecorded_by_mistake(made, change, message):
    with pytest.raises(ConfigError) as refused:
        made(**change)
    assert str(refused.value) == f"detector.{message}"


def test_a_decision_may_be_left_to_others_to_record_if_that_is_said(made):
    assert made(unrecorded=True).all("Deployment") == []


@pytest.mark.parametrize(("digest", "said"), [(None, 1), (DIGEST, 0)])
def test_a_first_version_that_a_rollback_would_not_find_again_is_told(made, monkeypatch, digest, said):
    warned = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, resource: warned.append(text))
    made(recorder=HERE, **({"digest": digest} if digest else {}))
    assert len(warned) == said
    assert all(each.startswith("detector.digest is not said: ") for each in warned)
