"""Trails and recorders: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, make, simple

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

TRAIL = "aws:cloudtrail/trail:Trail"
STORE = "aws:cloudtrail/eventDataStore:EventDataStore"
RECORDER = "aws:cfg/recorder:Recorder"
STATUS = "aws:cfg/recorderStatus:RecorderStatus"
CHANNEL = "aws:cfg/deliveryChannel:DeliveryChannel"


def selector(*fields: tuple[str, Any]) -> dict[str, Any]:
    return {"fieldSelectors": [{"field": field, "equals": [value]} for field, value in fields]}


MANAGEMENT = selector(("eventCategory", "Management"))
OBJECTS = selector(("eventCategory", "Data"), ("resources.type", "AWS::S3::Object"))
READ_ONLY = selector(("eventCategory", "Data"), ("resources.type", "AWS::S3::Object"), ("readOnly", "true"))
EVERYTHING = {"isMultiRegionTrail": True, "advancedEventSelectors": [MANAGEMENT, OBJECTS]}


def started(enabled: Any) -> list[Resource]:
    status = {"name": "default", "isEnabled": enabled}
    return [make(RECORDER, {"name": "default"}), make(STATUS, status), make(CHANNEL, {"s3BucketName": "records"})]


CASES = [
    simple(
        "FJ-TRL-001",
        TRAIL,
        {"enableLogFileValidation": True},
        {},
        {"enableLogFileValidation": UNKNOWN},
    ),
    *(simple("FJ-TRL-002", type_, {"kmsKeyId": "arn"}, {}, {"kmsKeyId": UNKNOWN}) for type_ in (TRAIL, STORE)),
    simple(
        "FJ-TRL-003",
        TRAIL,
        EVERYTHING,
        EVERYTHING | {"advancedEventSelectors": [OBJECTS]},
        EVERYTHING | {"isMultiRegionTrail": UNKNOWN},
    ),
    simple(
        "FJ-TRL-003",
        TRAIL,
        {"isMultiRegionTrail": True, "eventSelectors": [{"readWriteType": "All"}]},
        {"isMultiRegionTrail": True, "eventSelectors": [{"readWriteType": "WriteOnly"}]},
        {"isMultiRegionTrail": True, "eventSelectors": UNKNOWN},
    ),
    simple(
        "FJ-TRL-004",
        TRAIL,
        EVERYTHING,
        {"advancedEventSelectors": [READ_ONLY]},
        {"advancedEventSelectors": UNKNOWN},
    ),
    simple("FJ-TRL-005", TRAIL, {"cloudWatchLogsGroupArn": "arn"}, {}, {"cloudWatchLogsGroupArn": UNKNOWN}),
    simple(
        "FJ-TRL-006",
        STORE,
        {"retentionPeriod": 2555.0},
        {"terminationProtectionEnabled": False},
        {"retentionPeriod": UNKNOWN},
    ),
    simple(
        "FJ-CFG-001",
        RECORDER,
        {"recordingGroup": {"allSupported": True, "includeGlobalResourceTypes": True}},
        {"recordingGroup": {"allSupported": False, "resourceTypes": ["AWS::EC2::Instance"]}},
        {"recordingGroup": UNKNOWN},
    ),
    Case("FJ-CFG-002", started(True), started(False), started(UNKNOWN)),
    simple("FJ-CFG-003", CHANNEL, {"s3KmsKeyArn": "arn"}, {}, {"s3KmsKeyArn": UNKNOWN}),
    simple(
        "FJ-CFG-003",
        "aws:cfg/retentionConfiguration:RetentionConfiguration",
        {"retentionPeriodInDays": 2557.0},
        {"retentionPeriodInDays": 30.0},
        {"retentionPeriodInDays": UNKNOWN},
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("Trail", ["enableLogFileValidation"], False, {"FJ-TRL-001"}),
    ("Trail", ["kmsKeyId"], None, {"FJ-TRL-002"}),
    ("Trail", ["enableLogging"], False, {"FJ-TRL-003"}),
    ("Trail", ["includeGlobalServiceEvents"], False, {"FJ-TRL-003"}),
    ("Trail", ["isMultiRegionTrail"], False, {"FJ-TRL-003"}),
    ("Trail", ["advancedEventSelectors"], [OBJECTS], {"FJ-TRL-003"}),
    ("Trail", ["advancedEventSelectors"], [MANAGEMENT], {"FJ-TRL-004"}),
    ("Trail", ["cloudWatchLogsGroupArn"], None, {"FJ-TRL-005"}),
    ("Recorder", ["recordingGroup", "allSupported"], False, {"FJ-CFG-001"}),
    ("Recorder", ["recordingGroup", "includeGlobalResourceTypes"], False, {"FJ-CFG-001"}),
    ("RecorderStatus", ["isEnabled"], False, {"FJ-CFG-002"}),
    ("RecorderStatus", ["name"], "another", {"FJ-CFG-002"}),
    ("DeliveryChannel", ["s3KmsKeyArn"], None, {"FJ-CFG-003"}),
    ("RetentionConfiguration", ["retentionPeriodInDays"], 30, {"FJ-CFG-003"}),
]
