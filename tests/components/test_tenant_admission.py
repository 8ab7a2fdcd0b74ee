"""TenantAdmission: for whom its policies hold. What they refuse is tried on a real API server, in tests/isolation."""

from component_samples import OWNERSHIP

from falaj.components import TenantAdmission


def test_policies_hold_in_every_tenants_namespace_and_refuse_what_they_cannot_decide(run, engine, providers):
    names = run(lambda: TenantAdmission("tenants", {"ownership": OWNERSHIP}, providers()).policies)
    policies = {each["metadata"]["name"]: each["spec"] for each in engine.all("ValidatingAdmissionPolicy")}
    assert set(names) == set(policies) == {"falaj-tenant-pods", "falaj-tenant-jobs", "falaj-tenant-services"}
    for spec in policies.values():
        assert spec["failurePolicy"] == "Fail"
        (tenants,) = spec["matchConstraints"]["namespaceSelector"]["matchExpressions"]
        assert tenants == {"key": "falaj.dev/tenant", "operator": "Exists"}
        assert all(rule["operations"] == ["CREATE", "UPDATE"] for rule in spec["matchConstraints"]["resourceRules"])
        assert all(each["message"] and each["reason"] == "Forbidden" for each in spec["validations"])


def test_each_policy_is_bound_and_denies(run, engine, providers):
    run(lambda: TenantAdmission("tenants", {"ownership": OWNERSHIP}, providers()).policies)
    bindings = engine.all("ValidatingAdmissionPolicyBinding")
    assert {each["spec"]["policyName"] for each in bindings} == {
        "falaj-tenant-pods",
        "falaj-tenant-jobs",
        "falaj-tenant-services",
    }
    assert all(each["spec"]["validationActions"] == ["Deny", "Audit"] for each in bindings)
