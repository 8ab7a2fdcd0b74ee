"""Networks: what passes, what fails, and what cannot be decided."""

from policies.making import (
    ACCOUNT,
    ENDPOINT,
    FIREWALL,
    FLOW_LOG,
    GATEWAY,
    NAT,
    TEMPLATE,
    VPC,
    Case,
    allow,
    document,
    make,
    simple,
    urn,
)

from falaj.policies.values import UNKNOWN

CASES = [
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
    simple(
        "FJ-NET-002",
        "aws:ec2/subnet:Subnet",
        {"mapPublicIpOnLaunch": False},
        {"mapPublicIpOnLaunch": True},
        {"mapPublicIpOnLaunch": UNKNOWN},
    ),
    simple(
        "FJ-NET-002",
        TEMPLATE,
        {"networkInterfaces": [{"associatePublicIpAddress": "false"}]},
        {"networkInterfaces": [{"associatePublicIpAddress": "true"}]},
        {"networkInterfaces": UNKNOWN},
    ),
    simple(
        "FJ-NET-002",
        "aws:ec2/defaultSubnet:DefaultSubnet",
        {"mapPublicIpOnLaunch": False},
        {},
        {"mapPublicIpOnLaunch": UNKNOWN},
    ),
    Case(
        "FJ-NET-003",
        [make(NAT, {"connectivityType": "private"})],
        [make(GATEWAY, {"vpcId": "vpc-1"}), make(FIREWALL, {"vpcId": "vpc-2"}, name="firewall")],
        [make(NAT, {"connectivityType": UNKNOWN})],
    ),
    Case(
        "FJ-NET-004",
        [make(VPC, {}), make(FLOW_LOG, {"vpcId": UNKNOWN, "trafficType": "ALL"}, name="log", vpcId=urn(VPC))],
        [make(VPC, {}), make(FLOW_LOG, {"vpcId": UNKNOWN, "trafficType": "REJECT"}, name="log", vpcId=urn(VPC))],
        [make(VPC, {}), make(FLOW_LOG, {"vpcId": UNKNOWN, "trafficType": UNKNOWN}, name="log", vpcId=urn(VPC))],
    ),
    simple(
        "FJ-NET-005",
        ENDPOINT,
        {"policy": document(allow("*", Condition=ACCOUNT))},
        {"serviceName": "com.amazonaws.me-central-1.s3"},
        {"policy": UNKNOWN},
    ),
]
