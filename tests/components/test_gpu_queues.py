"""GpuQueues: Kueue's objects from shares, the policies beside them, and what is refused before any exists."""

import pulumi
import pytest
from component_samples import OWNERSHIP

from falaj.components import ConfigError
from falaj.components.gpu_queues import GpuQueues, TopologyLevel
from falaj.components.queue_admission import admission_policies, binding_of
from falaj.components.tiers import Tier, rules_of_tier


def pool(name="h200", gpus=128, resource="nvidia.com/gpu", **more):
    ref = {
        "pool_name": name,
        "node_labels": {"pool": name},
        "resource": resource,
        "max_gpus": gpus,
        "gpu_model": name.upper(),
    }
    return {"name": name, "pool": ref, **more}


def share(nominal, name="h200", **limits):
    return {"pool": name, "nominal": nominal, **limits}


ARGS = {
    "pools": [pool()],
    "tenants": [
        {"name": "vision", "shares": [share(64, lending_limit=48)], "weight": 3},
        {"name": "nlp", "shares": [share(32, borrowing_limit=16)], "department": "research"},
    ],
    "departments": [{"name": "research"}],
    "ownership": OWNERSHIP,
}


def make(providers, **changes):
    return GpuQueues("queues", {**ARGS, **changes}, providers())


def by_name(engine, kind):
    return {each["metadata"]["name"]: each for each in engine.all(kind)}


def quota(queue, resource="nvidia.com/gpu"):
    (group,) = [each for each in queue["spec"]["resourceGroups"] if each["coveredResources"] == [resource]]
    return {
        flavor["name"]: {key: value for key, value in flavor["resources"][0].items() if key != "name"}
        for flavor in group["flavors"]
    }


def test_each_tenant_has_a_queue_of_its_name_with_its_share_and_limits(run, engine, providers):
    assert run(lambda: make(providers).queues) == {"vision": "vision", "nlp": "nlp"}
    queues = by_name(engine, "ClusterQueue")
    assert quota(queues["vision"]) == {"h200": {"nominalQuota": "64", "lendingLimit": "48"}}
    assert quota(queues["nlp"]) == {"h200": {"nominalQuota": "32", "borrowingLimit": "16"}}
    assert {each["apiVersion"] for each in queues.values()} == {"kueue.x-k8s.io/v1beta2"}
    assert queues["vision"]["spec"]["fairSharing"] == {"weight": "3"}
    assert queues["vision"]["metadata"]["labels"]["owner"] == "ml-platform"


def test_a_queue_takes_work_of_the_tenants_own_namespaces_and_no_other(run, engine, providers):
    run(lambda: make(providers).queues)
    selector = by_name(engine, "ClusterQueue")["vision"]["spec"]["namespaceSelector"]
    assert selector == {
        "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["vision"]}]
    }


def test_cohorts_make_one_tree_below_the_root(run, engine, providers):
    departments = [{"name": "lab", "parent": "research"}, {"name": "research", "weight": 2, "shares": [share(8)]}]
    run(lambda: make(providers, departments=departments, common={"h200": 16}).queues)
    cohorts = by_name(engine, "Cohort")
    assert {name: each["spec"].get("parentName") for name, each in cohorts.items()} == {
        "falaj": None,
        "research": "falaj",
        "lab": "research",
    }
    assert quota(cohorts["falaj"]) == {"h200": {"nominalQuota": "16"}}
    assert quota(cohorts["research"]) == {"h200": {"nominalQuota": "8"}}
    assert "resourceGroups" not in cohorts["lab"]["spec"]
    parents = {name: each["spec"]["cohortName"] for name, each in by_name(engine, "ClusterQueue").items()}
    assert parents == {"vision": "falaj", "nlp": "research"}


def test_shares_decide_between_tenants_and_tiers_within_one(run, engine, providers):
    run(lambda: make(providers).queues)
    for queue in engine.all("ClusterQueue"):
        assert queue["spec"]["preemption"] == {
            "withinClusterQueue": "LowerPriority",
            "reclaimWithinCohort": "Any",
            "borrowWithinCohort": {"policy": "Never"},
        }
        assert queue["spec"]["queueingStrategy"] == "BestEffortFIFO"


def test_a_tenant_may_want_its_queue_strict(run, engine, providers):
    tenants = [{"name": "vision", "shares": [share(8)], "queueing": "StrictFIFO"}]
    run(lambda: make(providers, tenants=tenants).queues)
    assert engine.one("ClusterQueue")["spec"]["queueingStrategy"] == "StrictFIFO"


def test_pools_are_ranked_as_the_tenant_ranks_them_and_grouped_by_what_pods_ask_for(run, engine, providers):
    pools = [pool(), pool("a10g", 16), pool("slices", 56, "nvidia.com/mig-1g.18gb")]
    tenants = [{"name": "vision", "shares": [share(8, "a10g"), share(4, "slices"), share(64)]}]
    run(lambda: make(providers, pools=pools, tenants=tenants).queues)
    queue = engine.one("ClusterQueue")
    assert list(quota(queue)) == ["a10g", "h200"]
    assert quota(queue, "nvidia.com/mig-1g.18gb") == {"slices": {"nominalQuota": "4"}}
    assert queue["spec"]["flavorFungibility"] == {
        "whenCanBorrow": "TryNextFlavor",
        "whenCanPreempt": "TryNextFlavor",
        "preference": "BorrowingOverPreemption",
    }


def test_a_pool_is_a_flavor_that_leads_to_its_nodes_and_past_their_taint(run, engine, providers):
    run(lambda: make(providers).queues)
    assert engine.one("ResourceFlavor")["spec"] == {
        "nodeLabels": {"pool": "h200"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    }
    assert not engine.all("Topology")


def test_a_pool_with_levels_has_a_topology(run, engine, providers):
    levels = [TopologyLevel.ZONE, TopologyLevel.NETWORK_3, TopologyLevel.HOST]
    run(lambda: make(providers, pools=[pool(topology=levels)]).queues)
    assert engine.one("Topology")["spec"]["levels"] == [{"nodeLabel": str(level)} for level in levels]
    assert engine.one("ResourceFlavor")["spec"]["topologyName"] == engine.one("Topology")["metadata"]["name"] == "h200"


def test_each_tier_is_a_priority_at_the_base_of_its_band(run, engine, providers):
    run(lambda: make(providers).queues)
    made = by_name(engine, "WorkloadPriorityClass")
    assert {name: each["value"] for name, each in made.items()} == {
        str(tier): rules_of_tier(tier).priority for tier in Tier
    }
    assert all(each["description"] for each in made.values())


def test_what_is_nobodys_and_not_common_is_told(run, providers):
    assert run(lambda: make(providers, common={"h200": 16}).unassigned) == {"h200": 16}


def test_the_reference_tells_queues_departments_and_tiers(run, providers):
    ref = run(lambda: make(providers, tiers=["batch", "production"]).ref)
    assert ref == {
        "queues": {"vision": "vision", "nlp": "nlp"},
        "departments": {"nlp": "research"},
        "tiers": ["batch", "production"],
    }


def test_a_size_that_is_known_late_is_checked_then(run, engine, providers):
    late = pool()
    late["pool"] = pulumi.Output.from_input(late["pool"]).apply(lambda ref: {**ref, "max_gpus": 64})
    with pytest.raises(ValueError, match=r"at its largest, 64: vision 64, nlp 32 \(got 96\)"):
        run(lambda: make(providers, pools=[late]).queues)
    assert not engine.all("ClusterQueue")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"pools": [pool(gpus=64)]},
            "queues.tenants must share out at most what pool h200 has at its largest, 64: vision 64, nlp 32 (got 96)",
        ),
        ({"pools": []}, "queues.pools.name must name at least one pool, and each once (got [])"),
        (
            {"pools": [pool(topology=["rack"])]},
            f"queues.pools.h200.topology must be among {', '.join(TopologyLevel)} (got 'rack')",
        ),
        (
            {"pools": [pool(topology=[str(TopologyLevel.HOST), str(TopologyLevel.ZONE)])]},
            f"queues.pools.h200.topology must be in this order, each once: {', '.join(TopologyLevel)}"
            " (got ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'])",
        ),
        ({"common": {"b200": 1}}, "queues.common must be one of the pools: h200 (got 'b200')"),
        ({"common": {"h200": -1}}, "queues.common.h200 must be a whole number from 0 to 1000000 (got -1)"),
        (
            {"tiers": ["urgent"]},
            "queues.tiers must be among the tiers scavenger, batch, interactive, production (got 'urgent')",
        ),
        (
            {"ownership": {**OWNERSHIP, "owner": "Team Vision!"}},
            "queues.ownership.owner must be 1 to 63 letters, digits, dots, hyphens or underscores, as in a label"
            " (got 'Team Vision!')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, engine, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: make(providers, **change))
    assert str(refused.value) == message
    assert not engine.all("ClusterQueue")


def test_the_policies_hold_in_tenants_namespaces_and_refuse_when_they_cannot_be_judged(run, engine, providers):
    run(lambda: make(providers).queues)
    policies, bindings = (by_name(engine, f"ValidatingAdmissionPolicy{kind}") for kind in ("", "Binding"))
    assert set(policies) == set(bindings) == set(admission_policies(list(Tier), [], []))
    for name, policy in policies.items():
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert bindings[name]["spec"]["policyName"] == name
        assert "Deny" in bindings[name]["spec"]["validationActions"]
    assert binding_of("any")["match_resources"] == {
        "namespace_selector": {"match_expressions": [{"key": "falaj.dev/tenant", "operator": "Exists"}]}
    }


def test_the_policies_know_the_tiers_and_the_platform_that_they_are_told():
    policies = admission_policies([Tier.BATCH], ["slow"], ["kueue"])
    pods = policies["falaj-queues-pods"]
    told = " ".join(str(rule) for rule in [*pods["validations"], *pods["variables"]])
    assert '["batch"]' in told
    assert '["kueue"]' in told
    assert '["", "slow"]' in told
    assert "production" not in told
