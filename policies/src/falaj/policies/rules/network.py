"""Networks: nothing open to the internet, every flow recorded."""

import ipaddress
from typing import Any

from falaj.policies.documents import statements
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import any_of

_GROUPS = ("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
_LISTS = ("aws:ec2/managedPrefixList:ManagedPrefixList",)
_GROUP_RULES = (
    "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry",
    "aws:ec2/securityGroupRule:SecurityGroupRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
)
_FLOW_LOG = "aws:ec2/flowLog:FlowLog"
_RANGES = ("cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6", "cidr")
# Wider than these is no longer somebody's network: 10.0.0.0/8 is the widest private range.
_WIDEST = {4: 8, 6: 16}


@rule(
    "FJ-NET-001",
    "Security groups are not open to the internet",
    Severity.CRITICAL,
    ("A.8.20", "A.8.22", "A.8.12"),
    (*_GROUPS, *_GROUP_RULES, *_LISTS),
    "Name security groups or the narrow ranges that need access; reach AWS by VPC endpoints instead of 0.0.0.0/0.",
)
def security_groups(group: Resource, _: Context) -> Checks:
    """Both directions count: an open egress is a way out for data. Prefix lists are ranges by another name."""
    parts = [part for side in ("ingress", "egress", "entries") for part in group[side].each()]
    for part in [group.properties] if group.type in _GROUP_RULES else parts:
        for ranges in _RANGES:
            for block in part[ranges].each():
                yield never(block.test(_is_internet), "reaches, or is reached from, the whole internet")


@rule(
    "FJ-NET-002",
    "Nothing gets a public address by itself",
    Severity.HIGH,
    ("A.8.20", "A.8.22"),
    (
        "aws:ec2/subnet:Subnet",
        "aws:ec2/defaultSubnet:DefaultSubnet",
        "aws:ec2/instance:Instance",
        "aws:ec2/launchTemplate:LaunchTemplate",
    ),
    "Leave mapPublicIpOnLaunch and associatePublicIpAddress false.",
)
def public_addresses(resource: Resource, _: Context) -> Checks:
    """AWS's default subnets give public addresses unless told not to."""
    if resource.type == "aws:ec2/defaultSubnet:DefaultSubnet":
        given = resource["mapPublicIpOnLaunch"]
        yield must(given.is_set() & ~given.is_true(), "public addresses are given at launch")
        return
    yield never(resource["mapPublicIpOnLaunch"].is_true(), "public addresses are given at launch")
    yield never(resource["associatePublicIpAddress"].is_true(), "a public address is given")
    for interface in resource["networkInterfaces"].each():
        yield never(interface["associatePublicIpAddress"].is_true(), "a public address is given")


@rule(
    "FJ-NET-004",
    "Every network records its flows",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    ("aws:ec2/vpc:Vpc", "aws:ec2/defaultVpc:DefaultVpc"),
    "Declare a FlowLog for the VPC with trafficType ALL.",
    reads=(_FLOW_LOG,),
)
def flow_logs(vpc: Resource, context: Context) -> Checks:
    """Refused traffic alone does not show what went out."""
    found = context.graph.companions(vpc, (_FLOW_LOG,), "vpcId")
    yield must(any_of(refers & log["trafficType"].equals("ALL") for log, refers in found), "no flow log of all traffic")


@rule(
    "FJ-NET-005",
    "Endpoints to AWS let named callers through",
    Severity.HIGH,
    ("A.8.12", "A.5.15", "ZT-4", "ZT-6"),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/vpcEndpointPolicy:VpcEndpointPolicy"),
    "Give the endpoint a policy; bound its principal by aws:PrincipalAccount or aws:PrincipalOrgID.",
)
def endpoint_policies(endpoint: Resource, _: Context) -> Checks:
    """An endpoint without a policy lets anyone's credentials through, and so carries data to another account."""
    yield must(endpoint["policy"].is_set(), "the endpoint has no policy, which lets everyone through")
    for statement in statements(endpoint["policy"]):
        yield never(statement.open_to_anyone(), "anyone gets through the endpoint")


def _is_internet(block: Any) -> bool:
    network = ipaddress.ip_network(str(block), strict=False)
    return network.prefixlen < _WIDEST[network.version]


RULES: tuple[Rule, ...] = (security_groups, public_addresses, flow_logs, endpoint_policies)
