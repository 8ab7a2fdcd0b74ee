"""CloudTrail: trails found and deleted by ARN, selectors told and replaced, buckets that have to let the trail write.

Weaker than AWS: nothing is recorded, so that nothing is delivered and no insight is had.
"""

import json
from collections.abc import Iterable
from typing import Any

from moto.cloudtrail.models import CloudTrailBackend, Trail
from moto.cloudtrail.responses import CloudTrailResponse
from moto.core.exceptions import JsonRESTError
from moto.s3.models import s3_backends


def serve() -> None:
    """Let moto's server answer CloudTrail's requests so."""
    told, check, delete = Trail.description, Trail.check_bucket_exists, CloudTrailBackend.delete_trail
    add_insights = CloudTrailBackend.put_insight_selectors
    list_trails = CloudTrailResponse.describe_trails

    def description(self: Trail, include_region: bool = False) -> dict[str, Any]:
        selectors = {
            "HasCustomEventSelectors": bool(self.event_selectors or self.advanced_event_selectors),
            "HasInsightSelectors": bool(self.insight_selectors),
        }
        return told(self, include_region) | selectors

    def check_bucket(self: Trail) -> None:
        check(self)
        _check_policy(self)

    def put_selectors(self: Trail, event_selectors: Any, advanced_event_selectors: Any) -> None:
        """Each kind of selector replaces the other."""
        self.event_selectors = event_selectors or []
        self.advanced_event_selectors = [] if event_selectors else advanced_event_selectors or []

    def put_insights(self: CloudTrailBackend, trail_name: str, insight_selectors: Any) -> Any:
        self.get_trail(trail_name).insight_selectors.clear()
        return add_insights(self, trail_name, insight_selectors)

    def delete_trail(self: CloudTrailBackend, name: str) -> None:
        trail = self.get_trail(name)
        self.tagging_service.delete_all_tags_for_resource(trail.arn)
        delete(self, trail.trail_name)

    def describe_trails(self: CloudTrailResponse) -> str:
        names = json.loads(self.body or "{}").get("trailNameList")
        trails: list[dict[str, Any]] = json.loads(list_trails(self))["trailList"]
        if names:
            trails = [each for each in trails if {each["Name"], each["TrailARN"]} & set(names)]
        return json.dumps({"trailList": trails})

    Trail.description = description
    Trail.check_bucket_exists = check_bucket
    Trail.put_event_selectors = put_selectors
    CloudTrailBackend.put_insight_selectors = put_insights
    CloudTrailBackend.delete_trail = delete_trail
    CloudTrailResponse.describe_trails = describe_trails


def _check_policy(trail: Trail) -> None:
    """Refuse a bucket whose policy does not let CloudTrail write, as AWS does before it makes the trail."""
    bucket = s3_backends[trail.account_id][trail.partition].get_bucket(trail.bucket_name)
    if not lets_write(bucket, "cloudtrail"):
        message = f"Incorrect S3 bucket policy is detected for bucket: {trail.bucket_name}"
        raise JsonRESTError("InsufficientS3BucketPolicyException", message)


def lets_write(bucket: Any, service: str) -> bool:
    """Tell whether a bucket's policy lets a service write; conditions are not looked at."""
    for statement in _statements(bucket.policy):
        principal = statement.get("Principal")
        services = _listed(principal.get("Service", [])) if isinstance(principal, dict) else []
        writes = {"s3:PutObject", "s3:*"} & set(_listed(statement.get("Action", [])))
        if statement.get("Effect") == "Allow" and f"{service}.amazonaws.com" in services and writes:
            return True
    return False


def _statements(policy: str | bytes | None) -> Iterable[dict[str, Any]]:
    return _listed(json.loads(policy).get("Statement", [])) if policy else []


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
