"""AWS Config's recorder and where it delivers to; part of the component that keeps the records."""

import pulumi
import pulumi_aws as aws

from falaj.components.data_store import DataStore

# https://docs.aws.amazon.com/config/latest/APIReference/API_PutRetentionConfiguration.html
_LEAST_DAYS, _MOST_DAYS = 30, 2557


def record_configuration(
    name: str,
    store: DataStore,
    *,
    role: pulumi.Input[str],
    key: pulumi.Input[str],
    days: int,
    opts: pulumi.ResourceOptions,
) -> aws.cfg.Recorder:
    """Record every type of resource, the global ones too: the home region is the only one that records."""

    def after(*resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=list(resources)))

    recorder = aws.cfg.Recorder(
        f"{name}-recorder",
        name="default",
        role_arn=role,
        recording_group={"all_supported": True, "include_global_resource_types": True},
        recording_mode={"recording_frequency": "CONTINUOUS"},
        opts=opts,
    )
    channel = aws.cfg.DeliveryChannel(
        f"{name}-channel",
        name="default",
        s3_bucket_name=store.bucket,
        s3_kms_key_arn=key,
        snapshot_delivery_properties={"delivery_frequency": "TwentyFour_Hours"},
        opts=after(recorder, store),
    )
    aws.cfg.RecorderStatus(f"{name}-recording", name=recorder.name, is_enabled=True, opts=after(channel))
    aws.cfg.RetentionConfiguration(
        f"{name}-history",
        retention_period_in_days=min(max(days, _LEAST_DAYS), _MOST_DAYS),
        opts=after(recorder),
    )
    return recorder


def config_role(name: str, account_id: str, *, make: bool, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """Return the ARN of Config's service-linked role, which an account has once; make it where it is not there yet.

    Security Hub asks for this role (control Config.1): no other can be given more than Config needs.
    """
    service = "config.amazonaws.com"
    if make:
        return aws.iam.ServiceLinkedRole(f"{name}-config-role", aws_service_name=service, opts=opts).arn
    return f"arn:aws:iam::{account_id}:role/aws-service-role/{service}/AWSServiceRoleForConfig"
