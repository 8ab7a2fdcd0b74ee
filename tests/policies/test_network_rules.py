"""Networks: what their rules look through."""

from policies.making import ENDPOINT, FIREWALL, FLOW_LOG, GATEWAY, NAT, ROUTE, SUBNET, make, verdict

from falaj.policies.model import Resource, Verdict


def way_out(table_of: str, **to: str) -> list[Resource]:
    """A VPC with a firewall, a NAT gateway and a gateway; the first resource is a route of one subnet's table."""
    subnets = [
        make(SUBNET, {"id": f"subnet-{name}", "vpcId": "vpc-1"}, name=name) for name in ("inside", "wall", "edge")
    ]
    return [
        make(ROUTE, {"routeTableId": "table-1", "destinationCidrBlock": "0.0.0.0/0", **to}),
        make("aws:ec2/routeTableAssociation:RouteTableAssociation", {"routeTableId": "table-1", "subnetId": table_of}),
        *subnets,
        make(GATEWAY, {"id": "igw-1", "vpcId": "vpc-1"}),
        make(NAT, {"id": "nat-1", "subnetId": "subnet-edge", "connectivityType": "public"}),
        make(FIREWALL, {"vpcId": "vpc-1", "subnetMappings": [{"subnetId": "subnet-wall"}]}),
    ]


def test_a_route_leads_out_from_behind_the_firewall_only() -> None:
    assert verdict("FJ-NET-003", way_out("subnet-inside", vpcEndpointId="vpce-1")) is Verdict.PASS
    assert verdict("FJ-NET-003", way_out("subnet-wall", natGatewayId="nat-1")) is Verdict.PASS
    assert verdict("FJ-NET-003", way_out("subnet-edge", gatewayId="igw-1")) is Verdict.PASS
    assert verdict("FJ-NET-003", way_out("subnet-inside", natGatewayId="nat-1")) is Verdict.FAIL
    assert verdict("FJ-NET-003", way_out("subnet-inside", gatewayId="igw-1")) is Verdict.FAIL
    assert verdict("FJ-NET-003", way_out("subnet-wall", gatewayId="igw-1")) is Verdict.FAIL


def test_a_gateway_needs_a_firewall_in_its_own_network() -> None:
    stack = way_out("subnet-inside")
    gateway, nat = stack[5], stack[6]
    assert verdict("FJ-NET-003", [gateway, *stack]) is Verdict.PASS
    assert verdict("FJ-NET-003", [nat, *stack]) is Verdict.PASS
    assert verdict("FJ-NET-003", [gateway, *stack[:-1]]) is Verdict.FAIL
    assert verdict("FJ-NET-003", [nat, *stack[:-1]]) is Verdict.FAIL
    assert (
        verdict("FJ-NET-003", [make("aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway", {})]) is Verdict.FAIL
    )


def test_a_way_out_that_stands_within_a_route_table_fails() -> None:
    table = "aws:ec2/routeTable:RouteTable"
    assert verdict("FJ-NET-003", [make(table, {"routes": [{"natGatewayId": "nat-1"}]})]) is Verdict.FAIL
    assert verdict("FJ-NET-003", [make(table, {"routes": [{"vpcEndpointId": "vpce-1"}]})]) is Verdict.PASS


def test_endpoints_of_services_that_a_gateway_serves_need_no_private_names() -> None:
    interface = {"vpcEndpointType": "Interface", "securityGroupIds": ["sg-1"]}
    for service, expected in (("s3", Verdict.PASS), ("dynamodb", Verdict.PASS), ("sts", Verdict.FAIL)):
        endpoint = interface | {"serviceName": f"com.amazonaws.me-central-1.{service}"}
        assert verdict("FJ-NET-011", [make(ENDPOINT, endpoint)]) is expected
    gateway = {"serviceName": "com.amazonaws.me-central-1.s3"}
    assert verdict("FJ-NET-011", [make(ENDPOINT, gateway)]) is Verdict.PASS


def test_flow_logs_of_transit_gateways_have_one_interval_only() -> None:
    log = {"logDestination": "arn", "transitGatewayId": "tgw-1"}
    assert verdict("FJ-NET-012", [make(FLOW_LOG, log)]) is Verdict.PASS
    assert verdict("FJ-NET-012", [make(FLOW_LOG, {"logDestination": "arn", "vpcId": "vpc-1"})]) is Verdict.FAIL
