"""Networks: EC2's, the network firewall and the resolver's DNS firewall."""

from collections.abc import Iterator

from listing import Client, Listing, Thing, ask, listed, pages, settings, shows


def _vpcs(ec2: Client) -> Iterator[Thing]:
    for item in pages(ec2, "describe_vpcs", "Vpcs"):
        identity = item["VpcId"]
        attributes = {
            name: ask(ec2, "describe_vpc_attribute", VpcId=identity, Attribute=name).get(name[0].upper() + name[1:])
            for name in ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics")
        }
        yield identity, {**item, "Attributes": attributes}


def _endpoints(ec2: Client) -> Iterator[Thing]:
    for item in pages(ec2, "describe_vpc_endpoints", "VpcEndpoints"):
        if item["State"] != "deleted":
            yield item["VpcEndpointId"], item


def _nat_gateways(ec2: Client) -> Iterator[Thing]:
    """List the gateways; AWS still shows a deleted one for an hour."""
    for item in pages(ec2, "describe_nat_gateways", "NatGateways"):
        if item["State"] != "deleted":
            yield item["NatGatewayId"], item


def _prefix_lists(ec2: Client) -> Iterator[Thing]:
    for item in pages(ec2, "describe_managed_prefix_lists", "PrefixLists"):
        if item.get("OwnerId") != "AWS":
            entries = list(pages(ec2, "get_managed_prefix_list_entries", "Entries", PrefixListId=item["PrefixListId"]))
            yield item["PrefixListId"], {**item, "Entries": entries}


def _launch_templates(ec2: Client) -> Iterator[Thing]:
    for item in pages(ec2, "describe_launch_templates", "LaunchTemplates"):
        identity = item["LaunchTemplateId"]
        versions = pages(ec2, "describe_launch_template_versions", "LaunchTemplateVersions", LaunchTemplateId=identity)
        yield identity, {**item, "Versions": list(versions)}


LISTINGS = (
    Listing("VPC", "ec2", _vpcs, shows("ec2/vpc:Vpc", "ec2/vpcDhcpOptionsAssociation:VpcDhcpOptionsAssociation")),
    Listing("subnet", "ec2", listed("describe_subnets", "Subnets", "SubnetId"), shows("ec2/subnet:Subnet")),
    Listing(
        "route table",
        "ec2",
        listed("describe_route_tables", "RouteTables", "RouteTableId"),
        shows(
            "ec2/routeTable:RouteTable",
            "ec2/routeTableAssociation:RouteTableAssociation",
            "ec2/route:Route",
            "ec2/defaultRouteTable:DefaultRouteTable",
        ),
    ),
    Listing(
        "internet gateway",
        "ec2",
        listed("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
        shows("ec2/internetGateway:InternetGateway"),
    ),
    Listing("NAT gateway", "ec2", _nat_gateways, shows("ec2/natGateway:NatGateway")),
    Listing(
        "elastic IP address", "ec2", listed("describe_addresses", "Addresses", "AllocationId"), shows("ec2/eip:Eip")
    ),
    Listing(
        "security group",
        "ec2",
        listed("describe_security_groups", "SecurityGroups", "GroupId"),
        shows("ec2/securityGroup:SecurityGroup", "ec2/defaultSecurityGroup:DefaultSecurityGroup"),
    ),
    Listing(
        "security group rule",
        "ec2",
        listed("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId"),
        shows(
            "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            "vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        ),
    ),
    Listing(
        "network ACL",
        "ec2",
        listed("describe_network_acls", "NetworkAcls", "NetworkAclId"),
        shows("ec2/networkAcl:NetworkAcl", "ec2/defaultNetworkAcl:DefaultNetworkAcl"),
    ),
    Listing(
        "DHCP options",
        "ec2",
        listed("describe_dhcp_options", "DhcpOptions", "DhcpOptionsId"),
        shows("ec2/vpcDhcpOptions:VpcDhcpOptions"),
    ),
    Listing(
        "network interface", "ec2", listed("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId")
    ),
    Listing("VPC endpoint", "ec2", _endpoints, shows("ec2/vpcEndpoint:VpcEndpoint")),
    Listing("flow log", "ec2", listed("describe_flow_logs", "FlowLogs", "FlowLogId"), shows("ec2/flowLog:FlowLog")),
    Listing("prefix list", "ec2", _prefix_lists, shows("ec2/managedPrefixList:ManagedPrefixList")),
    Listing("launch template", "ec2", _launch_templates, shows("ec2/launchTemplate:LaunchTemplate")),
    Listing(
        "placement group",
        "ec2",
        listed("describe_placement_groups", "PlacementGroups", "GroupName"),
        shows("ec2/placementGroup:PlacementGroup"),
    ),
    Listing(
        "disk encryption by default",
        "ec2",
        settings(on="get_ebs_encryption_by_default", key="get_ebs_default_kms_key_id"),
        shows("ebs/encryptionByDefault:EncryptionByDefault", "ebs/defaultKmsKey:DefaultKmsKey"),
    ),
    Listing(
        "network firewall",
        "network-firewall",
        listed(
            "list_firewalls",
            "Firewalls",
            "FirewallArn",
            {
                "described": ("describe_firewall", {"FirewallArn": "FirewallArn"}),
                "logging": ("describe_logging_configuration", {"FirewallArn": "FirewallArn"}),
            },
        ),
        shows("networkfirewall/firewall:Firewall", "networkfirewall/loggingConfiguration:LoggingConfiguration"),
    ),
    Listing(
        "network firewall policy",
        "network-firewall",
        listed(
            "list_firewall_policies",
            "FirewallPolicies",
            "Arn",
            {"described": ("describe_firewall_policy", {"FirewallPolicyArn": "Arn"})},
        ),
        shows("networkfirewall/firewallPolicy:FirewallPolicy"),
    ),
    Listing(
        "network firewall rule group",
        "network-firewall",
        listed(
            "list_rule_groups",
            "RuleGroups",
            "Arn",
            {"described": ("describe_rule_group", {"RuleGroupArn": "Arn"})},
        ),
        shows("networkfirewall/ruleGroup:RuleGroup"),
    ),
    Listing(
        "DNS firewall domain list",
        "route53resolver",
        listed(
            "list_firewall_domain_lists",
            "FirewallDomainLists",
            "Id",
            {
                "described": ("get_firewall_domain_list", {"FirewallDomainListId": "Id"}),
                "domains": ("list_firewall_domains", {"FirewallDomainListId": "Id"}),
                "tags": ("list_tags_for_resource", {"ResourceArn": "Arn"}),
            },
        ),
        shows("route53/resolverFirewallDomainList:ResolverFirewallDomainList"),
    ),
    Listing(
        "DNS firewall rule group",
        "route53resolver",
        listed(
            "list_firewall_rule_groups",
            "FirewallRuleGroups",
            "Id",
            {
                "described": ("get_firewall_rule_group", {"FirewallRuleGroupId": "Id"}),
                "rules": ("list_firewall_rules", {"FirewallRuleGroupId": "Id"}),
                "tags": ("list_tags_for_resource", {"ResourceArn": "Arn"}),
            },
        ),
        shows(
            "route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup",
            "route53/resolverFirewallRule:ResolverFirewallRule",
        ),
    ),
    Listing(
        "DNS firewall association",
        "route53resolver",
        listed(
            "list_firewall_rule_group_associations",
            "FirewallRuleGroupAssociations",
            "Id",
            {"tags": ("list_tags_for_resource", {"ResourceArn": "Arn"})},
        ),
        shows("route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation"),
    ),
    Listing(
        "DNS firewall configuration",
        "route53resolver",
        listed("list_firewall_configs", "FirewallConfigs", "Id"),
        shows("route53/resolverFirewallConfig:ResolverFirewallConfig"),
    ),
    Listing(
        "DNS query log",
        "route53resolver",
        listed(
            "list_resolver_query_log_configs",
            "ResolverQueryLogConfigs",
            "Id",
            {"tags": ("list_tags_for_resource", {"ResourceArn": "Arn"})},
        ),
        shows("route53/resolverQueryLogConfig:ResolverQueryLogConfig"),
    ),
    Listing(
        "DNS query log association",
        "route53resolver",
        listed("list_resolver_query_log_config_associations", "ResolverQueryLogConfigAssociations", "Id"),
        shows("route53/resolverQueryLogConfigAssociation:ResolverQueryLogConfigAssociation"),
    ),
)
