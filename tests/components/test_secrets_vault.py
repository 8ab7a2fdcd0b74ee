"""SecretsVault: keys that stay inside, and login that the cluster itself vouches for."""

import pytest
from component_samples import CLUSTER, OWNERSHIP
from pulumi.runtime import rpc

from falaj.components import ConfigError, SecretsVault

ARGS = {"cluster": CLUSTER, "ownership": OWNERSHIP}


def test_every_path_begins_with_the_environment(run, providers):
    assert run(lambda: SecretsVault("vault", ARGS, providers()).ref) == {
        "kubernetes_path": "test-kubernetes",
        "transit_path": "test-transit",
        "kv_path": "test-kv",
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


def test_the_reviewers_token_is_a_secret_in_the_state(run, engine, providers):
    run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    (config,) = [args for args in engine.made if args.typ.endswith(":AuthBackendConfig")]
    assert rpc.is_rpc_secret(config.inputs["tokenReviewerJwt"])
    assert rpc.unwrap_rpc_secret(config.inputs["tokenReviewerJwt"]) == "reviewer"


def test_the_key_value_mount_keeps_versions(run, engine, providers):
    run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    mounts = {mount["path"]: mount for mount in engine.all("Mount")}
    assert mounts["test-kv"]["options"] == {"version": "2"}
    assert mounts["test-transit"]["type"] == "transit"


def test_a_rotation_that_never_comes_is_refused(run, providers):
    with pytest.raises(ConfigError, match=r"vault\.rotation_days must be a whole number from 1 to 365 days \(got 0\)"):
        run(lambda: SecretsVault("vault", {**ARGS, "rotation_days": 0}, providers()))
