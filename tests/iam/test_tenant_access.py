"""What a tenant's pods reach in AWS, decided on the documents that the component writes."""

import pytest
from asked import ACCOUNT, ELSEWHERE, HOME, KEY, OTHER_KEY, OTHERS, REGIME, STRANGERS, request, role, service
from simulator import FULL_ACCESS, Decision

from falaj.components import RegionGuardMode
from falaj.components.key_policy import key_policy
from falaj.components.key_uses import KeyUse
from falaj.components.region_guard import guard_policy
from falaj.components.tenant_access import Folder, pod_permissions, pod_trust

ROLE = f"arn:aws:iam::{ACCOUNT}:role/vision-identity-train"
BUCKET = "arn:aws:s3:::prod-models"
PODS = "pods.eks.amazonaws.com"
TAGS = {
    "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{HOME}:{ACCOUNT}:cluster/prod",
    "aws:RequestTag/kubernetes-namespace": "vision",
    "aws:RequestTag/kubernetes-service-account": "trainer",
}
TRUST = pod_trust(REGIME, "prod", "vision", ["trainer"])
READS, WRITES = ([Folder(BUCKET, KEY, writes)] for writes in (False, True))


@pytest.mark.parametrize("action", ["sts:AssumeRole", "sts:TagSession"])
@pytest.mark.parametrize(
    "other",
    [
        {"aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{HOME}:{ACCOUNT}:cluster/dev"},
        {"aws:RequestTag/kubernetes-namespace": "speech"},
        {"aws:RequestTag/kubernetes-service-account": "server"},
    ],
    ids=["cluster", "namespace", "service account"],
)
def test_a_tenants_role_is_assumed_for_its_own_service_accounts_and_for_no_others(iam, action, other):
    def assumed(who, tags):
        context = {**who.context, **tags}
        return iam.decide(who.arn, action, ROLE, account=ACCOUNT, resource_policy=TRUST, context=context)

    assert assumed(service(PODS), TAGS)
    assert not assumed(service(PODS), TAGS | other)
    assert not assumed(service(PODS), {})
    assert not assumed(service(PODS, STRANGERS, OTHERS), TAGS)
    assert not assumed(service("ec2.amazonaws.com"), TAGS)


def does(iam, folders, action: str, resource: str, **context: str) -> Decision:
    """Decide what the role does, whom nothing but its own policy allows anything."""
    who = role("vision-identity-train")
    permissions = pod_permissions(REGIME, "vision", folders)
    return iam.decide(
        who.arn,
        action,
        resource,
        account=ACCOUNT,
        identity_policies=[permissions],
        # A key asks its own policy as well; a store's allows nothing and is asked in tests of its own.
        resource_policy=key_policy(REGIME, [KeyUse.S3]) if action.startswith("kms:") else None,
        context=who.context | context,
    )


def test_objects_of_the_own_folder_are_read_and_those_of_others_are_not(iam):
    for folders in (READS, WRITES):
        assert does(iam, folders, "s3:GetObject", f"{BUCKET}/vision/weights", **request())
        for other in ("speech/weights", "vision-two/weights", "weights"):
            assert not does(iam, folders, "s3:GetObject", f"{BUCKET}/{other}", **request())
        assert not does(iam, folders, "s3:GetObject", "arn:aws:s3:::prod-datasets/vision/weights", **request())


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"])
def test_who_writes_does_so_in_the_own_folder_and_who_reads_does_not(iam, action):
    assert does(iam, WRITES, action, f"{BUCKET}/vision/weights", **request())
    assert not does(iam, READS, action, f"{BUCKET}/vision/weights", **request())
    assert not does(iam, WRITES, action, f"{BUCKET}/speech/weights", **request())


@pytest.mark.parametrize("action", ["s3:DeleteObjectVersion", "s3:PutObjectRetention", "s3:BypassGovernanceRetention"])
def test_versions_and_locks_are_nobody_s_to_change(iam, action):
    assert not does(iam, WRITES, action, f"{BUCKET}/vision/weights", **request())


def test_the_own_folder_is_listed_and_the_bucket_is_not(iam):
    assert does(iam, READS, "s3:ListBucket", BUCKET, **request(), **{"s3:prefix": "vision/runs"})
    for prefix in ("speech/", "vision-two/", "vision", ""):
        assert not does(iam, READS, "s3:ListBucket", BUCKET, **request(), **{"s3:prefix": prefix})
    assert not does(iam, READS, "s3:ListBucket", BUCKET, **request())


@pytest.mark.parametrize("context", [BUCKET, f"{BUCKET}/vision/weights"], ids=["bucket key", "object"])
def test_the_store_s_key_is_used_through_s3_of_the_home_region_for_the_store(iam, context):
    def uses(action, key=KEY, via=f"s3.{HOME}.amazonaws.com", arn=context, folders=WRITES):
        told = {"kms:ViaService": via, "kms:EncryptionContext:aws:s3:arn": arn, "aws:RequestedRegion": HOME}
        return does(iam, folders, action, key, **told)

    assert uses("kms:Decrypt")
    assert uses("kms:GenerateDataKey")
    assert not uses("kms:GenerateDataKey", folders=READS)
    assert not uses("kms:Decrypt", via=f"s3.{ELSEWHERE}.amazonaws.com")
    assert not uses("kms:Decrypt", via=f"ec2.{HOME}.amazonaws.com")
    assert not uses("kms:Decrypt", arn=f"{BUCKET}/speech/weights")
    assert not uses("kms:Decrypt", arn="arn:aws:s3:::prod-datasets")
    assert not uses("kms:Decrypt", key=OTHER_KEY)
    assert not uses("kms:CreateGrant")


@pytest.mark.parametrize("writes", [False, True], ids=["reads", "writes"])
def test_published_models_are_opened_and_by_writers_sealed_as_this_tenant_s_alone(iam, writes):
    folders = [Folder(BUCKET, OTHER_KEY, writes, KEY)]
    who, sealed = role("vision-identity-serve"), key_policy(REGIME, [KeyUse.SEALED_MODELS])

    def asks(action, region=HOME, **context):
        return iam.decide(
            who.arn,
            action,
            KEY,
            account=ACCOUNT,
            identity_policies=[pod_permissions(REGIME, "vision", folders)],
            resource_policy=sealed,
            context=who.context | {"aws:RequestedRegion": region} | context,
        )

    own = {"kms:EncryptionContext:tenant": "vision", "kms:EncryptionContext:model": "detector"}
    assert asks("kms:Decrypt", **own)
    assert bool(asks("kms:GenerateDataKey", **own)) is writes
    assert not asks("kms:Decrypt", **own | {"kms:EncryptionContext:tenant": "speech"})
    assert not asks("kms:Decrypt")
    assert not asks("kms:Decrypt", region=ELSEWHERE, **own)
    assert not asks("kms:Encrypt", **own)


GUARD = guard_policy(RegionGuardMode.PERMISSION_BOUNDARY, REGIME, "prod-region-guard")
THROUGH_S3 = {
    "kms:ViaService": f"s3.{HOME}.amazonaws.com",
    "kms:EncryptionContext:aws:s3:arn": BUCKET,
    "aws:RequestedRegion": HOME,
}
WITH_OBJECTS = (
    *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion"),
    *("s3:ListMultipartUploadParts", "s3:PutObject"),
)
DONE_BY_PODS = {
    **{action: (f"{BUCKET}/vision/weights", request()) for action in WITH_OBJECTS},
    "s3:ListBucket": (BUCKET, request() | {"s3:prefix": "vision/runs"}),
    "kms:Decrypt": (KEY, THROUGH_S3),
    "kms:GenerateDataKey": (KEY, THROUGH_S3),
}
"""What a pod that trains does with its store."""


def bounded(iam, action: str, resource: str, context: dict[str, str], *, careless: bool = False) -> Decision:
    """Decide what a pod does whose role carries the guard's boundary; somebody careless granted it everything."""
    who = role("vision-identity-train")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    trusted = {"Version": "2012-10-17", "Statement": [trust]}
    asked_too = {"kms": key_policy(REGIME, [KeyUse.S3]), "sts": trusted if ":role/" in resource else None}
    return iam.decide(
        who.arn,
        action,
        resource,
        account=ACCOUNT,
        identity_policies=[pod_permissions(REGIME, "vision", WRITES), *([FULL_ACCESS] if careless else [])],
        resource_policy=asked_too.get(action.partition(":")[0]),
        permission_boundaries=[GUARD],
        context=who.context | context,
    )


@pytest.mark.parametrize("action", DONE_BY_PODS)
def test_what_a_tenant_s_pods_do_passes_the_guard_s_boundary(iam, action):
    resource, context = DONE_BY_PODS[action]
    assert bounded(iam, action, resource, context)


def test_everything_that_a_pod_is_granted_is_proven_to_pass_the_boundary():
    granted = {action for each in pod_permissions(REGIME, "vision", WRITES)["Statement"] for action in each["Action"]}
    assert granted == set(DONE_BY_PODS)


def test_a_boundary_leaves_a_pod_to_ask_sts_who_it_is(iam):
    assert bounded(iam, "sts:GetCallerIdentity", "*", {"aws:RequestedRegion": HOME}, careless=True)


@pytest.mark.parametrize("action", ["s3:PutObject", "kms:Decrypt"])
def test_a_grant_that_somebody_adds_takes_a_pod_to_no_other_region(iam, action):
    resource, context = DONE_BY_PODS[action]
    assert bounded(iam, action, resource, context, careless=True)
    abroad = {"aws:RequestedRegion": ELSEWHERE, "kms:ViaService": f"s3.{ELSEWHERE}.amazonaws.com"}
    told = context | {key: value for key, value in abroad.items() if key in context}
    assert "permissionBoundary:HomeRegionOnly" in bounded(iam, action, resource, told, careless=True).denied_by


def test_a_grant_that_somebody_adds_makes_no_role_that_is_not_bound(iam):
    new, at_home = f"arn:aws:iam::{ACCOUNT}:role/new", {"aws:RequestedRegion": HOME}
    refused = bounded(iam, "iam:CreateRole", new, at_home, careless=True)
    assert refused.denied_by == ("permissionBoundary:BoundaryOnNewIdentities",)
    assert bounded(iam, "sts:AssumeRole", new, at_home, careless=True)
