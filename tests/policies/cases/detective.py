"""Detective services: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, make, simple, urn

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

DETECTOR = "aws:guardduty/detector:Detector"
FEATURE = "aws:guardduty/detectorFeature:DetectorFeature"
MACIE = "aws:macie2/account:Account"
HUB = "aws:securityhub/account:Account"
STANDARD = "aws:securityhub/standardsSubscription:StandardsSubscription"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
AUTOMATION = "aws:securityhub/automationRule:AutomationRule"
FEATURES = ("S3_DATA_EVENTS", "EKS_AUDIT_LOGS", "EBS_MALWARE_PROTECTION")
SUPPRESSING = [{"findingFieldsUpdate": {"workflow": {"status": "SUPPRESSED"}}, "type": "FINDING_FIELDS_UPDATE"}]


def detector(last: Any) -> list[Resource]:
    """Make a detector as at preview: its id is unknown, where it comes from is not."""
    names = (*FEATURES, last)
    of_it = [
        make(FEATURE, {"detectorId": UNKNOWN, "name": name}, name=str(name), detectorId=urn(DETECTOR)) for name in names
    ]
    return [make(DETECTOR, {}), *of_it]


def waiting(state: Any, rule: str = "findings") -> list[Resource]:
    pattern = '{"source": ["aws.guardduty"]}'
    waits = {"name": "findings", "eventPattern": pattern, "state": state}
    return [make(EVENT_RULE, waits), make(TARGET, {"rule": rule, "arn": "arn"}, name="target")]


CASES = [
    simple("FJ-DET-001", DETECTOR, {}, {"enable": False}, {"enable": UNKNOWN}),
    simple("FJ-DET-001", MACIE, {"status": "ENABLED"}, {"status": "PAUSED"}, {"status": UNKNOWN}),
    simple(
        "FJ-DET-001",
        "aws:guardduty/organizationConfiguration:OrganizationConfiguration",
        {"autoEnableOrganizationMembers": "ALL"},
        {"autoEnableOrganizationMembers": "NEW"},
        {"autoEnableOrganizationMembers": UNKNOWN},
    ),
    simple(
        "FJ-DET-002",
        DETECTOR,
        {"findingPublishingFrequency": "FIFTEEN_MINUTES"},
        {},
        {"findingPublishingFrequency": UNKNOWN},
    ),
    simple(
        "FJ-DET-002",
        MACIE,
        {},
        {"findingPublishingFrequency": "SIX_HOURS"},
        {"findingPublishingFrequency": UNKNOWN},
    ),
    Case("FJ-DET-003", detector("RUNTIME_MONITORING"), detector("RDS_LOGIN_EVENTS"), detector(UNKNOWN)),
    simple(
        "FJ-DET-004",
        FEATURE,
        {"name": "RDS_LOGIN_EVENTS", "status": "DISABLED"},
        {"name": "S3_DATA_EVENTS", "status": "DISABLED"},
        {"name": "S3_DATA_EVENTS", "status": UNKNOWN},
    ),
    simple(
        "FJ-DET-004",
        "aws:guardduty/organizationConfigurationFeature:OrganizationConfigurationFeature",
        {"name": "EKS_RUNTIME_MONITORING", "autoEnable": "ALL"},
        {"name": "EKS_RUNTIME_MONITORING", "autoEnable": "NONE"},
        {"name": UNKNOWN, "autoEnable": "NONE"},
    ),
    *(
        Case(
            "FJ-DET-005",
            [make(type_, {key: "accepted", **hiding})],
            [make(type_, {key: "unheard", **hiding})],
            [make(type_, {key: UNKNOWN, **hiding})],
            {"suppressions": ["accepted"]},
        )
        for type_, key, hiding in (
            ("aws:guardduty/filter:Filter", "name", {"action": "ARCHIVE"}),
            ("aws:inspector2/filter:Filter", "name", {"action": "SUPPRESS"}),
            ("aws:accessanalyzer/archiveRule:ArchiveRule", "ruleName", {}),
            (AUTOMATION, "ruleName", {"actions": SUPPRESSING}),
        )
    ),
    Case(
        "FJ-DET-006",
        [make(HUB, {"enableDefaultStandards": False}), make(STANDARD, {"standardsArn": "arn"})],
        [make(HUB, {"enableDefaultStandards": False})],
        [make(HUB, {"enableDefaultStandards": UNKNOWN})],
    ),
    simple(
        "FJ-DET-007",
        "aws:securityhub/standardsControl:StandardsControl",
        {"controlStatus": "DISABLED", "disabledReason": "There are no users"},
        {"controlStatus": "DISABLED"},
        {"controlStatus": "DISABLED", "disabledReason": UNKNOWN},
    ),
    simple(
        "FJ-DET-007",
        "aws:securityhub/standardsControlAssociation:StandardsControlAssociation",
        {"associationStatus": "ENABLED"},
        {"associationStatus": "DISABLED"},
        {"associationStatus": UNKNOWN},
    ),
    simple(
        "FJ-DET-008",
        "aws:inspector2/enabler:Enabler",
        {"resourceTypes": ["EC2", "ECR"]},
        {"resourceTypes": ["EC2"]},
        {"resourceTypes": ["EC2", UNKNOWN]},
    ),
    simple(
        "FJ-DET-009",
        "aws:accessanalyzer/analyzer:Analyzer",
        {"type": "ACCOUNT_UNUSED_ACCESS", "configuration": {"unusedAccess": {"unusedAccessAge": 90.0}}},
        {"type": "ACCOUNT_UNUSED_ACCESS", "configuration": {"unusedAccess": {"unusedAccessAge": 180.0}}},
        {"type": "ACCOUNT_UNUSED_ACCESS", "configuration": UNKNOWN},
    ),
    Case("FJ-DET-010", waiting("ENABLED"), waiting("DISABLED"), waiting(UNKNOWN)),
    Case("FJ-DET-010", waiting("ENABLED"), waiting("ENABLED", rule="another"), []),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("Detector", ["enable"], False, {"FJ-DET-001"}),
    ("Detector", ["findingPublishingFrequency"], "SIX_HOURS", {"FJ-DET-002"}),
    ("DetectorFeature", ["detectorId"], "another", {"FJ-DET-003"}),
    ("DetectorFeature", ["status"], "DISABLED", {"FJ-DET-004"}),
    ("aws:securityhub/account:Account", ["autoEnableControls"], False, {"FJ-DET-006"}),
    ("Enabler", ["resourceTypes"], ["EC2"], {"FJ-DET-008"}),
    (
        "Analyzer",
        ["configuration"],
        {"unusedAccess": {"unusedAccessAge": 365}},
        {"FJ-DET-009"},
    ),
    ("EventRule", ["state"], "DISABLED", {"FJ-DET-010"}),
    ("EventTarget", ["rule"], "another", {"FJ-DET-010"}),
]
