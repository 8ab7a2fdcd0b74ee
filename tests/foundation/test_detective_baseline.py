"""DetectiveBaseline on HashiCorp's provider: what each detector holds, changes, drift and the end."""

import json

import pytest
from botocore.exceptions import ClientError
from examples import Example

from falaj.components import Standard, Threats
from falaj.lab.state import ACCOUNT, REGION

pytestmark = pytest.mark.lab
EUROPE = "eu-central-1"


def features(guardduty, detector) -> dict[str, str]:
    found = guardduty.get_detector(DetectorId=detector)["Features"]
    return {each["Name"]: each["Status"] for each in found}


def check_guardduty(guardduty, detector, records, key) -> None:
    found = guardduty.get_detector(DetectorId=detector)
    assert (found["Status"], found["FindingPublishingFrequency"]) == ("ENABLED", "FIFTEEN_MINUTES")
    assert {features(guardduty, detector)[each.value] for each in Threats} == {"ENABLED"}
    (listed,) = guardduty.list_publishing_destinations(DetectorId=detector)["Destinations"]
    to = guardduty.describe_publishing_destination(DetectorId=detector, DestinationId=listed["DestinationId"])
    assert to["Status"] == "PUBLISHING"
    assert to["DestinationProperties"] == {"DestinationArn": f"arn:aws:s3:::{records}", "KmsKeyArn": key}


def check_the_others(example, region=REGION) -> None:
    hub = example.aws("securityhub")
    checked = {each["StandardsArn"] for each in hub.get_enabled_standards()["StandardsSubscriptions"]}
    assert checked == {each.arn(region) for each in Standard}
    assert scans(example.aws("inspector2")) == {"ec2", "ecr", "lambda"}
    (analyzer,) = example.aws("accessanalyzer").list_analyzers()["analyzers"]
    assert (analyzer["name"], analyzer["type"], analyzer["status"]) == ("dev-external-access", "ACCOUNT", "ACTIVE")


def scans(inspector) -> set[str]:
    (account,) = inspector.batch_get_account_status(accountIds=[ACCOUNT])["accounts"]
    return {kind for kind, state in account["resourceState"].items() if state["status"] == "ENABLED"}


def check_what_becomes_of_findings(example, key) -> None:
    topic = example.outputs()["topic"]
    attributes = example.aws("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    assert attributes["KmsMasterKeyId"] == key
    assert "DenyPlaintext" in [each["Sid"] for each in json.loads(attributes["Policy"])["Statement"]]
    events = example.aws("events")
    pattern = json.loads(events.describe_rule(Name="dev-grave-findings")["EventPattern"])
    assert pattern["detail"]["findings"]["Severity"]["Label"] == ["HIGH", "CRITICAL"]
    (told,) = events.list_targets_by_rule(Rule="dev-grave-findings")["Targets"]
    assert told["Arn"] == topic
    (kept,) = events.list_targets_by_rule(Rule="dev-findings")["Targets"]
    assert kept["Arn"].rstrip(":*").endswith(example.outputs()["log_group"])


def test_every_detector_is_on_as_it_was_asked_for(bridged):
    example = Example(bridged, "detective-baseline")
    example.up()
    assert example.changes() == {}
    resources, detector = example.resources(), example.outputs()["detector"]
    key, records = (resources[each]["outputs"] for each in ("records-key", "audit-records-bucket"))
    guardduty = example.aws("guardduty")
    check_guardduty(guardduty, detector, records["bucket"], key["arn"])
    check_the_others(example)
    check_what_becomes_of_findings(example, key["arn"])

    fewer = example.changes(scans="ECR")
    assert fewer["baseline-inspector"][0] == "update"
    rights = example.changes(unusedAccessDays="90")
    assert rights["baseline-unused-access"][0] == "create"
    example.up(unusedAccessDays="90")
    older = example.changes(unusedAccessDays="180")["baseline-unused-access"]
    assert older[0] == "replace"  # AWS could change the age in place; the provider makes a new analyzer
    assert example.up(check=False, scans="S3").returncode != 0

    guardduty.update_detector(DetectorId=detector, Features=[{"Name": "S3_DATA_EVENTS", "Status": "DISABLED"}])
    subscriptions = example.aws("securityhub").get_enabled_standards()["StandardsSubscriptions"]
    (nist,) = [each["StandardsSubscriptionArn"] for each in subscriptions if "nist" in each["StandardsArn"]]
    example.aws("securityhub").batch_disable_standards(StandardsSubscriptionArns=[nist])
    example.aws("inspector2").disable(accountIds=[ACCOUNT], resourceTypes=["LAMBDA"])
    drift = example.drift()
    assert drift["baseline-guardduty-s3"][1] == {"status"}
    assert drift["baseline-nist-800-53"][0] == "delete"
    assert "baseline-inspector" in drift
    example.up()
    check_guardduty(guardduty, detector, records["bucket"], key["arn"])
    check_the_others(example)

    example.destroy()
    assert guardduty.list_detectors()["DetectorIds"] == []
    assert example.aws("accessanalyzer").list_analyzers()["analyzers"] == []
    assert scans(example.aws("inspector2")) == set()
    with pytest.raises(ClientError, match="not subscribed"):
        example.aws("securityhub").describe_hub()


def test_where_macie_is_offered_it_is_on_and_writes_to_the_records(bridged):
    example = Example(bridged, "detective-baseline", region=EUROPE)
    example.policy_settings = {"regime": "gdpr", "homeRegions": [EUROPE]}
    wanted = {"regime": "gdpr", "homeRegion": EUROPE}
    example.up(**wanted)
    assert example.changes(**wanted) == {}
    resources, macie = example.resources(), example.aws("macie2")
    key, records = (resources[each]["outputs"] for each in ("records-key", "audit-records-bucket"))
    check_macie(macie, records["bucket"], key["arn"])
    check_guardduty(example.aws("guardduty"), example.outputs()["detector"], records["bucket"], key["arn"])
    check_the_others(example, EUROPE)
    policy = json.loads(example.aws("kms").get_key_policy(KeyId=key["arn"], PolicyName="default")["Policy"])
    assert "macie.amazonaws.com" in json.dumps(policy)

    macie.update_macie_session(status="PAUSED", findingPublishingFrequency="SIX_HOURS")
    macie.put_classification_export_configuration(
        configuration={"s3Destination": {"bucketName": "elsewhere", "kmsKeyArn": key["arn"]}}
    )
    drift = example.drift()
    assert drift["baseline-macie"][1] == {"status", "findingPublishingFrequency"}
    assert "baseline-macie-records" in drift
    example.up(**wanted)
    check_macie(macie, records["bucket"], key["arn"])

    example.destroy()
    with pytest.raises(ClientError, match="Macie is not enabled"):
        macie.get_macie_session()


def check_macie(macie, records, key) -> None:
    session = macie.get_macie_session()
    assert (session["status"], session["findingPublishingFrequency"]) == ("ENABLED", "FIFTEEN_MINUTES")
    written = macie.get_classification_export_configuration()["configuration"]["s3Destination"]
    assert written == {"bucketName": records, "keyPrefix": "macie", "kmsKeyArn": key}
