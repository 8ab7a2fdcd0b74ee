"""AWS services that deliver records to a bucket, and the statements of its policy by which each may."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from falaj.components.errors import ConfigError
from falaj.components.regime import Regime

Statement = dict[str, Any]


class LogSource(StrEnum):
    """A service that writes records into a store of logs by itself.

    S3's server access logs and the logs of application load balancers are not among them: AWS writes both only to
    buckets without a customer key. CloudTrail's data events tell what happens to objects.
    """

    CLOUDTRAIL = "cloudtrail"
    """API calls, of the account or of its whole organization."""
    CONFIG = "config"
    """How resources were configured, and when that changed. It wants a store of its own."""
    GUARDDUTY = "guardduty"
    """Threats that were found."""
    MACIE = "macie"
    """Sensitive data that was found in buckets."""
    FLOW_LOGS = "flow-logs"
    """Connections in a VPC."""
    RESOLVER_QUERIES = "resolver-queries"
    """Names that were asked for in a VPC."""
    NETWORK_FIREWALL = "network-firewall"
    """Connections that a firewall saw and stopped."""
    NETWORK_LOAD_BALANCER = "network-load-balancer"
    """TLS requests to a network load balancer."""


def check_deliveries(field: str, sources: Sequence[str]) -> list[LogSource]:
    """Return the sources, refusing an unknown one and what cannot share a bucket with others."""
    for source in sources:
        if source not in set(LogSource):
            raise ConfigError(field, source, f"must be among {', '.join(LogSource)}")
    known = list(dict.fromkeys(LogSource(source) for source in sources))
    if LogSource.CONFIG in known and len(known) > 1:
        remedy = "must hold config alone or not at all: AWS Config delivers to no bucket whose objects are locked"
        raise ConfigError(field, [source.value for source in known], remedy)
    return known


def takes_locks(sources: Sequence[LogSource]) -> bool:
    """Tell whether the sources deliver to a bucket that locks each new object.

    AWS Config does not: https://docs.aws.amazon.com/config/latest/developerguide/manage-delivery-channel.html
    """
    return LogSource.CONFIG not in sources


def delivery_statements(sources: Sequence[LogSource], bucket_arn: str, regime: Regime) -> list[Statement]:
    """Return the statements that let the sources deliver, for this account (and its organization's trail) only."""
    found: list[Statement] = []
    for source in sources:
        found += [each for each in _STATEMENTS[source](bucket_arn, regime) if each not in found]
    return found


def _allow(sid: str, service: str, actions: list[str], resources: list[str], condition: dict[str, Any]) -> Statement:
    """Let the service do the actions where the condition holds."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": actions,
        "Resource": resources,
        "Condition": condition,
    }


def _of(regime: Regime, *arns: str) -> dict[str, Any]:
    """Match what a service does for our account, on behalf of things with these ARNs."""
    condition: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": regime["account_id"]}}
    return condition | ({"ArnLike": {"aws:SourceArn": [*arns]}} if arns else {})


def _given_away(condition: dict[str, Any]) -> dict[str, Any]:
    """Match only a delivery that leaves the object to the bucket's owner."""
    return condition | {"StringEquals": condition["StringEquals"] | {"s3:x-amz-acl": "bucket-owner-full-control"}}


def _for_cloudtrail(bucket_arn: str, regime: Regime) -> list[Statement]:
    """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html.

    A trail of the organization writes below the organization's id what its other accounts did.
    """
    region, account = regime["home_region"], regime["account_id"]
    ours = _of(regime, f"arn:aws:cloudtrail:{region}:{account}:trail/*")
    folders = [account, *([regime["organization_id"]] if "organization_id" in regime else [])]
    objects = [f"{bucket_arn}/AWSLogs/{folder}/*" for folder in folders]
    return [
        _allow("CheckByCloudTrail", "cloudtrail", ["s3:GetBucketAcl"], [bucket_arn], ours),
        _allow("WriteByCloudTrail", "cloudtrail", ["s3:PutObject"], objects, _given_away(ours)),
    ]


def _for_config(bucket_arn: str, regime: Regime) -> list[Statement]:
    """https://docs.aws.amazon.com/config/latest/developerguide/s3-bucket-policy.html."""
    objects = [f"{bucket_arn}/AWSLogs/{regime['account_id']}/Config/*"]
    return [
        _allow("CheckByConfig", "config", ["s3:GetBucketAcl", "s3:ListBucket"], [bucket_arn], _of(regime)),
        _allow("WriteByConfig", "config", ["s3:PutObject"], objects, _given_away(_of(regime))),
    ]


def _for_guardduty(bucket_arn: str, regime: Regime) -> list[Statement]:
    """https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_exportfindings.html."""
    ours = _of(regime, f"arn:aws:guardduty:{regime['home_region']}:{regime['account_id']}:detector/*")
    return [
        _allow("CheckByGuardDuty", "guardduty", ["s3:GetBucketLocation"], [bucket_arn], ours),
        _allow("WriteByGuardDuty", "guardduty", ["s3:PutObject"], [f"{bucket_arn}/*"], ours),
    ]


def _for_macie(bucket_arn: str, regime: Regime) -> list[Statement]:
    """https://docs.aws.amazon.com/macie/latest/user/discovery-results-repository-s3.html."""
    prefix = f"arn:aws:macie2:{regime['home_region']}:{regime['account_id']}"
    ours = _of(regime, f"{prefix}:export-configuration:*", f"{prefix}:classification-job/*")
    return [
        _allow("CheckByMacie", "macie", ["s3:GetBucketLocation"], [bucket_arn], ours),
        _allow("WriteByMacie", "macie", ["s3:PutObject"], [f"{bucket_arn}/*"], ours),
    ]


def _for_log_delivery(bucket_arn: str, regime: Regime) -> list[Statement]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-S3.html."""
    region, account = regime["home_region"], regime["account_id"]
    ours, objects = _of(regime, f"arn:aws:logs:{region}:{account}:*"), [f"{bucket_arn}/AWSLogs/{account}/*"]
    return [
        _allow("CheckByLogDelivery", "delivery.logs", ["s3:GetBucketAcl", "s3:ListBucket"], [bucket_arn], ours),
        _allow("WriteByLogDelivery", "delivery.logs", ["s3:PutObject"], objects, _given_away(ours)),
    ]


_STATEMENTS: dict[LogSource, Callable[[str, Regime], list[Statement]]] = {
    LogSource.CLOUDTRAIL: _for_cloudtrail,
    LogSource.CONFIG: _for_config,
    LogSource.GUARDDUTY: _for_guardduty,
    LogSource.MACIE: _for_macie,
    LogSource.FLOW_LOGS: _for_log_delivery,
    LogSource.RESOLVER_QUERIES: _for_log_delivery,
    LogSource.NETWORK_FIREWALL: _for_log_delivery,
    LogSource.NETWORK_LOAD_BALANCER: _for_log_delivery,
}
