"""EC2 launch templates."""

from collections.abc import Mapping
from typing import Any

from falaj.lab.provider.aws_types.ec2 import TAGS, find_created, tag_specifications
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, as_pairs, pascalize, resource
from falaj.lab.provider.kind import Autoname, Change
from falaj.lab.provider.values import Props, compact

DATA = (
    "blockDeviceMappings capacityReservationSpecification cpuOptions creditSpecification disableApiStop "
    "disableApiTermination ebsOptimized enclaveOptions hibernationOptions iamInstanceProfile imageId "
    "instanceInitiatedShutdownBehavior instanceMarketOptions instanceRequirements instanceType kernelId keyName "
    "licenseSpecifications maintenanceOptions metadataOptions monitoring networkInterfaces placement "
    "privateDnsNameOptions ramDiskId securityGroupNames tagSpecifications userData vpcSecurityGroupIds"
)
"""The properties that make a version of a template."""

RENAMED = {"vpcSecurityGroupIds": "SecurityGroupIds", "securityGroupNames": "SecurityGroups"}


def _data(props: Props) -> Props:
    """Return the data of a version."""
    data: Props = {"UserData": ""}  # as HashiCorp's provider says that there is none
    for name in DATA.split():
        value = compact(props.get(name))
        if value in (None, "", [], {}):
            continue
        if name == "tagSpecifications":
            value = [{"ResourceType": s.get("resourceType"), "Tags": as_pairs(s.get("tags"))} for s in value]
        data[RENAMED.get(name, name[0].upper() + name[1:])] = _typed(pascalize(value))
    for interface in data.get("NetworkInterfaces", []):
        if "SecurityGroups" in interface:
            interface["Groups"] = interface.pop("SecurityGroups")
    return data


def _typed(value: Any) -> Any:
    """Turn flags that Pulumi sends as text into flags."""
    if isinstance(value, Mapping):
        return {name: item if name == "Tags" else _typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _observed(aws: Aws, identifier: str, props: Props) -> Props:
    """Return the newest version's data under Pulumi's names."""
    del aws, identifier
    data = dict(props.pop("data") or {})
    found: Props = {
        name: data.get(RENAMED[name][0].lower() + RENAMED[name][1:] if name in RENAMED else name)
        for name in DATA.split()
    }
    found["tagSpecifications"] = [
        {"resourceType": s["resourceType"], "tags": {t["key"]: t["value"] for t in s.get("tags", [])}}
        for s in data.get("tagSpecifications", [])
    ]
    for interface in found["networkInterfaces"] or []:
        if "groups" in interface:
            interface["securityGroups"] = interface.pop("groups")
    return {**props, **found}


def _new_version(aws: Aws, identifier: str, change: Change) -> None:
    version = aws.call(
        "ec2.create_launch_template_version",
        LaunchTemplateId=identifier,
        LaunchTemplateData=_data(change.wanted),
        **({"VersionDescription": change.wanted["description"]} if change.wanted.get("description") else {}),
    )["LaunchTemplateVersion"]["VersionNumber"]
    if change.wanted.get("updateDefaultVersion"):
        _make_default(aws, identifier, version)


def _default(aws: Aws, identifier: str, change: Change) -> None:
    wanted = change.wanted.get("defaultVersion")
    if wanted:
        _make_default(aws, identifier, wanted)


def _make_default(aws: Aws, identifier: str, version: Any) -> None:
    aws.call("ec2.modify_launch_template", LaunchTemplateId=identifier, DefaultVersion=str(version))


TEMPLATE = resource(
    "aws:ec2/launchTemplate:LaunchTemplate",
    create=Call(
        "ec2.create_launch_template",
        {
            "LaunchTemplateName": "@name",
            "VersionDescription": "@description",
            "LaunchTemplateData": _data,
            "TagSpecifications": tag_specifications("launch-template"),
        },
        "LaunchTemplate.LaunchTemplateId",
    ),
    read=[
        Look(
            "ec2.describe_launch_templates",
            {"LaunchTemplateIds": ["@id"]},
            "LaunchTemplates[0]",
            "name=LaunchTemplateName defaultVersion=DefaultVersionNumber latestVersion=LatestVersionNumber tags",
        ),
        Look(
            "ec2.describe_launch_template_versions",
            {"LaunchTemplateId": "@id", "Versions": ["$Latest"]},
            "LaunchTemplateVersions[0]",
            "description=VersionDescription data=LaunchTemplateData",
        ),
    ],
    update=[Put(f"{DATA} description", _new_version), Put("defaultVersion", _default), TAGS],
    delete=Call("ec2.delete_launch_template", {"LaunchTemplateId": "@id"}),
    finish=_observed,
    arn="ec2:launch-template/@id",
    find=find_created,
    local="updateDefaultVersion",
    computed="defaultVersion",
    volatile="latestVersion defaultVersion",
    sets="vpcSecurityGroupIds securityGroupNames",
    name=Autoname(prefix="namePrefix", longest=125),
)

KINDS = [TEMPLATE]
