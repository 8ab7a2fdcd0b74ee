"""Cluster: a private control plane, its kubeconfig, its refusals."""

import json

import pytest
from component_samples import KEY, NETWORK, OWNERSHIP, REGIME

from falaj.components import Cluster, ConfigError
from falaj.components.cluster import exec_kubeconfig, read_kubeconfig

ARGS = {"version": "1.35", "network": NETWORK, "key": KEY, "regime": REGIME, "ownership": OWNERSHIP}

ROLE = "arn:aws:iam::123456789012:role/vision-developers"


def role(engine, name):
    """Return the inputs of one of the roles."""
    (found,) = [args.inputs for args in engine.made if args.name == name]
    return found


def addons(engine):
    return {addon["addonName"]: addon for addon in engine.all("Addon")}


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


@pytest.mark.parametrize(("said", "kept"), [({}, True), ({"protected": False}, False)])
def test_eks_refuses_to_delete_the_cluster_unless_somebody_said_that_it_may(run, engine, providers, said, kept):
    run(lambda: Cluster("cluster", {**ARGS, **said}, providers()).arn)
    assert engine.one("Cluster")["deletionProtection"] is kept


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
    (trust,) = json.loads(role(engine, "cluster-role")["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "eks.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    (permission,) = json.loads(role(engine, "cluster-role-secrets")["policy"])["Statement"]
    assert permission["Resource"] == KEY["arn"]


def test_administrators_are_named_one_by_one(run, engine, providers):
    roles = ["arn:aws:iam::123456789012:role/platform", "arn:aws:iam::123456789012:role/emergency"]
    run(lambda: Cluster("cluster", {**ARGS, "administrators": roles}, providers()).arn)
    assert sorted(entry["principalArn"] for entry in engine.all("AccessEntry")) == sorted(roles)
    assert sorted(entry["principalArn"] for entry in engine.all("AccessPolicyAssociation")) == sorted(roles)


def test_nobody_is_an_administrator_by_default(run, engine, providers):
    run(lambda: Cluster("cluster", ARGS, providers()).arn)
    assert engine.all("AccessEntry") == []


def test_members_are_in_the_groups_of_their_access_entry_and_administrate_nothing(run, engine, providers):
    members = [{"principal": ROLE, "groups": ["vision:developer"]}]
    run(lambda: Cluster("cluster", {**ARGS, "members": members}, providers()).arn)
    entry = engine.one("AccessEntry")
    assert (entry["principalArn"], entry["kubernetesGroups"]) == (ROLE, ["vision:developer"])
    assert engine.all("AccessPolicyAssociation") == []


def test_the_four_addons_are_there_in_pinned_versions_and_win_over_what_was_changed_by_hand(run, engine, providers):
    run(lambda: Cluster("cluster", ARGS, providers()).arn)
    made = addons(engine)
    assert {name: addon["addonVersion"] for name, addon in made.items()} == {
        "vpc-cni": "v1.22.4-eksbuild.3",
        "coredns": "v1.13.2-eksbuild.21",
        "kube-proxy": "v1.35.3-eksbuild.21",
        "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
    }
    conflicts = {(addon["resolveConflictsOnCreate"], addon["resolveConflictsOnUpdate"]) for addon in made.values()}
    assert conflicts == {("OVERWRITE", "OVERWRITE")}


def test_network_policies_are_enforced_whatever_else_is_set(run, engine, providers):
    wanted = [{"name": "vpc-cni", "settings": {"env": {"ENABLE_PREFIX_DELEGATION": "true"}}}]
    run(lambda: Cluster("cluster", {**ARGS, "addons": wanted}, providers()).arn)
    assert json.loads(addons(engine)["vpc-cni"]["configurationValues"]) == {
        "enableNetworkPolicy": "true",
        "env": {"ENABLE_PREFIX_DELEGATION": "true"},
    }


def test_an_addon_that_calls_aws_has_a_role_that_only_pods_of_this_cluster_get(run, engine, providers):
    wanted = [{"name": "aws-ebs-csi-driver", "key": KEY}, {"name": "aws-efs-csi-driver"}]
    run(lambda: Cluster("cluster", {**ARGS, "addons": wanted}, providers()).arn)
    associated = {
        name: [each["serviceAccount"] for each in addon.get("podIdentityAssociations") or []]
        for name, addon in addons(engine).items()
    }
    assert associated == {
        "vpc-cni": ["aws-node"],
        "coredns": [],
        "kube-proxy": [],
        "eks-pod-identity-agent": [],
        "aws-ebs-csi-driver": ["ebs-csi-controller-sa"],
        "aws-efs-csi-driver": ["efs-csi-controller-sa"],
    }
    (trust,) = json.loads(role(engine, "cluster-vpc-cni-role")["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": "arn:aws:eks:me-central-1:123456789012:cluster/cluster"},
    }
    use, grant = json.loads(role(engine, "cluster-aws-ebs-csi-driver-role-key")["policy"])["Statement"]
    assert use["Resource"] == grant["Resource"] == KEY["arn"]
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    (looks,) = json.loads(role(engine, "cluster-aws-efs-csi-driver-role-looks")["policy"])["Statement"]
    assert all(action.split(":")[1].startswith("Describe") for action in looks["Action"])


def test_an_addon_s_version_may_be_named_where_none_is_pinned(run, engine, providers):
    wanted = [{"name": "aws-fsx-csi-driver", "version": "v1.8.0-eksbuild.1"}]
    run(lambda: Cluster("cluster", {**ARGS, "addons": wanted}, providers()).arn)
    assert addons(engine)["aws-fsx-csi-driver"]["addonVersion"] == "v1.8.0-eksbuild.1"


@pytest.mark.parametrize(
    ("day", "warning"),
    [
        ("2027-01-25", None),
        (
            "2027-01-26",
            "cluster.version: EKS's standard support of 1.35 ends on 2027-03-27, in 60 days; plan the upgrade to 1.36",
        ),
    ],
)
def test_sixty_days_before_the_end_of_support_the_cluster_is_warned_of_it(run, providers, monkeypatch, day, warning):
    told = []
    monkeypatch.setattr("pulumi.log.warn", lambda message, *_: told.append(message))
    run(lambda: Cluster("cluster", {**ARGS, "as_of": day}, providers()).arn)
    assert told == ([warning] if warning else [])


def test_what_stands_in_for_eks_serves_an_old_version_with_a_warning(run, providers, kubeconfig, monkeypatch):
    told = []
    monkeypatch.setattr("pulumi.log.warn", lambda message, *_: told.append(message))
    args = {**ARGS, "as_of": "2027-04-01", "kubeconfig_path": kubeconfig}
    run(lambda: Cluster("cluster", args, providers()).arn)
    assert told == [
        "cluster.version: EKS's standard support of 1.35 ended on 2027-03-27; the API server that stands in serves it"
    ]


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
    (provider,) = [args for args in engine.made if args.name == "cluster-kubernetes"]
    assert (provider.typ, provider.inputs["kubeconfig"]) == ("pulumi:providers:kubernetes", kubeconfig)


def test_a_kubeconfig_without_a_certificate_authority_is_refused(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text("current-context: lab\ncontexts: []\nclusters: []\n")
    for wrong in (path, tmp_path / "absent"):
        with pytest.raises(ConfigError, match=r"cluster\.kubeconfig_path must be a readable kubeconfig"):
            read_kubeconfig("cluster.kubeconfig_path", str(wrong))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"version": "latest"},
            "cluster.version must be a Kubernetes version that kubernetes_versions.toml knows: 1.30, 1.31, 1.32, 1.33,"
            " 1.34, 1.35, 1.36 (got 'latest')",
        ),
        (
            {"version": "1.33"},
            "cluster.version must be 1.34 or newer: EKS's standard support of 1.33 ended on 2026-07-29."
            " A cluster goes up one minor version at a time (got '1.33')",
        ),
        (
            {"as_of": "2027-03-27"},
            "cluster.version must be 1.36 or newer: EKS's standard support of 1.35 ended on 2027-03-27."
            " A cluster goes up one minor version at a time (got '1.35')",
        ),
        (
            {"as_of": "2030-01-01"},
            "cluster.version must be a version in EKS's standard support, and kubernetes_versions.toml knows none on"
            " 2030-01-01: bring it up to date (got '1.35')",
        ),
        ({"as_of": "soon"}, "cluster.as_of must be a date such as 2027-01-31 (got 'soon')"),
        (
            {"addons": [{"name": "aws-fsx-csi-driver"}]},
            "cluster.addons[0].version must name the version of aws-fsx-csi-driver for Kubernetes 1.35, for which none"
            " is pinned; ask: aws eks describe-addon-versions --addon-name aws-fsx-csi-driver --kubernetes-version 1.35"
            " (got None)",
        ),
        (
            {"version": "1.34"},
            "cluster.addons.version must name the version of eks-pod-identity-agent for Kubernetes 1.34, for which none"
            " is pinned; ask: aws eks describe-addon-versions --addon-name eks-pod-identity-agent"
            " --kubernetes-version 1.34 (got None)",
        ),
        (
            {"addons": [{"name": "coredns", "version": "latest"}]},
            "cluster.addons[0].version must be an add-on's version such as v1.22.4-eksbuild.3 (got 'latest')",
        ),
        ({"addons": [{"name": "coredns"}, {"name": "coredns"}]}, "cluster.addons[1].name must be named once"),
        ({"addons": [{"name": "cilium"}]}, "cluster.addons[0].name must be one of vpc-cni, coredns, kube-proxy"),
        (
            {"addons": [{"name": "coredns", "key": KEY}]},
            "cluster.addons[0].key must be left out for all but aws-ebs-csi-driver (got 'coredns')",
        ),
        (
            {"members": [{"principal": ROLE, "groups": ["system:masters"]}]},
            "cluster.members[0].groups must be groups of your own, whose names do not start with system:",
        ),
        ({"members": [{"principal": ROLE, "groups": []}]}, "cluster.members[0].groups must name at least one group"),
        (
            {"members": [{"principal": ROLE, "groups": ["a"]}], "administrators": [ROLE]},
            "cluster.members[0].principal must be named once, and be no administrator",
        ),
        (
            {"members": [{"principal": "*", "groups": ["a"]}]},
            "cluster.members[0].principal must be ARNs of IAM roles or users without wildcards (got '*')",
        ),
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
    assert str(refused.value).startswith(message)
