"""SecretsVault: keys that stay inside, and login that the cluster itself vouches for."""

import pytest
from component_samples import CLUSTER, OWNERSHIP
from pulumi.runtime import rpc

from falaj.components import ConfigError, PipelineStage, SecretsVault

ARGS = {"cluster": CLUSTER, "ownership": OWNERSHIP}


def test_every_path_begins_with_the_environment(run, engine, providers):
    ref = run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    assert ref == {
        "kubernetes_path": "test-kubernetes",
        "transit_path": "test-transit",
        "kv_path": "test-kv",
        "pki_path": "test-pki",
        "policies": {stage: f"test-{stage}" for stage in ("prepare", "train", "evaluate", "serve", "workload")},
        "service_domains": ["svc", "svc.cluster.local"],
        "certificate_hours": 24,
        "rotation_days": 30,
        "token_minutes": 15,
        "token_longest_minutes": 60,
    }
    paths = {mount["path"]: mount["type"] for mount in engine.all("Mount")}
    assert paths == {
        "test-transit": "transit",
        "test-kv": "kv",
        "test-pki": "pki",
        "test-pki-root": "pki",
        "test-database": "database",
    }


def test_the_platform_key_rotates_and_never_leaves(run, engine, providers):
    run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    key = engine.one("SecretBackendKey")
    assert (key["exportable"], key["allowPlaintextBackup"], key["deletionAllowed"]) == (False, False, False)
    assert key["autoRotatePeriod"] == 30 * 24 * 3600


def test_the_cluster_checks_every_login_by_an_identity_that_can_do_nothing_else(run, engine, providers):
    run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    config = engine.one("AuthBackendConfig")
    assert (config["kubernetesHost"], config["kubernetesCaCert"]) == ("https://127.0.0.1:6443", "PEM")
    binding = engine.one("ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "system:auth-delegator"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "token-reviewer", "namespace": "vault-login"}]


def test_the_namespace_of_logins_holds_no_pod_that_is_not_restricted(run, engine, providers):
    run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    found = engine.one("Namespace")["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert found[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert found[f"pod-security.kubernetes.io/{mode}-version"] == "latest"


def test_the_reviewers_token_is_a_secret_in_the_state(run, engine, providers):
    run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    (config,) = [args for args in engine.made if args.typ.endswith(":AuthBackendConfig")]
    assert rpc.is_rpc_secret(config.inputs["tokenReviewerJwt"])
    assert rpc.unwrap_rpc_secret(config.inputs["tokenReviewerJwt"]) == "reviewer"


def test_the_key_value_mount_keeps_versions(run, engine, providers):
    run(lambda: SecretsVault("vault", {**ARGS, "kv_versions": 3, "kv_check_and_set": True}, providers()).ref)
    mounts = {mount["path"]: mount for mount in engine.all("Mount")}
    assert mounts["test-kv"]["options"] == {"version": "2"}
    settings = engine.one("SecretBackendV2")
    assert (settings["mount"], settings["maxVersions"], settings["casRequired"]) == ("test-kv", 3, True)


def test_tokens_live_for_minutes_whatever_a_role_says(run, engine, providers):
    run(lambda: SecretsVault("vault", {**ARGS, "token_minutes": 5, "token_longest_minutes": 90}, providers()).ref)
    tuned = engine.one("AuthBackend")["tune"]
    assert (tuned["defaultLeaseTtl"], tuned["maxLeaseTtl"]) == ("5m0s", "1h30m0s")
    assert tuned["tokenType"] == "default-service"


def test_one_policy_for_each_stage_serves_every_tenant(run, engine, providers):
    run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    policies = {policy["name"]: policy["policy"] for policy in engine.all("Policy")}
    assert policies.keys() == {f"test-{stage}" for stage in PipelineStage}
    for text in policies.values():
        assert "{{identity.entity.aliases.ACCESSOR.metadata.service_account_namespace}}" in text


def test_a_servers_file_sets_up_audit_devices_unless_told_otherwise(run, engine, providers):
    run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    assert engine.all("Audit") == []


def test_two_audit_devices_stand_before_anything_else(run, engine, providers):
    run(lambda: SecretsVault("vault", {**ARGS, "audit": "resources"}, providers()).ref)
    devices = {device["path"]: device["options"] for device in engine.all("Audit")}
    assert {path: options["file_path"] for path, options in devices.items()} == {
        "file": "/vault/audit/audit.log",
        "stdout": "stdout",
    }
    assert {options["log_raw"] for options in devices.values()} == {"false"}
    made = [args.typ.rpartition(":")[2] for args in engine.made]
    assert max(at for at, kind in enumerate(made) if kind == "Audit") < made.index("Mount")


ONE_DEVICE = [{"path": "file", "file_path": "/a"}]
SAME_FILE = [{"path": "a", "file_path": "/a"}, {"path": "b", "file_path": "/a"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rotation_days": 0}, "vault.rotation_days must be a whole number from 1 to 365 days (got 0)"),
        ({"kv_versions": 101}, "vault.kv_versions must be a whole number from 1 to 100 (got 101)"),
        ({"token_minutes": 61}, "vault.token_minutes must be a whole number from 5 to 60 minutes (got 61)"),
        (
            {"token_minutes": 30, "token_longest_minutes": 20},
            "vault.token_minutes must not be above token_longest_minutes, 20 (got 30)",
        ),
        (
            {"audit_devices": ONE_DEVICE},
            "vault.audit_devices must be left out unless audit is resources: the server's file has them"
            f" (got {ONE_DEVICE!r})",
        ),
        (
            {"audit": "resources", "audit_devices": ONE_DEVICE},
            "vault.audit_devices.path must be two or more, all different: one may fail (got ['file'])",
        ),
        (
            {"audit": "resources", "audit_devices": SAME_FILE},
            "vault.audit_devices.file_path must be two or more, all different: one may fail (got ['/a', '/a'])",
        ),
        ({"certificate_hours": 73}, "vault.certificate_hours must be a whole number from 1 to 72 hours (got 73)"),
        (
            {"root_years": 3, "intermediate_years": 3},
            "vault.intermediate_years must be less than root_years, 3 (got 3)",
        ),
        (
            {"service_domains": ["*.svc"]},
            "vault.service_domains must be domains in lower case without wildcards (got '*.svc')",
        ),
        ({"service_domains": []}, "vault.service_domains must be domains in lower case without wildcards (got '')"),
        (
            {"signed_intermediate": "a certificate"},
            "vault.signed_intermediate must be left out unless root is external (got 'PEM')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, engine, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: SecretsVault("vault", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
    assert engine.all("Mount") == []
