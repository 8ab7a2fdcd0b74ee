"""Network: the plan of its addresses, the policies of its endpoints, and what it makes."""

import ipaddress
import json

import pytest
from component_samples import KEY, OWNERSHIP, REGIME

from falaj.components import ConfigError, Network
from falaj.components.network import ENDPOINTS, endpoint_policy, flow_log_trust, plan_subnets, s3_endpoint_policy

ZONES = ["me-central-1a", "me-central-1b", "me-central-1c"]
ARGS = {"cidr": "10.20.0.0/16", "zones": ZONES, "key": KEY, "regime": REGIME, "ownership": OWNERSHIP}


@pytest.mark.parametrize("prefix", range(16, 21))
@pytest.mark.parametrize("zones", range(2, 7))
def test_subnets_are_equal_within_the_network_and_apart(prefix, zones):
    network = ipaddress.IPv4Network(f"10.64.0.0/{prefix}")
    blocks = [ipaddress.IPv4Network(block) for block in plan_subnets("cidr", str(network), zones)]
    assert len(blocks) == zones
    assert len({block.prefixlen for block in blocks}) == 1
    assert all(block.subnet_of(network) for block in blocks)
    assert not any(a.overlaps(b) for a in blocks for b in blocks if a is not b)


def test_adding_a_fourth_zone_moves_none_of_three():
    assert plan_subnets("cidr", "10.20.0.0/16", 4)[:3] == plan_subnets("cidr", "10.20.0.0/16", 3)


@pytest.mark.parametrize(
    ("cidr", "remedy"),
    [
        ("10.20.0.0", "must be /16 to /20"),
        ("10.20.0.1/16", "must be an address range such as 10.20.0.0/16: 10.20.0.1/16 has host bits set"),
        ("ten", "must be an address range such as 10.20.0.0/16"),
        ("10.0.0.0/8", "must be /16 to /20"),
        ("10.20.0.0/21", "must be /16 to /20"),
        ("52.0.0.0/16", "must lie in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"),
        ("2001:db8::/32", "must be an address range such as 10.20.0.0/16"),
    ],
)
def test_an_address_range_that_aws_or_the_internet_would_not_take_is_refused(cidr, remedy):
    with pytest.raises(ConfigError, match=r"^network\.cidr ") as refused:
        plan_subnets("network.cidr", cidr, 3)
    assert remedy in str(refused.value)
    assert f"(got '{cidr}')" in str(refused.value)


def test_interface_endpoints_pass_identities_of_the_account_only():
    (statement,) = endpoint_policy("123456789012")["Statement"]
    assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}


def test_the_s3_endpoint_is_no_way_out_to_a_strangers_bucket():
    account, layers = s3_endpoint_policy(REGIME)["Statement"]
    assert account["Condition"]["StringEquals"] == {
        "aws:PrincipalAccount": "123456789012",
        "aws:ResourceAccount": "123456789012",
    }
    assert layers["Action"] == "s3:GetObject"
    assert layers["Resource"] == "arn:aws:s3:::prod-me-central-1-starport-layer-bucket/*"


def test_only_flow_logs_of_the_account_may_assume_their_role():
    (statement,) = flow_log_trust(REGIME)["Statement"]
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_the_network_has_a_subnet_in_each_zone_and_no_way_to_the_internet(run, engine, providers):
    ref = run(lambda: Network("network", ARGS, providers()).ref)
    assert ref == {
        "vpc_id": "network-vpc-id",
        "subnet_ids": [f"network-private-{letter}-id" for letter in "abc"],
    }
    assert [subnet["availabilityZone"] for subnet in engine.all("Subnet")] == ZONES
    assert not any(subnet["mapPublicIpOnLaunch"] for subnet in engine.all("Subnet"))
    kinds = {args.typ.rsplit(":", 1)[1] for args in engine.made}
    assert not kinds & {"InternetGateway", "NatGateway", "Route", "EgressOnlyInternetGateway"}
    assert not any(table.get("routes") for table in engine.all("RouteTable"))


def test_every_service_that_a_private_cluster_needs_has_a_private_endpoint(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    endpoints = {endpoint["serviceName"]: endpoint for endpoint in engine.all("VpcEndpoint")}
    assert set(endpoints) == {f"com.amazonaws.me-central-1.{name}" for name in (*ENDPOINTS, "s3")}
    assert all("aws:PrincipalAccount" in endpoint["policy"] for endpoint in endpoints.values())
    gateway = endpoints.pop("com.amazonaws.me-central-1.s3")
    assert gateway["vpcEndpointType"] == "Gateway"
    assert len(gateway["routeTableIds"]) == 3
    assert all(endpoint["privateDnsEnabled"] and len(endpoint["subnetIds"]) == 3 for endpoint in endpoints.values())


def test_the_endpoints_are_reached_from_the_network_by_tls_only(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    rule = engine.one("SecurityGroupIngressRule")
    assert (rule["cidrIpv4"], rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("10.20.0.0/16", "tcp", 443, 443)


def test_the_default_security_group_is_emptied(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    group = engine.one("DefaultSecurityGroup")
    assert (group["ingress"], group["egress"]) == ([], [])


def test_every_flow_is_logged_encrypted_and_kept(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    log, group = engine.one("FlowLog"), engine.one("LogGroup")
    assert log["trafficType"] == "ALL"
    assert (group["kmsKeyId"], group["retentionInDays"]) == (KEY["arn"], 365)
    (statement,) = json.loads(engine.one("RolePolicy")["policy"])["Statement"]
    arn = "arn:aws:logs:me-central-1:123456789012:log-group:/vpc/test/network/flow-logs"
    assert statement["Resource"] == [arn, f"{arn}:*"]
    assert log["logDestination"].endswith(":network-flow-logs")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"zones": ["me-central-1a", "eu-west-1a"]},
            "network.zones must be zones of the home region, such as me-central-1a (got 'eu-west-1a')",
        ),
        ({"zones": ["me-central-1a"]}, "network.zones must be 2 to 6 different zones (got ['me-central-1a'])"),
        (
            {"flow_log_days": 100},
            "network.flow_log_days must be a retention that CloudWatch offers, such as 120 days (got 100)",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: Network("network", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
