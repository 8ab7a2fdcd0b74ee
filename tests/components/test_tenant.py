"""Tenant: closed, bounded, answerable; its roles and its Vault policy."""

import pulumi
import pytest
from component_samples import OWNERSHIP, QUEUES, VAULT

from falaj.components import ConfigError, Tenant
from falaj.components.tenant_bounds import forbidden_priorities, tenant_quota
from falaj.components.tenant_roles import Role, role_rules
from falaj.components.tiers import Tier

ARGS = {"ownership": OWNERSHIP, "gpus": 4}
BOUNDS = ("resourcequotas", "limitranges", "networkpolicies", "serviceaccounts", "localqueues", "workloads")


def granted(role):
    return {
        (group, resource, verb)
        for rule in role_rules(role)
        for group in rule["api_groups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("role", list(Role))
def test_no_role_has_a_wildcard_or_changes_the_tenants_bounds(role):
    for group, resource, verb in granted(role):
        assert "*" not in (group, resource, verb)
        if resource in BOUNDS:
            assert verb in ("get", "list", "watch")
        assert resource not in ("roles", "rolebindings", "serviceaccounts/token", "pods/binding", "pods/attach")


def test_each_role_includes_the_one_before():
    assert granted(Role.VIEWER) < granted(Role.DEVELOPER) < granted(Role.OPERATOR)


def test_only_operators_see_secrets_or_enter_pods():
    for role in (Role.VIEWER, Role.DEVELOPER):
        assert not {resource for _, resource, _ in granted(role)} & {"secrets", "pods/exec", "pods/portforward"}


def test_the_quota_bounds_gpus_and_lets_nothing_out_of_the_cluster():
    quota = tenant_quota(4, 64, "256Gi", 200)
    assert quota["requests.nvidia.com/gpu"] == "4"
    assert quota["services.loadbalancers"] == quota["services.nodeports"] == "0"


def test_the_namespace_refuses_pods_that_are_not_restricted(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    labels = engine.one("Namespace")["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "latest"
    assert (labels["owner"], labels["classification"]) == ("ml-platform", "restricted")


def test_nothing_goes_in_or_out_but_name_resolution(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    policies = {policy["metadata"]["name"]: policy for policy in engine.all("NetworkPolicy")}
    deny, dns = policies.pop("default-deny"), policies.pop("allow-dns")
    assert not policies
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (rule,) = dns["spec"]["egress"]
    assert [(port["protocol"], port["port"]) for port in rule["ports"]] == [("UDP", 53), ("TCP", 53)]
    assert dns["spec"]["policyTypes"] == ["Egress"]


def test_no_service_account_puts_its_token_into_pods_unasked(run, engine, providers):
    names = run(
        lambda: Tenant("vision", {**ARGS, "service_accounts": ["trainer", "server"]}, providers()).service_accounts
    )
    accounts = engine.all("ServiceAccount")
    assert names == ["trainer", "server"]
    assert {account["metadata"]["name"] for account in accounts} == {"default", "trainer", "server"}
    assert not any(account["automountServiceAccountToken"] for account in accounts)


def test_roles_are_bound_to_named_groups(run, engine, providers):
    run(lambda: Tenant("vision", {**ARGS, "operators": "sre"}, providers()).namespace)
    bound = {
        binding["roleRef"]["name"]: [(subject["kind"], subject["name"]) for subject in binding["subjects"]]
        for binding in engine.all("RoleBinding")
    }
    assert bound == {
        "tenant-viewer": [("Group", "vision-viewers")],
        "tenant-developer": [("Group", "vision-developers")],
        "tenant-operator": [("Group", "sre")],
    }


def test_everybody_sees_where_work_stands_in_the_queue():
    assert {("kueue.x-k8s.io", "workloads", "list"), ("kueue.x-k8s.io", "localqueues", "get")} <= granted(Role.VIEWER)


def test_a_department_s_operators_look_at_the_teams_work_and_no_more(run, engine, providers):
    run(lambda: Tenant("vision", {**ARGS, "department": "research"}, providers()).namespace)
    assert engine.one("Namespace")["metadata"]["labels"]["falaj.dev/department"] == "research"
    (binding,) = [each for each in engine.all("RoleBinding") if each["metadata"]["name"] == "department-viewer"]
    assert binding["roleRef"]["name"] == "tenant-viewer"
    assert [each["name"] for each in binding["subjects"]] == ["research-operators"]


def test_a_namespace_says_whose_it_is_and_which_tiers_its_work_may_name(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    labels = engine.one("Namespace")["metadata"]["labels"]
    assert labels["falaj.dev/tenant"] == "vision"
    tiers = {label for label in labels if label.startswith("tier.falaj.dev/")}
    assert tiers == {"tier.falaj.dev/batch", "tier.falaj.dev/scavenger"}
    assert "falaj.dev/department" not in labels


def test_no_pod_has_a_priority_of_kubernetes_own_or_of_another_tier(run, engine, providers):
    forbidden = forbidden_priorities([Tier.BATCH, Tier.SCAVENGER])
    assert forbidden == ["system-cluster-critical", "system-node-critical", "interactive", "production"]
    run(lambda: Tenant("vision", {**ARGS, "tiers": list(Tier)}, providers()).namespace)
    (quota,) = [each for each in engine.all("ResourceQuota") if each["metadata"]["name"] == "tenant-priorities"]
    (scope,) = quota["spec"]["scopeSelector"]["matchExpressions"]
    assert quota["spec"]["hard"] == {"pods": "0"}
    assert (scope["scopeName"], scope["operator"]) == ("PriorityClass", "In")
    assert scope["values"] == ["system-cluster-critical", "system-node-critical"]


def test_work_that_names_no_queue_waits_in_the_tenants_own(run, engine, providers):
    run(lambda: Tenant("vision", {**ARGS, "queues": QUEUES}, providers()).namespace)
    queue = engine.one("LocalQueue")
    assert queue["apiVersion"] == "kueue.x-k8s.io/v1beta2"
    assert (queue["metadata"]["name"], queue["metadata"]["namespace"]) == ("default", "vision")
    assert queue["spec"] == {"clusterQueue": "vision"}


def test_queues_that_are_known_later_are_checked_then(run, engine, providers):
    later = pulumi.Output.from_input({**QUEUES, "queues": {"speech": "speech"}})
    with pytest.raises(Exception, match=r"vision\.queues must have a queue for vision"):
        run(lambda: Tenant("vision", {**ARGS, "queues": later}, providers()).namespace)


def test_a_container_has_a_maximum_where_one_is_asked_for(run, engine, providers):
    run(lambda: Tenant("vision", {**ARGS, "largest_cpus": 16, "largest_memory": "64Gi"}, providers()).namespace)
    (limits,) = engine.one("LimitRange")["spec"]["limits"]
    assert limits["max"] == {"cpu": "16", "memory": "64Gi"}
    assert limits["default"] == {"cpu": "16", "memory": "1Gi"}


def test_without_a_maximum_a_container_may_take_the_tenants_whole_share(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    (limits,) = engine.one("LimitRange")["spec"]["limits"]
    assert "max" not in limits
    assert limits["default"] == {"memory": "1Gi"}


def test_vault_lets_in_the_tenants_own_service_accounts_for_minutes(run, engine, providers):
    run(lambda: Tenant("vision", {**ARGS, "vault": VAULT}, providers()).namespace)
    role = engine.one("AuthBackendRole")
    assert (role["backend"], role["roleName"]) == ("test-kubernetes", "vision")
    assert role["boundServiceAccountNames"] == ["workload"]
    assert role["boundServiceAccountNamespaces"] == ["vision"]
    assert role["tokenPolicies"] == ["test-workload"]
    assert role["tokenNoDefaultPolicy"] is True
    assert role["audience"] == "vault"
    assert (role["tokenTtl"], role["tokenMaxTtl"]) == (15 * 60, 60 * 60)


def test_each_stage_logs_in_as_itself(run, engine, providers):
    stages = {"train": ["trainer"], "serve": ["server", "canary"]}
    args = {**ARGS, "vault": VAULT, "service_accounts": [], "stages": stages}
    names = run(lambda: Tenant("vision", args, providers()).service_accounts)
    assert names == ["trainer", "server", "canary"]
    logins = {
        role["roleName"]: (role["boundServiceAccountNames"], role["tokenPolicies"])
        for role in engine.all("AuthBackendRole")
    }
    assert logins == {
        "vision.train": (["trainer"], ["test-train"]),
        "vision.serve": (["server", "canary"], ["test-serve"]),
    }


def test_each_classification_has_a_key_that_never_leaves_vault_and_survives_the_tenant(run, engine, providers):
    args = {**ARGS, "vault": VAULT, "classification": "restricted", "data": ["internal", "restricted"]}
    run(lambda: Tenant("vision", args, providers()).namespace)
    keys = {key["name"]: key for key in engine.all("SecretBackendKey")}
    assert keys.keys() == {"vision.internal", "vision.restricted"}
    for key in keys.values():
        assert (key["exportable"], key["allowPlaintextBackup"], key["deletionAllowed"]) == (False, False, False)
        assert key["autoRotatePeriod"] == 30 * 24 * 3600
        assert "minDecryptionVersion" not in key


def test_its_services_get_certificates_of_their_own_names_for_a_day(run, engine, providers):
    run(lambda: Tenant("vision", {**ARGS, "vault": VAULT}, providers()).namespace)
    role = engine.one("SecretBackendRole")
    assert (role["backend"], role["name"]) == ("test-pki", "vision")
    assert role["allowedDomains"] == ["vision.svc"]
    assert role["allowSubdomains"] is True
    too_much = ("AnyName", "BareDomains", "GlobDomains", "IpSans", "Localhost", "WildcardCertificates")
    assert not any(role[f"allow{what}"] for what in too_much)
    assert (role["keyType"], role["keyBits"], role["serverFlag"], role["clientFlag"]) == ("ec", 256, True, True)
    assert role["maxTtl"] == role["ttl"] == str(24 * 3600)


def test_without_a_vault_nothing_is_made_there(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    assert not [args for args in engine.made if args.typ.startswith("vault:")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gpus": -1}, "vision.gpus must be a whole number from 0 to 100000 (got -1)"),
        ({"gpus": 1.5}, "vision.gpus must be a whole number from 0 to 100000 (got 1.5)"),
        (
            {"stages": {"deploy": ["a"]}},
            "vision.stages must be among prepare, train, evaluate, serve (got 'deploy')",
        ),
        (
            {"stages": {"train": ["a"], "serve": ["a"]}},
            "vision.stages.serve must be of one stage only, and is in train too (got 'a')",
        ),
        (
            {"stages": {"train": ["workload"]}},
            "vision.stages.train must be of one stage only, and is in service_accounts too (got 'workload')",
        ),
        (
            {"classification": "internal", "data": ["internal", "restricted"]},
            "vision.data must not be above the tenant's own, internal (got 'restricted')",
        ),
        (
            {"tiers": ["gold"]},
            "vision.tiers must be among the tiers scavenger, batch, interactive, production (got 'gold')",
        ),
        ({"tiers": []}, "vision.tiers must name at least one tier, and each once (got [])"),
        (
            {"queues": {**QUEUES, "queues": {"speech": "speech"}}},
            "vision.queues must have a queue for vision: name the tenant with its share there (got ['speech'])",
        ),
        (
            {"department": "Research!"},
            "vision.department must be lower-case letters, digits and hyphens, start with a letter, at most 63 long"
            " (got 'Research!')",
        ),
        (
            {"largest_memory": "512Mi"},
            "vision.largest_memory must be at least 1Gi, which a container gets that says nothing (got '512Mi')",
        ),
        ({"largest_cpus": 0}, "vision.largest_cpus must be a whole number from 1 to 100000 (got 0)"),
        ({"memory": "lots"}, "vision.memory must be an amount of memory such as 512Mi or 64Gi (got 'lots')"),
        (
            {"ownership": {**OWNERSHIP, "owner": "Team Vision!"}},
            "vision.ownership.owner must be 1 to 63 letters, digits, dots, hyphens or underscores, as in a label"
            " (got 'Team Vision!')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: Tenant("vision", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
