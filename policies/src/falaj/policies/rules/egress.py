"""Ways out of a network: each through a firewall that says what may leave."""

from collections.abc import Iterator
from typing import Any

from falaj.policies.links import Candidates, leading, sharing, targets
from falaj.policies.model import Checks, Context, Graph, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import Fact, any_of

_GATEWAY = "aws:ec2/internetGateway:InternetGateway"
_IPV6_GATEWAY = "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway"
_NAT = "aws:ec2/natGateway:NatGateway"
_ROUTE = "aws:ec2/route:Route"
_TABLE = "aws:ec2/routeTable:RouteTable"
_ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
_SUBNET = "aws:ec2/subnet:Subnet"
_FIREWALL = "aws:networkfirewall/firewall:Firewall"


@rule(
    "FJ-NET-003",
    "The internet is reached through a network firewall only",
    Severity.HIGH,
    ("A.8.12", "A.8.20", "A.8.22"),
    (
        _GATEWAY,
        "aws:ec2/internetGatewayAttachment:InternetGatewayAttachment",
        _IPV6_GATEWAY,
        _NAT,
        _ROUTE,
        _TABLE,
        "aws:ec2/defaultRouteTable:DefaultRouteTable",
    ),
    "Remove the gateway and reach AWS by VPC endpoints; or put a network firewall into the VPC and lead every route "
    "through it: from the subnets to the firewall, from the firewall's to the NAT gateway, from there to the internet.",
    reads=(_GATEWAY, _NAT, _ASSOCIATION, _SUBNET, _FIREWALL),
)
def ways_out(resource: Resource, context: Context) -> Checks:
    """A gateway needs a firewall in its VPC, and a route to it must not lead past that."""
    graph = context.graph
    if resource.type == _IPV6_GATEWAY:
        yield never(Fact(True), "a gateway for IPv6, which no firewall inspects")
    elif resource.type == _NAT:
        lies = [leads & _guarded(graph, subnet) for subnet, leads in targets(graph, resource, "subnetId", _SUBNET)]
        yield must(resource["connectivityType"].equals("private") | any_of(lies), "a gateway past any firewall")
    elif resource.type == _ROUTE:
        yield from _route(resource, graph)
    elif resource.type.endswith("RouteTable"):
        for route in resource["routes"].each():
            out = route["natGatewayId"].is_set() | route["gatewayId"].test(lambda to: to not in ("", "local"))
            yield never(out, "a way out within a route table: declare it as a Route, whose path can be followed")
    else:
        yield must(_guarded(graph, resource), "a gateway to the internet in a VPC without a network firewall")


def _route(route: Resource, graph: Graph) -> Checks:
    """A route to the internet is for NAT gateways' subnets alone; one to these for the firewall's alone."""
    to_internet = any_of(leads for _, leads in targets(graph, route, "gatewayId", _GATEWAY))
    to_nat = any_of(
        leads & ~gateway["connectivityType"].equals("private")
        for gateway, leads in targets(graph, route, "natGatewayId", _NAT)
    )
    table = ("past the firewall", leading(route, "routeTableId"))
    for without_nat, without_firewall in graph.once(table, lambda: _served(route, graph)):
        yield never(to_internet & without_nat, "a route to the internet past the firewall")
        yield never(to_nat & without_firewall, "a route to a NAT gateway past the firewall")


def _served(route: Resource, graph: Graph) -> list[tuple[Fact, Fact]]:
    """Return, of each subnet, whether the route's table serves it without its holding a NAT gateway, or a firewall."""
    found = (
        (same & lies & ~_holds_nat(graph, subnet), same & lies & ~_is_firewalls(graph, subnet))
        for association, same in sharing(graph, route, "routeTableId", _ASSOCIATION)
        for subnet, lies in targets(graph, association, "subnetId", _SUBNET)
    )
    # Subnets that are alike are told once.
    return list(dict.fromkeys(found))


def _holds_nat(graph: Graph, subnet: Resource) -> Fact:
    """Return whether a NAT gateway lies in the subnet."""
    return graph.once(
        ("holds a NAT gateway", subnet.urn),
        lambda: any_of(lies for _, lies in graph.companions(subnet, (_NAT,), "subnetId")),
    )


def _is_firewalls(graph: Graph, subnet: Resource) -> Fact:
    """Return whether a firewall has an endpoint in the subnet."""

    def ask() -> Fact:
        firewalls = graph.once("firewalls", lambda: Candidates(graph.of((_FIREWALL,)), _mapped))
        return any_of(_maps(each, subnet) for each in firewalls.meant_by(subnet["id"].value, subnet.urn))

    return graph.once(("firewall's", subnet.urn), ask)


def _mapped(firewall: Resource) -> Iterator[Any]:
    """Yield the ids or URNs of the subnets in which a firewall has endpoints."""
    yield from firewall.links.get("subnetMappings", ())
    yield from (mapping["subnetId"].value for mapping in firewall["subnetMappings"].each())


def _guarded(graph: Graph, resource: Resource) -> Fact:
    """Return whether the VPC of the resource has a network firewall."""
    return any_of((same for _, same in sharing(graph, resource, "vpcId", _FIREWALL)), "vpcId")


def _maps(firewall: Resource, subnet: Resource) -> Fact:
    """Return whether the firewall has an endpoint in the subnet."""
    if origins := firewall.links.get("subnetMappings"):
        return Fact(subnet.urn in origins, "subnetMappings")
    return any_of(mapping["subnetId"].equals(subnet["id"].value) for mapping in firewall["subnetMappings"].each())


RULES: tuple[Rule, ...] = (ways_out,)
