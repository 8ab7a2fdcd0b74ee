"""GuardDuty: features one by one, tags, and destinations that findings are published to; moto keeps a list as it came.

Weaker than AWS: nothing is found, so nothing is published.
"""

import json
from typing import Any
from urllib.parse import unquote

from moto.guardduty import urls
from moto.guardduty.exceptions import GuardDutyException
from moto.guardduty.models import Detector
from moto.guardduty.responses import GuardDutyResponse
from moto.moto_api._internal import mock_random
from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

from falaj.lab.moto_gaps.cloudtrail import lets_write
from falaj.lab.moto_gaps.kept import Kept, kept

_ALWAYS = ("CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS")
_NEW = ("S3_DATA_EVENTS", "EKS_AUDIT_LOGS", "EBS_MALWARE_PROTECTION", "RDS_LOGIN_EVENTS", "LAMBDA_NETWORK_LOGS")
_AGENTS = ("EKS_ADDON_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT", "EC2_AGENT_MANAGEMENT")
_INVALID = "The request is rejected because the one or more input parameters have invalid values."
_NOT_OURS = "The request is rejected because the input detectorId is not owned by the current account."


def serve() -> None:
    """Let moto's server answer GuardDuty's requests so."""
    told, update = Detector.to_json, Detector.update

    def to_json(self: Detector) -> dict[str, Any]:
        return told(self) | {"features": list(features(self).values())}

    def updated(self: Detector, *rest: Any, **more: Any) -> None:
        *others, wanted = [*rest, *more.values()]
        before: Any = update
        if any(each["name"] in _ALWAYS for each in wanted or []):
            raise _RefusedError(_INVALID)
        before(self, *others, None)  # moto would replace the features
        self.features = list(_with(features(self), wanted or []).values())

    Detector.to_json = to_json
    Detector.update = updated
    one = "{0}/detector/(?P<detector_id>[^/]+)/publishingDestination"
    paths = [*urls.url_paths, f"{one}$", f"{one}/(?P<destination_id>[^/]+)$", "{0}/tags/(?P<arn>.+)$"]
    urls.url_paths.update(dict.fromkeys(paths, GuardDuty.dispatch))


class _RefusedError(GuardDutyException):
    """GuardDuty's answer to whatever is wrong."""

    code = 400

    def __init__(self, message: str) -> None:
        super().__init__("BadRequestException", message)

    def get_headers(self, *_args: Any, **_more: Any) -> list[tuple[str, str]]:
        return [("X-Amzn-ErrorType", "BadRequestException")]


class GuardDuty(GuardDutyResponse):
    """The operations of GuardDuty that are served."""

    def create_detector(self) -> str:
        """Make the detector of the account and region; there is one."""
        if self.guardduty_backend.detectors:
            raise _RefusedError("The request is rejected because a detector already exists for the current account.")
        return super().create_detector()

    def delete_detector(self) -> str:
        """Forget the detector, which has to be there."""
        _ = self._detector
        return super().delete_detector()

    def create_publishing_destination(self) -> str:
        """Publish findings to a bucket of the account; a detector has one."""
        destinations = self._destinations
        kind = self._get_param("destinationType")
        if any(each["destinationType"] == kind for each in destinations.values()):
            raise _RefusedError("The request is rejected because a publishing destination of this type already exists.")
        identifier = mock_random.get_random_hex(length=32)
        destinations[identifier] = {
            "destinationId": identifier,
            "destinationType": kind,
            "status": "PUBLISHING",
            "publishingFailureStartTimestamp": 0,
            "destinationProperties": self._checked(self._get_param("destinationProperties")),
        }
        return json.dumps({"destinationId": identifier})

    def describe_publishing_destination(self) -> str:
        """Tell of one destination."""
        return json.dumps(self._destination)

    def list_publishing_destinations(self) -> str:
        """List the destinations."""
        told = ("destinationId", "destinationType", "status")
        found = [{name: each[name] for name in told} for each in self._destinations.values()]
        return json.dumps({"destinations": found})

    def update_publishing_destination(self) -> str:
        """Publish to another place, or with another key."""
        self._destination["destinationProperties"] = self._checked(self._get_param("destinationProperties"))
        return "{}"

    def delete_publishing_destination(self) -> str:
        """Publish no more."""
        del self._destinations[self._destination["destinationId"]]
        return "{}"

    def list_tags_for_resource(self) -> str:
        """Tell the tags of a detector."""
        return json.dumps({"tags": self._tagged.tags})

    def tag_resource(self) -> str:
        """Add tags, or change their values."""
        self._tagged.tags |= self._get_param("tags")
        return "{}"

    def untag_resource(self) -> str:
        """Take tags away."""
        for key in self.querystring.get("tagKeys", []):
            self._tagged.tags.pop(key, None)
        return "{}"

    @property
    def _detector(self) -> Detector:
        found = self.guardduty_backend.detectors.get(self.path.split("/detector/")[1].split("/")[0])
        if found is None:
            raise _RefusedError(_NOT_OURS)
        return found

    @property
    def _destinations(self) -> dict[str, Kept]:
        return kept(self._detector, "destinations")

    @property
    def _destination(self) -> Kept:
        try:
            return self._destinations[self.path.rpartition("/")[2]]
        except KeyError:
            raise _RefusedError(_INVALID) from None

    @property
    def _tagged(self) -> Detector:
        identifier = unquote(self.path).rpartition("/")[2]
        if identifier not in self.guardduty_backend.detectors:
            raise _RefusedError(_INVALID)
        return self.guardduty_backend.detectors[identifier]

    def _checked(self, properties: Kept) -> Kept:
        """Refuse a destination that GuardDuty could not write to, as it tries to do before it agrees."""
        bucket = str(properties.get("destinationArn", "")).rpartition(":")[2].partition("/")[0]
        buckets = s3_backends[self.current_account][get_partition(self.region)].buckets
        if bucket not in buckets or not properties.get("kmsKeyArn") or not lets_write(buckets[bucket], "guardduty"):
            raise _RefusedError(
                "The request failed because the GuardDuty service principal does not have permission to the KMS key or "
                "the resource specified by the destinationArn parameter."
            )
        return properties


def features(detector: Detector) -> dict[str, Kept]:
    """Return all features by name, as GuardDuty tells them: what is on in a new detector, and what was changed."""
    agents = [{"name": agent, "status": "DISABLED"} for agent in _AGENTS]
    found: dict[str, Kept] = {name: {"name": name, "status": "ENABLED"} for name in (*_ALWAYS, *_NEW)}
    found["RUNTIME_MONITORING"] = {
        "name": "RUNTIME_MONITORING",
        "status": "DISABLED",
        "additionalConfiguration": agents,
    }
    return _with(found, detector.features)


def _with(found: dict[str, Kept], wanted: list[Kept]) -> dict[str, Kept]:
    """Return the features with changes applied; those that are not named stay as they are."""
    for change in wanted:
        feature = found.setdefault(change["name"], {"name": change["name"]})
        agents = {each["name"]: each for each in feature.get("additionalConfiguration", [])}
        agents |= {each["name"]: dict(each) for each in change.get("additionalConfiguration") or []}
        feature["status"] = change["status"]
        if agents:
            feature["additionalConfiguration"] = list(agents.values())
    return found
