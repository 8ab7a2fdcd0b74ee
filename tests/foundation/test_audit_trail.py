"""AuditTrail on HashiCorp's provider: what CloudTrail, Config and S3 hold, changes, drift and the end."""

import pytest
from botocore.exceptions import ClientError
from examples import Example

pytestmark = pytest.mark.lab
DEFAULT = ["default"]


def check_the_trail(example, key) -> None:
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
    assert [each["Name"] for each in selectors] == [
        *("management", "data of s3", "records that are read", "data of ebs", "data of lambda")
    ]
    (group,) = example.aws("logs").describe_log_groups(logGroupNamePrefix=outputs["log_group"])["logGroups"]
    assert (group["retentionInDays"], group["kmsKeyId"]) == (365, key)


def check_the_stores(example, key) -> None:
    s3, outputs = example.aws("s3"), example.outputs()
    for bucket in (outputs["bucket"], outputs["config_bucket"]):
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    lock = s3.get_object_lock_configuration(Bucket=outputs["bucket"])["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"].items() >= {"Mode": "COMPLIANCE", "Days": 1827}.items()


def check_the_recorder(example, key) -> None:
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
    assert kept["RetentionPeriodInDays"] == 1827


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
    assert recording(config)

    bucket = example.outputs()["bucket"]
    example.destroy()
    assert cloudtrail.describe_trails()["trailList"] == []
    assert config.describe_configuration_recorders()["ConfigurationRecorders"] == []
    assert config.describe_delivery_channels()["DeliveryChannels"] == []
    with pytest.raises(ClientError, match="404"):
        example.aws("s3").head_bucket(Bucket=bucket)
