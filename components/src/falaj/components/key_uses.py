"""What a key is used for: per use, the statements by which AWS says that a key policy lets a service work with it."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from falaj.components.regime import Regime, root_of

USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
"""All that is done with a key, as against to it."""
_WRITE = ["kms:GenerateDataKey*", "kms:Decrypt"]
_Statements = list[dict[str, Any]]
_Users = Sequence[str]


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
    EFS = "efs"
    """File systems for home folders."""
    FSX = "fsx"
    """FSx for Lustre, and what it reads and writes in a linked bucket whose objects have this key."""
    ECR = "ecr"
    """Image repositories."""
    BACKUP = "backup"
    """Backup vaults."""
    CLOUDTRAIL = "cloudtrail"
    """Log files of trails."""
    CONFIG = "config"
    """What AWS Config delivers to a bucket, by its service-linked role."""
    LOG_DELIVERY = "log-delivery"
    """Logs that AWS services deliver to a bucket: flow logs, firewall logs, resolver query logs."""
    GUARDDUTY = "guardduty"
    """Findings that GuardDuty exports to a bucket."""
    MACIE = "macie"
    """Discovery results that Macie writes to a bucket."""
    INSPECTOR = "inspector"
    """Reports that Inspector exports to a bucket."""
    SNS = "sns"
    """Topics, also where AWS services publish to them."""
    SQS = "sqs"
    """Queues, also where AWS services send to them."""
    SECRETS_MANAGER = "secrets-manager"
    """Secrets."""
    SSM = "ssm"
    """Secure parameters and sessions of Systems Manager."""
    NETWORK_FIREWALL = "network-firewall"
    """Firewalls, their policies and rule groups."""
    VAULT_SEAL = "vault-seal"
    """Auto-unseal of a Vault, whose role uses the key directly: the only use of its key, for named users."""
    SEALED_MODELS = "sealed-models"
    """Published models, which pods seal and open directly, as a tenant's: the encryption context has to name one."""


def statements_of(use: KeyUse, regime: Regime, users: _Users = (), administrators: Sequence[str] = ()) -> _Statements:
    """Return what the use needs; where identities call, these are the users, or whom IAM of the account allows to.

    Administrators are left out of whom IAM lets use the key, but not of what it takes to make resources with it: the
    role that runs Pulumi is one of them.
    """
    statements = _STATEMENTS[use](regime, users)
    if users or not administrators or use in _USED_IN_MAKING:
        return statements
    return [_but(administrators, each, regime) for each in statements]


def _through(name: str, service: str, *, grants: bool = False) -> Callable[[Regime, _Users], _Statements]:
    """Return the statements of a service that uses the key with its caller's identity, and may keep it by a grant.

    Nobody can use the key without the service.
    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
    """

    def statements(regime: Regime, users: _Users) -> _Statements:
        via = {"kms:ViaService": f"{service}.{regime['home_region']}.amazonaws.com"}
        made = [_use(f"UseThrough{name}", regime, users, via)]
        return [*made, _grant(f"GrantThrough{name}", _callers(regime, users), via)] if grants else made

    return statements


def _for_eks(regime: Regime, users: _Users) -> _Statements:
    """The cluster's role uses the key directly and hands it to EKS by a grant."""
    return [
        _use("UseForClusterSecrets", regime, users, {}),
        _grant("GrantToEks", _callers(regime, users), {}),
    ]


def _for_ebs(regime: Regime, _: _Users) -> _Statements:
    """Node groups start instances as the Auto Scaling service-linked role, which needs the key by name.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
    The role exists once an account has used Auto Scaling.
    """
    role = (
        f"arn:aws:iam::{regime['account_id']}:role/aws-service-role/autoscaling.amazonaws.com/"
        "AWSServiceRoleForAutoScaling"
    )
    return [_allow("UseForNodeDisks", {"AWS": role}, USE, {}), _grant("GrantForNodeDisks", role, {})]


def _for_logs(regime: Regime, _: _Users) -> _Statements:
    """CloudWatch Logs is its own principal; the encryption context ties it to log groups of this account."""
    region, account = regime["home_region"], regime["account_id"]
    context = {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{region}:{account}:log-group:*"}
    return [_allow("UseByLogs", {"Service": f"logs.{region}.amazonaws.com"}, USE, {"ArnLike": context})]


def _for_fsx(regime: Regime, users: _Users) -> _Statements:
    """A file system reaches a linked bucket's objects by a service-linked role that is named after the file system.

    https://docs.aws.amazon.com/fsx/latest/LustreGuide/s3-server-side-encryption-support.html
    The role's name is known too late to be a principal, so that a condition names it.
    """
    role = (
        f"arn:aws:iam::{regime['account_id']}:role/aws-service-role/s3.data-source.lustre.fsx.amazonaws.com/"
        "AWSServiceRoleForFSxS3Access_fs-*"
    )
    via = {
        "kms:ViaService": f"s3.{regime['home_region']}.amazonaws.com",
        "aws:PrincipalAccount": regime["account_id"],
    }
    condition = {"StringEquals": via, "ArnLike": {"aws:PrincipalArn": role}}
    return [
        *_through("Fsx", "fsx", grants=True)(regime, users),
        _allow("UseForLinkedBuckets", {"AWS": "*"}, USE, condition),
    ]


def _for_cloudtrail(regime: Regime, users: _Users) -> _Statements:
    """A trail encrypts each log file for itself; who reads it does so through S3.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
    """
    region, account = regime["home_region"], regime["account_id"]
    trails = f"arn:aws:cloudtrail:{region}:{account}:trail/*"
    context = {"StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": trails}}
    of_trails = {"ArnLike": {"aws:SourceArn": trails}}
    service = {"Service": "cloudtrail.amazonaws.com"}
    reading = _use("ReadTrails", regime, users, {"kms:ViaService": f"s3.{region}.amazonaws.com"})
    return [
        _allow("EncryptTrails", service, ["kms:GenerateDataKey*"], of_trails | context),
        _allow("DescribeForTrails", service, ["kms:DescribeKey"], of_trails),
        reading | {"Action": ["kms:Decrypt"], "Condition": reading["Condition"] | context},
    ]


def _by_service(name: str, service: str, actions: list[str], source: str = "") -> Callable[..., _Statements]:
    """Return the statement of a service that writes as its own principal, for this account's resources only."""

    def statements(regime: Regime, _: _Users) -> _Statements:
        region, account = regime["home_region"], regime["account_id"]
        condition: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": account}}
        if source:
            condition["ArnLike"] = {"aws:SourceArn": source.format(region=region, account=account)}
        return [_allow(f"UseBy{name}", {"Service": f"{service}.amazonaws.com"}, actions, condition)]

    return statements


def _messages(name: str, service: str, context: str, senders: Sequence[str]) -> Callable[[Regime, _Users], _Statements]:
    """Return the statements of topics or queues: users through the service, and AWS services that send to ours.

    Not every sender says for which account it sends (EventBridge does not), so that the encryption context, which
    names the topic or queue, ties the key to this account.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """

    def statements(regime: Regime, users: _Users) -> _Statements:
        ours = f"arn:aws:{service}:{regime['home_region']}:{regime['account_id']}:*"
        principal = {"Service": [f"{sender}.amazonaws.com" for sender in senders]}
        condition = {"ArnLike": {f"kms:EncryptionContext:{context}": ours}}
        return [
            *_through(name, service)(regime, users),
            _allow(f"UseForServicesTo{name}", principal, _WRITE, condition),
        ]

    return statements


def _for_network_firewall(regime: Regime, users: _Users) -> _Statements:
    """Who makes a firewall hands it the key by a grant.

    https://docs.aws.amazon.com/network-firewall/latest/developerguide/kms-encryption-at-rest.html
    """
    return [
        _use("UseForFirewalls", regime, users, {}) | {"Action": ["kms:DescribeKey"]},
        _grant("GrantToFirewalls", _callers(regime, users), {}),
    ]


def _for_vault_seal(regime: Regime, users: _Users) -> _Statements:
    """Vault encrypts and decrypts its root key itself: https://developer.hashicorp.com/vault/docs/configuration/seal/awskms."""
    return [
        _use("UnsealVault", regime, users, {}) | {"Action": ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]},
    ]


def _for_sealed_models(regime: Regime, users: _Users) -> _Statements:
    """Pods call KMS for data keys themselves; IAM says of each role for which tenant it may.

    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encryption-context
    """
    condition = {
        "StringEquals": {"aws:RequestedRegion": regime["home_region"]},
        "Null": {"kms:EncryptionContext:tenant": "false"},
    }
    return [
        _allow("SealForTenants", {"AWS": _callers(regime, users)}, ["kms:Decrypt", "kms:GenerateDataKey"], condition)
    ]


_STATEMENTS: dict[KeyUse, Callable[[Regime, _Users], _Statements]] = {
    KeyUse.S3: _through("S3", "s3"),
    KeyUse.EKS: _for_eks,
    KeyUse.EBS: _for_ebs,
    KeyUse.LOGS: _for_logs,
    KeyUse.EFS: _through("Efs", "elasticfilesystem", grants=True),
    KeyUse.FSX: _for_fsx,
    KeyUse.ECR: _through("Ecr", "ecr", grants=True),
    KeyUse.BACKUP: _through("Backup", "backup", grants=True),
    KeyUse.CLOUDTRAIL: _for_cloudtrail,
    KeyUse.CONFIG: _by_service("Config", "config", ["kms:GenerateDataKey", "kms:Decrypt"]),
    KeyUse.LOG_DELIVERY: _by_service("LogDelivery", "delivery.logs", USE, "arn:aws:logs:{region}:{account}:*"),
    KeyUse.GUARDDUTY: _by_service(
        "GuardDuty", "guardduty", ["kms:GenerateDataKey"], "arn:aws:guardduty:{region}:{account}:detector/*"
    ),
    KeyUse.MACIE: _by_service(
        "Macie", "macie", ["kms:GenerateDataKey", "kms:Encrypt"], "arn:aws:macie2:{region}:{account}:*"
    ),
    KeyUse.INSPECTOR: _by_service("Inspector", "inspector2", _WRITE, "arn:aws:inspector2:{region}:{account}:report/*"),
    KeyUse.SNS: _messages("Sns", "sns", "aws:sns:topicArn", ("backup", "cloudtrail", "cloudwatch", "events", "s3")),
    KeyUse.SQS: _messages("Sqs", "sqs", "aws:sqs:arn", ("events", "s3", "sns")),
    KeyUse.SECRETS_MANAGER: _through("SecretsManager", "secretsmanager"),
    KeyUse.SSM: _through("Ssm", "ssm"),
    KeyUse.NETWORK_FIREWALL: _for_network_firewall,
    KeyUse.VAULT_SEAL: _for_vault_seal,
    KeyUse.SEALED_MODELS: _for_sealed_models,
}


_USED_IN_MAKING = frozenset({KeyUse.EFS, KeyUse.FSX, KeyUse.BACKUP})
"""Uses in which the service wants more than a grant of who makes a resource: a data key, under its caller's identity.

https://docs.aws.amazon.com/aws-backup/latest/devguide/create-a-vault.html
https://docs.aws.amazon.com/efs/latest/ug/managing-encrypt.html
"""


def _but(administrators: Sequence[str], statement: dict[str, Any], regime: Regime) -> dict[str, Any]:
    """Leave the administrators out of a statement by which IAM of the account decides who uses the key."""
    asks_iam = statement["Principal"] == {"AWS": root_of(regime["account_id"])}
    if not asks_iam or "kms:CreateGrant" in statement["Action"]:
        return statement
    left_out = {"ArnNotEquals": {"aws:PrincipalArn": list(administrators)}}
    return statement | {"Condition": statement.get("Condition", {}) | left_out}


def _callers(regime: Regime, users: _Users) -> str | list[str]:
    return list(users) or root_of(regime["account_id"])


def _use(sid: str, regime: Regime, users: _Users, equals: dict[str, str]) -> dict[str, Any]:
    """Let the users use the key in the home region where the condition holds; IAM has to allow it to others too."""
    condition = {"StringEquals": equals | {"aws:RequestedRegion": regime["home_region"]}}
    return _allow(sid, {"AWS": _callers(regime, users)}, USE, condition)


def _grant(sid: str, principal: str | list[str], equals: dict[str, str]) -> dict[str, Any]:
    """Let the principal grant use of the key, but only to AWS resources such as a cluster or a disk."""
    condition: dict[str, Any] = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    if equals:
        condition["StringEquals"] = equals
    return _allow(sid, {"AWS": principal}, ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"], condition)


def _allow(sid: str, principal: dict[str, Any], actions: list[str], condition: dict[str, Any]) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"}
    return statement | ({"Condition": condition} if condition else {})
