"""EKS: clusters; with them the tables of what clusters have."""

from collections.abc import Callable
from typing import Any

from falaj.lab.provider.aws_types import eks_access, eks_node_groups
from falaj.lab.provider.aws_types.eks_tags import TAGS
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, given, in_order, resource
from falaj.lab.provider.kind import Autoname, Change, ProviderError
from falaj.lab.provider.values import Props, compact, has_unknown

LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
_ENDPOINT = ("endpointPrivateAccess", "endpointPublicAccess", "publicAccessCidrs")
_VPC = ("subnetIds", "securityGroupIds", *_ENDPOINT)
_PARTS = (
    "accessConfig",
    "computeConfig",
    "controlPlaneScalingConfig",
    "storageConfig",
    "upgradePolicy",
    "zonalShiftConfig",
)
"""Settings that have the same names in EKS's API."""


def _vpc_config(props: Props) -> Props:
    wanted = props.get("vpcConfig") or {}
    # The values that EKS gives to what is left out.
    defaults = {"endpointPrivateAccess": False, "endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}
    if not wanted.get("endpointPublicAccess", True):
        defaults["publicAccessCidrs"] = []
    return {**defaults, **given(wanted, *_VPC)}


def _logging(props: Props) -> Props:
    wanted = props.get("enabledClusterLogTypes") or []
    setups = [
        {"types": [name for name in LOG_TYPES if (name in wanted) == enabled], "enabled": enabled}
        for enabled in (True, False)
    ]
    return {"clusterLogging": [setup for setup in setups if setup["types"]]}


def _encryption(props: Props) -> Any:
    found = props.get("encryptionConfig")
    return [{"resources": found["resources"], "provider": {"keyArn": found["provider"]["keyArn"]}}] if found else None


def _cluster(aws: Aws, identifier: str, props: Props) -> Props:
    setups = (props.pop("logging") or {}).get("clusterLogging") or []
    encryption = props.pop("encryption") or []
    issuer = props.pop("issuer")
    vpc = props["vpcConfig"] or {}
    del aws, identifier
    return {
        **props,
        "createdAt": str(props["createdAt"]),
        "enabledClusterLogTypes": sorted(name for setup in setups if setup["enabled"] for name in setup["types"]),
        "encryptionConfig": encryption[0] if encryption else None,
        "identities": [{"oidcs": [{"issuer": issuer}]}],
        "vpcConfig": {"clusterSecurityGroupId": None, "vpcId": None, **vpc},
    }


def _part(name: str) -> Callable[[Props], Any]:
    return lambda props: compact(props.get(name)) or None


def _configure(name: str, *parts: str) -> Put:
    """Return what changes a setting, or some parts of it: EKS takes one kind of change at a time."""

    def configure(aws: Aws, identifier: str, change: Change) -> None:
        value: Any = change.wanted.get(name)
        aws.call("eks.update_cluster_config", name=identifier, **{name: given(value, *parts) if parts else value})

    return Put(name, configure)


def _configure_vpc(aws: Aws, identifier: str, change: Change) -> None:
    wanted, observed = _vpc_config(change.wanted), _vpc_config(change.observed)
    for names in (_ENDPOINT, ("subnetIds",), ("securityGroupIds",)):
        if any(in_order(wanted.get(name)) != in_order(observed.get(name)) for name in names):
            parts = {name: wanted.get(name, []) for name in names}
            aws.call("eks.update_cluster_config", name=identifier, resourcesVpcConfig=parts)


def _encrypt(aws: Aws, identifier: str, change: Change) -> None:
    if change.observed.get("encryptionConfig"):
        raise ProviderError("EKS keeps a cluster's encryption and its key for good: replace the cluster", certain=True)
    aws.call("eks.associate_encryption_config", clusterName=identifier, encryptionConfig=_encryption(change.wanted))


def _configure_auto_mode(aws: Aws, identifier: str, change: Change) -> None:
    """Change all three at once, as EKS wants them: on or off together."""
    wanted = {**change.observed, **change.wanted}
    network = given(wanted.get("kubernetesNetworkConfig") or {}, "elasticLoadBalancing")
    parts = {"kubernetesNetworkConfig": network} | {
        name: compact(wanted.get(name)) for name in ("computeConfig", "storageConfig")
    }
    aws.call("eks.update_cluster_config", name=identifier, **{name: part for name, part in parts.items() if part})


def _same_vpc_config(value: Any) -> Any:
    """Compare what may be set, with its defaults; the lists are sets."""
    if has_unknown(value):
        return value
    return {name: in_order(item) for name, item in _vpc_config({"vpcConfig": value}).items()}


CLUSTER = resource(
    "aws:eks/cluster:Cluster",
    create=Call(
        "eks.create_cluster",
        {
            "name": "@name",
            "roleArn": "@roleArn",
            "version": "@version",
            "resourcesVpcConfig": _vpc_config,
            "kubernetesNetworkConfig": _part("kubernetesNetworkConfig"),
            "logging": _logging,
            "encryptionConfig": _encryption,
            "bootstrapSelfManagedAddons": "@bootstrapSelfManagedAddons",
            "deletionProtection": "@deletionProtection",
            "tags": "@tags",
            **{name: _part(name) for name in _PARTS},
        },
        "cluster.name",
    ),
    read=Look(
        "eks.describe_cluster",
        {"name": "@id"},
        "cluster",
        "arn name roleArn version endpoint status platformVersion createdAt certificateAuthority tags "
        "accessConfig computeConfig controlPlaneScalingConfig deletionProtection storageConfig upgradePolicy "
        "zonalShiftConfig kubernetesNetworkConfig vpcConfig=resourcesVpcConfig logging encryption=encryptionConfig "
        "issuer=identity.oidc.issuer",
        camel=True,
    ),
    update=[
        Put("version", Call("eks.update_cluster_version", {"name": "@id", "version": "@version"})),
        _configure("accessConfig", "authenticationMode"),
        Put("computeConfig kubernetesNetworkConfig storageConfig", _configure_auto_mode),
        _configure("controlPlaneScalingConfig"),
        _configure("deletionProtection"),
        Put("encryptionConfig", _encrypt),
        Put("enabledClusterLogTypes", Call("eks.update_cluster_config", {"name": "@id", "logging": _logging})),
        _configure("upgradePolicy"),
        Put("vpcConfig", _configure_vpc),
        _configure("zonalShiftConfig"),
        TAGS,
    ],
    delete=Call("eks.delete_cluster", {"name": "@id"}),
    finish=_cluster,
    replace="roleArn kubernetesNetworkConfig.ipFamily kubernetesNetworkConfig.serviceIpv4Cidr "
    "accessConfig.bootstrapClusterCreatorAdminPermissions",
    defaults={"bootstrapSelfManagedAddons": True},
    # EKS does not tell it.
    taken="accessConfig.bootstrapClusterCreatorAdminPermissions",
    local="forceUpdateVersion",
    computed="kubernetesNetworkConfig version accessConfig upgradePolicy computeConfig controlPlaneScalingConfig "
    "deletionProtection storageConfig",
    sets="enabledClusterLogTypes",
    normalise={"vpcConfig": _same_vpc_config},
    name=Autoname(longest=100),
    key="name",
)

KINDS = [CLUSTER, *eks_node_groups.KINDS, *eks_access.KINDS]
