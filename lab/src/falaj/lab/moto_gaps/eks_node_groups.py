"""EKS's node groups: everything that they are made with is kept, filled in as EKS does it, and can be updated."""

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.eks.models import Nodegroup

from falaj.lab.moto_gaps.capacity_reservations import reservation_state
from falaj.lab.moto_gaps.eks_kept import Base, number, refuse
from falaj.lab.moto_gaps.kept import Kept

CONFIGURED = ["labels", "taints", "scalingConfig", "updateConfig", "nodeRepairConfig", "warmPoolConfig"]


class NodeGroups(Base):
    """The operations on node groups."""

    def create_nodegroup(self) -> ActionResult:
        """EKS keeps all that is given and lets the cluster and the launch template say the rest.

        moto drops much of it, invents a remote access that nobody asked for, and gives every group one old version."""
        given = self.given
        version = given.get("version") or self.cluster.version
        self._check_version(version)
        template = self._version(given["launchTemplate"]) if "launchTemplate" in given else None
        self._check_instance_types(template, given.get("instanceTypes"))
        self._check_capacity(template, given)
        answer = super().create_nodegroup()
        group = self._group
        group.update_config = given.get("updateConfig", {"maxUnavailable": 1})
        group.node_repair_config = given.get("nodeRepairConfig")
        group.warm_pool_config = given.get("warmPoolConfig")  # pyright: ignore  # moto's class has it from here
        group.remote_access = given.get("remoteAccess")  # pyright: ignore  # None: EKS answers none
        if not group.remote_access:
            group.resources.pop("remoteAccessSecurityGroup", None)
        group.version = version
        group.release_version = given.get("releaseVersion") or _release(version)
        if template:
            group.launch_template = _reference(template)
            group.disk_size = None  # pyright: ignore  # the template's matter, as is the instance type that it names
            if template.instance_type:
                group.instance_types = None  # pyright: ignore
        return answer

    def update_nodegroup_config(self) -> ActionResult:
        """EKS keeps the update, so that it can be asked after; moto forgets it."""
        super().update_nodegroup_config()
        changed = {name: self.given[name] for name in CONFIGURED if name in self.given}
        if "warmPoolConfig" in changed:
            self._group.warm_pool_config = changed["warmPoolConfig"]  # pyright: ignore  # as above
        return self.updated("ConfigUpdate", changed, nodegroupName=self.given["nodegroupName"])

    def update_nodegroup_version(self) -> ActionResult:
        """EKS moves a group to another version of Kubernetes, of its image or of its launch template; moto cannot."""
        group, given = self._group, self.given
        version = given.get("version") or group.version
        self._check_version(version)
        if number(version) < number(group.version):
            raise refuse(f"Nodegroup version {version} is older than {group.version}: it cannot go back.")
        changed: Kept = {}
        if "launchTemplate" in given:
            template = self._next_template(group, given["launchTemplate"])
            group.launch_template = _reference(template)
            changed = {"launchTemplateName": template.template.name, "launchTemplateVersion": str(template.number)}
        if version != group.version or "releaseVersion" in given:
            group.release_version = given.get("releaseVersion") or _release(version)
            group.version = version
        group.modified_at = utcnow()
        changed |= {"version": group.version, "releaseVersion": group.release_version}
        return self.updated("VersionUpdate", changed, nodegroupName=group.nodegroup_name)

    def _next_template(self, group: Nodegroup, wanted: dict[str, str]) -> LaunchTemplateVersion:
        if "id" in wanted and "name" in wanted:
            raise refuse("Either provide launch template ID or launch template name in the request.")
        if not group.launch_template:
            raise refuse("Nodegroup was not created with a launch template: it cannot get one.")
        if any(group.launch_template.get(name) != wanted[name] for name in ("id", "name") if name in wanted):
            raise refuse("You cannot change the launch template of a nodegroup, only its version.")
        found = self._version(wanted)
        self._check_instance_types(found, group.instance_types)
        return found

    def _check_version(self, version: str) -> None:
        newest = self.cluster.version
        if number(version) > number(newest):
            raise refuse(f"Requested Nodegroup version {version} is greater than cluster version {newest}.")

    def _check_instance_types(self, template: LaunchTemplateVersion | None, given: list[str] | None) -> None:
        if template and template.instance_type and given:
            raise refuse("Cannot specify instance types in launch template and API request")

    def _check_capacity(self, template: LaunchTemplateVersion | None, given: Kept) -> None:
        """EKS wants a capacity block to be named by a launch template, and there to be what one names."""
        data: Kept = template.data if template else {}
        target = data.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
        identifier = target.get("CapacityReservationId")
        market = data.get("InstanceMarketOptions", {}).get("MarketType")
        if (given.get("capacityType") == "CAPACITY_BLOCK") != (market == "capacity-block"):
            raise refuse(
                "Capacity type CAPACITY_BLOCK and the launch template's market type capacity-block go together."
            )
        if market == "capacity-block" and not identifier:
            raise refuse("The launch template of a capacity block has to name its capacity reservation.")
        ec2 = ec2_backends[self.current_account][self.region]
        if identifier and reservation_state(ec2, identifier) != "active":
            raise refuse(f"The capacity reservation {identifier} does not exist, or is not active.")

    @property
    def _group(self) -> Nodegroup:
        return self.eks_backend.describe_nodegroup(self.uri_match["name"], self.given["nodegroupName"])

    def _version(self, reference: dict[str, str]) -> LaunchTemplateVersion:
        """Return the version of a launch template that is meant, the default one where none is named."""
        ec2 = ec2_backends[self.current_account][self.region]
        try:
            if "id" in reference:
                template = ec2.get_launch_template(reference["id"])
            else:
                template = ec2.get_launch_template_by_name(reference["name"])
            return template.get_version(reference.get("version", "$Default"))
        except (EC2ClientError, ValueError):
            raise refuse(f"The launch template {reference} does not exist.") from None


def _reference(version: LaunchTemplateVersion) -> dict[str, str]:
    """Return a version of a launch template as EKS names it: by its number, even when the latest was asked for."""
    return {"id": version.template.id, "name": version.template.name, "version": str(version.number)}


def _release(version: str) -> str:
    """Return a version of the image for a version of Kubernetes: of EKS's form, but emulated."""
    return f"{version}.0-20250101"
