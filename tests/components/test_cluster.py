"""Cluster: a private control plane, its kubeconfig, its refusals."""

import json

import pytest
from component_samples import KEY, NETWORK, OWNERSHIP, REGIME

from falaj.components import Cluster, ConfigError
from falaj.components.cluster import exec_kubeconfig, read_kubeconfig

ARGS = {"version": "1.35", "network": NETWORK, "key": KEY, "regime": REGIME, "ownership": OWNERSHIP}


def test_the_api_is_private_its_logs_complete_and_its_creator_no_administrator(run, engine, providers):
    run(lambda: Cluster("cluster", ARGS, providers()).arn)
    cluster = engine.one("Cluster")
    assert cluster["vpcConfig"] == {
        "subnetIds": ["subnet-a", "subnet-b"],
        "endpointPrivateAccess": True,
        "endpointPublicAccess": False,
    }
    assert cluster["enabledClusterLogTypes"] == ["api", "audit", "authenticator", "controllerManager", "scheduler"]
    assert cluster["encryptionConfig"] == {"provider": {"keyArn": KEY["arn"]}, "resources": ["secrets"]}
    assert cluster["accessConfig"] == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    assert cluster["upgradePolicy"] == {"supportType": "STANDARD"}


def test_the_log_group_is_there_before_the_cluster_encrypted_and_kept(run, engine, providers):
    run(lambda: Cluster("cluster", ARGS, providers()).arn)
    names = [args.name for args in engine.made]
    assert names.index("cluster-logs") < names.index("cluster-cluster")
    group = engine.one("LogGroup")
    assert (group["name"], group["kmsKeyId"], group["retentionInDays"]) == (
        "/aws/eks/cluster/cluster",
        KEY["arn"],
        365,
    )


def test_only_eks_for_this_account_assumes_the_role_and_only_one_key_is_in_its_reach(run, engine, providers):
    run(lambda: Cluster("cluster", ARGS, providers()).arn)
    (trust,) = json.loads(engine.one("Role")["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "eks.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    (permission,) = json.loads(engine.one("RolePolicy")["policy"])["Statement"]
    assert permission["Resource"] == KEY["arn"]


def test_administrators_are_named_one_by_one(run, engine, providers):
    roles = ["arn:aws:iam::123456789012:role/platform", "arn:aws:iam::123456789012:role/emergency"]
    run(lambda: Cluster("cluster", {**ARGS, "administrators": roles}, providers()).arn)
    assert sorted(entry["principalArn"] for entry in engine.all("AccessEntry")) == sorted(roles)
    assert sorted(entry["principalArn"] for entry in engine.all("AccessPolicyAssociation")) == sorted(roles)


def test_nobody_is_an_administrator_by_default(run, engine, providers):
    run(lambda: Cluster("cluster", ARGS, providers()).arn)
    assert engine.all("AccessEntry") == []


def test_the_kubeconfig_holds_no_secret_but_asks_aws_for_a_token(run, providers):
    kubeconfig, ref = run(
        lambda: (cluster := Cluster("cluster", ARGS, providers())) and [cluster.kubeconfig, cluster.ref]
    )
    assert json.loads(kubeconfig) == exec_kubeconfig("cluster", "https://eks.example", "UEVN", "me-central-1")
    (user,) = json.loads(kubeconfig)["users"]
    assert set(user["user"]) == {"exec"}
    assert (ref["endpoint"], ref["certificate_authority"]) == ("https://eks.example", "PEM")


def test_in_the_lab_the_labs_api_server_stands_in(run, engine, providers, kubeconfig):
    found, ref = run(
        lambda: (
            (cluster := Cluster("cluster", {**ARGS, "kubeconfig_path": kubeconfig}, providers()))
            and [cluster.kubeconfig, cluster.ref]
        )
    )
    assert found == kubeconfig
    assert (ref["endpoint"], ref["certificate_authority"]) == ("https://127.0.0.1:7443", "LAB CA")
    assert engine.made[-1].typ == "pulumi:providers:kubernetes"
    assert engine.made[-1].inputs["kubeconfig"] == kubeconfig


def test_a_kubeconfig_without_a_certificate_authority_is_refused(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text("current-context: lab\ncontexts: []\nclusters: []\n")
    for wrong in (path, tmp_path / "absent"):
        with pytest.raises(ConfigError, match=r"cluster\.kubeconfig_path must be a readable kubeconfig"):
            read_kubeconfig("cluster.kubeconfig_path", str(wrong))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "1.20"}, "cluster.version must be a Kubernetes version such as 1.34 or newer (got '1.20')"),
        ({"version": "latest"}, "cluster.version must be a Kubernetes version such as 1.34 or newer (got 'latest')"),
        (
            {"log_days": 13},
            "cluster.log_days must be a retention that CloudWatch offers, such as 14 days (got 13)",
        ),
        (
            {"cluster_name": "Falaj"},
            "cluster.cluster_name must be lower-case letters, digits and hyphens, start with a letter,"
            " at most 100 long (got 'Falaj')",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: Cluster("cluster", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
