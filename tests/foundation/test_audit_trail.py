"""AuditTrail on HashiCorp's provider: what CloudTrail, Config and S3 hold, changes, drift and the end."""

import json

import pytest
from botocore.exceptions import ClientError
from examples import Example
from organizations import organization_of

from falaj.lab.state import ACCOUNT, REGION

pytestmark = pytest.mark.lab
DEFAULT = ["default"]
OF_S3 = ("management", "data of s3", "records that are read")


def check_the_trail(example, key, selected=(*OF_S3, "data of ebs", "data of lambda")) -> None:
    cloudtrail, outputs = example.aws("cloudtrail"), example.outputs()
    (trail,) = cloudtrail.describe_trails(trailNameList=[outputs["trail"]])["trailList"]
    assert trail["S3BucketName"] == outputs["bucket"]
    assert trail["KmsKeyId"] == key
    assert [trail[flag] for flag in ("IsMultiRegionTrail", "LogFileValidationEnabled", "HasCustomEventSelectors")] == [
        True
    ] * 3
    assert trail["CloudWatchLogsLogGroupArn"].endswith(f"log-group:{outputs['log_group']}:*")
    assert cloudtrail.get_trail_status(Name=outputs["trail"])["IsLogging"]
    selectors = cloudtrail.get_event_selectors(TrailName=outputs["trail"])["AdvancedEventSelectors"]
    assert [each["Name"] for each in selectors] == [*selected]
    (group,) = example.aws("logs").describe_log_groups(logGroupNamePrefix=outputs["log_group"])["logGroups"]
    assert (group["retentionInDays"], group["kmsKeyId"]) == (365, key)


def check_the_stores(example, key, days=1827) -> None:
    s3, outputs = example.aws("s3"), example.outputs()
    for bucket in (outputs["bucket"], outputs["config_bucket"]):
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    lock = s3.get_object_lock_configuration(Bucket=outputs["bucket"])["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"].items() >= {"Mode": "COMPLIANCE", "Days": days}.items()


def check_the_recorder(example, key, days=1827) -> None:
    config, outputs = example.aws("config"), example.outputs()
    (recorder,) = config.describe_configuration_recorders(ConfigurationRecorderNames=DEFAULT)["ConfigurationRecorders"]
    group = recorder["recordingGroup"]
    assert (group["allSupported"], group["includeGlobalResourceTypes"]) == (True, True)
    assert recorder["recordingMode"]["recordingFrequency"] == "CONTINUOUS"
    assert ":role/aws-service-role/config.amazonaws.com/" in recorder["roleARN"]
    (channel,) = config.describe_delivery_channels(DeliveryChannelNames=DEFAULT)["DeliveryChannels"]
    assert (channel["s3BucketName"], channel["s3KmsKeyArn"]) == (outputs["config_bucket"], key)
    assert recording(config)
    (kept,) = config.describe_retention_configurations()["RetentionConfigurations"]
    assert kept["RetentionPeriodInDays"] == days


def insights(example) -> set[str]:
    """Return the insights that the trail has asked for."""
    told = example.aws("cloudtrail").get_insight_selectors(TrailName=example.outputs()["trail"])
    return {each["InsightType"] for each in told.get("InsightSelectors", [])}


def recording(config) -> bool:
    (status,) = config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    return status["recording"]


def test_records_are_kept_as_they_were_asked_for(bridged):
    example = Example(bridged, "audit-trail")
    example.up()
    assert example.changes() == {}
    key = example.resources()["records-key"]["outputs"]["arn"]
    check_the_trail(example, key)
    check_the_stores(example, key)
    check_the_recorder(example, key)

    assert example.changes(insights="true")["audit-trail"] == ("update", {"insightSelectors"})
    fewer = example.changes(dataEvents="s3")
    assert fewer["audit-trail"][0] == "update"
    longer = example.changes(recordDays="2000")
    assert longer["audit-history"][0] == "update"
    assert longer["audit-records-lock"][0] == "update"
    renamed = example.changes(environment="test")
    assert renamed["audit-trail"][0] == "replace"
    assert "name" in renamed["audit-trail"][1]
    short = example.pulumi("preview", check=False, recordDays="30")
    assert "audit.record_days must be at least 1827 days, as uae-restricted asks" in short.stdout + short.stderr

    more = {"insights": "true", "dataEvents": "s3", "recordDays": "2000"}
    trail, bucket = (example.outputs()[each] for each in ("trail", "bucket"))
    example.up(**more)
    assert example.changes(**more) == {}
    assert (example.outputs()["trail"], example.outputs()["bucket"]) == (trail, bucket)
    check_the_trail(example, key, OF_S3)
    check_the_stores(example, key, 2000)
    check_the_recorder(example, key, 2000)
    assert insights(example) == {"ApiCallRateInsight", "ApiErrorRateInsight"}

    cloudtrail, config = example.aws("cloudtrail"), example.aws("config")
    name = example.outputs()["trail"]
    cloudtrail.stop_logging(Name=name)
    management = [{"Field": "eventCategory", "Equals": ["Management"]}]
    cloudtrail.put_event_selectors(
        TrailName=name, AdvancedEventSelectors=[{"Name": "less", "FieldSelectors": management}]
    )
    config.stop_configuration_recorder(ConfigurationRecorderName="default")
    drift = example.drift()
    assert {each.partition("[")[0] for each in drift["audit-trail"][1]} == {"enableLogging", "advancedEventSelectors"}
    assert drift["audit-recording"][1] == {"isEnabled"}
    example.up()
    check_the_trail(example, key)
    check_the_stores(example, key)
    assert insights(example) == set()
    assert recording(config)

    bucket = example.outputs()["bucket"]
    example.destroy()
    assert cloudtrail.describe_trails()["trailList"] == []
    assert config.describe_configuration_recorders()["ConfigurationRecorders"] == []
    assert config.describe_delivery_channels()["DeliveryChannels"] == []
    with pytest.raises(ClientError, match="404"):
        example.aws("s3").head_bucket(Bucket=bucket)


def test_an_organization_s_trail_records_every_account_into_a_store_that_takes_their_records(bridged):
    example = Example(bridged, "audit-trail")
    organization = organization_of(example)
    # Without it AWS makes no trail of an organization; moto asks for nothing.
    example.aws("organizations").enable_aws_service_access(ServicePrincipal="cloudtrail.amazonaws.com")
    wanted = {"organizationId": organization}
    example.up(**wanted)
    assert example.changes(**wanted) == {}
    outputs = example.outputs()
    (trail,) = example.aws("cloudtrail").describe_trails(trailNameList=[outputs["trail"]])["trailList"]
    assert (trail["IsOrganizationTrail"], trail["IsMultiRegionTrail"]) == (True, True)
    assert example.aws("cloudtrail").get_trail_status(Name=outputs["trail"])["IsLogging"]
    check_the_trail(example, example.resources()["records-key"]["outputs"]["arn"])

    bucket = f"arn:aws:s3:::{outputs['bucket']}"
    policy = json.loads(example.aws("s3").get_bucket_policy(Bucket=outputs["bucket"])["Policy"])
    (writing,) = [each for each in policy["Statement"] if each["Sid"] == "WriteByCloudTrail"]
    assert writing["Resource"] == [f"{bucket}/AWSLogs/{folder}/*" for folder in (ACCOUNT, organization)]
    assert writing["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT
    writer = example.resources()["audit-writing"]["outputs"]
    streams = example.aws("iam").get_role_policy(RoleName=writer["role"], PolicyName=writer["name"])["PolicyDocument"]
    (reached,) = [each["Resource"] for each in streams["Statement"]]
    assert [each.rpartition(":")[2] for each in reached] == [
        f"{ACCOUNT}_CloudTrail_{REGION}*",
        f"{organization}_*",
    ]

    assert example.changes()["audit-trail"][0] == "update"
    example.up()
    (trail,) = example.aws("cloudtrail").describe_trails(trailNameList=[outputs["trail"]])["trailList"]
    assert not trail["IsOrganizationTrail"]
    example.destroy()
