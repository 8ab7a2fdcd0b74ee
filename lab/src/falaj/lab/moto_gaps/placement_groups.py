"""EC2's placement groups, which moto lacks. Weaker than AWS: no instance lies closer to another for them."""

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response
from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, EC2_RESOURCE_TO_PREFIX
from moto.moto_api._internal import mock_random

from falaj.lab.moto_gaps.kept import Kept, kept

"""What EC2 answers of one group, by its own names."""
_STRATEGIES = {"cluster", "partition", "spread"}


def serve() -> None:
    """Let moto's server answer what is asked about placement groups."""
    EC2_RESOURCE_TO_PREFIX["placement-group"] = "pg"
    EC2_PREFIX_TO_RESOURCE["pg"] = "placement-group"
    for name, operation in vars(PlacementGroups).items():
        if not name.startswith("__"):
            setattr(EC2Response, name, operation)


class PlacementGroups(EC2BaseResponse):
    """The operations on placement groups."""

    def create_placement_group(self) -> ActionResult:
        """Make a group of a name that is not taken."""
        name, strategy = self._get_param("GroupName"), self._get_param("Strategy", "cluster")
        if name in _groups(self.ec2_backend):
            raise _refused("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
        if strategy not in _STRATEGIES:
            raise _refused("InvalidParameterValue", f"Invalid placement strategy '{strategy}'.")
        identifier = f"pg-{mock_random.get_random_hex(17)}"
        group: Kept = {"GroupName": name, "GroupId": identifier, "State": "available", "Strategy": strategy}
        group["GroupArn"] = f"arn:{self.partition}:ec2:{self.region}:{self.current_account}:placement-group/{name}"
        if strategy == "partition":
            group["PartitionCount"] = int(self._get_param("PartitionCount", 2))
        if strategy == "spread":
            group["SpreadLevel"] = self._get_param("SpreadLevel", "rack")
        _groups(self.ec2_backend)[name] = group
        self.ec2_backend.create_tags(
            [identifier], self._parse_tag_specification("placement-group").get("placement-group", {})
        )
        return ActionResult({"PlacementGroup": self._placement_group(group)})

    def describe_placement_groups(self) -> ActionResult:
        """Tell of the groups of these names or ids, or of all."""
        groups = _groups(self.ec2_backend)
        names, ids = self._get_param("GroupNames", []), self._get_param("GroupIds", [])
        for unknown in [*({*names} - {*groups}), *({*ids} - _ids(self.ec2_backend))]:
            raise _unknown(unknown)
        found = [
            group
            for group in groups.values()
            if (not names or group["GroupName"] in names) and (not ids or group["GroupId"] in ids)
        ]
        return ActionResult({"PlacementGroups": [self._placement_group(group) for group in found]})

    def delete_placement_group(self) -> ActionResult:
        """Delete a group in which no instance was started."""
        name = self._get_param("GroupName")
        if name not in _groups(self.ec2_backend):
            raise _unknown(name)
        for reservation in self.ec2_backend.all_reservations():
            for instance in reservation.instances:
                if instance.placement.get("GroupName") == name and instance.state != "terminated":
                    raise _refused("InvalidPlacementGroup.InUse", f"The placement group {name} is in use.")
        group = _groups(self.ec2_backend).pop(name)
        self.ec2_backend.tags.pop(group["GroupId"], None)
        return EmptyResult()

    def _placement_group(self, group: Kept) -> Kept:
        tags = self.ec2_backend.tags.get(group["GroupId"], {})
        return {**group, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _groups(backend: EC2Backend) -> dict[str, Kept]:
    """Return the groups by name."""
    return kept(backend, "placement_groups")


def _ids(backend: EC2Backend) -> set[str]:
    return {group["GroupId"] for group in _groups(backend).values()}


def _unknown(name: str) -> ServiceException:
    return _refused("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")


def _refused(code: str, message: str) -> ServiceException:
    return EC2ClientError(code, message)
