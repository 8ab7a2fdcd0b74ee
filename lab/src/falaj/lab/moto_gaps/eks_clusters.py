"""EKS's clusters: everything that they are made with is kept, filled in as EKS does it, and can be updated."""

from typing import Any

from botocore import xform_name
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends
from moto.eks.exceptions import InvalidRequestException, ResourceNotFoundException
from moto.eks.models import DEFAULT_KUBERNETES_NETWORK_CONFIG, DEFAULT_KUBERNETES_VERSION, Cluster

from falaj.lab.moto_gaps.eks_authority import authority
from falaj.lab.moto_gaps.eks_kept import Base, number, refuse, tagged
from falaj.lab.moto_gaps.kept import Kept

KEPT = [
    "accessConfig",
    "computeConfig",
    "controlPlaneScalingConfig",
    "deletionProtection",
    "kubeApiServerConfig",
    "kubeControllerManagerConfig",
    "kubeSchedulerConfig",
    "outpostConfig",
    "storageConfig",
    "upgradePolicy",
    "zonalShiftConfig",
]
"""What a cluster is made with, EKS answers, and moto drops."""
DEFAULTS: Kept = {
    "access_config": {"authenticationMode": "CONFIG_MAP"},
    "compute_config": {"enabled": False},
    "deletion_protection": False,
    "storage_config": {"blockStorage": {"enabled": False}},
    "upgrade_policy": {"supportType": "EXTENDED"},
}
"""What EKS takes for what is left out; also of the clusters in older states."""
LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
MODES = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"]
"""The authentication modes, in the one direction in which EKS lets them change."""
UPDATES = {
    "accessConfig": "AccessConfigUpdate",
    "computeConfig": "AutoModeUpdate",
    "controlPlaneScalingConfig": "ControlPlaneScalingConfigUpdate",
    "deletionProtection": "DeletionProtectionUpdate",
    "kubeApiServerConfig": "ControlPlaneComponentConfigUpdate",
    "kubeControllerManagerConfig": "ControlPlaneComponentConfigUpdate",
    "kubeSchedulerConfig": "ControlPlaneComponentConfigUpdate",
    "kubernetesNetworkConfig": "AutoModeUpdate",
    "logging": "LoggingUpdate",
    "remoteNetworkConfig": "RemoteNetworkConfigUpdate",
    "resourcesVpcConfig": "VpcConfigUpdate",
    "storageConfig": "AutoModeUpdate",
    "upgradePolicy": "UpgradePolicyUpdate",
    "zonalShiftConfig": "ZonalShiftConfigUpdate",
}
"""What an update may change, with the type of the update."""


class Clusters(Base):
    """The operations on clusters, and on the tags of all that EKS has."""

    def create_cluster(self) -> ActionResult:
        """EKS keeps and completes what a cluster is made with; moto drops much, and leaves out what is left out."""
        number(self.given.get("version", DEFAULT_KUBERNETES_VERSION))
        _check_mode(self.given)
        answer = super().create_cluster()
        cluster = self.eks_backend.clusters[self.given["name"]]
        cluster.certificate_authority = authority()
        for name in KEPT:
            if name in self.given:
                _set(cluster, name, self.given[name])
        family = self.given.get("kubernetesNetworkConfig", {}).get("ipFamily", "ipv4")
        range_ = DEFAULT_KUBERNETES_NETWORK_CONFIG if family == "ipv4" else {}
        kept: Any = cluster.kubernetes_network_config
        kept = {"ipFamily": family, "elasticLoadBalancing": {"enabled": False}, **range_, **kept}
        cluster.kubernetes_network_config = kept
        cluster.logging = _logging({}, self.given.get("logging", {}))
        cluster.resources_vpc_config = {
            "securityGroupIds": [],
            "vpcId": self._vpc(self.given["resourcesVpcConfig"].get("subnetIds", [])),
            "endpointPrivateAccess": False,
            "endpointPublicAccess": True,
            "publicAccessCidrs": ["0.0.0.0/0"]
            if self.given["resourcesVpcConfig"].get("endpointPublicAccess", True)
            else [],
            **cluster.resources_vpc_config,
        }
        return answer

    def update_cluster_config(self) -> ActionResult:
        """EKS changes what is given of a setting and answers an update; moto forgets the rest and answers a cluster."""
        cluster = self.cluster
        changed = {name: self.given[name] for name in UPDATES if name in self.given}
        kinds = {UPDATES[name] for name in changed}
        if len(kinds) != 1:
            raise refuse("Only one type of update can be allowed.")
        mode = _check_mode(changed)
        if mode:
            now = cluster.access_config["authenticationMode"]  # pyright: ignore  # moto's class has it from here
            if MODES.index(mode) <= MODES.index(now):
                raise refuse(f"Unsupported authentication mode update from {now} to {mode}")
        for name, value in changed.items():
            _set(cluster, name, _logging(cluster.logging, value) if name == "logging" else value)
        return self.updated(kinds.pop(), changed)

    def update_cluster_version(self) -> ActionResult:
        """EKS goes to the next minor version, one at a time; moto cannot change a version."""
        cluster, wanted = self.cluster, self.given["version"]
        major, minor = number(cluster.version)
        if number(wanted) != (major, minor + 1):
            raise refuse(f"Unsupported Kubernetes minor version update from {cluster.version} to {wanted}")
        cluster.version = wanted
        return self.updated("VersionUpdate", {"version": wanted, "platformVersion": cluster.platformVersion})

    def associate_encryption_config(self) -> ActionResult:
        """EKS encrypts the secrets of a cluster that exists; moto only of one that is being made."""
        cluster = self.cluster
        if cluster.encryption_config:
            raise refuse("Encryption is already enabled on this cluster.")
        cluster.encryption_config = self.given["encryptionConfig"]
        return self.updated("AssociateEncryptionConfig", {"encryptionConfig": cluster.encryption_config})

    def delete_cluster(self) -> ActionResult:
        """EKS keeps a protected cluster; moto knows no protection."""
        if self.cluster.deletion_protection:  # pyright: ignore  # moto's class has it from here
            raise InvalidRequestException(message="Cannot delete the cluster: deletion protection is enabled")
        return super().delete_cluster()

    def tag_resource(self) -> ActionResult:
        """EKS tags all that has an ARN; moto clusters only."""
        self._tags().update(self.given["tags"])
        return EmptyResult()

    def untag_resource(self) -> ActionResult:
        """EKS removes tags of all that has an ARN; moto of clusters only."""
        tags = self._tags()
        for name in self.given["tagKeys"]:
            tags.pop(name, None)
        return EmptyResult()

    def list_tags_for_resource(self) -> ActionResult:
        """EKS lists tags of all that has an ARN; moto of clusters only."""
        return ActionResult({"tags": self._tags()})

    def _tags(self) -> dict[str, str]:
        arn = self.given["resourceArn"]
        for known, tags in tagged(iter(self.eks_backend.clusters.values())):
            if known == arn:
                return tags
        raise ResourceNotFoundException(message=f"No resource found with ARN: {arn}")

    def _vpc(self, subnets: list[str]) -> str | None:
        """Return the VPC of the subnets; moto lets a cluster have subnets that do not exist."""
        try:
            return ec2_backends[self.current_account][self.region].get_subnet(subnets[0]).vpc_id
        except (InvalidSubnetIdError, IndexError):
            return None


def _set(cluster: Cluster, name: str, value: Any) -> None:
    """Change what is given of a setting."""
    attribute = xform_name(name)
    if name == "accessConfig":
        value = {part: value[part] for part in value if part != "bootstrapClusterCreatorAdminPermissions"}
    old = getattr(cluster, attribute, None)
    setattr(cluster, attribute, {**(old or {}), **value} if isinstance(value, dict) else value)


def _check_mode(given: Kept) -> str | None:
    """Return the authentication mode that is asked for, if it is one."""
    mode = given.get("accessConfig", {}).get("authenticationMode")
    if mode not in (None, *MODES):
        raise refuse(f"unsupported authentication mode {mode}")
    return mode


def _logging(old: Kept, given: Kept) -> Kept:
    """Return which logs are on; those that are not mentioned stay as they are."""
    enabled = {
        name: setup["enabled"]
        for part in (old, given)
        for setup in part.get("clusterLogging", [])
        for name in setup["types"]
    }
    setups = [
        {"types": [name for name in LOG_TYPES if enabled.get(name, False) is on], "enabled": on} for on in (True, False)
    ]
    return {"clusterLogging": [setup for setup in setups if setup["types"]]}
