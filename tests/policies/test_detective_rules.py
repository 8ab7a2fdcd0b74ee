"""Detective services: what their rules look through."""

from policies.making import make, urn, verdict

from falaj.policies.model import Verdict

DETECTOR = "aws:guardduty/detector:Detector"
FEATURE = "aws:guardduty/detectorFeature:DetectorFeature"
FILTER = "aws:guardduty/filter:Filter"
HUB = "aws:securityhub/account:Account"
AUTOMATION = "aws:securityhub/automationRule:AutomationRule"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"


def test_features_of_another_detector_do_not_count() -> None:
    features = [make(FEATURE, {"name": "S3_DATA_EVENTS"}, name="s3", detectorId=urn(DETECTOR, "another"))]
    assert verdict("FJ-DET-003", [make(DETECTOR, {}), *features], features=["S3_DATA_EVENTS"]) is Verdict.FAIL


def test_both_ways_of_watching_what_runs_count() -> None:
    feature = make(FEATURE, {"name": "EKS_RUNTIME_MONITORING"}, detectorId=urn(DETECTOR))
    assert verdict("FJ-DET-003", [make(DETECTOR, {}), feature], features=["RUNTIME_MONITORING"]) is Verdict.PASS


def test_filters_that_hide_nothing_need_no_name() -> None:
    assert verdict("FJ-DET-005", [make(FILTER, {"name": "mine", "action": "NOOP"})]) is Verdict.PASS
    raised = [{"type": "FINDING_FIELDS_UPDATE", "findingFieldsUpdate": {"severity": {"label": "CRITICAL"}}}]
    assert verdict("FJ-DET-005", [make(AUTOMATION, {"ruleName": "raise", "actions": raised})]) is Verdict.PASS


def test_a_hub_with_aws_s_default_standards_measures_by_them() -> None:
    assert verdict("FJ-DET-006", [make(HUB, {})]) is Verdict.PASS
    assert verdict("FJ-DET-006", [make(HUB, {"autoEnableControls": False})]) is Verdict.FAIL


def test_event_rules_about_something_else_may_be_off() -> None:
    other = {"name": "nightly", "eventPattern": '{"source": ["aws.s3"]}', "state": "DISABLED"}
    assert verdict("FJ-DET-010", [make(EVENT_RULE, other)]) is Verdict.NOT_APPLICABLE
    schedule = {"name": "nightly", "scheduleExpression": "rate(1 day)", "state": "DISABLED"}
    assert verdict("FJ-DET-010", [make(EVENT_RULE, schedule)]) is Verdict.NOT_APPLICABLE
