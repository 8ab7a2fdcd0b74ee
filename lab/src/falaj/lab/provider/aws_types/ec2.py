"""EC2's network: VPCs, subnets, gateways and routes; and what all of EC2's tables share."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from falaj.lab.provider.aws_types.session import CREATION_TAG, Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, Template, as_pairs, given, resource, tag_change
from falaj.lab.provider.kind import Change, ProviderError
from falaj.lab.provider.values import Props, is_empty


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


def _attach_gateway(aws: Aws, identifier: str, change: Change) -> None:
    old, new = change.observed.get("vpcId"), change.wanted.get("vpcId")
    if old:
        aws.call("ec2.detach_internet_gateway", InternetGatewayId=identifier, VpcId=old)
    if new:
        aws.call("ec2.attach_internet_gateway", InternetGatewayId=identifier, VpcId=new)


def _delete_gateway(aws: Aws, identifier: str, state: Props) -> None:
    if state.get("vpcId"):
        with suppress(ProviderError):  # detached already, or the VPC is gone
            aws.call("ec2.detach_internet_gateway", InternetGatewayId=identifier, VpcId=state["vpcId"])
    aws.call("ec2.delete_internet_gateway", InternetGatewayId=identifier)


# Properties of a route with their names in EC2; those of a table's own routes are named a little differently.
DESTINATIONS = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
TARGETS = {
    "carrierGatewayId": "CarrierGatewayId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "gatewayId": "GatewayId",
    "localGatewayId": "LocalGatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcEndpointId": "VpcEndpointId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
}
_INLINE = {
    "cidrBlock": "DestinationCidrBlock",
    "ipv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
    **TARGETS,
}


def _with_routes(aws: Aws, identifier: str, props: Props) -> Props:
    """A table's own routes are those that somebody put there: not the local one, nor those of gateway endpoints."""
    del aws, identifier
    routes = [
        {name: route[key[0].lower() + key[1:]] for name, key in _INLINE.items() if route.get(key[0].lower() + key[1:])}
        for route in props["routes"] or []
        if route.get("gatewayId") != "local" and not str(route.get("gatewayId", "")).startswith("vpce-")
    ]
    return {**props, "routes": routes, "propagatingVgws": []}


def _put_routes(aws: Aws, identifier: str, change: Change) -> None:
    wanted, observed = ([given(r, *_INLINE) for r in p.get("routes") or []] for p in (change.wanted, change.observed))
    for route in [route for route in observed if route not in wanted]:
        destination = {key: route[name] for name, key in _INLINE.items() if name in route and name not in TARGETS}
        aws.call("ec2.delete_route", RouteTableId=identifier, **destination)
    for route in [route for route in wanted if route not in observed]:
        aws.call("ec2.create_route", RouteTableId=identifier, **{_INLINE[name]: v for name, v in route.items()})


def _association_of(aws: Aws, identifier: str) -> str:
    """Return the identifier of an association that is imported as subnet/table, as the official provider takes it."""
    subnet, _, table = identifier.partition("/")
    if not table:
        return identifier
    tables = aws.call("ec2.describe_route_tables", RouteTableIds=[table])["RouteTables"]
    found = [a for a in tables[0]["Associations"] if subnet in (a.get("SubnetId"), a.get("GatewayId"))]
    return found[0]["RouteTableAssociationId"] if found else identifier


def _association(aws: Aws, identifier: str, known: Props) -> Props | None:
    """Find an association by what it associates: moved to another table, it has a new identifier."""
    tables = aws.call("ec2.describe_route_tables")["RouteTables"]
    found = [a for table in tables for a in table["Associations"]]
    if known.get("subnetId") or known.get("gatewayId"):
        ends = (known.get("subnetId") or None, known.get("gatewayId") or None)
        found = [a for a in found if (a.get("SubnetId"), a.get("GatewayId")) == ends]
    else:
        found = [a for a in found if a["RouteTableAssociationId"] == identifier]
    return found[0] if found else None


def _read_association(aws: Aws, identifier: str, known: Props) -> Props | None:
    found = _association(aws, identifier, known)
    return found and {name: found.get(name[0].upper() + name[1:]) for name in ("routeTableId", "subnetId", "gatewayId")}


def _replace_association(aws: Aws, identifier: str, change: Change) -> None:
    found = _association(aws, identifier, change.observed) or {}
    aws.call(
        "ec2.replace_route_table_association",
        AssociationId=found.get("RouteTableAssociationId", identifier),
        RouteTableId=change.wanted["routeTableId"],
    )


def _delete_association(aws: Aws, identifier: str, state: Props) -> None:
    found = _association(aws, identifier, state)
    if found:
        aws.call("ec2.disassociate_route_table", AssociationId=found["RouteTableAssociationId"])


def _route_id(props: Props) -> str | None:
    destination = next((props[name] for name in DESTINATIONS if props.get(name)), None)
    return f"{props.get('routeTableId')}_{destination}" if destination else None


def _create_route(aws: Aws, props: Props) -> str:
    parameters = {key: props[name] for name, key in (DESTINATIONS | TARGETS).items() if props.get(name)}
    aws.call("ec2.create_route", RouteTableId=props["routeTableId"], **parameters)
    return _route_id(props) or ""


def _check_route(inputs: Props) -> Iterator[tuple[str, str]]:
    targets = [*TARGETS, "coreNetworkArn", "odbNetworkArn"]  # the last two are not in moto
    for names, what in (([*DESTINATIONS], "destination"), (targets, "target")):
        found = [name for name in names if not is_empty(inputs.get(name))]
        if len(found) != 1:
            yield next(iter(found), names[0]), f"a route has one {what}, not {len(found)}: {', '.join(names)}"


def _read_route(aws: Aws, identifier: str, known: Props) -> Props | None:
    del known
    table, _, destination = identifier.partition("_")
    for route in aws.call("ec2.describe_route_tables", RouteTableIds=[table])["RouteTables"][0]["Routes"]:
        if destination in [route.get(key) for key in DESTINATIONS.values()]:
            found = {name: route.get(key) for name, key in (DESTINATIONS | TARGETS).items()}
            if str(found["gatewayId"]).startswith("vpce-"):  # where EC2 tells of an endpoint too
                found = {**found, "gatewayId": None, "vpcEndpointId": found["gatewayId"]}
            return {**found, "routeTableId": table, "origin": route.get("Origin"), "state": route.get("State")}
    return None


def _replace_route(aws: Aws, identifier: str, change: Change) -> None:
    del identifier
    parameters = {key: change.wanted[name] for name, key in (DESTINATIONS | TARGETS).items() if change.wanted.get(name)}
    aws.call("ec2.replace_route", RouteTableId=change.wanted["routeTableId"], **parameters)


def _delete_route(aws: Aws, identifier: str, state: Props) -> None:
    destination = {key: state[name] for name, key in DESTINATIONS.items() if state.get(name)}
    aws.call("ec2.delete_route", RouteTableId=identifier.partition("_")[0], **destination)


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
    replace="ipv4IpamPoolId ipv4NetmaskLength",
    defaults={"enableDnsSupport": True},
    computed="instanceTenancy cidrBlock enableDnsHostnames enableNetworkAddressUsageMetrics ipv6CidrBlock",
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
        "ipv6CidrBlockAssociationId=Ipv6CidrBlockAssociationSet[0].AssociationId "
        "privateDnsHostnameTypeOnLaunch=PrivateDnsNameOptionsOnLaunch.HostnameType",
    ),
    update=[
        _attribute("ec2.modify_subnet_attribute", "SubnetId", "mapPublicIpOnLaunch"),
        _attribute("ec2.modify_subnet_attribute", "SubnetId", "assignIpv6AddressOnCreation"),
        TAGS,
    ],
    delete=Call("ec2.delete_subnet", {"SubnetId": "@id"}),
    find=find_created,
    replace="ipv4IpamPoolId ipv4NetmaskLength ipv6IpamPoolId ipv6Native ipv6NetmaskLength outpostArn",
    defaults={"mapPublicIpOnLaunch": False, "assignIpv6AddressOnCreation": False},
    computed="availabilityZone availabilityZoneId ipv6CidrBlock privateDnsHostnameTypeOnLaunch",
)

GATEWAY = resource(
    "aws:ec2/internetGateway:InternetGateway",
    create=Call(
        "ec2.create_internet_gateway",
        {"TagSpecifications": tag_specifications("internet-gateway")},
        "InternetGateway.InternetGatewayId",
    ),
    read=Look(
        "ec2.describe_internet_gateways",
        {"InternetGatewayIds": ["@id"]},
        "InternetGateways[0]",
        "ownerId tags vpcId=Attachments[0].VpcId",
    ),
    update=[Put("vpcId", _attach_gateway), TAGS],
    delete=_delete_gateway,
    arn="ec2:internet-gateway/@id",
    find=find_created,
)

ROUTE_TABLE = resource(
    "aws:ec2/routeTable:RouteTable",
    create=Call(
        "ec2.create_route_table",
        {"VpcId": "@vpcId", "TagSpecifications": tag_specifications("route-table")},
        "RouteTable.RouteTableId",
    ),
    read=Look(
        "ec2.describe_route_tables", {"RouteTableIds": ["@id"]}, "RouteTables[0]", "vpcId ownerId tags routes=Routes"
    ),
    update=[Put("routes", _put_routes), TAGS],
    delete=Call("ec2.delete_route_table", {"RouteTableId": "@id"}),
    finish=_with_routes,
    arn="ec2:route-table/@id",
    find=find_created,
    computed="routes propagatingVgws",
    sets="routes",
)

ROUTE_TABLE_ASSOCIATION = resource(
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    create=Call(
        "ec2.associate_route_table",
        {"RouteTableId": "@routeTableId", "SubnetId": "@subnetId", "GatewayId": "@gatewayId"},
        "AssociationId",
    ),
    read=_read_association,
    update=[Put("routeTableId", _replace_association)],
    delete=_delete_association,
    replace="subnetId gatewayId",
    delete_first=True,
    import_id=_association_of,
)

ROUTE = resource(
    "aws:ec2/route:Route",
    create=_create_route,
    read=_read_route,
    update=[Put(" ".join(TARGETS), _replace_route)],
    delete=_delete_route,
    replace="routeTableId " + " ".join(DESTINATIONS),
    computed=" ".join(TARGETS),
    key=_route_id,
    check=_check_route,
)

KINDS = [VPC, SUBNET, GATEWAY, ROUTE_TABLE, ROUTE_TABLE_ASSOCIATION, ROUTE]
