"""EKS: clusters and managed node groups. moto knows neither add-ons nor access entries: those are recorded.

moto has no upgrades either (`UpdateClusterVersion`, `UpdateNodegroupVersion`): a changed version, release version or
launch template version of something that exists is taken as done, and so are changed tags of a node group.
"""

from typing import Any

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, given, in_order, resource, tag_change
from falaj.lab.provider.kind import Autoname, Change
from falaj.lab.provider.values import Props, has_unknown

LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
_VPC = ("subnetIds", "securityGroupIds", "endpointPrivateAccess", "endpointPublicAccess", "publicAccessCidrs")


def _tags(aws: Aws, identifier: str, change: Change) -> None:
    del identifier
    added, removed = tag_change(change)
    if added:
        aws.call("eks.tag_resource", resourceArn=change.observed["arn"], tags=added)
    for name in removed:  # one at a time: moto takes note of one name only
        aws.call("eks.untag_resource", resourceArn=change.observed["arn"], tagKeys=[name])


def _vpc_config(props: Props) -> Props:
    wanted = props.get("vpcConfig") or {}
    # The values that EKS gives to what is left out; moto would leave it out too.
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


def _network(props: Props) -> Props | None:
    return given(props.get("kubernetesNetworkConfig") or {}, "serviceIpv4Cidr", "ipFamily") or None


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
            "kubernetesNetworkConfig": _network,
            "logging": _logging,
            "encryptionConfig": _encryption,
            "tags": "@tags",
        },
        "cluster.name",
    ),
    read=Look(
        "eks.describe_cluster",
        {"name": "@id"},
        "cluster",
        "arn name roleArn version endpoint status platformVersion createdAt certificateAuthority tags "
        "kubernetesNetworkConfig vpcConfig=resourcesVpcConfig logging encryption=encryptionConfig "
        "issuer=identity.oidc.issuer",
        camel=True,
    ),
    update=[
        Put("vpcConfig", Call("eks.update_cluster_config", {"name": "@id", "resourcesVpcConfig": _vpc_config})),
        Put("enabledClusterLogTypes", Call("eks.update_cluster_config", {"name": "@id", "logging": _logging})),
        Put("tags", _tags),
    ],
    delete=Call("eks.delete_cluster", {"name": "@id"}),
    finish=_cluster,
    replace="roleArn encryptionConfig kubernetesNetworkConfig",
    taken="version",
    computed="kubernetesNetworkConfig version accessConfig upgradePolicy",
    sets="enabledClusterLogTypes",
    normalise={"vpcConfig": _same_vpc_config},
    name=Autoname(longest=100),
    key="name",
)


def _ends(identifier: str) -> Props:
    cluster, _, group = identifier.partition(":")
    return {"clusterName": cluster, "nodegroupName": group}


def _create_group(aws: Aws, props: Props) -> str:
    _CREATE_GROUP(aws, props)
    return f"{props['clusterName']}:{props['nodeGroupName']}"


def _taints(props: Props) -> list[Props] | None:
    return [given(taint, "key", "value", "effect") for taint in props.get("taints") or []] or None


def _launch_template(props: Props) -> Props | None:
    template = props.get("launchTemplate") or {}
    chosen = given(template, "id", "version") if template.get("id") else given(template, "name", "version")
    return {name: str(value) for name, value in chosen.items()} or None


_CREATE_GROUP = Call(
    "eks.create_nodegroup",
    {
        "clusterName": "@clusterName",
        "nodegroupName": "@nodeGroupName",
        "nodeRole": "@nodeRoleArn",
        "subnets": "@subnetIds",
        "scalingConfig": {
            "minSize": "@scalingConfig.minSize",
            "maxSize": "@scalingConfig.maxSize",
            "desiredSize": "@scalingConfig.desiredSize",
        },
        "amiType": "@amiType",
        "capacityType": "@capacityType",
        "diskSize": "@diskSize",
        "instanceTypes": "@instanceTypes",
        "labels": "@labels",
        "taints": _taints,
        "launchTemplate": _launch_template,
        "remoteAccess": {
            "ec2SshKey": "@remoteAccess.ec2SshKey",
            "sourceSecurityGroups": "@remoteAccess.sourceSecurityGroupIds",
        },
        "version": "@version",
        "releaseVersion": "@releaseVersion",
        "tags": "@tags",
    },
)


def _read_group(aws: Aws, identifier: str, known: Props) -> Props:
    found = aws.call("eks.describe_nodegroup", **_ends(identifier))["nodegroup"]
    # EKS answers a template's name and identifier; the program gives one of them.
    named = "name" if (known.get("launchTemplate") or {}).get("name") else "id"
    plain = "amiType capacityType diskSize instanceTypes labels taints scalingConfig updateConfig"
    resources = found.get("resources") or {}
    remote = found.get("remoteAccess") or {}
    return {
        **{name: found.get(name) for name in plain.split()},
        **{name: found.get(name) for name in ("version", "releaseVersion", "status", "tags")},
        "launchTemplate": given(found.get("launchTemplate") or {}, named, "version") or None,
        "arn": found["nodegroupArn"],
        "clusterName": found["clusterName"],
        "nodeGroupName": found["nodegroupName"],
        "nodeRoleArn": found["nodeRole"],
        "subnetIds": found["subnets"],
        "remoteAccess": {
            "ec2SshKey": remote.get("ec2SshKey"),
            "sourceSecurityGroupIds": remote.get("sourceSecurityGroups"),
        },
        "resources": [
            {
                "autoscalingGroups": resources.get("autoScalingGroups"),
                "remoteAccessSecurityGroupId": resources.get("remoteAccessSecurityGroup"),
            }
        ],
    }


def _configure_group(aws: Aws, identifier: str, change: Change) -> None:
    wanted, observed = change.wanted, change.observed
    parameters: Props = {}
    if change.of("scalingConfig"):
        parameters["scalingConfig"] = given(wanted["scalingConfig"], "minSize", "maxSize", "desiredSize")
    if change.of("updateConfig"):
        parameters["updateConfig"] = given(
            wanted.get("updateConfig") or {}, "maxUnavailable", "maxUnavailablePercentage", "updateStrategy"
        )
    if change.of("labels"):
        labels, old = wanted.get("labels") or {}, observed.get("labels") or {}
        parameters["labels"] = {"addOrUpdateLabels": labels, "removeLabels": sorted(old.keys() - labels.keys())}
    if change.of("taints"):
        new, old = _taints(wanted) or [], _taints(observed) or []
        parameters["taints"] = {"removeTaints": [t for t in old if t not in new], "addOrUpdateTaints": new}
    parameters = {name: value for name, value in parameters.items() if value}
    if parameters:
        aws.call("eks.update_nodegroup_config", **_ends(identifier), **parameters)


NODE_GROUP = resource(
    "aws:eks/nodeGroup:NodeGroup",
    create=_create_group,
    read=_read_group,
    update=[Put("scalingConfig updateConfig labels taints", _configure_group)],
    delete=lambda aws, identifier, _: aws.call("eks.delete_nodegroup", **_ends(identifier)),
    replace="clusterName nodeRoleArn subnetIds amiType capacityType diskSize instanceTypes remoteAccess "
    "launchTemplate.id launchTemplate.name",
    local="forceUpdateVersion",
    taken="version releaseVersion launchTemplate.version tags",
    computed="amiType capacityType diskSize instanceTypes version releaseVersion updateConfig nodeRepairConfig "
    "remoteAccess",
    sets="subnetIds taints",
    name=Autoname("nodeGroupName", prefix="nodeGroupNamePrefix", longest=63),
    key=lambda p: f"{p['clusterName']}:{p['nodeGroupName']}",
)

KINDS = [CLUSTER, NODE_GROUP]
