"""Trails and recorders: what their rules look through."""

from typing import Any

import pytest
from policies.making import make, verdict

from falaj.policies.model import Verdict

TRAIL = "aws:cloudtrail/trail:Trail"
RECORDER = "aws:cfg/recorder:Recorder"
STATUS = "aws:cfg/recorderStatus:RecorderStatus"
CHANNEL = "aws:cfg/deliveryChannel:DeliveryChannel"


def selector(**fields: str) -> dict[str, Any]:
    return {"fieldSelectors": [{"field": name.replace("_", "."), "equals": [value]} for name, value in fields.items()]}


def test_a_trail_without_selectors_records_every_management_event_and_no_data() -> None:
    assert verdict("FJ-TRL-003", [make(TRAIL, {"isMultiRegionTrail": True})]) is Verdict.PASS
    assert verdict("FJ-TRL-004", [make(TRAIL, {"isMultiRegionTrail": True})]) is Verdict.FAIL


def test_a_selector_that_is_narrowed_does_not_record_everything() -> None:
    writes = selector(eventCategory="Management", readOnly="false")
    trail = {"isMultiRegionTrail": True, "advancedEventSelectors": [writes]}
    assert verdict("FJ-TRL-003", [make(TRAIL, trail)]) is Verdict.FAIL
    without_keys = selector(eventCategory="Management")
    without_keys["fieldSelectors"].append({"field": "eventSource", "notEquals": ["kms.amazonaws.com"]})
    trail = {"isMultiRegionTrail": True, "advancedEventSelectors": [writes, without_keys]}
    assert verdict("FJ-TRL-003", [make(TRAIL, trail)]) is Verdict.PASS


def test_a_selector_of_one_source_does_not_record_everything() -> None:
    one = selector(eventCategory="Management", eventSource="iam.amazonaws.com")
    trail = {"isMultiRegionTrail": True, "advancedEventSelectors": [one]}
    assert verdict("FJ-TRL-003", [make(TRAIL, trail)]) is Verdict.FAIL


def test_a_regime_may_forbid_to_record_other_regions() -> None:
    assert verdict("FJ-TRL-003", [make(TRAIL, {"isMultiRegionTrail": False})]) is Verdict.FAIL
    assert verdict("FJ-TRL-003", [make(TRAIL, {"isMultiRegionTrail": False})], multiRegion=False) is Verdict.PASS


@pytest.mark.parametrize(
    ("kinds", "expected"), [("All", Verdict.PASS), (None, Verdict.PASS), ("ReadOnly", Verdict.FAIL)]
)
def test_basic_selectors_count_where_they_record_reading_and_writing(kinds: str | None, expected: Verdict) -> None:
    basic = {"dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}], "readWriteType": kinds}
    assert verdict("FJ-TRL-004", [make(TRAIL, {"eventSelectors": [basic]})]) is expected


def test_which_data_is_recorded_is_a_setting() -> None:
    data = selector(eventCategory="Data", resources_type="AWS::Lambda::Function")
    trail = [make(TRAIL, {"advancedEventSelectors": [data]})]
    assert verdict("FJ-TRL-004", trail) is Verdict.FAIL
    assert verdict("FJ-TRL-004", trail, dataTypes=["AWS::Lambda::Function"]) is Verdict.PASS


def test_a_recorder_needs_a_start_of_its_name_and_a_channel() -> None:
    recorder, channel = make(RECORDER, {"name": "default"}), make(CHANNEL, {})
    start, other = (make(STATUS, {"name": name, "isEnabled": True}) for name in ("default", "other"))
    assert verdict("FJ-CFG-002", [recorder, start, channel]) is Verdict.PASS
    assert verdict("FJ-CFG-002", [recorder, other, channel]) is Verdict.FAIL
    assert verdict("FJ-CFG-002", [recorder, start]) is Verdict.FAIL


def test_types_that_are_left_out_of_the_record_are_noticed() -> None:
    group = {"includeGlobalResourceTypes": True, "exclusionByResourceTypes": [{"resourceTypes": ["AWS::IAM::Role"]}]}
    assert verdict("FJ-CFG-001", [make(RECORDER, {"recordingGroup": group})]) is Verdict.FAIL
