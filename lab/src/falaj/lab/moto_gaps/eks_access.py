"""EKS's access entries and what they are allowed: moto has neither.

EKS looks a principal up in IAM; here any ARN will do, as a lab's account does not hold the roles of a person's own.
"""

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.eks.exceptions import InvalidRequestException, ResourceInUseException
from moto.moto_api._internal import mock_random

from falaj.lab.moto_gaps.eks_kept import Base, refuse
from falaj.lab.moto_gaps.kept import Kept

STANDARD = "STANDARD"
NODES = {
    "EC2_LINUX": "system:node:{{EC2PrivateDNSName}}",
    "EC2_WINDOWS": "system:node:{{EC2PrivateDNSName}}",
    "FARGATE_LINUX": "system:node:{{SessionName}}",
    "HYBRID_LINUX": "system:node:{{SessionName}}",
}
"""The types whose principals are nodes, with the user that such a node is."""
OTHERS = {"EC2", "HYPERPOD_LINUX"}
RESERVED = ("system:", "eks:", "aws:", "amazon:", "iam:")
"""What the names of a person's own groups and users cannot start with."""
POLICIES = ":cluster-access-policy/"


class Access(Base):
    """The operations on access entries and on the policies associated with them."""

    def create_access_entry(self) -> ActionResult:
        """Let a principal into the cluster."""
        given, cluster = self.given, self.cluster
        self._check_mode()
        principal, kind = given["principalArn"], given.get("type", STANDARD)
        if kind not in {STANDARD, *NODES, *OTHERS}:
            raise refuse(f"The type {kind} is not supported.")
        if kind != STANDARD and (given.get("kubernetesGroups") or given.get("username")):
            raise refuse("The kubernetesGroups and username parameters are only allowed for the type STANDARD.")
        self._check_names()
        if principal in self.kept("access_entries"):
            message = "The specified access entry resource is already in use on this cluster."
            raise ResourceInUseException(clusterName=cluster.name, message=message)
        account, _, resource = principal.partition("iam::")[2].partition(":")
        path = "/".join([resource.split("/")[0], account, resource.split("/")[-1]])
        nodes = ["system:nodes", *(["eks:kube-proxy-windows"] if kind == "EC2_WINDOWS" else [])]
        entry: Kept = {
            "clusterName": cluster.name,
            "principalArn": principal,
            "kubernetesGroups": nodes if kind in NODES else given.get("kubernetesGroups", []),
            "accessEntryArn": self.arn("access-entry", path, str(mock_random.uuid4())),
            "createdAt": utcnow(),
            "modifiedAt": utcnow(),
            "tags": given.get("tags", {}),
            "username": given.get("username") or NODES.get(kind) or _username(principal),
            "type": kind,
        }
        self.kept("access_entries")[principal] = entry
        return ActionResult({"accessEntry": entry})

    def describe_access_entry(self) -> ActionResult:
        """Tell of one entry."""
        return ActionResult({"accessEntry": self._entry()})

    def list_access_entries(self) -> ActionResult:
        """List the principals, all or those that a policy is associated with."""
        self._check_mode()
        policy = self.given.get("associatedPolicyArn")
        entries = self.kept("access_entries")
        names = [name for name in entries if not policy or policy in self.kept(_policies_of(name))]
        return self.page("accessEntries", names)

    def update_access_entry(self) -> ActionResult:
        """Change the user or the groups that a principal is."""
        entry = self._entry()
        self._check_names()
        if entry["type"] != STANDARD:
            raise refuse("Only access entries of the type STANDARD can be updated.")
        if "kubernetesGroups" in self.given:
            entry["kubernetesGroups"] = self.given["kubernetesGroups"]
        if "username" in self.given:
            entry["username"] = self.given["username"] or _username(entry["principalArn"])
        entry["modifiedAt"] = utcnow()
        return ActionResult({"accessEntry": entry})

    def delete_access_entry(self) -> ActionResult:
        """Shut a principal out."""
        principal = self._entry()["principalArn"]
        del self.kept("access_entries")[principal]
        self.kept(_policies_of(principal)).clear()
        return EmptyResult()

    def associate_access_policy(self) -> ActionResult:
        """Allow a principal what one of EKS's access policies says, in the whole cluster or in some namespaces."""
        entry, given = self._entry(), self.given
        policy, scope = given["policyArn"], given["accessScope"]
        if POLICIES not in policy:
            raise refuse("The policyArn parameter format is not valid")
        if entry["type"] not in {STANDARD, *OTHERS}:
            raise refuse("Access policies can only be associated with access entries of the type STANDARD.")
        if scope.get("type") == "namespace" and not scope.get("namespaces"):
            raise refuse("The namespaces parameter must be specified for the type namespace.")
        associated = self.kept(_policies_of(entry["principalArn"]))
        since = associated.get(policy, {}).get("associatedAt") or utcnow()
        associated[policy] = {
            "policyArn": policy,
            "accessScope": {"type": scope.get("type", "cluster"), "namespaces": scope.get("namespaces", [])},
            "associatedAt": since,
            "modifiedAt": utcnow(),
        }
        named = {"clusterName": entry["clusterName"], "principalArn": entry["principalArn"]}
        return ActionResult({**named, "associatedAccessPolicy": associated[policy]})

    def disassociate_access_policy(self) -> ActionResult:
        """Allow it no longer."""
        policies = _policies_of(self._entry()["principalArn"])
        policy = self.given["policyArn"]
        self.found(policies, policy, "No associated access policy found for the policyArn: " + policy)
        del self.kept(policies)[policy]
        return EmptyResult()

    def list_associated_access_policies(self) -> ActionResult:
        """List what a principal is allowed."""
        entry = self._entry()
        associated = self.kept(_policies_of(entry["principalArn"]))
        return ActionResult(
            {
                "clusterName": entry["clusterName"],
                "principalArn": entry["principalArn"],
                "associatedAccessPolicies": list(associated.values()),
            }
        )

    def _entry(self) -> Kept:
        self._check_mode()
        message = (
            "The specified principalArn could not be found. You can view your available access entries with "
            "'ListAccessEntries'."
        )
        return self.found("access_entries", self.given["principalArn"], message)

    def _check_mode(self) -> None:
        if self.cluster.access_config["authenticationMode"] == "CONFIG_MAP":  # pyright: ignore  # set on moto's class
            raise InvalidRequestException(
                message="The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform "
                "this operation."
            )

    def _check_names(self) -> None:
        for group in self.given.get("kubernetesGroups", []):
            if group.startswith(RESERVED):
                raise refuse(f"The kubernetes group name {group} is invalid, it cannot start with {RESERVED}")
        if (self.given.get("username") or "").startswith(RESERVED):
            raise refuse(f"The username is invalid, it cannot start with {RESERVED}")


def _policies_of(principal: str) -> str:
    return f"policies_of {principal}"


def _username(principal: str) -> str:
    """Return the user that a principal is when nobody says: of a role each session is one."""
    account, _, resource = principal.partition("iam::")[2].partition(":")
    if not resource.startswith("role/"):
        return principal
    return f"arn:aws:sts::{account}:assumed-role/{resource.rsplit('/', 1)[-1]}/{{{{SessionName}}}}"
