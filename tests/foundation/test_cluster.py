"""Cluster on HashiCorp's provider: what EKS holds, an add-on's next version, drift and the end."""

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from examples import Example

pytestmark = pytest.mark.lab
STACKS = Path(__file__).parents[2] / "stacks"
CLUSTER = {"clusterName": "cluster"}
DEVELOPERS = {**CLUSTER, "principalArn": "arn:aws:iam::123456789012:role/vision-developers"}
DEPLOYER = {**CLUSTER, "principalArn": "arn:aws:iam::123456789012:role/platform-deployer"}
DISKS = {**CLUSTER, "addonName": "aws-ebs-csi-driver"}


def check_the_control_plane(eks) -> None:
    cluster = eks.describe_cluster(name="cluster")["cluster"]
    assert (cluster["version"], cluster["upgradePolicy"]) == ("1.35", {"supportType": "STANDARD"})
    access = cluster["resourcesVpcConfig"]
    assert (access["endpointPrivateAccess"], access["endpointPublicAccess"]) == (True, False)
    assert cluster["accessConfig"]["authenticationMode"] == "API"
    (logging,) = [each for each in cluster["logging"]["clusterLogging"] if each["enabled"]]
    assert set(logging["types"]) == {"api", "audit", "authenticator", "controllerManager", "scheduler"}


def check_who_may_use_it(eks) -> None:
    entries = set(eks.list_access_entries(**CLUSTER)["accessEntries"])
    assert entries == {DEVELOPERS["principalArn"], DEPLOYER["principalArn"]}
    assert eks.describe_access_entry(**DEVELOPERS)["accessEntry"]["kubernetesGroups"] == ["vision:developer"]
    assert eks.list_associated_access_policies(**DEVELOPERS)["associatedAccessPolicies"] == []
    (policy,) = eks.list_associated_access_policies(**DEPLOYER)["associatedAccessPolicies"]
    assert policy["policyArn"].endswith("/AmazonEKSClusterAdminPolicy")


def check_the_addons(eks, iam) -> None:
    versions = {}
    for name in eks.list_addons(**CLUSTER)["addons"]:
        versions[name] = eks.describe_addon(**CLUSTER, addonName=name)["addon"]["addonVersion"]
    assert versions == {
        "vpc-cni": "v1.22.4-eksbuild.3",
        "coredns": "v1.13.2-eksbuild.21",
        "kube-proxy": "v1.35.3-eksbuild.21",
        "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
        "aws-ebs-csi-driver": "v1.66.0-eksbuild.1",
    }
    network = eks.describe_addon(**CLUSTER, addonName="vpc-cni")["addon"]
    assert json.loads(network["configurationValues"])["enableNetworkPolicy"] == "true"
    roles = {each["serviceAccount"]: each for each in eks.list_pod_identity_associations(**CLUSTER)["associations"]}
    assert set(roles) == {"aws-node", "ebs-csi-controller-sa"}
    for association in roles.values():
        named = {"clusterName": "cluster", "associationId": association["associationId"]}
        arn = eks.describe_pod_identity_association(**named)["association"]["roleArn"]
        role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}


def test_a_cluster_s_addons_and_entries_are_as_they_were_asked_for(bridged):
    example = Example(bridged, "cluster")
    example.up()
    assert example.changes() == {}
    eks = example.aws("eks")
    check_the_control_plane(eks)
    check_who_may_use_it(eks)
    check_the_addons(eks, example.aws("iam"))

    newer = {"diskDriver": "v1.66.1-eksbuild.1"}
    assert example.changes(**newer) == {"cluster-aws-ebs-csi-driver": ("update", {"addonVersion"})}
    example.up(**newer)
    assert eks.describe_addon(**DISKS)["addon"]["addonVersion"] == "v1.66.1-eksbuild.1"

    eks.update_access_entry(**DEVELOPERS, kubernetesGroups=["vision:operator"])
    eks.update_addon(**CLUSTER, addonName="vpc-cni", configurationValues='{"enableNetworkPolicy": "false"}')
    eks.disassociate_access_policy(**DEPLOYER, policyArn=administration(eks))
    drift = example.drift()
    assert drift["cluster-member-vision-developers"][1] == {"kubernetesGroups[0]"}
    assert drift["cluster-vpc-cni"][1] == {"configurationValues"}
    assert drift["cluster-access-platform-deployer-admin"][0] == "delete"
    example.up(**newer)
    check_who_may_use_it(eks)
    network = eks.describe_addon(**CLUSTER, addonName="vpc-cni")["addon"]
    assert json.loads(network["configurationValues"])["enableNetworkPolicy"] == "true"

    example.destroy()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        eks.describe_cluster(name="cluster")


def administration(eks) -> str:
    (policy,) = eks.list_associated_access_policies(**DEPLOYER)["associatedAccessPolicies"]
    return policy["policyArn"]


def test_a_cluster_goes_up_by_one_version_with_its_addons_and_not_past_its_support(bridged):
    example = Example(bridged, "cluster")
    example.up()
    moved = example.changes(version="1.36", diskDriver="v1.63.1-eksbuild.1")
    assert moved["cluster-cluster"] == ("update", {"version"})
    assert {name for name, (operation, _) in moved.items() if operation == "update"} == {
        "cluster-cluster",
        "cluster-coredns",
        "cluster-kube-proxy",
        "cluster-aws-ebs-csi-driver",
    }
    refused = example.up(check=False, asOf="2027-03-27")
    assert refused.returncode
    assert "cluster.version must be 1.36 or newer" in refused.stdout + refused.stderr
    example.destroy()


def test_a_protected_cluster_outlives_a_destruction_until_its_protection_is_lifted(bridged, monkeypatch):
    monkeypatch.syspath_prepend(str(STACKS))
    from deploy import lift_protection

    example = Example(bridged, "cluster")
    eks = example.aws("eks")
    example.up(protected="true")
    try:
        assert example.changes(protected="true") == {}
        assert eks.describe_cluster(name="cluster")["cluster"]["deletionProtection"]
        assert example.changes()["cluster-cluster"] == ("update", {"deletionProtection"})
        refused = example.pulumi("destroy", "--yes", "--skip-preview", check=False)
        assert refused.returncode and "deletion protection" in refused.stdout + refused.stderr
    finally:
        # As a stack of the lab is destroyed: without another run before.
        with monkeypatch.context() as inside:
            for name, value in bridged.env.items():
                inside.setenv(name, value)
            lift_protection([*example.resources().values()])
        example.destroy()
    assert eks.list_clusters()["clusters"] == []
