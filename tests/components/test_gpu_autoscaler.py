"""GpuAutoscaler: the named node groups and nothing else in AWS, restricted pods, a policy that is checked first."""

import json
from typing import Any

import pulumi
import pytest
from component_samples import CLUSTER, NETWORK, OWNERSHIP, REGIME

from falaj.components import ConfigError, GpuAutoscaler
from falaj.components.controller_pod import lease_rules
from falaj.components.gpu_autoscaler import autoscaler_permissions, cluster_rules

POOL = {
    "pool_name": "gpu",
    "node_labels": {"pool": "gpu"},
    "resource": "nvidia.com/gpu",
    "max_gpus": 32,
    "gpu_model": "H200",
}
PRICED = {"pool": POOL, "gpus_per_node": 8, "usd_per_node_hour": 98.5}
ARGS: dict[str, Any] = {
    "cluster": CLUSTER,
    "network": NETWORK,
    "pools": [PRICED],
    "image": "registry.example/falaj/scheduler@sha256:" + "0123456789abcdef" * 4,
    "regime": REGIME,
    "ownership": OWNERSHIP,
}


@pytest.fixture
def made(run, engine, providers):
    def make(change=None):
        run(lambda: GpuAutoscaler("autoscaler", {**ARGS, **(change or {})}, providers()).policy)
        return engine

    return make


@pytest.fixture
def told(run, engine, providers):
    """What the autoscaler is told."""

    def tell(change=None):
        return json.loads(run(lambda: GpuAutoscaler("autoscaler", {**ARGS, **(change or {})}, providers()).policy))

    return tell


BOUNDARY = "arn:aws:iam::123456789012:policy/test-region-guard"


@pytest.mark.parametrize("later", [False, True])
def test_its_role_carries_its_boundary(made, later):
    role = made({"permissions_boundary": pulumi.Output.from_input(BOUNDARY) if later else BOUNDARY})
    assert [each["permissionsBoundary"] for each in role.all("Role") if "assumeRolePolicy" in each] == [BOUNDARY]


def test_without_a_boundary_its_role_is_bound_by_its_policy_alone(made):
    assert not [args for args in made().made if "permissionsBoundary" in args.inputs]


def test_a_boundary_that_is_no_policy_of_the_account_is_refused(made):
    with pytest.raises(ConfigError, match=r"^autoscaler\.permissions_boundary must be the ARN of a policy"):
        made({"permissions_boundary": "arn:aws:iam::aws:policy/AdministratorAccess"})


def test_it_is_told_its_pools_with_secure_defaults(told):
    assert told() == {
        "cluster": "falaj-test",
        "pools": {
            "gpu": {
                "resource": "nvidia.com/gpu",
                "units_per_node": 8,
                "usd_per_node_hour": 98.5,
                "spare_nodes": 0,
            }
        },
        "idle_seconds": 600,
        "cooldown_seconds": 120,
        "step_nodes": 20,
        "shrink": "terminate",
    }


def test_what_is_said_of_tiers_and_budgets_is_told(told):
    found = told(
        {
            "pools": [{**PRICED, "usd_per_hour": 300, "spare_nodes": 1, "flavor": "h200"}],
            "tiers": {"batch": {"grows": True, "after_seconds": 60}},
            "usd_per_hour": 900,
            "tenant_budgets": {"vision": 200},
            "cost_centre_budgets": {"cc-1": 400},
            "give_back": "resize",
        }
    )
    assert found["pools"]["gpu"]["usd_per_hour"] == 300
    assert found["pools"]["gpu"]["flavor"] == "h200"
    assert found["tiers"] == {"batch": {"grows": True, "after_seconds": 60}}
    assert (found["usd_per_hour"], found["tenants"], found["cost_centres"]) == (900, {"vision": 200}, {"cc-1": 400})
    assert found["shrink"] == "resize"


def test_the_autoscaler_reads_the_policy_that_the_component_writes(told):
    scheduler = pytest.importorskip("falaj.scheduler.autoscale_policy")
    policy = scheduler.parse_policy(told({"tenant_budgets": {"vision": 200}}))
    assert policy.pools["gpu"].units_per_node == 8
    assert policy.pools["gpu"].node_group == "gpu"
    assert policy.tenants == {"vision": 200}


def test_its_role_sizes_the_named_node_groups_and_ends_their_instances_only():
    size, look, end = autoscaler_permissions(REGIME, "falaj-test", ["gpu", "mig"])["Statement"]
    assert size["Action"] == ["eks:DescribeNodegroup", "eks:UpdateNodegroupConfig"]
    assert size["Resource"] == [
        f"arn:aws:eks:me-central-1:123456789012:nodegroup/falaj-test/{pool}/*" for pool in ("gpu", "mig")
    ]
    assert look["Action"] == ["autoscaling:DescribeAutoScalingGroups"]
    assert end["Action"] == ["autoscaling:TerminateInstanceInAutoScalingGroup"]
    assert end["Resource"].endswith(":autoScalingGroupName/eks-*")
    assert end["Condition"]["StringEquals"] == {
        "aws:ResourceTag/eks:cluster-name": "falaj-test",
        "aws:ResourceTag/eks:nodegroup-name": ["gpu", "mig"],
    }


def test_only_its_service_account_gets_the_role(made):
    engine = made()
    (trust,) = [json.loads(role["assumeRolePolicy"]) for role in engine.all("Role") if "assumeRolePolicy" in role]
    condition = trust["Statement"][0]["Condition"]["StringEquals"]
    assert condition["aws:RequestTag/kubernetes-service-account"] == ["gpu-autoscaler"]
    assert condition["aws:RequestTag/kubernetes-namespace"] == "falaj-system"
    identity = engine.one("PodIdentityAssociation")
    assert (identity["namespace"], identity["serviceAccount"]) == ("falaj-system", "gpu-autoscaler")


def test_in_the_cluster_it_reads_work_marks_nodes_and_tells(made):
    verbs = {
        (resource, verb)
        for rule in cluster_rules()
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if verb not in ("get", "list", "watch")
    }
    assert verbs == {("nodes", "patch"), ("events", "create"), ("events", "patch")}
    create, hold = lease_rules("gpu-autoscaler")
    assert create["verbs"] == ["create"]
    assert (hold["resource_names"], hold["verbs"]) == (["gpu-autoscaler"], ["get", "update"])
    binding = made().one("ClusterRoleBinding")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "gpu-autoscaler", "namespace": "falaj-system"}]


def test_the_pods_are_restricted_and_have_a_short_lived_token(made):
    engine = made()
    spec = engine.one("Deployment")["spec"]
    assert spec["replicas"] == 2
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    tokens = next(volume for volume in pod["volumes"] if volume["name"] == "token")["projected"]["sources"]
    assert tokens[0]["serviceAccountToken"]["expirationSeconds"] == 3600
    assert container["args"][:2] == ["autoscale", "--policy=/etc/falaj/policy.json"]
    assert container["env"] == [{"name": "AWS_REGION", "value": "me-central-1"}]


def test_a_changed_policy_makes_the_pods_anew(made):
    made()
    marks = [
        each["spec"]["template"]["metadata"]["annotations"]["falaj.dev/policy"]
        for each in made({"idle_seconds": 900}).all("Deployment")
    ]
    assert len(set(marks)) == 2


def test_it_reaches_the_network_and_the_identity_agent_and_only_metrics_are_asked_for(made):
    spec = made().one("NetworkPolicy")["spec"]
    assert [port["port"] for rule in spec["ingress"] for port in rule["ports"]] == [9441]
    blocks = [to["ipBlock"]["cidr"] for rule in spec["egress"] for to in rule["to"] if "ipBlock" in to]
    assert blocks == ["10.20.0.0/16", "169.254.170.23/32"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pools": []}, "autoscaler.pools must name at least one pool (got [])"),
        ({"pools": [PRICED, PRICED]}, "autoscaler.pools must name each pool once (got ['gpu', 'gpu'])"),
        (
            {"pools": [{**PRICED, "gpus_per_node": 5}]},
            "autoscaler.pools[0].gpus_per_node must divide the 32 that the pool has at its largest (got 5)",
        ),
        (
            {"pools": [{**PRICED, "usd_per_node_hour": -1}]},
            "autoscaler.pools[0].usd_per_node_hour must be a number, 0 or more (got -1)",
        ),
        (
            {"tiers": {"urgent": {"grows": True}}},
            "autoscaler.tiers must be among the tiers interactive, production, batch, scavenger (got 'urgent')",
        ),
        ({"tenant_budgets": {"v": -2}}, "autoscaler.tenant_budgets.v must be a number, 0 or more (got -2)"),
        ({"idle_seconds": 5}, "autoscaler.idle_seconds must be a whole number from 30 to 86400 seconds (got 5)"),
        ({"replicas": 0}, "autoscaler.replicas must be a whole number from 1 to 5 (got 0)"),
        (
            {"image": "falaj/scheduler:1"},
            "autoscaler.image must be an image by digest, registry/repository@sha256:<64 hex digits>"
            " (got 'falaj/scheduler:1')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(made, change, message):
    with pytest.raises(ConfigError) as refused:
        made(change)
    assert str(refused.value) == message
