"""What a tenant's service accounts reach in AWS: the tenant's folder of named stores, through Pod Identity."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.classification import Classification, reaches
from falaj.components.documents import document
from falaj.components.errors import ConfigError
from falaj.components.refs import ClusterRef, KeyRef, StoreRef, key_arn, pick
from falaj.components.regime import Regime, check_regime
from falaj.components.vault_policies import PipelineStage

_POLICY = re.compile(r"arn:aws:iam::\d{12}:policy/[\w+=,.@/-]+")
_READERS = (PipelineStage.EVALUATE, PipelineStage.SERVE)
_WRITERS = (PipelineStage.PREPARE, PipelineStage.TRAIN, PipelineStage.WORKLOAD)
_READ = ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion"]
_WRITE = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:PutObject"]


class StoreAccess(TypedDict):
    """A store in which the tenant has the folder ``<namespace>/``, and reaches nothing else."""

    store: pulumi.Input[StoreRef]
    """The store: ``ref`` of a ``DataStore``."""
    key: pulumi.Input[KeyRef]
    """Key of the store: ``ref`` of its ``ResidencyKey``."""
    sealing_key: NotRequired[pulumi.Input[KeyRef]]
    """Key of the tenant's published models: ``ref`` of a ``ResidencyKey`` used by ``sealed-models``. Default: none."""
    readers: NotRequired[list[str]]
    """Stages that read: members of ``PipelineStage``. Default: the tenant's among ``evaluate`` and ``serve``."""
    writers: NotRequired[list[str]]
    """Stages that also write. Default: the tenant's among ``prepare``, ``train`` and ``workload``."""


class TenantAccess(TypedDict):
    """What the tenant's service accounts reach in AWS."""

    cluster: pulumi.Input[ClusterRef]
    """The cluster on which they run: ``ref`` of a ``Cluster``, with the add-on for Pod Identity."""
    regime: Regime
    """Home region and account."""
    stores: list[StoreAccess]
    """The stores."""


@dataclass(frozen=True)
class Folder:
    """A tenant's folder of a store, for one stage."""

    bucket_arn: str
    key_arn: str
    writes: bool
    sealing_key_arn: str | None = None


def check_access(
    field: str, access: TenantAccess, stages: Sequence[PipelineStage], classification: Classification
) -> None:
    """Refuse a regime that is wrong, no store at all, a stage that the tenant lacks, and data above its clearance."""
    check_regime(f"{field}.regime", access["regime"])
    if not access["stores"]:
        raise ConfigError(f"{field}.stores", [], "must name at least one store, or leave the access out")
    for number, each in enumerate(access["stores"]):
        here = f"{field}.stores[{number}]"
        named = {kind: list(each.get(kind, [])) for kind in ("readers", "writers")}
        for kind, wanted in named.items():
            for stage in wanted:
                if stage not in stages:
                    remedy = f"must be among the tenant's stages: {', '.join(stages)}"
                    raise ConfigError(f"{here}.{kind}", str(stage), remedy)
        if both := sorted(set(named["readers"]) & set(named["writers"])):
            raise ConfigError(f"{here}.readers", both[0], "must be others than the writers, who read anyway")
        store = each["store"]
        if isinstance(store, Mapping) and isinstance(store["classification"], str):
            _check_cleared(here, store["classification"], classification)
            for name, key in (("key", each["key"]), ("sealing_key", each.get("sealing_key"))):
                if isinstance(key, Mapping):
                    # At once where both are known; the policy's text asks again when they are.
                    key_arn(f"{here}.{name}", key, Classification(store["classification"]))


def check_boundary(field: str, boundary: pulumi.Input[str]) -> pulumi.Input[str]:
    """Return the ARN of a permission boundary, refusing one that is known and no policy of an account."""
    if isinstance(boundary, str) and not _POLICY.fullmatch(boundary):
        remedy = "must be the ARN of a policy of the account, such as policy_arn of a RegionGuard that is a boundary"
        raise ConfigError(field, boundary, remedy)
    return boundary


def tenant_access(
    name: str,
    tenant: str,
    access: TenantAccess,
    *,
    stages: Mapping[PipelineStage, Sequence[str]],
    classification: Classification,
    boundary: pulumi.Input[str] | None,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Give each stage that reaches something a role of its own, and each of its service accounts that role."""
    regime, cluster = access["regime"], pick(access["cluster"], "cluster_name")
    for stage, accounts in stages.items():
        folders = [
            _folder(f"{name}.access.stores[{number}]", each, writes, classification)
            for number, each in enumerate(access["stores"])
            if (writes := _writes(each, stage)) is not None
        ]
        if not folders:
            continue
        role = aws.iam.Role(
            f"{name}-identity-{stage}",
            description=f"Pods of {tenant}, stage {stage}",
            assume_role_policy=cluster.apply(
                lambda known, accounts=accounts: json.dumps(pod_trust(regime, str(known), tenant, accounts))
            ),
            permissions_boundary=boundary,
            tags=tags | {"tenant": tenant, "stage": stage.value},
            opts=opts,
        )
        grant = aws.iam.RolePolicy(
            f"{name}-reach-{stage}",
            role=role.id,
            policy=pulumi.Output.all(*folders).apply(
                lambda known: json.dumps(pod_permissions(regime, tenant, [Folder(*each) for each in known]))
            ),
            opts=opts,
        )
        for account in accounts:
            aws.eks.PodIdentityAssociation(
                f"{name}-identity-of-{account}",
                cluster_name=cluster,
                namespace=tenant,
                service_account=account,
                role_arn=role.arn,
                tags=tags | {"tenant": tenant, "stage": stage.value},
                opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[grant])),
            )


def pod_trust(regime: Regime, cluster: str, tenant: str, accounts: Sequence[str]) -> dict[str, Any]:
    """Return the trust policy: EKS assumes the role for these service accounts of this cluster and no others.

    https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html has the tags that EKS sets, and no pod can.
    """
    region, account = regime["home_region"], regime["account_id"]
    only = {
        "aws:SourceAccount": account,
        "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{region}:{account}:cluster/{cluster}",
        "aws:RequestTag/kubernetes-namespace": tenant,
        "aws:RequestTag/kubernetes-service-account": list(accounts),
    }
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {"StringEquals": only},
        }
    )


def pod_permissions(regime: Regime, tenant: str, folders: Sequence[Folder]) -> dict[str, Any]:
    """Return what a stage may do: with the tenant's folder of each store, and through S3 with the store's key.

    Stores have S3 bucket keys, whose encryption context is the bucket and not the object, so that the key alone cannot
    tell folders apart; both forms are named, and the objects' ARNs bound what is reached. Data keys of published models
    have the tenant in their context: KMS itself tells tenants apart, also under a key that they share.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
    """
    statements: list[dict[str, Any]] = []
    for folder in folders:
        objects = f"{folder.bucket_arn}/{tenant}/*"
        through_s3 = {
            "StringEquals": {"kms:ViaService": f"s3.{regime['home_region']}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [folder.bucket_arn, objects]},
        }
        within = {"StringLike": {"s3:prefix": [f"{tenant}/*"]}}
        keys = ["kms:Decrypt", *(["kms:GenerateDataKey"] if folder.writes else [])]
        statements += [
            _allow(["s3:ListBucket"], folder.bucket_arn, within),
            _allow([*_READ, *(_WRITE if folder.writes else [])], objects),
            _allow(keys, folder.key_arn, through_s3),
        ]
        if folder.sealing_key_arn:
            of_tenant = {"StringEquals": {"kms:EncryptionContext:tenant": tenant}}
            statements.append(_allow(keys, folder.sealing_key_arn, of_tenant))
    return document(*statements)


def _allow(actions: list[str], resource: str, condition: dict[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def _writes(access: StoreAccess, stage: PipelineStage) -> bool | None:
    """Tell whether a stage writes in a store; None where it does not reach it."""
    writers, readers = access.get("writers"), access.get("readers")
    if stage in (_WRITERS if writers is None else writers) and stage not in (readers or ()):
        return True
    if stage in (_READERS if readers is None else readers):
        return False
    return None


def _folder(
    field: str, access: StoreAccess, writes: bool, classification: Classification
) -> pulumi.Output[tuple[str, str, bool, str | None]]:
    keys = [each for each in ("key", "sealing_key") if each in access]

    def known(values: list[str]) -> tuple[str, str, bool, str | None]:
        bucket, store_level, *of_keys = values
        _check_cleared(field, store_level, classification)
        for name, key_level in zip(keys, of_keys[1::2], strict=True):
            if not reaches(Classification(key_level), Classification(store_level)):
                raise ConfigError(f"{field}.{name}", key_level, f"must be a key classified {store_level} or higher")
        key, *sealing = of_keys[::2]
        return bucket, key, writes, sealing[0] if sealing else None

    return pulumi.Output.all(
        pick(access["store"], "arn"),
        pick(access["store"], "classification"),
        *(pick(access[name], member) for name in keys for member in ("arn", "classification")),
    ).apply(known)


def _check_cleared(field: str, store: str, tenant: Classification) -> None:
    if not reaches(tenant, Classification(store)):
        raise ConfigError(f"{field}.store", store, f"must not be classified above the tenant, {tenant.value}")
