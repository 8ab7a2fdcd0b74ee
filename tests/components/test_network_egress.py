"""The way out: through the firewall of its own zone, to named domains, and back the same way."""

from types import SimpleNamespace

import pytest
from component_samples import KEY, OWNERSHIP, REGIME

from falaj.components import ConfigError, Network
from falaj.components.network_dns import check_domains, resolved
from falaj.components.network_egress import check_egress, endpoint_of

ZONES = ["me-central-1a", "me-central-1b", "me-central-1c"]
EGRESS = {"allowed_domains": ["login.ae", ".models.example"]}
ARGS = {
    **{"cidr": "10.20.0.0/16", "zones": ZONES, "key": KEY, "regime": REGIME, "ownership": OWNERSHIP},
    **{"egress": EGRESS},
}


@pytest.fixture
def made(run, engine, providers):
    """What a network with a way out consists of, the firewall answering as AWS does."""
    accept = engine.new_resource

    def new_resource(args):
        identifier, outputs = accept(args)
        if args.typ == "aws:networkfirewall/firewall:Firewall":
            states = [
                {"availabilityZone": zone, "attachments": [{"endpointId": f"vpce-{zone[-1]}", "subnetId": "s"}]}
                for zone in reversed(ZONES)
            ]
            outputs["firewallStatuses"] = [{"syncStates": states}]
        return identifier, outputs

    engine.new_resource = new_resource

    def make(**change):
        run(lambda: Network("network", {**ARGS, **change}, providers()).ref)
        return engine

    return make


def routes(engine) -> dict[str, dict[str, str]]:
    return {args.name: args.inputs for args in engine.made if args.typ == "aws:ec2/route:Route"}


@pytest.mark.parametrize("letter", ["a", "b", "c"])
def test_each_zone_goes_out_through_its_own_firewall_endpoint_and_comes_back_through_it(made, letter):
    found = routes(made())
    private = f"10.20.{32 * 'abc'.index(letter)}.0/19"
    steps = {
        "out-to-firewall": (f"network-routes-{letter}-id", "0.0.0.0/0", "vpcEndpointId", f"vpce-{letter}"),
        "out-to-nat": (f"network-firewall-routes-{letter}-id", "0.0.0.0/0", "natGatewayId", f"network-nat-{letter}-id"),
        "out-to-internet": (f"network-public-routes-{letter}-id", "0.0.0.0/0", "gatewayId", "network-internet-id"),
        "back-to-firewall": (f"network-public-routes-{letter}-id", private, "vpcEndpointId", f"vpce-{letter}"),
    }
    assert len(found) == 12
    for step, (table, destination, kind, target) in steps.items():
        route = found[f"network-{step}-{letter}"]
        assert (route["routeTableId"], route["destinationCidrBlock"], route[kind]) == (table, destination, target)


def test_isolated_subnets_have_no_way_out_even_then(made):
    assert not any(route["routeTableId"] == "network-isolated-routes-id" for route in routes(made()).values())


def test_what_is_not_on_the_list_is_dropped_and_told(made):
    engine = made()
    policy = engine.one("FirewallPolicy")["firewallPolicy"]
    assert policy["statefulDefaultActions"] == ["aws:drop_established", "aws:alert_established"]
    assert policy["statefulEngineOptions"] == {"ruleOrder": "STRICT_ORDER", "streamExceptionPolicy": "DROP"}
    assert policy["statelessDefaultActions"] == policy["statelessFragmentDefaultActions"] == ["aws:forward_to_sfe"]
    group = engine.one("RuleGroup")
    assert group["ruleGroup"]["statefulRuleOptions"] == {"ruleOrder": "STRICT_ORDER"}
    assert group["ruleGroup"]["rulesSource"]["rulesSourceList"] == {
        "generatedRulesType": "ALLOWLIST",
        "targetTypes": ["TLS_SNI"],
        "targets": ["login.ae", ".models.example"],
    }


def test_the_firewall_is_encrypted_logged_and_protected_on_request(made):
    engine = made(protected=True)
    key = {"type": "CUSTOMER_KMS", "keyId": KEY["arn"]}
    assert all(
        engine.one(kind)["encryptionConfiguration"] == key for kind in ("Firewall", "FirewallPolicy", "RuleGroup")
    )
    firewall = engine.one("Firewall")
    assert firewall["deleteProtection"] and firewall["subnetChangeProtection"]
    assert firewall["firewallPolicyChangeProtection"]
    assert engine.one("ResolverFirewallRuleGroupAssociation")["mutationProtection"] == "ENABLED"
    logged = engine.one("LoggingConfiguration")["loggingConfiguration"]["logDestinationConfigs"]
    assert [(each["logType"], each["logDestination"]) for each in logged] == [
        (kind, {"logGroup": "/vpc/test/network/firewall"}) for kind in ("ALERT", "FLOW")
    ]


@pytest.mark.parametrize(("plain_http", "ports"), [(False, [443]), (True, [80, 443])])
def test_only_the_ports_of_the_list_leave_the_subnets(made, plain_http, ports):
    engine = made(egress={**EGRESS, "plain_http": plain_http})
    acls = {args.name: args.inputs for args in engine.made if args.typ == "aws:ec2/networkAcl:NetworkAcl"}
    for kind in ("private", "egress"):
        out = [rule for rule in acls[f"network-{kind}-acl"]["egress"] if rule["cidrBlock"] == "0.0.0.0/0"]
        assert [(rule["fromPort"], rule["toPort"]) for rule in out] == [(port, port) for port in ports]
    assert len(acls["network-egress-acl"]["subnetIds"]) == 6
    assert all(rule["cidrBlock"] == "10.20.0.0/16" for rule in acls["network-isolated-acl"]["egress"])


def test_the_names_are_resolved_that_may_be_reached(made):
    engine = made()
    lists = {each["name"]: each["domains"] for each in engine.all("ResolverFirewallDomainList")}
    assert lists["test-network-egress"] == ["login.ae.", "models.example.", "*.models.example."]
    rules = sorted(engine.all("ResolverFirewallRule"), key=lambda rule: rule["priority"])
    assert [rule["action"] for rule in rules] == ["ALLOW", "ALLOW", "BLOCK"]


def test_an_endpoint_is_found_by_its_zone_in_whatever_order_they_are_told():
    states = [
        SimpleNamespace(availability_zone=zone, attachments=[SimpleNamespace(endpoint_id=f"vpce-{zone[-1]}")])
        for zone in reversed(ZONES)
    ]
    assert endpoint_of("me-central-1b")([SimpleNamespace(sync_states=states)]) == "vpce-b"


@pytest.mark.parametrize(
    "domain",
    [
        "*",
        "*.login.ae",
        "pypi",
        "Pypi.org",
        "..login.ae",
        "login.ae.",
        "https://login.ae",
        "10.0.0.1",
        "",
    ],
)
def test_what_is_no_domain_is_refused(domain):
    with pytest.raises(ConfigError, match=r"^network\.egress\.allowed_domains must be lower-case domains") as refused:
        check_egress("network.egress", {"allowed_domains": ["login.ae", domain]})
    assert refused.value.value == domain


def test_more_domains_than_the_rule_group_holds_are_refused():
    with pytest.raises(ConfigError, match="must be at most 200 domains"):
        check_domains("domains", [f"a{number}.example.com" for number in range(201)])


def test_a_leading_dot_means_the_domain_and_all_below_it():
    assert resolved(["login.ae", ".github.com"]) == ["login.ae.", "github.com.", "*.github.com."]


def test_a_domain_that_is_named_twice_counts_once():
    egress = check_egress("egress", {"allowed_domains": ["login.ae", "login.ae"]})
    assert egress is not None
    assert egress.domains == ["login.ae"]
