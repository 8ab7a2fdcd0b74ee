"""Network: what it makes, by default and with a way out, and what it refuses."""

import json

import pytest
from component_samples import KEY, OWNERSHIP, REGIME

from falaj.components import ConfigError, Network
from falaj.components.network_endpoints import ENDPOINTS
from falaj.components.network_flow_log import flow_log_trust

ZONES = ["me-central-1a", "me-central-1b", "me-central-1c"]
ARGS = {"cidr": "10.20.0.0/16", "zones": ZONES, "key": KEY, "regime": REGIME, "ownership": OWNERSHIP}


def test_only_flow_logs_of_the_account_may_assume_their_role():
    (statement,) = flow_log_trust(REGIME)["Statement"]
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_other_components_learn_all_that_they_need_of_it(run, engine, providers):
    ref = run(lambda: Network("network", {**ARGS, "placement_zone": "me-central-1b"}, providers()).ref)
    assert ref == {
        "vpc_id": "network-vpc-id",
        "subnet_ids": [f"network-private-{letter}-id" for letter in "abc"],
        "isolated_subnet_ids": [f"network-isolated-{letter}-id" for letter in "abc"],
        "cidr": "10.20.0.0/16",
        "zones": ZONES,
        "efa_security_group_id": "network-efa-id",
        "placement_group": "test-network-b",
        "placement_zone": "me-central-1b",
        "placement_subnet_id": "network-private-b-id",
    }


def test_each_zone_has_its_subnets_and_none_a_way_to_the_internet(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    subnets = engine.all("Subnet")
    assert [subnet["availabilityZone"] for subnet in subnets] == ZONES * 2
    assert not any(subnet["mapPublicIpOnLaunch"] for subnet in subnets)
    kinds = {args.typ.rsplit(":", 1)[1] for args in engine.made}
    assert not kinds & {"InternetGateway", "NatGateway", "Eip", "Route", "EgressOnlyInternetGateway", "Firewall"}
    assert not any(table.get("routes") for table in engine.all("RouteTable"))


def test_isolated_subnets_share_a_table_of_no_routes(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    tables = [each["routeTableId"] for each in engine.all("RouteTableAssociation")]
    assert tables.count("network-isolated-routes-id") == 3
    assert len(set(tables)) == 4


def test_every_service_that_a_private_cluster_needs_has_a_private_endpoint(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    endpoints = {endpoint["serviceName"]: endpoint for endpoint in engine.all("VpcEndpoint")}
    assert set(endpoints) == {f"com.amazonaws.me-central-1.{name}" for name in (*ENDPOINTS, "s3")}
    gateway = endpoints.pop("com.amazonaws.me-central-1.s3")
    assert gateway["vpcEndpointType"] == "Gateway"
    assert gateway["routeTableIds"] == [f"network-routes-{letter}-id" for letter in "abc"]
    isolated = [f"network-isolated-{letter}-id" for letter in "abc"]
    assert all(each["privateDnsEnabled"] and each["subnetIds"] == isolated for each in endpoints.values())


def test_the_endpoints_are_reached_from_the_network_by_tls_only(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    (rule,) = [each for each in engine.all("SecurityGroupIngressRule") if each["securityGroupId"] != "network-efa-id"]
    assert (rule["cidrIpv4"], rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("10.20.0.0/16", "tcp", 443, 443)


def test_what_a_vpc_comes_with_is_emptied(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    for kind in ("DefaultSecurityGroup", "DefaultNetworkAcl"):
        assert (engine.one(kind)["ingress"], engine.one(kind)["egress"]) == ([], [])


def test_isolated_subnets_talk_within_the_network_only(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    isolated, private = engine.all("NetworkAcl")
    for side in ("ingress", "egress"):
        (rule,) = isolated[side]
        assert (rule["action"], rule["cidrBlock"], rule["protocol"]) == ("allow", "10.20.0.0/16", "-1")
    out = [(rule["cidrBlock"], rule["protocol"], rule["toPort"]) for rule in private["egress"]]
    assert out == [("10.20.0.0/16", "-1", 0), ("0.0.0.0/0", "tcp", 443)]
    assert isolated["subnetIds"] == [f"network-isolated-{letter}-id" for letter in "abc"]


def test_only_names_of_the_home_region_are_resolved(run, engine, providers):
    run(lambda: Network("network", {**ARGS, "private_domains": [".vault.internal"]}, providers()).ref)
    home, others = engine.all("ResolverFirewallDomainList")
    assert {"*.me-central-1.amazonaws.com.", "*.20.10.in-addr.arpa.", "vault.internal.", "*.vault.internal."} <= {
        *home["domains"]
    }
    assert others["domains"] == ["*."]
    allow, block = engine.all("ResolverFirewallRule")
    assert (allow["action"], block["action"], block["blockResponse"]) == ("ALLOW", "BLOCK", "NXDOMAIN")
    assert allow["priority"] < block["priority"]
    assert engine.one("ResolverFirewallConfig")["firewallFailOpen"] == "DISABLED"
    assert engine.one("ResolverFirewallRuleGroupAssociation")["vpcId"] == "network-vpc-id"


def test_flows_and_queries_are_logged_encrypted_and_kept(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    groups = engine.all("LogGroup")
    assert [group["name"] for group in groups] == ["/vpc/test/network/dns-queries", "/vpc/test/network/flow-logs"]
    assert {(group["kmsKeyId"], group["retentionInDays"]) for group in groups} == {(KEY["arn"], 365)}
    assert engine.one("FlowLog")["trafficType"] == "ALL"
    assert engine.one("ResolverQueryLogConfig")["destinationArn"].endswith(":network-dns-queries")
    (statement,) = json.loads(engine.one("RolePolicy")["policy"])["Statement"]
    arn = "arn:aws:logs:me-central-1:123456789012:log-group:/vpc/test/network/flow-logs"
    assert statement["Resource"] == [arn, f"{arn}:*"]


def test_nodes_that_train_together_talk_to_each_other_and_to_nobody_else(run, engine, providers):
    run(lambda: Network("network", ARGS, providers()).ref)
    (inward,) = [each for each in engine.all("SecurityGroupIngressRule") if each["securityGroupId"] == "network-efa-id"]
    for rule in (inward, engine.one("SecurityGroupEgressRule")):
        assert (rule["securityGroupId"], rule["referencedSecurityGroupId"], rule["ipProtocol"]) == (
            "network-efa-id",
            "network-efa-id",
            "-1",
        )
    assert engine.one("PlacementGroup")["strategy"] == "cluster"


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
        (
            {"flow_log_days": 180},
            "network.flow_log_days must be at least 365 days, as uae-restricted asks for this classification (got 180)",
        ),
        (
            {"reserved_cidrs": ["10.0.0.0/10"]},
            "network.cidr must not overlap 10.0.0.0/10, which is reserved (got '10.20.0.0/16')",
        ),
        (
            {"placement_zone": "me-central-1d"},
            "network.placement_zone must be a zone of the network: me-central-1a, me-central-1b, me-central-1c"
            " (got 'me-central-1d')",
        ),
        (
            {"private_domains": ["*"]},
            "network.private_domains must be lower-case domains without wildcards, such as login.ae, or .login.ae for"
            " all below it too (got '*')",
        ),
        (
            {"egress": {"allowed_domains": []}},
            "network.egress.allowed_domains must name the domains; leave egress out for none (got [])",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: Network("network", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
