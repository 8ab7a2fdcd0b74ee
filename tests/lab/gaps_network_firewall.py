"""Gaps of Network Firewall."""

from typing import Any

from asking import Aws, name, refused

SECOND_ZONE = "me-central-1b"
POLICY = {
    "StatelessDefaultActions": ["aws:forward_to_sfe"],
    "StatelessFragmentDefaultActions": ["aws:forward_to_sfe"],
    "StatefulDefaultActions": ["aws:drop_established"],
    "StatefulEngineOptions": {"RuleOrder": "STRICT_ORDER"},
}


def domains(*names: str) -> dict[str, Any]:
    source = {"Targets": list(names), "TargetTypes": ["TLS_SNI"], "GeneratedRulesType": "ALLOWLIST"}
    return {"RulesSource": {"RulesSourceList": source}, "StatefulRuleOptions": {"RuleOrder": "STRICT_ORDER"}}


def firewalls(aws: Aws) -> Any:
    return aws.client("network-firewall")


def rule_group(aws: Aws, **more: Any) -> str:
    made = {
        "RuleGroupName": name(),
        "Type": "STATEFUL",
        "Capacity": 10,
        "RuleGroup": domains("login.ae"),
    } | more
    return firewalls(aws).create_rule_group(**made)["RuleGroupResponse"]["RuleGroupArn"]


def policy(aws: Aws, *groups: str, **more: Any) -> str:
    references = [{"ResourceArn": arn, "Priority": place} for place, arn in enumerate(groups, 1)]
    body = POLICY | ({"StatefulRuleGroupReferences": references} if references else {}) | more
    made = firewalls(aws).create_firewall_policy(FirewallPolicyName=name(), FirewallPolicy=body)
    return made["FirewallPolicyResponse"]["FirewallPolicyArn"]


def network(aws: Aws) -> tuple[str, str, str]:
    """Make a VPC with subnets in two zones."""
    vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    first, second = (
        aws.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{place}.0/24", AvailabilityZone=f"me-central-1{letter}")
        for place, letter in enumerate("ab")
    )
    return vpc, first["Subnet"]["SubnetId"], second["Subnet"]["SubnetId"]


def firewall(aws: Aws, vpc: str, subnet: str, **more: Any) -> str:
    made = {"FirewallName": name(), "VpcId": vpc, "SubnetMappings": [{"SubnetId": subnet}]} | more
    made.setdefault("FirewallPolicyArn", policy(aws))
    return firewalls(aws).create_firewall(**made)["Firewall"]["FirewallArn"]


def endpoints(aws: Aws, arn: str) -> dict[str, str]:
    """Return the endpoint in each zone."""
    status = firewalls(aws).describe_firewall(FirewallArn=arn)["FirewallStatus"]
    assert status["Status"] == "READY"
    return {zone: state["Attachment"]["EndpointId"] for zone, state in status["SyncStates"].items()}


def a_rule_group_is_kept_and_changed_by_who_saw_it_last(aws: Aws) -> bool:
    api, arn = firewalls(aws), rule_group(aws, Tags=[{"Key": "a", "Value": "1"}])
    seen = api.describe_rule_group(RuleGroupArn=arn)
    change = {"RuleGroupArn": arn, "Type": "STATEFUL", "RuleGroup": domains("login.ae", ".github.com")}
    api.update_rule_group(**change, UpdateToken=seen["UpdateToken"])
    after = api.describe_rule_group(RuleGroupArn=arn)
    stale = refused(
        lambda: api.update_rule_group(**change, UpdateToken=seen["UpdateToken"]), "InvalidTokenException", "invalid"
    )
    told = after["RuleGroupResponse"]
    return (
        seen["RuleGroup"] == domains("login.ae")
        and after["RuleGroup"] == domains("login.ae", ".github.com")
        and (told["Capacity"], told["Type"], told["RuleGroupStatus"]) == (10, "STATEFUL", "ACTIVE")
        and (told["Tags"], told["EncryptionConfiguration"])
        == (
            [{"Key": "a", "Value": "1"}],
            {"Type": "AWS_OWNED_KMS_KEY"},
        )
        and stale
    )


def a_policy_refers_to_rule_groups_that_exist_in_its_order(aws: Aws) -> bool:
    api, group = firewalls(aws), rule_group(aws)
    arn = policy(aws, group)
    found = api.describe_firewall_policy(FirewallPolicyArn=arn)
    return (
        found["FirewallPolicy"]["StatefulRuleGroupReferences"] == [{"ResourceArn": group, "Priority": 1}]
        and api.describe_rule_group(RuleGroupArn=group)["RuleGroupResponse"]["NumberOfAssociations"] == 1
        and refused(lambda: policy(aws, f"{group}-other"), "InvalidRequestException", "does not exist")
        and refused(
            lambda: policy(aws, group, StatefulEngineOptions={"RuleOrder": "DEFAULT_ACTION_ORDER"}),
            "InvalidRequestException",
            "strict order",
        )
    )


def what_is_in_use_is_not_deleted(aws: Aws) -> bool:
    api, group = firewalls(aws), rule_group(aws)
    arn = policy(aws, group)
    vpc, subnet, _ = network(aws)
    filtering = firewall(aws, vpc, subnet, FirewallPolicyArn=arn)
    used = "InvalidOperationException", "Unable to delete the object because it is still in use"
    both = refused(lambda: api.delete_rule_group(RuleGroupArn=group), *used) and refused(
        lambda: api.delete_firewall_policy(FirewallPolicyArn=arn), *used
    )
    api.delete_firewall(FirewallArn=filtering)
    api.delete_firewall_policy(FirewallPolicyArn=arn)
    api.delete_rule_group(RuleGroupArn=group)
    gone = "ResourceNotFoundException", "could not be found"
    return (
        both
        and refused(lambda: api.describe_firewall(FirewallArn=filtering), *gone)
        and refused(lambda: api.describe_firewall_policy(FirewallPolicyArn=arn), *gone)
        and refused(lambda: api.describe_rule_group(RuleGroupArn=group), *gone)
    )


def a_firewall_has_an_endpoint_in_each_zone_to_which_routes_lead(aws: Aws) -> bool:
    vpc, first, second = network(aws)
    arn = firewall(aws, vpc, first)
    firewalls(aws).associate_subnets(FirewallArn=arn, SubnetMappings=[{"SubnetId": second}])
    found = endpoints(aws, arn)
    table = aws.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    aws.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", VpcEndpointId=found[SECOND_ZONE])
    routes = aws.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    firewalls(aws).disassociate_subnets(FirewallArn=arn, SubnetIds=[second])
    left = aws.ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["VpcEndpoints"]
    return (
        set(found) == {"me-central-1a", SECOND_ZONE}
        and found[SECOND_ZONE] in [route.get("GatewayId") for route in routes]
        and endpoints(aws, arn) == {"me-central-1a": found["me-central-1a"]}
        and [(each["VpcEndpointId"], each["VpcEndpointType"]) for each in left if each["State"] != "deleted"]
        == [(found["me-central-1a"], "GatewayLoadBalancer")]
    )


def a_protected_firewall_stays_as_it_is(aws: Aws) -> bool:
    api = firewalls(aws)
    vpc, first, second = network(aws)
    protections = ("DeleteProtection", "SubnetChangeProtection", "FirewallPolicyChangeProtection")
    arn = firewall(aws, vpc, first, **dict.fromkeys(protections, True))
    bare = firewall(aws, vpc, second)
    other = policy(aws)
    no = "InvalidOperationException"
    kept = (
        refused(lambda: api.delete_firewall(FirewallArn=arn), no, "delete protection")
        and refused(lambda: api.disassociate_subnets(FirewallArn=arn, SubnetIds=[first]), no, "protected")
        and refused(lambda: api.associate_firewall_policy(FirewallArn=arn, FirewallPolicyArn=other), no, "protected")
    )
    api.update_firewall_delete_protection(FirewallArn=arn, DeleteProtection=False)
    api.delete_firewall(FirewallArn=arn)
    told = api.describe_firewall(FirewallArn=bare)["Firewall"]
    return kept and not any(told[protection] for protection in protections)


def a_firewall_s_logs_go_one_destination_at_a_time(aws: Aws) -> bool:
    api = firewalls(aws)
    vpc, subnet, _ = network(aws)
    arn = firewall(aws, vpc, subnet)
    both = [
        {"LogType": kind, "LogDestinationType": "CloudWatchLogs", "LogDestination": {"logGroup": "/firewall"}}
        for kind in ("ALERT", "FLOW")
    ]

    def put(configs: list[Any]) -> None:
        api.update_logging_configuration(FirewallArn=arn, LoggingConfiguration={"LogDestinationConfigs": configs})

    at_once = refused(lambda: put(both), "InvalidRequestException", "one destination")
    put(both[:1])
    put(both)
    found = api.describe_logging_configuration(FirewallArn=arn)
    return (
        at_once
        and found["LoggingConfiguration"]["LogDestinationConfigs"] == both
        and found["EnableMonitoringDashboard"] is False
    )


def a_firewall_tells_its_present_tags(aws: Aws) -> bool:
    api = firewalls(aws)
    vpc, subnet, _ = network(aws)
    arn = firewall(aws, vpc, subnet, Tags=[{"Key": "a", "Value": "1"}])
    api.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    api.untag_resource(ResourceArn=arn, TagKeys=["a"])
    return api.describe_firewall(FirewallArn=arn)["Firewall"]["Tags"] == [{"Key": "b", "Value": "2"}]


def policies_and_rule_groups_are_listed(aws: Aws) -> bool:
    api = firewalls(aws)
    group = rule_group(aws)
    of_group = policy(aws, group)
    groups = [each["Arn"] for each in api.list_rule_groups()["RuleGroups"]]
    return group in groups and of_group in [each["Arn"] for each in api.list_firewall_policies()["FirewallPolicies"]]


GAPS = [
    a_rule_group_is_kept_and_changed_by_who_saw_it_last,
    a_policy_refers_to_rule_groups_that_exist_in_its_order,
    what_is_in_use_is_not_deleted,
    a_firewall_has_an_endpoint_in_each_zone_to_which_routes_lead,
    a_protected_firewall_stays_as_it_is,
    a_firewall_s_logs_go_one_destination_at_a_time,
    a_firewall_tells_its_present_tags,
    policies_and_rule_groups_are_listed,
]
