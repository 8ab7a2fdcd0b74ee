"""Security groups and network ACLs: who reaches which port from where."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact, View, any_of

VPC = "aws:ec2/vpc:Vpc"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
_GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
_INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
_EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
_LIST = "aws:ec2/managedPrefixList:ManagedPrefixList"
_LIST_ENTRY = "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry"
_ACL_RULE = "aws:ec2/networkAclRule:NetworkAclRule"
_SINGLE = (_GROUP_RULE, _INGRESS, _EGRESS, _LIST_ENTRY)
_RANGES = ("cidrBlocks", "ipv6CidrBlocks", "cidrBlock", "ipv6CidrBlock", "cidrIpv4", "cidrIpv6", "cidr")
_REFERENCES = ("sourceSecurityGroupId", "referencedSecurityGroupId")
_OTHERS = (*_RANGES, "prefixListIds", "prefixListId", "securityGroups")
_ALL = ("-1", "all", "ALL", -1)
_PINGS = ("icmp", "icmpv6", "ICMP", "ICMPV6", "1", "58")
# Wider than these is no longer somebody's network: 10.0.0.0/8 is the widest private range.
_WIDEST = {4: 8, 6: 16}
# Ports that clients take for answers reach from here to the highest; an ACL, which keeps no state, must let them in.
_FIRST_OF_CLIENTS, _LAST_OF_CLIENTS = 1024, 60999

_ADMIN_PORTS = (22, 23, 3389, 5900, 5985, 5986)
"""Shells and desktops: SSH, Telnet, RDP, VNC, WinRM."""
_INTERNAL_PORTS = (1433, 1521, 2375, 2376, 2379, 2380, 3306, 5432, 6379, 8200, 9200, 10250, 11211, 27017)
"""Databases, caches, container engines, etcd, kubelets and Vault: what only named programs talk to."""
_PORTS = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 65535}}


@rule(
    "FJ-NET-001",
    "Security groups are not open to the internet",
    Severity.CRITICAL,
    ("A.8.20", "A.8.22", "A.8.12"),
    (GROUP, DEFAULT_GROUP, *_SINGLE, _LIST),
    "Name security groups or the narrow ranges that need access; reach AWS by VPC endpoints instead of 0.0.0.0/0.",
)
def security_groups(group: Resource, _: Context) -> Checks:
    """Both directions count: an open egress is a way out for data. Prefix lists are ranges by another name."""
    for part, _inbound in _parts(group):
        for ranges in _RANGES:
            for block in part[ranges].each():
                yield never(block.test(_is_internet), "reaches, or is reached from, the whole internet")


@rule(
    "FJ-NET-006",
    "Default security groups let nothing through",
    Severity.HIGH,
    ("A.8.22", "A.8.20", "ZT-2"),
    (DEFAULT_GROUP,),
    "Declare the default security group of the VPC without ingress and egress.",
    fix={"ingress": [], "egress": []},
)
def default_group(group: Resource, _: Context) -> Checks:
    """What names no group gets this one: members of AWS's own reach each other."""
    for side in ("ingress", "egress"):
        yield never(group[side].is_set(), "whatever names no security group is let through")


@rule(
    "FJ-NET-021",
    "Every network's default security group is declared",
    Severity.MEDIUM,
    ("A.8.22", "A.8.20", "A.8.9", "ZT-2"),
    (VPC,),
    "Declare a DefaultSecurityGroup for the VPC, without ingress and egress.",
    reads=(DEFAULT_GROUP,),
)
def declared_default_group(vpc: Resource, context: Context) -> Checks:
    """AWS makes one with each network, whose members reach each other and everywhere; declared, it is emptied."""
    found = context.graph.companions(vpc, (DEFAULT_GROUP,), "vpcId")
    yield must(any_of(refers for _, refers in found), "whatever names no security group is let through")


@rule(
    "FJ-NET-008",
    "Security groups name their ports",
    Severity.MEDIUM,
    ("A.8.20", "A.8.22", "ZT-2"),
    (GROUP, DEFAULT_GROUP, _GROUP_RULE, _INGRESS, _EGRESS),
    "Name protocol and ports; everything is for members of one and the same group only, as EFA needs it.",
    reads=(GROUP,),
)
def named_ports(group: Resource, _: Context) -> Checks:
    """Looked at with the stack, since only there it is known before an apply that a group names itself."""
    for part, _inbound in _parts(group):
        others = any_of(part[key].is_set() for key in _OTHERS) | (_names_group(group) & ~_names_itself(group))
        yield never(_every_port(part) & others, "every port is open to others than its own members")


@rule(
    "FJ-NET-009",
    "Administration and databases are reached by security groups, not from wide ranges",
    Severity.HIGH,
    ("A.8.22", "A.8.20", "A.8.2", "ZT-6"),
    (GROUP, DEFAULT_GROUP, _GROUP_RULE, _INGRESS),
    "Name the security group of the callers, or a range as narrow as the setting says.",
    settings={
        "ports": Setting(
            _PORTS | {"description": "Ports that are not opened to ranges"}, _ADMIN_PORTS + _INTERNAL_PORTS
        ),
        "widestPrefix": Setting(
            {"type": "integer", "minimum": 0, "maximum": 32, "description": "Widest range of IPv4 that may reach them"},
            24,
        ),
    },
)
def internal_ports(group: Resource, context: Context) -> Checks:
    """Where a caller stands in the network says nothing about who it is."""
    widest = {4: int(context.settings["widestPrefix"]), 6: 64}
    for part, inbound in _parts(group):
        reaches = inbound & any_of(_covers(part, port) for port in context.settings["ports"])
        for ranges in _RANGES:
            for block in part[ranges].each():
                wide = block.test(lambda text: _is_wider(text, widest))
                yield never(reaches & wide, "a wide range reaches a port of administration or of a database")


@rule(
    "FJ-NET-010",
    "Network ACLs keep administration from the internet",
    Severity.HIGH,
    ("A.8.20", "A.8.22", "A.8.2"),
    ("aws:ec2/networkAcl:NetworkAcl", "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl", _ACL_RULE),
    "Let the internet reach the ports of the service only, and the ports of clients (1024 to 65535) for answers.",
    settings={"ports": Setting(_PORTS | {"description": "Ports of administration"}, _ADMIN_PORTS)},
)
def acls(acl: Resource, context: Context) -> Checks:
    """An ACL is the second lock where a security group was opened by mistake."""
    parts = [acl.properties] if acl.type == _ACL_RULE else list(acl["ingress"].each())
    for part in parts:
        allows = (part["action"].equals("allow") | part["ruleAction"].equals("allow")) & ~part["egress"].is_true()
        answers = _is_for_answers(part)
        reaches = any_of(_covers(part, port) for port in context.settings["ports"])
        for ranges in ("cidrBlock", "ipv6CidrBlock"):
            open_ = part[ranges].test(_is_internet)
            yield never(allows & open_ & reaches & ~answers, "the internet reaches a port of administration")


@rule(
    "FJ-NET-019",
    "Every rule of a security group says what it is for",
    Severity.LOW,
    ("A.8.9", "A.8.32"),
    (GROUP, _GROUP_RULE, _INGRESS, _EGRESS),
    "Set description.",
)
def described(group: Resource, _: Context) -> Checks:
    """Who reviews a rule years later must know whether it is still needed."""
    if group.type == GROUP:
        yield must(_says_something(group["description"]), "nobody says what the group is for")
    for part, _inbound in _parts(group):
        yield must(_says_something(part["description"]), "nobody says what the rule is for")


def _is_for_answers(part: View) -> Fact:
    """Return whether an entry is about the ports of clients; one about every protocol is about every port."""
    low = part["fromPort"].test(lambda port: port >= _FIRST_OF_CLIENTS)
    high = part["toPort"].test(lambda port: port >= _LAST_OF_CLIENTS)
    return ~_protocol(part).among(_ALL) & low & high


def _says_something(text: View) -> Fact:
    """Return whether there is a text that is not the provider's own."""
    return text.is_set() & ~text.equals("Managed by Pulumi") & ~text.equals("Managed by Terraform")


def _parts(group: Resource) -> Iterator[tuple[View, Fact]]:
    """Yield the rules of a group, an ACL or a list, and whether they let in."""
    if group.type in _SINGLE:
        yield group.properties, Fact(group.type != _EGRESS) & ~group["type"].equals("egress")
        return
    for side in ("ingress", "egress", "entries"):
        yield from ((part, Fact(side == "ingress")) for part in group[side].each())


def _names_group(group: Resource) -> Fact:
    return any_of(group[key].is_set() | Fact(bool(group.links.get(key))) for key in _REFERENCES)


def _names_itself(group: Resource) -> Fact:
    """Return whether the rule is about members of its own group."""
    own = group["securityGroupId"].value
    facts: list[Fact] = []
    for key in _REFERENCES:
        mine, theirs = group.links.get("securityGroupId"), group.links.get(key)
        same = group[key].equals(own) if isinstance(own, str) else Fact(None if group[key].value else False, key)
        facts.append(Fact(mine == theirs, key) if mine and theirs else same)
    return any_of(facts)


def _protocol(part: View) -> View:
    return part["ipProtocol"] if part["protocol"].value is None else part["protocol"]


def _every_port(part: View) -> Fact:
    """Return whether the rule is about every port of a protocol, or about every protocol."""
    low, high = part["fromPort"].test(lambda port: 0 <= port <= 1), part["toPort"].test(lambda port: port >= 65535)
    return _protocol(part).among(_ALL) | (low & high)


def _covers(part: View, port: int) -> Fact:
    """Return whether the rule is about the port."""
    within = part["fromPort"].test(lambda low: low <= port) & part["toPort"].test(lambda high: high >= port)
    return _protocol(part).among(_ALL) | (within & ~_protocol(part).among(_PINGS))


def _is_internet(block: Any) -> bool:
    return _is_wider(block, _WIDEST)


def _is_wider(block: Any, widest: dict[int, int]) -> bool:
    network = ipaddress.ip_network(str(block), strict=False)
    return network.prefixlen < widest[network.version]


RULES: tuple[Rule, ...] = (
    security_groups,
    default_group,
    declared_default_group,
    named_ports,
    internal_ports,
    acls,
    described,
)
