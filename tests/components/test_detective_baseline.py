"""DetectiveBaseline: every detector on, its findings kept and told, nothing gathered elsewhere; its refusals."""

import json

import pytest
from component_samples import KEY, OWNERSHIP, REGIME

from falaj.components import AuditTrail, ConfigError, DetectiveBaseline, Scans, Severity, Standard, Threats
from falaj.components.detectors import WITHOUT_MACIE
from falaj.components.findings import grave_findings, group_policy, topic_policy
from falaj.components.regime import regimes

RECORDS = {
    "bucket_arn": "arn:aws:s3:::records",
    "key_arn": KEY["arn"],
    "classification": "restricted",
    "record_days": 1827,
}
ARGS = {"records": RECORDS, "regime": REGIME, "ownership": OWNERSHIP}
FRANKFURT = {"home_region": "eu-central-1", "account_id": "123456789012", "name": "gdpr"}


def make(args, providers):
    return lambda: DetectiveBaseline("baseline", args, providers()).detector_id


def test_guardduty_looks_at_all_that_it_can(run, engine, providers):
    run(make(ARGS, providers))
    assert engine.one("Detector")["enable"] is True
    assert engine.one("Detector")["findingPublishingFrequency"] == "FIFTEEN_MINUTES"
    features = engine.all("DetectorFeature")
    assert {each["name"] for each in features} == {each.value for each in Threats}
    assert {each["status"] for each in features} == {"ENABLED"}


def test_guardduty_installs_its_agent_where_the_platform_runs(run, engine, providers):
    run(make(ARGS, providers))
    (runtime,) = [each for each in engine.all("DetectorFeature") if each["name"] == "RUNTIME_MONITORING"]
    assert {each["name"]: each["status"] for each in runtime["additionalConfigurations"]} == {
        "EKS_ADDON_MANAGEMENT": "ENABLED",
        "EC2_AGENT_MANAGEMENT": "ENABLED",
        "ECS_FARGATE_AGENT_MANAGEMENT": "DISABLED",
    }


def test_what_guardduty_is_not_asked_for_is_turned_off_since_a_new_detector_has_it_on(run, engine, providers):
    run(make({**ARGS, "threats": [Threats.S3]}, providers))
    on = {each["name"] for each in engine.all("DetectorFeature") if each["status"] == "ENABLED"}
    assert on == {"S3_DATA_EVENTS"}
    assert len(engine.all("DetectorFeature")) == len(Threats)


def test_guardduty_s_findings_end_in_the_records(run, engine, providers):
    run(make(ARGS, providers))
    destination = engine.one("PublishingDestination")
    assert destination["destinationArn"] == RECORDS["bucket_arn"]
    assert destination["kmsKeyArn"] == KEY["arn"]


def test_security_hub_checks_the_standards_of_the_home_region(run, engine, providers):
    run(make(ARGS, providers))
    hub = engine.one("Account")
    assert (hub["enableDefaultStandards"], hub["autoEnableControls"]) == (False, True)
    found = {each["standardsArn"] for each in engine.all("StandardsSubscription")}
    assert found == {each.arn("me-central-1") for each in Standard}
    assert Standard.NIST.arn("me-central-1") == "arn:aws:securityhub:me-central-1::standards/nist-800-53/v/5.0.0"


def test_no_finding_is_gathered_in_another_region(run, engine, providers):
    run(make(ARGS, providers))
    assert not [each for each in engine.made if "ggregator" in each.typ]


def test_inspector_scans_the_account(run, engine, providers):
    run(make({**ARGS, "scans": [Scans.ECR]}, providers))
    enabler = engine.one("Enabler")
    assert (enabler["accountIds"], enabler["resourceTypes"]) == (["123456789012"], ["ECR"])


def test_macie_is_left_out_where_aws_does_not_offer_it(run, engine, providers):
    run(make(ARGS, providers))
    assert not engine.all("ClassificationExportConfiguration")
    assert not [each for each in engine.made if each.typ.startswith("aws:macie")]


def test_macie_writes_what_it_discovers_to_the_records(run, engine, providers):
    run(make({**ARGS, "regime": FRANKFURT}, providers))
    to = engine.one("ClassificationExportConfiguration")["s3Destination"]
    assert to == {"bucketName": "records", "keyPrefix": "macie", "kmsKeyArn": KEY["arn"]}
    (session,) = [each.inputs for each in engine.made if each.typ == "aws:macie2/account:Account"]
    assert session["status"] == "ENABLED"


def test_every_region_that_is_told_to_be_without_macie_may_be_home():
    assert set(WITHOUT_MACIE) <= {region for rules in regimes().values() for region in rules.regions}


def test_who_outside_the_account_has_access_is_looked_at(run, engine, providers):
    run(make(ARGS, providers))
    analyzer = engine.one("Analyzer")
    assert (analyzer["analyzerName"], analyzer["type"]) == ("test-external-access", "ACCOUNT")


def test_the_organization_is_trusted_and_unused_rights_looked_at_when_asked(run, engine, providers):
    regime = {**REGIME, "organization_id": "o-a1b2c3d4e5"}
    run(make({**ARGS, "regime": regime, "organization": True, "unused_access_days": 90}, providers))
    external, unused = engine.all("Analyzer")
    assert external["type"] == "ORGANIZATION"
    assert unused["type"] == "ORGANIZATION_UNUSED_ACCESS"
    assert unused["configuration"] == {"unusedAccess": {"unusedAccessAge": 90}}


def test_grave_findings_are_told_to_an_encrypted_topic(run, engine, providers):
    run(make(ARGS, providers))
    topic = engine.one("Topic")
    assert topic["kmsMasterKeyId"] == KEY["arn"]
    (rule,) = [each for each in engine.all("EventRule") if each["name"] == "test-grave-findings"]
    assert json.loads(rule["eventPattern"]) == grave_findings(["HIGH", "CRITICAL"])
    targets = {each["rule"]: each["arn"] for each in engine.all("EventTarget")}
    assert targets["test-grave-findings"].endswith(":baseline-topic")


def test_every_finding_is_kept_as_long_as_records_are(run, engine, providers):
    run(make(ARGS, providers))
    group = engine.one("LogGroup")
    assert (group["retentionInDays"], group["kmsKeyId"]) == (1827, KEY["arn"])
    targets = {each["rule"]: each["arn"] for each in engine.all("EventTarget")}
    assert targets["test-findings"].endswith(":baseline-findings")


def test_severities_are_those_from_the_least_that_is_told():
    assert Severity.MEDIUM.and_above() == ["MEDIUM", "HIGH", "CRITICAL"]
    assert Severity.CRITICAL.and_above() == ["CRITICAL"]


def test_only_the_rules_publish_and_write():
    publish, plaintext = topic_policy("arn:topic", "arn:rule")["Statement"]
    assert publish["Condition"] == {"ArnEquals": {"aws:SourceArn": "arn:rule"}}
    assert (plaintext["Effect"], plaintext["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    (write,) = group_policy("arn:group", "arn:rule")["Statement"]
    assert write["Condition"] == {"ArnEquals": {"aws:SourceArn": "arn:rule"}}
    assert write["Resource"] == "arn:group:*"


def test_it_takes_its_records_from_an_audit_trail(run, engine, providers):
    def program():
        opts = providers()
        trail = AuditTrail("audit", {"key": KEY, "regime": REGIME, "ownership": OWNERSHIP}, opts)
        return DetectiveBaseline("baseline", {**ARGS, "records": trail.ref}, opts).topic_arn

    run(program)
    assert engine.one("PublishingDestination")["destinationArn"].endswith(":audit-records-bucket")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"standards": []}, None),
        ({"scans": ["S3"]}, "baseline.scans must be among EC2, ECR, LAMBDA (got 'S3')"),
        ({"alert_from": "LOW"}, "baseline.alert_from must be among MEDIUM, HIGH, CRITICAL (got 'LOW')"),
        (
            {"macie": True},
            "baseline.macie must be false or left out, as AWS does not offer Macie in me-central-1 (got True)",
        ),
        ({"organization": True}, "baseline.organization must come with organization_id in the regime (got True)"),
        (
            {"unused_access_days": 400},
            "baseline.unused_access_days must be a whole number from 1 to 365 days (got 400)",
        ),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_made(run, engine, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(make({**ARGS, **change}, providers))
    expected = message or f"baseline.standards must name at least one of {', '.join(Standard)} (got [])"
    assert str(refused.value) == expected
    assert all(each.typ.startswith("pulumi:providers:") for each in engine.made)
