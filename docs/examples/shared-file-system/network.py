"""A small network that is there already, as a team without falaj's ``Network`` would hand it over."""

import pulumi
import pulumi_aws as aws

from falaj.components import DataStore, KeyUse, LogSource, NetworkRef, Ownership, Regime, ResidencyKey, StoreKind


def home_network(regime: Regime, ownership: Ownership) -> NetworkRef:
    """Make a VPC with one private and one isolated subnet in each of two zones."""
    tags = {
        "owner": ownership["owner"],
        "cost-centre": ownership["cost_centre"],
        "environment": ownership["environment"],
        "classification": "restricted",
    }
    zones = [f"{regime['home_region']}{letter}" for letter in "ab"]
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.30.0.0/16", tags=tags)
    # The group that AWS makes lets its members talk: taken over without rules, it opens nothing.
    aws.ec2.DefaultSecurityGroup("default", vpc_id=vpc.id, ingress=[], egress=[], tags=tags)

    def subnets(kind: str, first: int) -> list[aws.ec2.Subnet]:
        return [
            aws.ec2.Subnet(
                f"{kind}-{zone[-1]}",
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=f"10.30.{first + number}.0/24",
                tags=tags,
            )
            for number, zone in enumerate(zones)
        ]

    records = _records(regime, ownership)
    aws.ec2.FlowLog(
        "flows",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination_type="s3",
        log_destination=records.arn,
        max_aggregation_interval=60,
        tags=tags,
        # Before its policy stands, the bucket takes no deliveries.
        opts=pulumi.ResourceOptions(depends_on=[records]),
    )
    private, isolated = subnets("private", 0), subnets("isolated", 10)
    nodes = aws.ec2.SecurityGroup("nodes", vpc_id=vpc.id, description="Nodes that train together", tags=tags)
    return {
        "vpc_id": vpc.id,
        "subnet_ids": pulumi.Output.all(*[subnet.id for subnet in private]),
        "isolated_subnet_ids": pulumi.Output.all(*[subnet.id for subnet in isolated]),
        "cidr": "10.30.0.0/16",
        "zones": zones,
        "efa_security_group_id": nodes.id,
        "placement_group": "dev-training",
        "placement_zone": zones[0],
        "placement_subnet_id": private[0].id,
    }


def _records(regime: Regime, ownership: Ownership) -> DataStore:
    """Make the store of the network's flow logs."""
    key = ResidencyKey(
        "flow-logs",
        {
            "purpose": "flow-logs",
            "used_by": [KeyUse.S3, KeyUse.LOG_DELIVERY],
            "regime": regime,
            "ownership": ownership,
        },
    )
    return DataStore(
        "flow-logs",
        {
            "purpose": "flow-logs",
            "kind": StoreKind.LOGS,
            "deliveries": [LogSource.FLOW_LOGS],
            "key": key.ref,
            "regime": regime,
            "ownership": ownership,
        },
    )
