"""A KMS key whose use is confined to the home region and account."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded, dns_label, principals
from falaj.components.classification import Classification
from falaj.components.documents import document
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef
from falaj.components.regime import Regime, check_regime, root_of

_USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
_ADMINISTER = [
    "kms:Describe*",
    "kms:Get*",
    "kms:List*",
    "kms:PutKeyPolicy",
    "kms:EnableKey",
    "kms:DisableKey",
    "kms:EnableKeyRotation",
    "kms:DisableKeyRotation",
    "kms:RotateKeyOnDemand",
    "kms:UpdateKeyDescription",
    "kms:CreateAlias",
    "kms:UpdateAlias",
    "kms:DeleteAlias",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
]


class KeyUse(StrEnum):
    """A service of the home region that works with the key for us."""

    S3 = "s3"
    """Objects in buckets."""
    EKS = "eks"
    """Kubernetes secrets in a cluster's etcd."""
    EBS = "ebs"
    """Disks of nodes, attached by EC2 Auto Scaling."""
    LOGS = "logs"
    """Log groups in CloudWatch."""


class ResidencyKeyArgs(TypedDict):
    """What may be said of a residency key."""

    purpose: str
    """What the key protects, for example ``datasets``; part of the alias."""
    used_by: list[str]
    """Services that work with the key: members of ``KeyUse``. No other use is granted."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the key and pays for it."""
    classification: NotRequired[Classification]
    """Highest classification of the data. Default: ``restricted``."""
    administrators: NotRequired[list[str]]
    """ARNs of the roles that administer the key. Default: whom IAM of the account allows to."""
    deletion_window_days: NotRequired[int]
    """Days between scheduling deletion and losing the key, 7 to 30. Default: 30."""


class ResidencyKey(pulumi.ComponentResource):
    """One customer-managed key: single region, rotated every year, unusable from elsewhere.

    Serves ISO/IEC 27001:2022 A.8.24 and the regime's residency rules.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    arn: pulumi.Output[str]
    """ARN of the key."""
    key_id: pulumi.Output[str]
    """Id of the key."""
    alias: pulumi.Output[str]
    """Alias of the key, ``alias/<environment>/<purpose>``."""
    ref: KeyRef
    """The key as other components take it."""

    def __init__(self, name: str, args: ResidencyKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership = args["regime"], args["ownership"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        purpose = dns_label(f"{name}.purpose", args["purpose"])
        window = bounded(f"{name}.deletion_window_days", args.get("deletion_window_days", 30), 7, 30, "days")
        check_regime(f"{name}.regime", regime)
        policy = key_policy(
            regime,
            check_uses(f"{name}.used_by", args["used_by"]),
            principals(f"{name}.administrators", args.get("administrators", [])),
        )
        tags = labels(f"{name}.ownership", ownership, classification) | {"purpose": purpose}

        super().__init__("falaj:index:ResidencyKey", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"{purpose} of {ownership['environment']}",
            policy=json.dumps(policy),
            multi_region=False,
            enable_key_rotation=True,
            deletion_window_in_days=window,
            tags=tags,
            opts=child,
        )
        alias = aws.kms.Alias(
            f"{name}-alias", name=f"alias/{ownership['environment']}/{purpose}", target_key_id=key.key_id, opts=child
        )

        self.arn = key.arn
        self.key_id = key.key_id
        self.alias = alias.name
        self.ref = {"arn": key.arn, "classification": classification.value}
        self.register_outputs({"arn": self.arn, "keyId": self.key_id, "alias": self.alias, "ref": self.ref})


def check_uses(field: str, uses: Sequence[str]) -> list[KeyUse]:
    """Return the uses, refusing an unknown one and a key that nothing uses."""
    known = ", ".join(KeyUse)
    if not uses:
        raise ConfigError(field, list(uses), f"must name at least one of {known}")
    for use in uses:
        if use not in set(KeyUse):
            raise ConfigError(field, use, f"must be among {known}")
    return [KeyUse(use) for use in uses]


def key_policy(regime: Regime, uses: Sequence[KeyUse], administrators: Sequence[str] = ()) -> dict[str, Any]:
    """Return the key's policy: who administers it, which services use it, and what is denied whatever IAM says."""
    statements = [
        {
            "Sid": "Administer",
            "Effect": "Allow",
            "Principal": {"AWS": list(administrators) or root_of(regime["account_id"])},
            "Action": _ADMINISTER,
            "Resource": "*",
        }
    ]
    for use in dict.fromkeys(uses):
        statements += _USES[use](regime)
    return document(*statements, *_denials(regime))


def _for_s3(regime: Regime) -> list[dict[str, Any]]:
    """S3 uses the key on behalf of identities that IAM allows; nobody can use it without S3."""
    service = f"s3.{regime['home_region']}.amazonaws.com"
    return [_use("UseThroughS3", regime, {"StringEquals": {"kms:ViaService": service}})]


def _for_eks(regime: Regime) -> list[dict[str, Any]]:
    """The cluster's role uses the key directly and hands it to EKS by a grant."""
    in_region = {"StringEquals": {"aws:RequestedRegion": regime["home_region"]}}
    return [
        _use("UseForClusterSecrets", regime, in_region),
        _grant("GrantToEks", root_of(regime["account_id"])),
    ]


def _for_ebs(regime: Regime) -> list[dict[str, Any]]:
    """Node groups start instances as the Auto Scaling service-linked role, which needs the key by name.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
    The role exists once an account has used Auto Scaling.
    """
    role = (
        f"arn:aws:iam::{regime['account_id']}:role/aws-service-role/autoscaling.amazonaws.com/"
        "AWSServiceRoleForAutoScaling"
    )
    return [
        {
            "Sid": "UseForNodeDisks",
            "Effect": "Allow",
            "Principal": {"AWS": role},
            "Action": _USE,
            "Resource": "*",
        },
        _grant("GrantForNodeDisks", role),
    ]


def _for_logs(regime: Regime) -> list[dict[str, Any]]:
    """CloudWatch Logs is its own principal; the encryption context ties it to log groups of this account."""
    region, account = regime["home_region"], regime["account_id"]
    return [
        {
            "Sid": "UseByLogs",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{region}.amazonaws.com"},
            "Action": _USE,
            "Resource": "*",
            "Condition": {
                "ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{region}:{account}:log-group:*"}
            },
        }
    ]


_USES = {KeyUse.S3: _for_s3, KeyUse.EKS: _for_eks, KeyUse.EBS: _for_ebs, KeyUse.LOGS: _for_logs}


def _use(sid: str, regime: Regime, condition: dict[str, Any]) -> dict[str, Any]:
    """Let identities of the account use the key where IAM allows it too and the condition holds."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": root_of(regime["account_id"])},
        "Action": _USE,
        "Resource": "*",
        "Condition": condition,
    }


def _grant(sid: str, principal: str) -> dict[str, Any]:
    """Let the principal grant use of the key, but only to AWS resources such as a cluster or a disk."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
        "Resource": "*",
        "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
    }


def _denials(regime: Regime) -> list[dict[str, Any]]:
    """Deny use from another region or account, and copies of the key; administration stays possible."""
    use = [*_USE[:-1], "kms:CreateGrant"]
    everyone = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Resource": "*"}
    return [
        everyone
        | {
            "Sid": "DenyOutsideHomeRegion",
            "Action": use,
            "Condition": {"StringNotEquals": {"aws:RequestedRegion": regime["home_region"]}},
        },
        everyone
        | {
            "Sid": "DenyOutsideAccount",
            "Action": use,
            "Condition": {
                "StringNotEquals": {"aws:PrincipalAccount": regime["account_id"]},
                # A service's own principal, such as CloudWatch Logs, belongs to no account.
                "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            },
        },
        everyone | {"Sid": "DenyCopies", "Action": ["kms:ReplicateKey", "kms:UpdatePrimaryRegion"]},
    ]
