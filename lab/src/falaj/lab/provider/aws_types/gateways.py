"""EC2's public addresses and NAT gateways, and the placement groups of instances."""

from contextlib import suppress

from falaj.lab.provider.aws_types.ec2 import TAGS, find_created, tag_specifications
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, resource
from falaj.lab.provider.kind import Autoname, Change, GoneError, ProviderError
from falaj.lab.provider.values import Props


def _associate(aws: Aws, identifier: str, change: Change) -> None:
    """Give an address to an instance or interface; what a NAT gateway holds is not its business."""
    if change.observed.get("associationId"):
        aws.call("ec2.disassociate_address", AssociationId=change.observed["associationId"])
    targets = {"InstanceId": "instance", "NetworkInterfaceId": "networkInterface"}
    target = {key: change.wanted[name] for key, name in targets.items() if change.wanted.get(name)}
    if target:
        private = change.wanted.get("associateWithPrivateIp")
        more = {"PrivateIpAddress": private} if private else {}
        aws.call("ec2.associate_address", AllocationId=identifier, **target, **more)


def _with_names(aws: Aws, identifier: str, props: Props) -> Props:
    """Add the names that the official provider makes of the addresses."""
    del identifier
    first = aws.region == "us-east-1"
    names = (
        ("publicIp", "publicDns", "ec2-{}." + ("compute-1" if first else f"{aws.region}.compute") + ".amazonaws.com"),
        ("privateIp", "privateDns", "ip-{}." + ("ec2" if first else f"{aws.region}.compute") + ".internal"),
    )
    made = {name: form.format(str(props[of]).replace(".", "-")) for of, name, form in names if props.get(of)}
    return {**props, **made, "allocationId": props["allocationId"]}


def _release(aws: Aws, identifier: str, state: Props) -> None:
    if state.get("associationId"):
        with suppress(ProviderError):  # what had the address is gone already
            aws.call("ec2.disassociate_address", AssociationId=state["associationId"])
    aws.call("ec2.release_address", AllocationId=identifier)


ADDRESS = resource(
    "aws:ec2/eip:Eip",
    create=Call(
        "ec2.allocate_address",
        {
            # AWS has no other domain any more; moto still does, and takes it when none is given.
            "Domain": lambda p: p.get("domain") or "vpc",
            "Address": "@address",
            "CustomerOwnedIpv4Pool": "@customerOwnedIpv4Pool",
            "IpamPoolId": "@ipamPoolId",
            "NetworkBorderGroup": "@networkBorderGroup",
            "PublicIpv4Pool": "@publicIpv4Pool",
            "TagSpecifications": tag_specifications("elastic-ip"),
        },
        "AllocationId",
    ),
    read=Look(
        "ec2.describe_addresses",
        {"AllocationIds": ["@id"]},
        "Addresses[0]",
        "allocationId associationId carrierIp customerOwnedIp customerOwnedIpv4Pool domain tags "
        "instance=InstanceId networkBorderGroup networkInterface=NetworkInterfaceId publicIpv4Pool "
        "privateIp=PrivateIpAddress publicIp",
    ),
    update=[Put("instance networkInterface associateWithPrivateIp", _associate), TAGS],
    delete=_release,
    finish=_with_names,
    arn="ec2:elastic-ip/@id",
    find=find_created,
    replace="address domain ipamPoolId networkBorderGroup publicIpv4Pool",
    local="customerOwnedIpv4Pool",
    computed="domain instance ipamPoolId networkBorderGroup networkInterface publicIpv4Pool",
    taken="associateWithPrivateIp address",
)


def _there(aws: Aws, identifier: str, props: Props) -> Props:
    """Leave out what moto keeps as a deleted gateway, as AWS does for an hour."""
    del aws, identifier
    if props.pop("state") in ("deleted", "deleting"):
        raise GoneError
    return {**props, "secondaryPrivateIpAddressCount": 0}


NAT_GATEWAY = resource(
    "aws:ec2/natGateway:NatGateway",
    create=Call(
        "ec2.create_nat_gateway",
        {
            "SubnetId": "@subnetId",
            "AllocationId": "@allocationId",
            "ConnectivityType": "@connectivityType",
            "PrivateIpAddress": "@privateIp",
            "TagSpecifications": tag_specifications("natgateway"),
        },
        "NatGateway.NatGatewayId",
    ),
    read=Look(
        "ec2.describe_nat_gateways",
        {"NatGatewayIds": ["@id"]},
        "NatGateways[0]",
        "state subnetId vpcId connectivityType availabilityMode tags allocationId=NatGatewayAddresses[0].AllocationId "
        "associationId=NatGatewayAddresses[0].AssociationId publicIp=NatGatewayAddresses[0].PublicIp "
        "privateIp=NatGatewayAddresses[0].PrivateIp networkInterfaceId=NatGatewayAddresses[0].NetworkInterfaceId",
    ),
    update=[TAGS],
    delete=Call("ec2.delete_nat_gateway", {"NatGatewayId": "@id"}),
    finish=_there,
    find=find_created,
    replace="availabilityMode vpcId",
    defaults={"connectivityType": "public"},
    computed="availabilityMode privateIp secondaryAllocationIds secondaryPrivateIpAddressCount "
    "secondaryPrivateIpAddresses vpcId",
)

PLACEMENT_GROUP = resource(
    "aws:ec2/placementGroup:PlacementGroup",
    create=Call(
        "ec2.create_placement_group",
        {
            "GroupName": "@name",
            "Strategy": "@strategy",
            "PartitionCount": "@partitionCount",
            "SpreadLevel": "@spreadLevel",
            "TagSpecifications": tag_specifications("placement-group"),
        },
        "@name",
    ),
    read=Look(
        "ec2.describe_placement_groups",
        {"GroupNames": ["@id"]},
        "PlacementGroups[0]",
        "name=GroupName strategy partitionCount spreadLevel placementGroupId=GroupId tags",
    ),
    update=[Put("tags", lambda aws, _, change: TAGS(aws, str(change.observed["placementGroupId"]), change))],
    delete=Call("ec2.delete_placement_group", {"GroupName": "@id"}),
    arn="ec2:placement-group/@id",
    name=Autoname(),
    key="name",
    computed="partitionCount spreadLevel",
)

KINDS = [ADDRESS, NAT_GATEWAY, PLACEMENT_GROUP]
