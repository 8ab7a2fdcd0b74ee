"""What may cross a subnet's border, whatever its security groups say: the network itself, and the ways out that it has.

Network ACLs remember no connection, so that answers are let in by their ports.
"""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

_ANYWHERE = "0.0.0.0/0"
_FIRST_OF_CLIENTS, _LAST_OF_CLIENTS = 1024, 65535


def make_acls(
    name: str,
    vpc: aws.ec2.Vpc,
    *,
    cidr: str,
    private: Sequence[aws.ec2.Subnet],
    isolated: Sequence[aws.ec2.Subnet],
    egress: Sequence[aws.ec2.Subnet],
    ports: Sequence[int],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Make one ACL per kind of subnet, and empty the VPC's own, which holds whatever subnet somebody adds.

    ``ports`` are the TCP ports that lead out of the network; S3 is reached at public addresses by 443 in any case.
    """
    within = _rule(100, cidr)
    answers = _rule(200, _ANYWHERE, _FIRST_OF_CLIENTS, _LAST_OF_CLIENTS)
    out = [_rule(200 + 10 * place, _ANYWHERE, port, port) for place, port in enumerate(sorted({443, *ports}))]

    def acl(kind: str, subnets: Sequence[aws.ec2.Subnet], ingress: list[Any], egress: list[Any]) -> None:
        made.append(
            aws.ec2.NetworkAcl(
                f"{name}-{kind}-acl",
                vpc_id=vpc.id,
                subnet_ids=[subnet.id for subnet in subnets],
                tags=tags | {"Name": f"{name}-{kind}"},
                ingress=ingress,
                egress=egress,
                opts=opts,
            )
        )

    made: list[aws.ec2.NetworkAcl] = []
    acl("isolated", isolated, ingress=[within], egress=[within])
    acl("private", private, ingress=[within, answers], egress=[within, *out])
    if egress:
        acl("egress", egress, ingress=[within, answers], egress=[within, *out])
    aws.ec2.DefaultNetworkAcl(
        f"{name}-default-acl",
        default_network_acl_id=vpc.default_network_acl_id,
        ingress=[],
        egress=[],
        tags=tags,
        # When the others have taken their subnets, this one holds none.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=made)),
    )


def _rule(number: int, cidr: str, first: int = 0, last: int = 0) -> dict[str, Any]:
    """Let TCP of these ports pass, or everything where none are named; both directions have the same shape."""
    return {
        "rule_no": number,
        "action": "allow",
        "protocol": "tcp" if last else "-1",
        "cidr_block": cidr,
        "from_port": first,
        "to_port": last,
    }
