"""Networks: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import (
    ACCOUNT,
    ENDPOINT,
    FIREWALL,
    FLOW_LOG,
    GATEWAY,
    NAT,
    SUBNET,
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

LOGS = {"vpcEndpointType": "Interface", "serviceName": "com.amazonaws.me-central-1.logs"}


def in_network(public: Any) -> dict[str, Any]:
    """Return where tasks of ECS run."""
    return {"networkConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": public}}


CASES = [
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
    *(
        simple(
            "FJ-NET-002",
            type_,
            {"associatePublicIpAddress": False},
            {"associatePublicIpAddress": True},
            {"associatePublicIpAddress": UNKNOWN},
        )
        for type_ in (
            "aws:ec2/instance:Instance",
            "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
            "aws:ec2/launchConfiguration:LaunchConfiguration",
        )
    ),
    simple(
        "FJ-NET-002",
        "aws:ec2/defaultSubnet:DefaultSubnet",
        {"mapPublicIpOnLaunch": False},
        {},
        {"mapPublicIpOnLaunch": UNKNOWN},
    ),
    *(
        simple("FJ-NET-002", type_, tasks(False), tasks(True), tasks(UNKNOWN))
        for type_, tasks in {
            "aws:ecs/service:Service": in_network,
            "aws:ecs/taskSet:TaskSet": in_network,
            "aws:cloudwatch/eventTarget:EventTarget": lambda public: {"ecsTarget": in_network(public)},
            "aws:scheduler/schedule:Schedule": lambda public: {"target": {"ecsParameters": in_network(public)}},
        }.items()
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
    Case("FJ-NET-007", [make(VPC, {})], [make("aws:ec2/defaultVpc:DefaultVpc", {})], []),
    Case("FJ-NET-007", [make(SUBNET, {})], [make("aws:ec2/defaultSubnet:DefaultSubnet", {})], []),
    simple(
        "FJ-NET-011",
        ENDPOINT,
        LOGS | {"privateDnsEnabled": True, "securityGroupIds": ["sg-1"]},
        LOGS | {"privateDnsEnabled": False, "securityGroupIds": ["sg-1"]},
        LOGS | {"privateDnsEnabled": True, "securityGroupIds": UNKNOWN},
    ),
    simple(
        "FJ-NET-012",
        FLOW_LOG,
        {"logDestination": "arn", "maxAggregationInterval": 60.0},
        {"logDestination": "arn", "logDestinationType": "kinesis-data-firehose", "maxAggregationInterval": 60.0},
        {"logDestination": UNKNOWN, "maxAggregationInterval": 60.0},
    ),
    simple(
        "FJ-NET-018",
        "aws:ec2/vpcBlockPublicAccessOptions:VpcBlockPublicAccessOptions",
        {"internetGatewayBlockMode": "block-ingress"},
        {"internetGatewayBlockMode": "off"},
        {"internetGatewayBlockMode": UNKNOWN},
    ),
    simple(
        "FJ-NET-018",
        "aws:ec2/vpcBlockPublicAccessExclusion:VpcBlockPublicAccessExclusion",
        {"internetGatewayExclusionMode": "allow-egress"},
        {"internetGatewayExclusionMode": "allow-bidirectional"},
        {"internetGatewayExclusionMode": UNKNOWN},
    ),
    simple("FJ-NET-020", "aws:ec2/eip:Eip", {"domain": "vpc"}, {"instance": "i-1"}, {"instance": UNKNOWN}),
    simple(
        "FJ-NET-020",
        "aws:ec2/eipAssociation:EipAssociation",
        {"allocationId": "eipalloc-1"},
        {"networkInterfaceId": "eni-1"},
        {"instanceId": UNKNOWN},
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("FlowLog", ["logDestination"], None, {"FJ-NET-012"}),
    ("FlowLog", ["maxAggregationInterval"], 600, {"FJ-NET-012"}),
    ("FlowLog", ["vpcId"], "vpc-elsewhere", {"FJ-NET-004"}),
    ("Eip", ["instance"], "i-1", {"FJ-NET-020"}),
]
