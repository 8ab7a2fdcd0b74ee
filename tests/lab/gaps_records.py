"""Gaps of CloudTrail and AWS Config."""

import json
from typing import Any

from asking import Aws, name, refused

from falaj.lab.state import REGION


def bucket(aws: Aws, *services: str) -> str:
    """Make a bucket that these services may write to."""
    s3, made = aws.client("s3"), name()
    s3.create_bucket(Bucket=made, CreateBucketConfiguration={"LocationConstraint": REGION})
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{made}/*"}
    statements = [{**allow, "Principal": {"Service": service}} for service in services]
    if statements:
        s3.put_bucket_policy(Bucket=made, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    return made


def trail(aws: Aws) -> str:
    """Make a trail; return its ARN."""
    made = {"Name": name(), "S3BucketName": bucket(aws, "cloudtrail.amazonaws.com")}
    return aws.client("cloudtrail").create_trail(**made)["TrailARN"]


def described(aws: Aws, arn: str) -> dict[str, Any]:
    found = aws.client("cloudtrail").describe_trails(trailNameList=[arn])["trailList"]
    return next(each for each in found if each["TrailARN"] == arn)


def a_trail_is_found_by_its_arn_among_others(aws: Aws) -> bool:
    first, second = trail(aws), trail(aws)
    found = aws.client("cloudtrail").describe_trails(trailNameList=[second])["trailList"]
    return first != second and [each["TrailARN"] for each in found] == [second]


def a_trail_is_deleted_by_its_arn(aws: Aws) -> bool:
    arn = trail(aws)
    aws.client("cloudtrail").delete_trail(Name=arn)
    return refused(lambda: aws.client("cloudtrail").get_trail(Name=arn), "TrailNotFoundException", "")


def a_bucket_that_does_not_let_the_trail_write_is_refused(aws: Aws) -> bool:
    create, closed = aws.client("cloudtrail").create_trail, bucket(aws, "config.amazonaws.com")
    code = "InsufficientS3BucketPolicyException"
    return refused(lambda: create(Name=name(), S3BucketName=closed), code, "policy")


def a_trail_tells_that_it_has_selectors(aws: Aws) -> bool:
    arn, client = trail(aws), aws.client("cloudtrail")
    before = described(aws, arn)
    management = [{"Field": "eventCategory", "Equals": ["Management"]}]
    client.put_event_selectors(TrailName=arn, AdvancedEventSelectors=[{"Name": "all", "FieldSelectors": management}])
    client.put_insight_selectors(TrailName=arn, InsightSelectors=[{"InsightType": "ApiCallRateInsight"}])
    after = described(aws, arn)
    flags = ("HasCustomEventSelectors", "HasInsightSelectors")
    return [before[flag] for flag in flags] == [False] * 2 and [after[flag] for flag in flags] == [True] * 2


def one_kind_of_selector_replaces_the_other(aws: Aws) -> bool:
    arn, client = trail(aws), aws.client("cloudtrail")
    management = [{"Field": "eventCategory", "Equals": ["Management"]}]
    client.put_event_selectors(TrailName=arn, AdvancedEventSelectors=[{"Name": "all", "FieldSelectors": management}])
    client.put_event_selectors(TrailName=arn, EventSelectors=[{"ReadWriteType": "All"}])
    return not client.get_event_selectors(TrailName=arn).get("AdvancedEventSelectors")


def insights_are_replaced(aws: Aws) -> bool:
    arn, client = trail(aws), aws.client("cloudtrail")
    for kind in ("ApiCallRateInsight", "ApiErrorRateInsight"):
        client.put_insight_selectors(TrailName=arn, InsightSelectors=[{"InsightType": kind}])
    return client.get_insight_selectors(TrailName=arn)["InsightSelectors"] == [{"InsightType": "ApiErrorRateInsight"}]


def a_recorder_keeps_its_mode(aws: Aws) -> bool:
    client = aws.client("config")
    for recorder in client.describe_configuration_recorders()["ConfigurationRecorders"]:
        client.delete_configuration_recorder(ConfigurationRecorderName=recorder["name"])
    found = []
    for mode in ({}, {"recordingMode": {"recordingFrequency": "DAILY"}}):
        client.put_configuration_recorder(
            ConfigurationRecorder={"name": "default", "roleARN": aws.role(), **mode},
        )
        found += client.describe_configuration_recorders()["ConfigurationRecorders"]
    return [each["recordingMode"]["recordingFrequency"] for each in found] == ["CONTINUOUS", "DAILY"]


GAPS = [
    a_trail_is_found_by_its_arn_among_others,
    a_trail_is_deleted_by_its_arn,
    a_bucket_that_does_not_let_the_trail_write_is_refused,
    a_trail_tells_that_it_has_selectors,
    one_kind_of_selector_replaces_the_other,
    insights_are_replaced,
    a_recorder_keeps_its_mode,
]
