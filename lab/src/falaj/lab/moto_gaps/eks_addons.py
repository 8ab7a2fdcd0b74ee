"""EKS's add-ons and pod identity associations: moto has neither. Nothing is installed in the lab's cluster."""

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.eks.exceptions import ResourceInUseException
from moto.moto_api._internal import mock_random

from falaj.lab.moto_gaps.eks_kept import Base
from falaj.lab.moto_gaps.kept import Kept

VERSION = "v1.0.0-eksbuild.1"
"""The version of an add-on when nobody says one: of EKS's form, but emulated."""
NAMESPACE = "kube-system"
SETTINGS = ["addonVersion", "serviceAccountRoleArn", "configurationValues"]


class Addons(Base):
    """The operations on add-ons and on the IAM roles of pods."""

    def create_addon(self) -> ActionResult:
        """Add an add-on to the cluster."""
        given, name = self.given, self.given["addonName"]
        if name in self.kept("addons"):
            raise ResourceInUseException(clusterName=self.cluster.name, addonName=name, message="Addon already exists.")
        arn = self.arn("addon", name, str(mock_random.uuid4()))
        namespace = given.get("namespaceConfig", {}).get("namespace", NAMESPACE)
        addon: Kept = {
            "addonName": name,
            "clusterName": self.cluster.name,
            "status": "ACTIVE",
            "addonVersion": given.get("addonVersion", VERSION),
            "health": {"issues": []},
            "addonArn": arn,
            "createdAt": utcnow(),
            "modifiedAt": utcnow(),
            "serviceAccountRoleArn": given.get("serviceAccountRoleArn"),
            "tags": given.get("tags", {}),
            "owner": "aws",
            "publisher": "eks",
            "configurationValues": given.get("configurationValues"),
            "namespaceConfig": {"namespace": namespace},
            "podIdentityAssociations": self._associate(arn, namespace, given.get("podIdentityAssociations", [])),
        }
        self.kept("addons")[name] = addon
        return ActionResult({"addon": addon})

    def describe_addon(self) -> ActionResult:
        """Tell of one add-on."""
        return ActionResult({"addon": self._addon()})

    def list_addons(self) -> ActionResult:
        """List the names of the add-ons."""
        return self.page("addons", list(self.kept("addons")))

    def update_addon(self) -> ActionResult:
        """Change an add-on's version, settings or roles."""
        addon, given = self._addon(), self.given
        changed = {name: given[name] for name in [*SETTINGS, "podIdentityAssociations"] if name in given}
        if "podIdentityAssociations" in changed:
            namespace, wanted = addon["namespaceConfig"]["namespace"], changed["podIdentityAssociations"]
            addon["podIdentityAssociations"] = self._associate(addon["addonArn"], namespace, wanted)
        addon |= {name: changed[name] or None for name in SETTINGS if name in changed}
        addon["modifiedAt"] = utcnow()
        return self.updated("AddonUpdate", changed, addonName=addon["addonName"])

    def delete_addon(self) -> ActionResult:
        """Take an add-on away, with the associations that it made."""
        addon = self._addon()
        del self.kept("addons")[addon["addonName"]]
        self._dissociate(addon["addonArn"])
        return ActionResult({"addon": {**addon, "status": "DELETING"}})

    def create_pod_identity_association(self) -> ActionResult:
        """Give the pods of a service account an IAM role."""
        return ActionResult({"association": self._new_association(self.given)})

    def describe_pod_identity_association(self) -> ActionResult:
        """Tell of one association."""
        return ActionResult({"association": self._association()})

    def list_pod_identity_associations(self) -> ActionResult:
        """List the associations, all or those of a namespace or service account."""
        asked = {name: self.given[name] for name in ("namespace", "serviceAccount") if self.given.get(name)}
        found = [one for one in self.kept("associations").values() if asked.items() <= one.items()]
        return ActionResult({"associations": found})

    def update_pod_identity_association(self) -> ActionResult:
        """Change the role, or the role that it assumes in turn."""
        association, given = self._association(), self.given
        for name in ("roleArn", "disableSessionTags", "policy"):
            if name in given:
                association[name] = given[name]
        if "targetRoleArn" in given:
            association |= _target(given["targetRoleArn"])
        association["modifiedAt"] = utcnow()
        return ActionResult({"association": association})

    def delete_pod_identity_association(self) -> ActionResult:
        """Take the role from the pods."""
        association = self._association()
        del self.kept("associations")[association["associationId"]]
        return ActionResult({"association": association})

    def _addon(self) -> Kept:
        name = self.given["addonName"]
        return self.found("addons", name, f"No addon: {name} found in cluster: {self.cluster.name}")

    def _association(self) -> Kept:
        identifier = self.given["associationId"]
        return self.found("associations", identifier, f"No association found with id: {identifier}")

    def _new_association(self, given: Kept) -> Kept:
        self._check_free(given["namespace"], given["serviceAccount"])
        # AWS draws letters and digits; of hexadecimal ones a reader can tell that they were drawn.
        identifier = "a-" + mock_random.get_random_hex(17)
        association: Kept = {
            "clusterName": self.cluster.name,
            "namespace": given["namespace"],
            "serviceAccount": given["serviceAccount"],
            "roleArn": given["roleArn"],
            "associationArn": self.arn("podidentityassociation", identifier),
            "associationId": identifier,
            "tags": given.get("tags", {}),
            "createdAt": utcnow(),
            "modifiedAt": utcnow(),
            "ownerArn": given.get("ownerArn"),
            "disableSessionTags": given.get("disableSessionTags", False),
            "policy": given.get("policy"),
            **_target(given.get("targetRoleArn")),
        }
        self.kept("associations")[identifier] = association
        return association

    def _check_free(self, namespace: str, account: str, owner: str | None = None) -> None:
        """Refuse a second role for a service account; what the owner itself has is about to be replaced."""
        for other in self.kept("associations").values():
            taken = (other["namespace"], other["serviceAccount"]) == (namespace, account)
            if taken and (owner is None or other["ownerArn"] != owner):
                message = f"Association already exists: {other['associationId']}"
                raise ResourceInUseException(clusterName=self.cluster.name, message=message)

    def _associate(self, addon: str, namespace: str, wanted: list[Kept]) -> list[str]:
        """Give an add-on these associations instead of those that it had; return their ARNs."""
        for one in wanted:
            self._check_free(namespace, one["serviceAccount"], addon)
        self._dissociate(addon)
        owned = {"namespace": namespace, "ownerArn": addon}
        return [self._new_association({**one, **owned})["associationArn"] for one in wanted]

    def _dissociate(self, addon: str) -> None:
        associations = self.kept("associations")
        for identifier in [name for name, one in associations.items() if one["ownerArn"] == addon]:
            del associations[identifier]


def _target(role: str | None) -> Kept:
    """Return a role in another account, and what it has to be asked with."""
    return {"targetRoleArn": role or None, "externalId": str(mock_random.uuid4()) if role else None}
