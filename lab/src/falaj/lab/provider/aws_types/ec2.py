"""EC2's network: VPCs, subnets, routes, security groups, endpoints, flow logs."""

from collections.abc import Mapping
from typing import Any

from falaj.lab.provider.aws_types.session import CREATION_TAG, Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, Template, as_pairs, resource, tag_change
from falaj.lab.provider.kind import Change
from falaj.lab.provider.values import Props


def tag_specifications(kind: str) -> Template:
    """Return the template of the tags that a thing of this kind is created with."""

    def filled(props: Props) -> Any:
        tags = as_pairs({**(props.get("tags") or {}), **props.get("creationTags", {})})
        return [{"ResourceType": kind, "Tags": tags}] if tags else None

    return filled


def put_tags(aws: Aws, identifier: str, change: Change) -> None:
    """Set and remove tags, as everywhere in EC2."""
    added, removed = tag_change(change)
    if added:
        aws.call("ec2.create_tags", Resources=[identifier], Tags=as_pairs(added))
    if removed:
        aws.call("ec2.delete_tags", Resources=[identifier], Tags=[{"Key": name} for name in removed])


def find_created(aws: Aws, token: str) -> str | None:
    """Return the identifier of what an interrupted creation made."""
    filters = [{"Name": "key", "Values": [CREATION_TAG]}, {"Name": "value", "Values": [token]}]
    found = aws.call("ec2.describe_tags", Filters=filters)["Tags"]
    return found[0]["ResourceId"] if found else None


TAGS = Put("tags", put_tags)


def _attribute(operation: str, key: str, name: str) -> Put:
    """Return what sets one attribute of a VPC or subnet: such operations take one attribute at a time."""
    return Put(name, Call(operation, {key: "@id", name[0].upper() + name[1:]: {"Value": f"@{name}"}}))


def _attribute_look(name: str) -> Look:
    parameters: Mapping[str, Template] = {"VpcId": "@id", "Attribute": name}
    return Look("ec2.describe_vpc_attribute", parameters, fields=f"{name}={name[0].upper()}{name[1:]}.Value")


_OF_VPC = [{"Name": "vpc-id", "Values": ["@id"]}]

VPC = resource(
    "aws:ec2/vpc:Vpc",
    create=Call(
        "ec2.create_vpc",
        {
            "CidrBlock": "@cidrBlock",
            "InstanceTenancy": "@instanceTenancy",
            "AmazonProvidedIpv6CidrBlock": "@assignGeneratedIpv6CidrBlock",
            "TagSpecifications": tag_specifications("vpc"),
        },
        "Vpc.VpcId",
    ),
    read=[
        Look(
            "ec2.describe_vpcs",
            {"VpcIds": ["@id"]},
            "Vpcs[0]",
            "cidrBlock instanceTenancy dhcpOptionsId ownerId tags "
            "ipv6CidrBlock=Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock "
            "ipv6AssociationId=Ipv6CidrBlockAssociationSet[0].AssociationId",
        ),
        _attribute_look("enableDnsSupport"),
        _attribute_look("enableDnsHostnames"),
        _attribute_look("enableNetworkAddressUsageMetrics"),
        Look(
            "ec2.describe_route_tables",
            {"Filters": [*_OF_VPC, {"Name": "association.main", "Values": ["true"]}]},
            "RouteTables[0]",
            "mainRouteTableId=RouteTableId defaultRouteTableId=RouteTableId",
        ),
        Look(
            "ec2.describe_security_groups",
            {"Filters": [*_OF_VPC, {"Name": "group-name", "Values": ["default"]}]},
            "SecurityGroups[0]",
            "defaultSecurityGroupId=GroupId",
        ),
        Look(
            "ec2.describe_network_acls",
            {"Filters": [*_OF_VPC, {"Name": "default", "Values": ["true"]}]},
            "NetworkAcls[0]",
            "defaultNetworkAclId=NetworkAclId",
        ),
    ],
    update=[
        _attribute("ec2.modify_vpc_attribute", "VpcId", "enableDnsSupport"),
        _attribute("ec2.modify_vpc_attribute", "VpcId", "enableDnsHostnames"),
        _attribute("ec2.modify_vpc_attribute", "VpcId", "enableNetworkAddressUsageMetrics"),
        TAGS,
    ],
    delete=Call("ec2.delete_vpc", {"VpcId": "@id"}),
    arn="ec2:vpc/@id",
    find=find_created,
    defaults={"instanceTenancy": "default", "enableDnsSupport": True},
    computed="cidrBlock enableDnsHostnames enableNetworkAddressUsageMetrics ipv6CidrBlock",
)

SUBNET = resource(
    "aws:ec2/subnet:Subnet",
    create=Call(
        "ec2.create_subnet",
        {
            "VpcId": "@vpcId",
            "CidrBlock": "@cidrBlock",
            "Ipv6CidrBlock": "@ipv6CidrBlock",
            "AvailabilityZone": "@availabilityZone",
            "AvailabilityZoneId": "@availabilityZoneId",
            "TagSpecifications": tag_specifications("subnet"),
        },
        "Subnet.SubnetId",
    ),
    read=Look(
        "ec2.describe_subnets",
        {"SubnetIds": ["@id"]},
        "Subnets[0]",
        "vpcId cidrBlock availabilityZone availabilityZoneId mapPublicIpOnLaunch assignIpv6AddressOnCreation "
        "ownerId tags arn=SubnetArn ipv6CidrBlock=Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock "
        "ipv6CidrBlockAssociationId=Ipv6CidrBlockAssociationSet[0].AssociationId",
    ),
    update=[
        _attribute("ec2.modify_subnet_attribute", "SubnetId", "mapPublicIpOnLaunch"),
        _attribute("ec2.modify_subnet_attribute", "SubnetId", "assignIpv6AddressOnCreation"),
        TAGS,
    ],
    delete=Call("ec2.delete_subnet", {"SubnetId": "@id"}),
    find=find_created,
    defaults={"mapPublicIpOnLaunch": False, "assignIpv6AddressOnCreation": False},
    computed="availabilityZone availabilityZoneId ipv6CidrBlock",
)

KINDS = [VPC, SUBNET]
