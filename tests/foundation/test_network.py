"""A network on HashiCorp's provider: what moto holds is what was asked, changes are as on AWS, drift is mended."""

import json
from typing import Any

import pytest
from examples import Example

from falaj.lab.state import REGION

pytestmark = pytest.mark.lab
KEY_ALIAS = "alias/dev/network-logs"
DOMAINS = "login.ae,.models.example"
ZONES = ["me-central-1a", "me-central-1b", "me-central-1c"]
INTERFACES = [
    *("autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticfilesystem", "elasticloadbalancing"),
    *("fsx", "kms", "logs", "monitoring", "secretsmanager", "sqs", "ssm", "ssmmessages", "sts"),
]
"""What a private cluster calls, in the order of the names."""


def of_vpc(vpc: str) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc]}]


def acls(ec2: Any, vpc: str) -> dict[str, dict[str, Any]]:
    """Return the ACLs of the VPC by name; its own has none of ours."""
    found = ec2.describe_network_acls(Filters=of_vpc(vpc))["NetworkAcls"]
    return {
        "default" if acl["IsDefault"] else next(tag["Value"] for tag in acl["Tags"] if tag["Key"] == "Name"): acl
        for acl in found
    }


def allowed(acl: dict[str, Any], egress: bool) -> list[tuple[str, str, Any]]:
    """Return what an ACL lets pass: range, protocol and ports."""
    return [
        (entry["CidrBlock"], entry["Protocol"], tuple(entry.get("PortRange", {}).values()))
        for entry in sorted(acl["Entries"], key=lambda entry: entry["RuleNumber"])
        if entry["RuleAction"] == "allow" and entry["Egress"] == egress
    ]


def tables(ec2: Any, vpc: str) -> dict[str, dict[str, Any]]:
    """Return the route tables by name; the VPC's own has none."""
    found = ec2.describe_route_tables(Filters=of_vpc(vpc))["RouteTables"]
    return {next((t["Value"] for t in each["Tags"] if t["Key"] == "Name"), "main"): each for each in found}


def test_a_network_is_what_was_asked_and_stays_so(bridged):
    example = Example(bridged, "network")
    example.up()
    try:
        assert example.changes() == {}
        _holds_what_was_asked(example)
        _changes_as_aws_does(example)
        _sees_and_mends_drift(example)
    finally:
        example.destroy()
    _has_left_nothing(example)


def test_a_way_out_leads_through_the_firewall_to_named_domains(bridged):
    example = Example(bridged, "network")
    wanted = {"allowedDomains": DOMAINS}
    example.up(**wanted, protected="true")
    try:
        assert example.changes(**wanted, protected="true") == {}
        _goes_out_by_the_firewall(example)
        more = example.changes(allowedDomains=f"{DOMAINS},github.com", protected="true")
        more.pop("network", None)
        assert {name: operation for name, (operation, _) in more.items()} == {
            "network-dns-egress": "update",
            "network-firewall-domains": "update",
        }
        example.up(allowedDomains=f"{DOMAINS},github.com", protected="true")
        assert example.changes(allowedDomains=f"{DOMAINS},github.com", protected="true") == {}
        _goes_out_by_the_firewall(example, domains=f"{DOMAINS},github.com")
        refused = example.pulumi("destroy", "--yes", "--skip-preview", check=False)
        assert refused.returncode and "protect" in refused.stdout + refused.stderr
    finally:
        example.up(**wanted)
        example.destroy()
    assert example.aws("network-firewall").list_firewalls()["Firewalls"] == []
    _has_left_nothing(example)


def _holds_what_was_asked(example: Example) -> None:
    ec2, outputs = example.aws("ec2"), example.outputs()
    vpc = outputs["vpcId"]
    subnets = ec2.describe_subnets(Filters=of_vpc(vpc))["Subnets"]
    assert {(each["AvailabilityZone"], each["CidrBlock"]) for each in subnets} == {
        *((zone, f"10.20.{32 * place}.0/19") for place, zone in enumerate(ZONES)),
        *((zone, f"10.20.{192 + 4 * place}.0/22") for place, zone in enumerate(ZONES)),
    }
    assert (
        ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}]).get("InternetGateways")
        == []
    )
    gateways = [route.get("GatewayId", "") for table in tables(ec2, vpc).values() for route in table["Routes"]]
    assert all(gateway == "local" or gateway.startswith("vpce-") for gateway in gateways)
    assert {route.get("GatewayId") for route in tables(ec2, vpc)["network-isolated"]["Routes"]} == {"local"}

    lists = acls(ec2, vpc)
    assert not allowed(lists["default"], egress=True) and not allowed(lists["default"], egress=False)
    assert lists["default"]["Associations"] == []
    assert {each["SubnetId"] for each in lists["network-isolated"]["Associations"]} == {*outputs["isolatedSubnetIds"]}
    within = ("10.20.0.0/16", "-1", ())
    assert [allowed(lists["network-isolated"], egress=side)[0][:2] for side in (True, False)] == [within[:2]] * 2
    out = [rule for rule in allowed(lists["network-private"], egress=True) if rule[0] == "0.0.0.0/0"]
    assert out == [("0.0.0.0/0", "6", (443, 443))]

    groups = ec2.describe_security_groups(Filters=of_vpc(vpc))["SecurityGroups"]
    (default,) = [group for group in groups if group["GroupName"] == "default"]
    assert (default["IpPermissions"], default["IpPermissionsEgress"]) == ([], [])
    (efa,) = [group for group in groups if group["GroupId"] == outputs["efaSecurityGroupId"]]
    for side in ("IpPermissions", "IpPermissionsEgress"):
        (rule,) = efa[side]
        assert rule["IpProtocol"] == "-1" and rule["IpRanges"] == []
        assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [efa["GroupId"]]
    placement = ec2.describe_placement_groups(GroupNames=["dev-network-a"])["PlacementGroups"]
    assert [group["Strategy"] for group in placement] == ["cluster"]

    endpoints = ec2.describe_vpc_endpoints(Filters=of_vpc(vpc))["VpcEndpoints"]
    assert sorted((each["VpcEndpointType"], each["ServiceName"].partition(f"{REGION}.")[2]) for each in endpoints) == [
        ("Gateway", "s3"),
        *(("Interface", service) for service in INTERFACES),
    ]
    for endpoint in endpoints:
        equals = [each["Condition"]["StringEquals"] for each in json.loads(endpoint["PolicyDocument"])["Statement"]]
        assert all(each["aws:PrincipalAccount"] == "123456789012" for each in equals)
        assert all(each["aws:RequestedRegion"] == "me-central-1" for each in equals)
        assert equals[0]["aws:ResourceAccount"] == "123456789012"
        if endpoint["VpcEndpointType"] == "Interface":
            assert {*endpoint["SubnetIds"]} == {*outputs["isolatedSubnetIds"]}
    _is_logged(example, vpc)
    _resolves_home_names_only(example, vpc)


def _is_logged(example: Example, vpc: str, days: int = 365) -> None:
    key = example.aws("kms").describe_key(KeyId=KEY_ALIAS)["KeyMetadata"]["Arn"]
    groups = example.aws("logs").describe_log_groups(logGroupNamePrefix="/vpc/dev/network/")["logGroups"]
    assert {(group["kmsKeyId"], group["retentionInDays"]) for group in groups} == {(key, days)}
    (flows,) = example.aws("ec2").describe_flow_logs(Filters=[{"Name": "resource-id", "Values": [vpc]}])["FlowLogs"]
    assert flows["TrafficType"] == "ALL"
    assert flows["LogDestination"].endswith(":log-group:/vpc/dev/network/flow-logs")
    resolver = example.aws("route53resolver")
    (association,) = resolver.list_resolver_query_log_config_associations()["ResolverQueryLogConfigAssociations"]
    log = resolver.get_resolver_query_log_config(ResolverQueryLogConfigId=association["ResolverQueryLogConfigId"])
    assert association["ResourceId"] == vpc
    assert log["ResolverQueryLogConfig"]["DestinationArn"].endswith(":log-group:/vpc/dev/network/dns-queries")


def _resolves_home_names_only(example: Example, vpc: str) -> None:
    resolver = example.aws("route53resolver")
    (association,) = resolver.list_firewall_rule_group_associations(VpcId=vpc)["FirewallRuleGroupAssociations"]
    rules = resolver.list_firewall_rules(FirewallRuleGroupId=association["FirewallRuleGroupId"])["FirewallRules"]
    assert [(rule["Name"], rule["Action"]) for rule in rules] == [("home", "ALLOW"), ("others", "BLOCK")]
    home, others = (
        resolver.list_firewall_domains(FirewallDomainListId=rule["FirewallDomainListId"])["Domains"] for rule in rules
    )
    assert "*.me-central-1.amazonaws.com." in home and others == ["*."]
    assert all("me-central-1" in domain or domain == "*.20.10.in-addr.arpa." for domain in home)
    config = resolver.get_firewall_config(ResourceId=vpc)["FirewallConfig"]
    assert config["FirewallFailOpen"] == "DISABLED"


def _changes_as_aws_does(example: Example) -> None:
    longer = example.changes(logDays="731")
    longer.pop("network", None)
    assert longer == {f"network-{kind}": ("update", {"retentionInDays"}) for kind in ("dns-queries", "flow-logs")}
    vpc = example.outputs()["vpcId"]
    example.up(logDays="731")
    assert example.changes(logDays="731") == {}
    assert example.outputs()["vpcId"] == vpc
    _is_logged(example, vpc, days=731)
    assert example.changes(cidr="10.24.0.0/16")["network-vpc"][0] == "replace"
    more = example.changes(zones=",".join([*ZONES, "me-central-1d"]))
    moved = {name: operation for name, (operation, _) in more.items() if operation not in ("create", "update")}
    assert moved == {}, "a zone more moves none of the others"
    assert {"network-private-d", "network-isolated-d"} <= {n for n, (o, _) in more.items() if o == "create"}


def _sees_and_mends_drift(example: Example) -> None:
    ec2, vpc = example.aws("ec2"), example.outputs()["vpcId"]
    default = acls(ec2, vpc)["default"]["NetworkAclId"]
    entry = {"RuleNumber": 50, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}
    ec2.create_network_acl_entry(NetworkAclId=default, Egress=True, **entry)
    resolver = example.aws("route53resolver")
    home = example.resources()["network-dns-home"]["id"]
    resolver.update_firewall_domains(FirewallDomainListId=home, Operation="ADD", Domains=["example.com"])
    resolver.update_firewall_config(ResourceId=vpc, FirewallFailOpen="ENABLED")
    assert set(example.drift()) == {"network-default-acl", "network-dns-home", "network-dns-fails-closed"}
    example.up()
    assert example.changes() == {}
    _is_logged(example, vpc)
    assert allowed(acls(ec2, vpc)["default"], egress=True) == []
    _resolves_home_names_only(example, vpc)


def _goes_out_by_the_firewall(example: Example, domains: str = DOMAINS) -> None:
    ec2, api, vpc = example.aws("ec2"), example.aws("network-firewall"), example.outputs()["vpcId"]
    found = api.describe_firewall(FirewallName="dev-network")
    firewall, states = found["Firewall"], found["FirewallStatus"]["SyncStates"]
    assert firewall["DeleteProtection"] and firewall["FirewallPolicyChangeProtection"]
    key = example.aws("kms").describe_key(KeyId=KEY_ALIAS)["KeyMetadata"]["Arn"]
    assert firewall["EncryptionConfiguration"] == {"Type": "CUSTOMER_KMS", "KeyId": key}
    routed = {
        name: {route["DestinationCidrBlock"]: route for route in table["Routes"] if "DestinationCidrBlock" in route}
        for name, table in tables(ec2, vpc).items()
    }
    nats = {each["SubnetId"]: each["NatGatewayId"] for each in ec2.describe_nat_gateways()["NatGateways"]}
    resources = example.resources()
    for place, zone in enumerate(ZONES):
        letter = zone[-1]
        endpoint = states[zone]["Attachment"]["EndpointId"]
        assert routed[f"network-{letter}"]["0.0.0.0/0"]["GatewayId"] == endpoint
        public = resources[f"network-public-{letter}"]["id"]
        assert routed[f"network-firewall-{letter}"]["0.0.0.0/0"]["NatGatewayId"] == nats[public]
        way = routed[f"network-public-{letter}"]
        assert way["0.0.0.0/0"]["GatewayId"] == resources["network-internet"]["id"]
        assert way[f"10.20.{32 * place}.0/19"]["GatewayId"] == endpoint
    assert "0.0.0.0/0" not in routed["network-isolated"]
    policy = api.describe_firewall_policy(FirewallPolicyArn=firewall["FirewallPolicyArn"])["FirewallPolicy"]
    assert {*policy["StatefulDefaultActions"]} == {"aws:drop_established", "aws:alert_established"}
    group = api.describe_rule_group(RuleGroupArn=policy["StatefulRuleGroupReferences"][0]["ResourceArn"])
    assert {*group["RuleGroup"]["RulesSource"]["RulesSourceList"]["Targets"]} == {*domains.split(",")}
    listed = example.resources()["network-dns-egress"]["id"]
    resolved = example.aws("route53resolver").list_firewall_domains(FirewallDomainListId=listed)["Domains"]
    assert {name.lstrip("*.").rstrip(".") for name in resolved} == {each.lstrip(".") for each in domains.split(",")}
    logged = api.describe_logging_configuration(FirewallArn=firewall["FirewallArn"])["LoggingConfiguration"]
    assert {each["LogType"] for each in logged["LogDestinationConfigs"]} == {"ALERT", "FLOW"}


def _has_left_nothing(example: Example) -> None:
    ec2, resolver = example.aws("ec2"), example.aws("route53resolver")
    assert all(vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"])
    assert [each for each in ec2.describe_vpc_endpoints()["VpcEndpoints"] if each["State"] != "deleted"] == []
    assert ec2.describe_placement_groups()["PlacementGroups"] == []
    assert resolver.list_firewall_domain_lists()["FirewallDomainLists"] == []
    assert resolver.list_firewall_rule_groups()["FirewallRuleGroups"] == []
    assert resolver.list_resolver_query_log_configs()["ResolverQueryLogConfigs"] == []
    assert example.aws("logs").describe_log_groups(logGroupNamePrefix="/vpc/")["logGroups"] == []
