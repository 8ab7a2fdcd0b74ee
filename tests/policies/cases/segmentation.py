"""Security groups and ACLs: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import VPC, Case, make, simple, urn

from falaj.policies.values import UNKNOWN

GROUP = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
EVERYTHING = {"protocol": "-1", "fromPort": 0.0, "toPort": 0.0}
SSH = {"protocol": "tcp", "fromPort": 22.0, "toPort": 22.0}
DATABASE = {"ipProtocol": "tcp", "fromPort": 5400.0, "toPort": 5500.0}
TLS = {"protocol": "tcp", "fromPort": 443.0, "toPort": 443.0}
ALLOW = {"action": "allow", "ruleNo": 100.0}


def inline(rule: str, good: dict[str, Any], bad: dict[str, Any], unknown: dict[str, Any]) -> list[Case]:
    """Make cases for both types of groups that hold their rules."""
    parts = [{"ingress": [part]} for part in (good, bad, unknown)]
    return [simple(rule, type_, *parts) for type_ in (GROUP, DEFAULT_GROUP)]


CASES = [
    Case(
        "FJ-NET-021",
        [make(VPC, {}), make(DEFAULT_GROUP, {"vpcId": UNKNOWN}, name="default", vpcId=urn(VPC))],
        [make(VPC, {}), make(DEFAULT_GROUP, {"vpcId": UNKNOWN}, name="default", vpcId=urn(VPC, "another"))],
        [make(VPC, {}), make(DEFAULT_GROUP, {"vpcId": UNKNOWN}, name="default")],
    ),
    *(
        simple("FJ-NET-001", type_, good, bad, unknown)
        for type_, good, bad, unknown in (
            (
                "aws:ec2/securityGroup:SecurityGroup",
                {"ingress": [{"cidrBlocks": ["10.0.0.0/8"]}]},
                {"ingress": [{"cidrBlocks": ["10.0.0.0/8", "0.0.0.0/0"]}]},
                {"ingress": [{"cidrBlocks": ["10.0.0.0/8", UNKNOWN]}]},
            ),
            (
                "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
                {"egress": [{"ipv6CidrBlocks": ["fd00::/48"]}]},
                {"egress": [{"ipv6CidrBlocks": ["::/0"]}]},
                {"egress": UNKNOWN},
            ),
            (
                "aws:ec2/securityGroupRule:SecurityGroupRule",
                {"cidrBlocks": ["192.168.0.0/16"]},
                {"cidrBlocks": ["128.0.0.0/1"]},
                {"cidrBlocks": UNKNOWN},
            ),
            (
                "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
                {"cidrIpv4": "10.1.0.0/16"},
                {"cidrIpv4": "0.0.0.0/0"},
                {"cidrIpv4": UNKNOWN},
            ),
            (
                "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
                {"cidrIpv6": "fd00::/64"},
                {"cidrIpv6": "2000::/3"},
                {"cidrIpv6": UNKNOWN},
            ),
            (
                "aws:ec2/managedPrefixList:ManagedPrefixList",
                {"entries": [{"cidr": "10.0.0.0/16"}]},
                {"entries": [{"cidr": "10.0.0.0/16"}, {"cidr": "0.0.0.0/0"}]},
                {"entries": UNKNOWN},
            ),
            (
                "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry",
                {"cidr": "10.0.0.0/16"},
                {"cidr": "::/0"},
                {"cidr": UNKNOWN},
            ),
        )
    ),
    simple("FJ-NET-006", DEFAULT_GROUP, {"ingress": []}, {"ingress": [{"self": True}]}, {"egress": UNKNOWN}),
    *inline(
        "FJ-NET-008",
        EVERYTHING | {"self": True},
        EVERYTHING | {"cidrBlocks": ["10.0.0.0/16"]},
        EVERYTHING | {"securityGroups": UNKNOWN},
    ),
    simple(
        "FJ-NET-008",
        GROUP_RULE,
        {"protocol": "-1", "sourceSecurityGroupId": "sg-1", "securityGroupId": "sg-1"},
        {
            "protocol": "tcp",
            "fromPort": 0.0,
            "toPort": 65535.0,
            "sourceSecurityGroupId": "sg-2",
            "securityGroupId": "sg-1",
        },
        {"protocol": "-1", "sourceSecurityGroupId": UNKNOWN, "securityGroupId": UNKNOWN},
    ),
    simple(
        "FJ-NET-008",
        INGRESS,
        DATABASE | {"referencedSecurityGroupId": "sg-2"},
        {"ipProtocol": "-1", "cidrIpv4": "10.0.0.0/16"},
        {"ipProtocol": UNKNOWN, "cidrIpv4": "10.0.0.0/16"},
    ),
    simple(
        "FJ-NET-008",
        EGRESS,
        {"ipProtocol": "-1", "referencedSecurityGroupId": "sg-1", "securityGroupId": "sg-1"},
        {"ipProtocol": "-1", "prefixListId": "pl-1"},
        {"ipProtocol": "-1", "prefixListId": UNKNOWN},
    ),
    *inline(
        "FJ-NET-009",
        SSH | {"securityGroups": ["sg-2"]},
        SSH | {"cidrBlocks": ["10.0.0.0/16"]},
        SSH | {"cidrBlocks": UNKNOWN},
    ),
    simple(
        "FJ-NET-009",
        GROUP_RULE,
        SSH | {"type": "egress", "cidrBlocks": ["10.0.0.0/16"]},
        SSH | {"type": "ingress", "cidrBlocks": ["10.0.0.0/16"]},
        SSH | {"type": UNKNOWN, "cidrBlocks": ["10.0.0.0/16"]},
    ),
    simple(
        "FJ-NET-009",
        INGRESS,
        DATABASE | {"cidrIpv4": "10.0.1.0/24"},
        DATABASE | {"cidrIpv4": "10.0.0.0/16"},
        DATABASE | {"cidrIpv4": "10.0.0.0/16", "toPort": UNKNOWN},
    ),
    *(
        simple(
            "FJ-NET-010",
            type_,
            {"ingress": [ALLOW | TLS | {"cidrBlock": "0.0.0.0/0"}]},
            {"ingress": [ALLOW | {"protocol": "-1", "fromPort": 0.0, "toPort": 0.0, "cidrBlock": "0.0.0.0/0"}]},
            {"ingress": [ALLOW | SSH | {"cidrBlock": UNKNOWN}]},
        )
        for type_ in ("aws:ec2/networkAcl:NetworkAcl", "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl")
    ),
    simple(
        "FJ-NET-010",
        "aws:ec2/networkAclRule:NetworkAclRule",
        SSH | {"ruleAction": "deny", "cidrBlock": "0.0.0.0/0"},
        SSH | {"ruleAction": "allow", "ipv6CidrBlock": "::/0"},
        SSH | {"ruleAction": UNKNOWN, "cidrBlock": "0.0.0.0/0"},
    ),
    simple(
        "FJ-NET-019",
        GROUP,
        {"description": "Callers of the database", "ingress": [TLS | {"description": "TLS"}]},
        {"description": "Callers of the database", "ingress": [TLS]},
        {"description": "Callers of the database", "ingress": [TLS | {"description": UNKNOWN}]},
    ),
    *(
        simple("FJ-NET-019", type_, {"description": "TLS"}, {"description": ""}, {"description": UNKNOWN})
        for type_ in (GROUP_RULE, INGRESS, EGRESS)
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("DefaultSecurityGroup", ["ingress"], [{"protocol": "-1", "self": True}], {"FJ-NET-006"}),
    ("DefaultSecurityGroup", ["egress"], [{"protocol": "tcp", "fromPort": 443, "toPort": 443}], {"FJ-NET-006"}),
    ("DefaultSecurityGroup", ["vpcId"], "vpc-elsewhere", {"FJ-NET-021"}),
    ("SecurityGroupIngressRule", ["ipProtocol"], "-1", {"FJ-NET-008", "FJ-NET-009"}),
    ("SecurityGroupIngressRule", ["fromPort"], 22, {"FJ-NET-009"}),
    ("SecurityGroupIngressRule", ["toPort"], 5432, {"FJ-NET-009"}),
    ("SecurityGroupIngressRule", ["cidrIpv6"], "::/0", {"FJ-NET-001"}),
    ("SecurityGroupIngressRule", ["description"], None, {"FJ-NET-019"}),
    ("SecurityGroupEgressRule", ["referencedSecurityGroupId"], "sg-elsewhere", {"FJ-NET-008"}),
    ("SecurityGroupEgressRule", ["cidrIpv4"], "0.0.0.0/0", {"FJ-NET-001", "FJ-NET-008"}),
    ("SecurityGroup", ["description"], "Managed by Pulumi", {"FJ-NET-019"}),
    ("NetworkAcl", ["ingress", 1, "fromPort"], 0, {"FJ-NET-010"}),
    ("NetworkAcl", ["ingress", 1, "protocol"], "-1", {"FJ-NET-010"}),
    ("NetworkAcl", ["ingress", 0, "cidrBlock"], "0.0.0.0/0", {"FJ-NET-010"}),
    (
        "DefaultNetworkAcl",
        ["ingress"],
        [EVERYTHING | ALLOW | {"cidrBlock": "0.0.0.0/0"}],
        {"FJ-NET-010"},
    ),
]
