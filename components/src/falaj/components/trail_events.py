"""What a trail records: the management of resources, and the use of what they hold."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, cast

import pulumi_aws as aws

from falaj.components.errors import ConfigError


class DataEvents(StrEnum):
    """What CloudTrail records beside the management of resources: the use of what they hold."""

    S3 = "s3"
    """Objects that are read, written or deleted, in every bucket."""
    EBS = "ebs"
    """Blocks of snapshots that are read or written past EC2, a way by which a disk can be carried away."""
    LAMBDA = "lambda"
    """Functions that are called."""
    DYNAMODB = "dynamodb"
    """Items of tables that are read or written."""


# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
_RESOURCE_TYPES = {
    DataEvents.S3: "AWS::S3::Object",
    DataEvents.EBS: "AWS::EC2::Snapshot",
    DataEvents.LAMBDA: "AWS::Lambda::Function",
    DataEvents.DYNAMODB: "AWS::DynamoDB::Table",
}


def check_data_events(field: str, events: Sequence[str]) -> list[DataEvents]:
    """Return the kinds of events, refusing an unknown one."""
    for event in events:
        if event not in set(DataEvents):
            raise ConfigError(field, event, f"must be among {', '.join(DataEvents)}")
    return [DataEvents(event) for event in dict.fromkeys(events)]


def event_selectors(
    events: Sequence[DataEvents], store_arn: str
) -> list[aws.cloudtrail.TrailAdvancedEventSelectorArgsDict]:
    """Return what the trail records: all management, and the data events.

    What CloudTrail itself writes to its store is left out, since each log file would make an event for the next;
    who reads or deletes there is recorded.
    """
    selectors: list[dict[str, Any]] = [_selector("management", _equals("eventCategory", "Management"))]
    for event in events:
        fields = [_equals("eventCategory", "Data"), _equals("resources.type", _RESOURCE_TYPES[event])]
        if event is not DataEvents.S3:
            selectors.append(_selector(f"data of {event}", *fields))
            continue
        elsewhere = {"field": "resources.ARN", "not_starts_withs": [f"{store_arn}/"]}
        records = {"field": "resources.ARN", "starts_withs": [f"{store_arn}/"]}
        not_written = {"field": "eventName", "not_equals": ["PutObject"]}
        selectors.append(_selector("data of s3", *fields, elsewhere))
        selectors.append(_selector("records that are read", *fields, records, not_written))
    return cast("list[aws.cloudtrail.TrailAdvancedEventSelectorArgsDict]", selectors)


def _selector(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "field_selectors": list(fields)}


def _equals(field: str, value: str) -> dict[str, Any]:
    return {"field": field, "equals": [value]}
