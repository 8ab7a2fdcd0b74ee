"""AuditTrail: its stores, its trail, its recorder, and its refusals."""

import json

import pytest
from component_samples import KEY, OWNERSHIP, REGIME

from falaj.components import AuditTrail, Classification, ConfigError, DataEvents
from falaj.components.audit_trail import writing_policy
from falaj.components.trail_events import event_selectors

ARGS = {"key": KEY, "regime": REGIME, "ownership": OWNERSHIP}
ORGANIZATION = {**REGIME, "organization_id": "o-a1b2c3d4e5"}
STORE = "arn:aws:s3:::records"


def fields(selector):
    """Return what a selector matches, by field, each with its operators."""
    return {
        each["field"]: {name: each[name] for name in each if name != "field"} for each in selector["field_selectors"]
    }


def test_the_trail_records_every_region_and_nothing_leaves_home(run, engine, providers):
    run(lambda: AuditTrail("audit", ARGS, providers()).trail_arn)
    trail = engine.one("Trail")
    assert trail["isMultiRegionTrail"] is True
    assert trail["includeGlobalServiceEvents"] is True
    assert trail["isOrganizationTrail"] is False
    assert trail["enableLogging"] is True
    assert trail["s3BucketName"] == "test-records-123456789012-me-central-1"


def test_the_trail_is_encrypted_validated_and_tagged(run, engine, providers):
    run(lambda: AuditTrail("audit", ARGS, providers()).trail_arn)
    trail = engine.one("Trail")
    assert trail["kmsKeyId"] == KEY["arn"]
    assert trail["enableLogFileValidation"] is True
    assert trail["tags"]["classification"] == "restricted"
    assert "insightSelectors" not in trail


def test_events_can_be_searched_in_an_encrypted_log_group(run, engine, providers):
    run(lambda: AuditTrail("audit", ARGS, providers()).log_group)
    group, trail = engine.one("LogGroup"), engine.one("Trail")
    assert (group["name"], group["kmsKeyId"]) == ("/falaj/test/audit-trail", KEY["arn"])
    assert group["retentionInDays"] == 365
    assert trail["cloudWatchLogsGroupArn"].endswith(":audit-events:*")
    assert trail["cloudWatchLogsRoleArn"].endswith(":audit-writer")
    trust = json.loads(engine.one("Role")["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Service": "cloudtrail.amazonaws.com"}


def test_the_writer_writes_to_streams_of_the_account_and_its_organization_only():
    (own,) = writing_policy("arn:group", REGIME)["Statement"]
    assert own["Resource"] == ["arn:group:log-stream:123456789012_CloudTrail_me-central-1*"]
    assert own["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    (wide,) = writing_policy("arn:group", ORGANIZATION)["Statement"]
    assert "arn:group:log-stream:o-a1b2c3d4e5_*" in wide["Resource"]


def test_records_are_written_once_and_kept_as_long_as_the_regime_asks(run, engine, providers):
    run(lambda: AuditTrail("audit", ARGS, providers()).bucket)
    lock = engine.one("BucketObjectLockConfiguration")
    assert lock["rule"] == {"defaultRetention": {"mode": "COMPLIANCE", "days": 1827}}
    policies = [json.loads(each["policy"]) for each in engine.all("BucketPolicy")]
    services = [
        {each["Principal"]["Service"] for each in policy["Statement"] if "Service" in each["Principal"]}
        for policy in policies
    ]
    assert {"cloudtrail.amazonaws.com", "guardduty.amazonaws.com", "macie.amazonaws.com"} in services
    assert {"config.amazonaws.com"} in services  # Config delivers to no bucket whose objects are locked


def test_all_management_is_recorded_and_the_use_of_data():
    management, s3, records, function = event_selectors([DataEvents.S3, DataEvents.LAMBDA], STORE)
    assert fields(management) == {"eventCategory": {"equals": ["Management"]}}
    assert fields(s3)["resources.type"] == {"equals": ["AWS::S3::Object"]}
    assert fields(function)["resources.type"] == {"equals": ["AWS::Lambda::Function"]}
    assert fields(records)["resources.ARN"] == {"starts_withs": [f"{STORE}/"]}


def test_what_cloudtrail_writes_makes_no_event_and_who_reads_it_does():
    _, s3, records = event_selectors([DataEvents.S3], STORE)
    assert fields(s3)["resources.ARN"] == {"not_starts_withs": [f"{STORE}/"]}
    assert fields(records)["eventName"] == {"not_equals": ["PutObject"]}


def test_the_recorder_records_everything_and_delivers_under_the_key(run, engine, providers):
    run(lambda: AuditTrail("audit", ARGS, providers()).config_bucket)
    assert engine.one("Recorder")["recordingGroup"] == {"allSupported": True, "includeGlobalResourceTypes": True}
    channel = engine.one("DeliveryChannel")
    assert channel["s3BucketName"] == "test-config-records-123456789012-me-central-1"
    assert channel["s3KmsKeyArn"] == KEY["arn"]
    assert engine.one("RecorderStatus")["isEnabled"] is True
    assert engine.one("RetentionConfiguration")["retentionPeriodInDays"] == 1827


def test_config_keeps_no_longer_than_it_can(run, engine, providers):
    run(lambda: AuditTrail("audit", {**ARGS, "record_days": 3650}, providers()).bucket)
    assert engine.one("RetentionConfiguration")["retentionPeriodInDays"] == 2557
    assert engine.one("BucketObjectLockConfiguration")["rule"]["defaultRetention"]["days"] == 3650


@pytest.mark.parametrize(("made", "role"), [(True, ":audit-config-role"), (False, "/AWSServiceRoleForConfig")])
def test_config_s_service_linked_role_is_made_unless_the_account_has_it(run, engine, providers, made, role):
    run(lambda: AuditTrail("audit", {**ARGS, "config_role": made}, providers()).bucket)
    assert len(engine.all("ServiceLinkedRole")) == made
    assert engine.one("Recorder")["roleArn"].endswith(role)


def test_an_organization_s_trail_is_asked_for(run, engine, providers):
    run(lambda: AuditTrail("audit", {**ARGS, "regime": ORGANIZATION, "organization": True}, providers()).bucket)
    assert engine.one("Trail")["isOrganizationTrail"] is True
    folders = [
        resource
        for policy in engine.all("BucketPolicy")
        for each in json.loads(policy["policy"])["Statement"]
        for resource in each["Resource"]
    ]
    assert any(each.endswith("/AWSLogs/o-a1b2c3d4e5/*") for each in folders)


def test_insights_are_asked_for(run, engine, providers):
    run(lambda: AuditTrail("audit", {**ARGS, "insights": True}, providers()).bucket)
    kinds = {each["insightType"] for each in engine.one("Trail")["insightSelectors"]}
    assert kinds == {"ApiCallRateInsight", "ApiErrorRateInsight"}


def test_its_records_are_handed_on(run, providers):
    ref = run(lambda: AuditTrail("audit", ARGS, providers()).ref)
    assert ref == {
        "bucket_arn": "arn:aws:mock:me-central-1:123456789012:audit-records-bucket",
        "key_arn": KEY["arn"],
        "classification": "restricted",
        "record_days": 1827,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"record_days": 365},
            "audit.record_days must be at least 1827 days, as uae-restricted asks for this classification (got 365)",
        ),
        (
            {"log_days": 30},
            "audit.log_days must be at least 365 days, as uae-restricted asks for this classification (got 30)",
        ),
        ({"log_days": 366}, "audit.log_days must be a retention that CloudWatch offers, such as 400 days (got 366)"),
        ({"data_events": ["rds"]}, "audit.data_events must be among s3, ebs, lambda, dynamodb (got 'rds')"),
        ({"organization": True}, "audit.organization must come with organization_id in the regime (got True)"),
        (
            {"key": {**KEY, "classification": "internal"}},
            "audit.key must be a key classified restricted or higher, as the data is (got 'internal')",
        ),
        (
            {"regime": {**REGIME, "home_region": "us-east-1"}},
            "audit.regime.home_region must be a region that uae-restricted allows: me-central-1 (got 'us-east-1')",
        ),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_made(run, engine, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: AuditTrail("audit", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
    assert all(each.typ.startswith("pulumi:providers:") for each in engine.made)


def test_less_sensitive_records_may_be_kept_for_less_long(run, engine, providers):
    args = {**ARGS, "classification": Classification.INTERNAL, "record_days": 365, "log_days": 30}
    run(lambda: AuditTrail("audit", args, providers()).bucket)
    assert engine.one("RetentionConfiguration")["retentionPeriodInDays"] == 365
