"""The role by which AWS Backup takes backups: of the chosen kinds of resources, and no more than that.

Narrower than AWS's own AWSBackupServiceRolePolicyForBackup and …ForS3Backup, which it follows: this account and region
only, only resources that bear the tag where the service can tell, no copies, and no restoring. A restore is a
deliberate act with a role of its own.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from falaj.components.documents import document, service_trust
from falaj.components.regime import Regime

TAG = "backup"
"""The tag that says which backup takes a resource in: its value is the classification of the backup."""
Statement = dict[str, Any]
_S3_BUCKET = [
    "s3:GetBucketAcl",
    "s3:GetBucketLocation",
    "s3:GetBucketNotification",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:GetInventoryConfiguration",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListTagsForResource",
    "s3:PutBucketNotification",
    "s3:PutInventoryConfiguration",
]
_S3_OBJECT = [
    "s3:GetObject",
    "s3:GetObjectAcl",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionTagging",
]
_EVENTS = [
    "events:DeleteRule",
    "events:DescribeRule",
    "events:DisableRule",
    "events:EnableRule",
    "events:ListTargetsByRule",
    "events:PutRule",
    "events:PutTargets",
    "events:RemoveTargets",
]


class BackupResource(StrEnum):
    """A kind of resource that is backed up."""

    S3 = "s3"
    """Buckets."""
    EFS = "efs"
    """File systems for home folders."""
    EBS = "ebs"
    """Disks, of pods above all."""


def selected_arns(resources: Sequence[BackupResource], regime: Regime) -> list[str]:
    """Return the ARNs of all resources of these kinds; the tag picks among them."""
    here = f"{regime['home_region']}:{regime['account_id']}"
    arns = {
        BackupResource.S3: "arn:aws:s3:::*",
        BackupResource.EFS: f"arn:aws:elasticfilesystem:{here}:file-system/*",
        BackupResource.EBS: f"arn:aws:ec2:{here}:volume/*",
    }
    return [arns[resource] for resource in dict.fromkeys(resources)]


def backup_trust(regime: Regime) -> dict[str, Any]:
    """Return the trust policy: AWS Backup assumes the role, for this account alone."""
    return service_trust("backup.amazonaws.com", {"StringEquals": {"aws:SourceAccount": regime["account_id"]}})


def backup_permissions(resources: Sequence[BackupResource], tag: str, regime: Regime) -> dict[str, Any]:
    """Return what the role may do to back up resources of these kinds whose tag `backup` is ``tag``."""
    here = f"{regime['home_region']}:{regime['account_id']}"
    statements = [
        _allow("FindResources", ["tag:GetResources"], "*", {}),
        _allow("TagRecoveryPoints", ["backup:TagResource"], f"arn:aws:backup:{here}:recovery-point:*", {}),
    ]
    for resource in dict.fromkeys(resources):
        statements += _PERMISSIONS[resource](tag, regime)
    return document(*statements)


def _allow(sid: str, actions: list[str], resource: str, condition: dict[str, Any]) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def _for_s3(_tag: str, regime: Regime) -> list[Statement]:
    """S3 tells buckets' tags to policies only where that was switched on, so the account bounds these."""
    region, account = regime["home_region"], regime["account_id"]
    ours = {"StringEquals": {"aws:ResourceAccount": account}}
    through_s3 = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
    return [
        _allow("ReadBuckets", _S3_BUCKET, "arn:aws:s3:::*", ours),
        _allow("ReadObjects", _S3_OBJECT, "arn:aws:s3:::*/*", ours),
        _allow("ListBuckets", ["s3:ListAllMyBuckets"], "*", {}),
        _allow("Decrypt", ["kms:Decrypt", "kms:DescribeKey"], f"arn:aws:kms:{region}:{account}:key/*", through_s3),
        _allow("NoticeChanges", _EVENTS, f"arn:aws:events:{region}:{account}:rule/AwsBackupManagedRule*", {}),
        _allow("SeeChanges", ["cloudwatch:GetMetricData", "events:ListRules"], "*", {}),
    ]


def _for_efs(tag: str, regime: Regime) -> list[Statement]:
    arn = f"arn:aws:elasticfilesystem:{regime['home_region']}:{regime['account_id']}:file-system/*"
    actions = ["elasticfilesystem:Backup", "elasticfilesystem:DescribeTags"]
    return [_allow("BackUpFileSystems", actions, arn, _tagged(tag))]


def _for_ebs(tag: str, regime: Regime) -> list[Statement]:
    """A snapshot is made of a volume, as a resource of its own that is deleted when its time has come."""
    region, account = regime["home_region"], regime["account_id"]
    snapshots = f"arn:aws:ec2:{region}::snapshot/*"
    made = {"Null": {"aws:ResourceTag/aws:backup:source-resource": "false"}}
    keys = f"arn:aws:kms:{region}:{account}:key/*"
    through_ec2 = {"StringEquals": {"kms:ViaService": f"ec2.{region}.amazonaws.com"}}
    grants = through_ec2 | {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        _allow("SnapshotVolumes", ["ec2:CreateSnapshot"], f"arn:aws:ec2:{region}:{account}:volume/*", _tagged(tag)),
        _allow("MakeSnapshots", ["ec2:CreateSnapshot", "ec2:CreateTags"], snapshots, {}),
        _allow("DeleteSnapshots", ["ec2:DeleteSnapshot", "ec2:ModifySnapshotTier"], snapshots, made),
        _allow("FindVolumes", ["ec2:DescribeSnapshots", "ec2:DescribeTags", "ec2:DescribeVolumes"], "*", {}),
        _allow("UseVolumeKeys", ["kms:DescribeKey"], keys, {}),
        _allow("GrantVolumeKeys", ["kms:CreateGrant"], keys, grants),
    ]


def _tagged(tag: str) -> dict[str, Any]:
    return {"StringEquals": {f"aws:ResourceTag/{TAG}": tag}}


_PERMISSIONS: dict[BackupResource, Callable[[str, Regime], list[Statement]]] = {
    BackupResource.S3: _for_s3,
    BackupResource.EFS: _for_efs,
    BackupResource.EBS: _for_ebs,
}
