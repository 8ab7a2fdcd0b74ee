"""What a tenant's service accounts reach in AWS: by stage, their folder of named stores, and nothing beside."""

import json

import pulumi
import pytest
from component_samples import CLUSTER, KEY, OWNERSHIP, REGIME

from falaj.components import ConfigError, Tenant

STORE = {"bucket": "models", "arn": "arn:aws:s3:::models", "classification": "restricted", "kind": "model-artifacts"}
ACCESS = {"cluster": CLUSTER, "regime": REGIME, "stores": [{"store": STORE, "key": KEY}]}
STAGES = {"train": ["trainer"], "serve": ["server", "canary"]}
ARGS = {"ownership": OWNERSHIP, "gpus": 4, "service_accounts": [], "stages": STAGES, "access": ACCESS}
BOUNDARY = "arn:aws:iam::123456789012:policy/test-region-guard"
OBJECTS = "arn:aws:s3:::models/vision/*"


def reach(engine, stage):
    """Return what a stage may do, as (action, resource)."""
    (policy,) = [args.inputs["policy"] for args in engine.made if args.name == f"vision-reach-{stage}"]
    return {
        (action, statement["Resource"])
        for statement in json.loads(policy)["Statement"]
        for action in statement["Action"]
    }


def test_a_role_is_for_its_stage_s_service_accounts_of_this_namespace_cluster_and_account(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    trust = {
        args.name: json.loads(args.inputs["assumeRolePolicy"])
        for args in engine.made
        if ":Role" in args.typ and "assumeRolePolicy" in args.inputs
    }
    (statement,) = trust["vision-identity-serve"]["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": "123456789012",
            "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:me-central-1:123456789012:cluster/falaj-test",
            "aws:RequestTag/kubernetes-namespace": "vision",
            "aws:RequestTag/kubernetes-service-account": ["server", "canary"],
        }
    }


def test_each_service_account_gets_its_stage_s_role(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    found = {
        (each["namespace"], each["serviceAccount"], each["clusterName"])
        for each in engine.all("PodIdentityAssociation")
    }
    assert found == {("vision", account, "falaj-test") for account in ("trainer", "server", "canary")}
    assert not any(each.get("disableSessionTags") for each in engine.all("PodIdentityAssociation"))


@pytest.mark.parametrize("later", [False, True])
def test_every_role_of_a_tenant_carries_its_boundary(run, engine, providers, later):
    boundary = pulumi.Output.from_input(BOUNDARY) if later else BOUNDARY
    run(lambda: Tenant("vision", {**ARGS, "permissions_boundary": boundary}, providers()).namespace)
    roles = [args.inputs for args in engine.made if args.typ == "aws:iam/role:Role"]
    assert [role["permissionsBoundary"] for role in roles] == [BOUNDARY, BOUNDARY]


def test_without_a_boundary_its_roles_are_bound_by_their_policies_alone(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    assert not [args for args in engine.made if "permissionsBoundary" in args.inputs]


@pytest.mark.parametrize("boundary", ["test-region-guard", "arn:aws:iam::aws:policy/AdministratorAccess"])
def test_a_boundary_that_is_no_policy_of_the_account_is_refused(run, engine, providers, boundary):
    with pytest.raises(ConfigError) as refused:
        run(lambda: Tenant("vision", {**ARGS, "permissions_boundary": boundary}, providers()))
    assert str(refused.value) == (
        "vision.permissions_boundary must be the ARN of a policy of the account, such as policy_arn of a RegionGuard"
        f" that is a boundary (got {boundary!r})"
    )
    assert not [args for args in engine.made if not args.typ.startswith("pulumi:providers:")]


def test_who_serves_reads_and_who_trains_writes_too_in_the_tenants_folder_alone(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    reads = {("s3:GetObject", OBJECTS), ("s3:ListBucket", STORE["arn"]), ("kms:Decrypt", KEY["arn"])}
    writes = {("s3:PutObject", OBJECTS), ("s3:DeleteObject", OBJECTS), ("kms:GenerateDataKey", KEY["arn"])}
    assert reads <= reach(engine, "serve")
    assert reads | writes <= reach(engine, "train")
    assert not writes & reach(engine, "serve")
    assert {resource for _, resource in reach(engine, "train")} == {OBJECTS, STORE["arn"], KEY["arn"]}


def test_folders_are_listed_below_the_prefix_and_keys_used_through_s3_of_the_home_region(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    (policy,) = [args.inputs["policy"] for args in engine.made if args.name == "vision-reach-serve"]
    conditions = {each["Action"][0]: each.get("Condition") for each in json.loads(policy)["Statement"]}
    assert conditions["s3:ListBucket"] == {"StringLike": {"s3:prefix": ["vision/*"]}}
    assert conditions["kms:Decrypt"] == {
        "StringEquals": {"kms:ViaService": "s3.me-central-1.amazonaws.com"},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": ["arn:aws:s3:::models", OBJECTS]},
    }


def test_published_models_are_opened_by_who_reads_and_sealed_by_who_writes_for_this_tenant_alone(
    run, engine, providers
):
    sealing = {**KEY, "arn": "arn:aws:kms:me-central-1:123456789012:key/sealing"}
    stores = [{**ACCESS["stores"][0], "sealing_key": sealing}]
    run(lambda: Tenant("vision", {**ARGS, "access": {**ACCESS, "stores": stores}}, providers()).namespace)
    for stage, actions in (("serve", ["kms:Decrypt"]), ("train", ["kms:Decrypt", "kms:GenerateDataKey"])):
        (policy,) = [args.inputs["policy"] for args in engine.made if args.name == f"vision-reach-{stage}"]
        (found,) = [each for each in json.loads(policy)["Statement"] if each["Resource"] == sealing["arn"]]
        assert found["Action"] == actions
        assert found["Condition"] == {"StringEquals": {"kms:EncryptionContext:tenant": "vision"}}


@pytest.mark.parametrize("later", [False, True])
def test_a_sealing_key_below_the_store_is_refused(run, providers, later):
    level = pulumi.Output.from_input("internal") if later else "internal"
    stores = [{**ACCESS["stores"][0], "sealing_key": {**KEY, "classification": level}}]
    with pytest.raises(ValueError, match=r"access\.stores\[0\]\.sealing_key must be a key classified restricted"):
        run(lambda: Tenant("vision", {**ARGS, "access": {**ACCESS, "stores": stores}}, providers()).namespace)


def test_a_store_may_say_which_stages_read_and_which_write(run, engine, providers):
    stores = [{**ACCESS["stores"][0], "readers": ["train"], "writers": ["serve"]}]
    run(lambda: Tenant("vision", {**ARGS, "access": {**ACCESS, "stores": stores}}, providers()).namespace)
    assert ("s3:PutObject", OBJECTS) in reach(engine, "serve")
    assert ("s3:PutObject", OBJECTS) not in reach(engine, "train")


def test_a_stage_that_reaches_nothing_gets_no_role(run, engine, providers):
    stores = [{**ACCESS["stores"][0], "readers": [], "writers": ["train"]}]
    run(lambda: Tenant("vision", {**ARGS, "access": {**ACCESS, "stores": stores}}, providers()).namespace)
    assert [each["serviceAccount"] for each in engine.all("PodIdentityAssociation")] == ["trainer"]


def test_pods_may_ask_the_node_s_agent_for_credentials_and_only_where_there_are_any(run, engine, providers):
    run(lambda: Tenant("vision", ARGS, providers()).namespace)
    (policy,) = [each for each in engine.all("NetworkPolicy") if each["metadata"]["name"] == "allow-pod-identity"]
    assert policy["spec"]["egress"] == [
        {"to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}], "ports": [{"protocol": "TCP", "port": 80}]}
    ]


def test_without_access_nothing_is_made_in_aws(run, engine, providers):
    run(lambda: Tenant("vision", {"ownership": OWNERSHIP, "gpus": 4}, providers()).namespace)
    assert not [args for args in engine.made if args.typ.startswith("aws:")]


@pytest.mark.parametrize(
    ("change", "store", "message"),
    [
        ({"stores": []}, {}, "vision.access.stores must name at least one store, or leave the access out (got [])"),
        (
            {},
            {"readers": ["prepare"]},
            "vision.access.stores[0].readers must be among the tenant's stages: train, serve (got 'prepare')",
        ),
        (
            {},
            {"readers": ["train"], "writers": ["train"]},
            "vision.access.stores[0].readers must be others than the writers, who read anyway (got 'train')",
        ),
        (
            {},
            {"key": {**KEY, "classification": "internal"}},
            "vision.access.stores[0].key must be a key classified restricted or higher, as the data is"
            " (got 'internal')",
        ),
        (
            {"regime": {**REGIME, "home_region": "eu-west-1"}},
            {},
            "vision.access.regime.home_region must be a region that uae-restricted allows: me-central-1"
            " (got 'eu-west-1')",
        ),
    ],
)
def test_access_that_is_wrong_is_refused_with_field_value_and_remedy(run, providers, change, store, message):
    access = {**ACCESS, "stores": [{**ACCESS["stores"][0], **store}], **change}
    with pytest.raises(ConfigError) as refused:
        run(lambda: Tenant("vision", {**ARGS, "access": access}, providers()))
    assert str(refused.value) == message


@pytest.mark.parametrize("later", [False, True])
def test_a_store_above_the_tenants_clearance_is_refused_when_it_is_known(run, providers, later):
    store = pulumi.Output.from_input(STORE) if later else STORE
    access = {**ACCESS, "stores": [{"store": store, "key": KEY}]}
    args = {**ARGS, "classification": "confidential", "access": access}
    with pytest.raises(Exception, match=r"stores\[0\]\.store must not be classified above the tenant, confidential"):
        run(lambda: Tenant("vision", args, providers()).namespace)
