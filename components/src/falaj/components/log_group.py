"""An encrypted log group with a retention that CloudWatch knows; part of the components that write logs."""

import pulumi
import pulumi_aws as aws

from falaj.components.errors import ConfigError

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_RETENTIONS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def check_retention(field: str, days: float) -> int:
    """Return the retention if CloudWatch offers it; other numbers would be refused in the middle of an update."""
    if days not in _RETENTIONS:
        nearest = offered_retention(days)
        raise ConfigError(field, days, f"must be a retention that CloudWatch offers, such as {nearest} days")
    return int(days)


def offered_retention(days: float) -> int:
    """Return the shortest retention that CloudWatch offers and that is no shorter, or else its longest."""
    return next((offered for offered in _RETENTIONS if offered >= days), _RETENTIONS[-1])


def encrypted_log_group(
    resource_name: str,
    path: str,
    *,
    key: pulumi.Input[str],
    days: pulumi.Input[int],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.cloudwatch.LogGroup:
    """Make the log group ``path``, encrypted with the customer key and kept for ``days``."""
    return aws.cloudwatch.LogGroup(
        resource_name, name=path, kms_key_id=key, retention_in_days=days, tags=tags, opts=opts
    )
