"""The subnets of a network and where their routes lead."""

import pulumi
import pulumi_aws as aws

from falaj.components.network_plan import NetworkPlan, ZonePlan


def private_subnets(
    name: str, vpc: aws.ec2.Vpc, plan: NetworkPlan, *, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> tuple[list[aws.ec2.Subnet], list[aws.ec2.RouteTable]]:
    """Make the nodes' subnets, each with a route table of its own, since its way out stays in its zone."""
    subnets: list[aws.ec2.Subnet] = []
    tables: list[aws.ec2.RouteTable] = []
    for zone in plan.zones:
        internal = {"kubernetes.io/role/internal-elb": "1"}
        subnet = make_subnet(name, "private", vpc, zone, zone.private, tags=tags | internal, opts=opts)
        named = tags | {"Name": f"{name}-{zone.letter}"}
        tables.append(route_table(f"{name}-routes-{zone.letter}", vpc, subnet, tags=named, opts=opts))
        subnets.append(subnet)
    return subnets, tables


def isolated_subnets(
    name: str, vpc: aws.ec2.Vpc, plan: NetworkPlan, *, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> list[aws.ec2.Subnet]:
    """Make the subnets of endpoints and storage; the one route table that they share leads nowhere, ever."""
    table = aws.ec2.RouteTable(
        f"{name}-isolated-routes", vpc_id=vpc.id, tags=tags | {"Name": f"{name}-isolated"}, opts=opts
    )
    subnets = [make_subnet(name, "isolated", vpc, zone, zone.isolated, tags=tags, opts=opts) for zone in plan.zones]
    for zone, subnet in zip(plan.zones, subnets, strict=True):
        aws.ec2.RouteTableAssociation(
            f"{name}-isolated-{zone.letter}-association", subnet_id=subnet.id, route_table_id=table.id, opts=opts
        )
    return subnets


def make_subnet(
    name: str,
    kind: str,
    vpc: aws.ec2.Vpc,
    zone: ZonePlan,
    block: str,
    *,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.ec2.Subnet:
    """Make one subnet, in which nothing gets a public address by itself."""
    return aws.ec2.Subnet(
        f"{name}-{kind}-{zone.letter}",
        vpc_id=vpc.id,
        availability_zone=zone.zone,
        cidr_block=block,
        map_public_ip_on_launch=False,
        tags=tags | {"Name": f"{name}-{kind}-{zone.letter}"},
        opts=opts,
    )


def route_table(
    resource_name: str, vpc: aws.ec2.Vpc, subnet: aws.ec2.Subnet, *, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> aws.ec2.RouteTable:
    """Make the route table of one subnet."""
    table = aws.ec2.RouteTable(resource_name, vpc_id=vpc.id, tags=tags, opts=opts)
    aws.ec2.RouteTableAssociation(
        f"{resource_name}-association", subnet_id=subnet.id, route_table_id=table.id, opts=opts
    )
    return table
