"""EKS: managed node groups."""

from falaj.lab.provider.aws_types.eks_tags import TAGS
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Put, given, resource
from falaj.lab.provider.kind import Autoname, Change
from falaj.lab.provider.values import Props, compact


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
        "updateConfig": lambda props: compact(props.get("updateConfig")) or None,
        "nodeRepairConfig": lambda props: compact(props.get("nodeRepairConfig")) or None,
        "tags": "@tags",
    },
)


def _read_group(aws: Aws, identifier: str, known: Props) -> Props:
    found = aws.call("eks.describe_nodegroup", **_ends(identifier))["nodegroup"]
    # EKS answers a template's name and identifier; a program, made by an import too, gives one of them.
    template = given(found.get("launchTemplate") or {}, *(("id", "name") if known else ("id",)), "version")
    plain = "amiType capacityType diskSize instanceTypes labels taints scalingConfig updateConfig nodeRepairConfig"
    resources = found.get("resources") or {}
    remote = found.get("remoteAccess")
    return {
        **{name: found.get(name) for name in plain.split()},
        **{name: found.get(name) for name in ("version", "releaseVersion", "status", "tags")},
        "launchTemplate": template or None,
        "arn": found["nodegroupArn"],
        "clusterName": found["clusterName"],
        "nodeGroupName": found["nodegroupName"],
        "nodeRoleArn": found["nodeRole"],
        "subnetIds": found["subnets"],
        "remoteAccess": remote
        and {"ec2SshKey": remote.get("ec2SshKey"), "sourceSecurityGroupIds": remote.get("sourceSecurityGroups")},
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
    if change.of("nodeRepairConfig"):
        parameters["nodeRepairConfig"] = compact(wanted.get("nodeRepairConfig"))
    if change.of("labels"):
        labels, old = wanted.get("labels") or {}, observed.get("labels") or {}
        parameters["labels"] = {"addOrUpdateLabels": labels, "removeLabels": sorted(old.keys() - labels.keys())}
    if change.of("taints"):
        new, old = _taints(wanted) or [], _taints(observed) or []
        stay = [(taint["key"], taint["effect"]) for taint in new]
        gone = [taint for taint in old if (taint["key"], taint["effect"]) not in stay]
        parameters["taints"] = {"removeTaints": gone, "addOrUpdateTaints": new}
    parameters = {name: value for name, value in parameters.items() if value}
    if parameters:
        aws.call("eks.update_nodegroup_config", **_ends(identifier), **parameters)


def _move_group(aws: Aws, identifier: str, change: Change) -> None:
    """Move a group to another version of Kubernetes, of its image or of its launch template."""
    wanted = change.wanted
    parameters: Props = {name: wanted[name] for name in ("version", "releaseVersion") if change.of(name)}
    if wanted.get("launchTemplate"):
        parameters["launchTemplate"] = _launch_template(wanted)
    if wanted.get("forceUpdateVersion"):
        parameters["force"] = True
    aws.call("eks.update_nodegroup_version", **_ends(identifier), **parameters)


NODE_GROUP = resource(
    "aws:eks/nodeGroup:NodeGroup",
    create=_create_group,
    read=_read_group,
    update=[
        Put("version releaseVersion launchTemplate", _move_group),
        Put("scalingConfig updateConfig nodeRepairConfig labels taints", _configure_group),
        TAGS,
    ],
    delete=lambda aws, identifier, _: aws.call("eks.delete_nodegroup", **_ends(identifier)),
    replace="clusterName nodeRoleArn subnetIds amiType capacityType diskSize instanceTypes remoteAccess "
    "launchTemplate.id launchTemplate.name",
    local="forceUpdateVersion",
    computed="amiType capacityType diskSize instanceTypes version releaseVersion updateConfig nodeRepairConfig "
    "remoteAccess",
    sets="subnetIds taints",
    name=Autoname("nodeGroupName", prefix="nodeGroupNamePrefix", longest=63),
    key=lambda p: f"{p['clusterName']}:{p['nodeGroupName']}",
)

KINDS = [NODE_GROUP]
