"""SlaScheduler: restricted pods that may change Workloads and nothing else, by the tiers of all components."""

import json

import pytest
from component_samples import NETWORK, OWNERSHIP

from falaj.components import ConfigError, SlaScheduler
from falaj.components.tiers import tiers
from falaj.scheduler.policy import Policy, read_policy

DIGEST = "sha256:" + "0123456789abcdef" * 4
ARGS = {
    "network": NETWORK,
    "image": f"123456789012.dkr.ecr.me-central-1.amazonaws.com/falaj/scheduler@{DIGEST}",
    "ownership": OWNERSHIP,
}


@pytest.fixture
def made(run, engine, providers):
    def make(change=None):
        run(lambda: SlaScheduler("sla", {**ARGS, **(change or {})}, providers()).policy)
        return engine

    return make


def test_it_may_change_workloads_and_nothing_else(made):
    role = made().one("ClusterRole")
    changes = {"create", "update", "patch", "delete"}
    may = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert {each for each in may if each[1] in changes} == {("workloads", "patch"), ("events", "create")}
    assert "*" not in json.dumps(role["rules"])


def test_it_holds_its_own_lease_and_no_other(made):
    rules = made().one("Role")["rules"]
    assert rules[0]["verbs"] == ["create"]
    assert rules[1] == {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": ["falaj-scheduler"],
        "verbs": ["get", "update"],
    }


def test_the_pods_are_restricted_and_have_a_short_token(made):
    engine = made()
    spec = engine.one("Deployment")["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["replicas"] == 2
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["args"][0] == "run"
    assert "--namespace=falaj-system" in container["args"]
    sources = next(each["projected"]["sources"] for each in pod["volumes"] if each["name"] == "token")
    assert sources[0]["serviceAccountToken"]["expirationSeconds"] == 3600
    assert engine.one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert engine.one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_policy_is_one_that_the_scheduler_reads_with_the_tiers_of_all_components(made):
    written = made().one("ConfigMap")["data"]["policy.json"]
    read = read_policy(json.loads(written))
    assert read == Policy(), "the defaults on both sides are the same"
    assert {name: (tier.priority, tier.band, tier.longest_wait_minutes) for name, tier in read.tiers.items()} == {
        tier.value: (rules.priority, rules.band, rules.longest_wait_minutes) for tier, rules in tiers().items()
    }


def test_what_no_policy_names_is_closed_in_the_namespace(made):
    policies = {each["metadata"]["name"]: each["spec"] for each in made().all("NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    way, trainings = policies["sla-scheduler"]["egress"]
    assert way == {"to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}], "ports": [{"protocol": "TCP", "port": 443}]}
    assert trainings["ports"] == [{"protocol": "TCP", "port": 9410}]
    (whose,) = trainings["to"]
    assert whose["podSelector"]["matchExpressions"] == [{"key": "falaj.dev/training", "operator": "Exists"}]
    assert whose["namespaceSelector"]["matchExpressions"] == [{"key": "falaj.dev/tenant", "operator": "Exists"}]


def test_another_policy_is_other_pods(made, engine):
    before = made().one("Deployment")["spec"]["template"]["metadata"]["annotations"]["falaj.dev/policy"]
    engine.made.clear()
    after = made({"rescue": False}).one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert after["falaj.dev/policy"] != before


def test_the_namespace_may_be_anothers(made):
    engine = made({"make_namespace": False, "namespace": "platform"})
    assert not (engine.all("Namespace"))
    assert engine.one("Deployment")["metadata"]["namespace"] == "platform"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"image": "falaj/scheduler:latest"}, "sla.image"),
        ({"replicas": 0}, "sla.replicas"),
        ({"checkpoint_seconds": 0}, "sla.checkpoint_seconds"),
        ({"turn_seconds": 5}, "sla.turn_seconds"),
        ({"namespace": "Falaj System"}, "sla.namespace"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_made(made, engine, change, field):
    with pytest.raises(ConfigError) as refused:
        made(change)
    assert refused.value.field == field
    assert not (engine.all("Deployment"))
