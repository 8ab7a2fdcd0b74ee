"""EKS's node groups: everything that they are made with is kept, filled in as EKS does it, and can be updated."""

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.eks.models import Nodegroup

from falaj.lab.moto_gaps.eks_kept import Base, Kept, refuse

CONFIGURED = ["labels", "taints", "scalingConfig", "updateConfig", "nodeRepairConfig", "warmPoolConfig"]


class NodeGroups(Base):
    """The operations on node groups."""

    def create_nodegroup(self) -> ActionResult:
        """EKS keeps all that is given and lets the cluster and the launch template say the rest.

        moto drops much of it, invents a remote access that nobody asked for, and gives every group one old version."""
        answer = super().create_nodegroup()
        group = self._group
        group.update_config = self.given.get("updateConfig", {"maxUnavailable": 1})
        group.node_repair_config = self.given.get("nodeRepairConfig")
        group.warm_pool_config = self.given.get("warmPoolConfig")  # pyright: ignore  # moto's class has it from here
        group.remote_access = self.given.get("remoteAccess")  # pyright: ignore  # None: EKS answers none
        if not group.remote_access:
            group.resources.pop("remoteAccessSecurityGroup", None)
        group.version = self.given.get("version") or self.cluster.version
        group.release_version = self.given.get("releaseVersion") or _release(group.version)
        if group.launch_template:
            template = self._template(group.launch_template)
            group.launch_template.setdefault("version", str(template.default_version_number))
            group.disk_size = None  # pyright: ignore  # the template's matter, as are instance types that it names
            if template.get_version(group.launch_template["version"]).instance_type:
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
        changed: Kept = {}
        if "launchTemplate" in given:
            changed = self._move_template(group, given["launchTemplate"])
        version = given.get("version") or group.version
        if _number(version) > _number(self.cluster.version):
            raise refuse(
                f"Requested Nodegroup version {version} is greater than cluster version {self.cluster.version}."
            )
        if _number(version) < _number(group.version):
            raise refuse(f"Nodegroup version {version} is older than {group.version}: it cannot go back.")
        if version != group.version or "releaseVersion" in given:
            group.release_version = given.get("releaseVersion") or _release(version)
            group.version = version
        group.modified_at = utcnow()
        changed |= {"version": group.version, "releaseVersion": group.release_version}
        return self.updated("VersionUpdate", changed, nodegroupName=group.nodegroup_name)

    def _move_template(self, group: Nodegroup, wanted: dict[str, str]) -> Kept:
        if "id" in wanted and "name" in wanted:
            raise refuse("Either provide launch template ID or launch template name in the request.")
        if not group.launch_template:
            raise refuse("Nodegroup was not created with a launch template: it cannot get one.")
        if any(group.launch_template.get(name) != wanted[name] for name in ("id", "name") if name in wanted):
            raise refuse("You cannot change the launch template of a nodegroup, only its version.")
        template = self._template(group.launch_template)
        version = wanted.get("version") or str(template.default_version_number)
        template.get_version(version)
        group.launch_template = {**group.launch_template, "version": version}
        return {"launchTemplateName": template.name, "launchTemplateVersion": version}

    @property
    def _group(self) -> Nodegroup:
        return self.eks_backend.describe_nodegroup(self.uri_match["name"], self.given["nodegroupName"])

    def _template(self, reference: dict[str, str]) -> LaunchTemplate:
        return ec2_backends[self.current_account][self.region].get_launch_template(reference["id"])


def _release(version: str) -> str:
    """Return a version of the image for a version of Kubernetes: of EKS's form, but emulated."""
    return f"{version}.0-20250101"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
