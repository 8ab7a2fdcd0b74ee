"""A private network in the home region: subnets over its zones, AWS reached by endpoints, no way to the internet."""

import ipaddress
import json
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.classification import Classification
from falaj.components.documents import allow, document, service_trust
from falaj.components.errors import ConfigError
from falaj.components.log_group import check_retention, encrypted_log_group
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef, NetworkRef, key_arn
from falaj.components.regime import Regime, check_regime, check_zones

# Interface endpoints without which a private cluster and its pods cannot work.
# https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html
ENDPOINTS = (
    *("ec2", "ecr.api", "ecr.dkr", "sts", "eks", "eks-auth"),
    *("logs", "kms", "elasticloadbalancing", "autoscaling"),
)
_PRIVATE_RANGES = [ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


class NetworkArgs(TypedDict):
    """What may be said of a network."""

    cidr: str
    """Private address range of the VPC, /16 to /20, for example ``10.20.0.0/16``."""
    zones: list[str]
    """Two to six zones of the home region; each gets one private subnet of the same size."""
    key: pulumi.Input[KeyRef]
    """Key of the flow logs: ``ref`` of a ``ResidencyKey`` used by logs."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the network and pays for it."""
    classification: NotRequired[Classification]
    """Classification of what crosses the network. Default: ``restricted``."""
    flow_log_days: NotRequired[int]
    """Days that flow logs are kept. Default: 365."""


class Network(pulumi.ComponentResource):
    """One VPC of private subnets with the endpoints that a private cluster needs, its flows logged.

    There is no internet gateway, no NAT and no default route: what is not an endpoint is not reachable.
    Serves ISO/IEC 27001:2022 A.8.12, A.8.15, A.8.20 and A.8.22.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""
    subnet_ids: pulumi.Output[list[str]]
    """Ids of the private subnets, in the order of the zones."""
    ref: NetworkRef
    """The network as other components take it."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime = args["regime"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        zones = check_zones(f"{name}.zones", args["zones"], regime["home_region"])
        blocks = plan_subnets(f"{name}.cidr", args["cidr"], len(zones))
        days = check_retention(f"{name}.flow_log_days", args.get("flow_log_days", 365))
        tags = labels(f"{name}.ownership", args["ownership"], classification)
        log_key = key_arn(f"{name}.key", args["key"], classification)

        super().__init__("falaj:index:Network", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args["cidr"],
            enable_dns_support=True,
            # Private DNS names of the endpoints need both.
            enable_dns_hostnames=True,
            tags=tags | {"Name": name},
            opts=child,
        )
        # Every VPC has a default security group that lets its members talk; taken over without rules it opens nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default-security-group", vpc_id=vpc.id, ingress=[], egress=[], tags=tags, opts=child
        )
        subnets: list[aws.ec2.Subnet] = []
        tables: list[aws.ec2.RouteTable] = []
        for zone, block in zip(zones, blocks, strict=True):
            letter = zone[-1]
            subnet = aws.ec2.Subnet(
                f"{name}-private-{letter}",
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=block,
                map_public_ip_on_launch=False,
                tags=tags | {"Name": f"{name}-private-{letter}", "kubernetes.io/role/internal-elb": "1"},
                opts=child,
            )
            table = aws.ec2.RouteTable(
                f"{name}-routes-{letter}", vpc_id=vpc.id, tags=tags | {"Name": f"{name}-{letter}"}, opts=child
            )
            aws.ec2.RouteTableAssociation(
                f"{name}-routes-{letter}-association", subnet_id=subnet.id, route_table_id=table.id, opts=child
            )
            subnets.append(subnet)
            tables.append(table)
        _endpoints(name, vpc, cidr=args["cidr"], subnets=subnets, tables=tables, regime=regime, tags=tags, opts=child)
        _flow_log(name, vpc, key=log_key, days=days, regime=regime, tags=tags, opts=child)

        self.vpc_id = vpc.id
        self.subnet_ids = pulumi.Output.all(*[subnet.id for subnet in subnets])
        self.ref = {"vpc_id": self.vpc_id, "subnet_ids": self.subnet_ids}
        self.register_outputs({"vpcId": self.vpc_id, "subnetIds": self.subnet_ids, "ref": self.ref})


def plan_subnets(field: str, cidr: str, zones: int) -> list[str]:
    """Return one block per zone, equal and as large as fits; what remains at the end is room to grow.

    >>> plan_subnets("cidr", "10.20.0.0/16", 3)
    ['10.20.0.0/18', '10.20.64.0/18', '10.20.128.0/18']
    """
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ConfigError(field, cidr, f"must be an address range such as 10.20.0.0/16: {error}") from error
    if not any(network.subnet_of(private) for private in _PRIVATE_RANGES):
        raise ConfigError(field, cidr, "must lie in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    # EKS gives each pod an address of the subnet; below a /20 that runs out, above a /16 AWS takes none.
    if not 16 <= network.prefixlen <= 20:
        raise ConfigError(field, cidr, "must be /16 to /20")
    return [str(block) for block in list(network.subnets(prefixlen_diff=(zones - 1).bit_length()))[:zones]]


def endpoint_policy(account_id: str) -> dict[str, Any]:
    """Return the policy of an interface endpoint: only identities of the account pass."""
    return document(_pass("OnlyThisAccount", "*", "*", {"aws:PrincipalAccount": account_id}))


def s3_endpoint_policy(regime: Regime) -> dict[str, Any]:
    """Return the policy of the S3 endpoint: identities and buckets of the account, and the layers of ECR images.

    Without the bound on the bucket, the endpoint would be a way out: data could be copied to a stranger's bucket.
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
    """
    identities = {"aws:PrincipalAccount": regime["account_id"]}
    layers = f"arn:aws:s3:::prod-{regime['home_region']}-starport-layer-bucket/*"
    return document(
        _pass("OnlyThisAccount", "*", "*", identities | {"aws:ResourceAccount": regime["account_id"]}),
        _pass("ImageLayers", "s3:GetObject", layers, identities),
    )


def flow_log_trust(regime: Regime) -> dict[str, Any]:
    """Return who may assume the flow log's role: the service, on behalf of flow logs of this account alone."""
    flow_logs = f"arn:aws:ec2:{regime['home_region']}:{regime['account_id']}:vpc-flow-log/*"
    return service_trust(
        "vpc-flow-logs.amazonaws.com",
        {"StringEquals": {"aws:SourceAccount": regime["account_id"]}, "ArnLike": {"aws:SourceArn": flow_logs}},
    )


def log_group_arn(regime: Regime, path: str) -> str:
    """Return the ARN of a log group of the home region and account."""
    return f"arn:aws:logs:{regime['home_region']}:{regime['account_id']}:log-group:{path}"


def flow_log_permissions(arn: str) -> dict[str, Any]:
    """Return what the flow log's role may do: write to its one log group."""
    actions = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    return document(allow(actions, [arn, f"{arn}:*"]))


def _pass(sid: str, action: str, resource: str, equals: dict[str, str]) -> dict[str, Any]:
    """Let calls through an endpoint where the condition holds.

    In an endpoint's policy an account as principal means its root user alone: hence everyone, under a condition.
    """
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": action,
        "Resource": resource,
        "Condition": {"StringEquals": equals},
    }


def _endpoints(
    name: str,
    vpc: aws.ec2.Vpc,
    *,
    cidr: str,
    subnets: list[aws.ec2.Subnet],
    tables: list[aws.ec2.RouteTable],
    regime: Regime,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Make the endpoints, and the security group that lets the network, and nothing else, reach them."""
    service = f"com.amazonaws.{regime['home_region']}"
    group = aws.ec2.SecurityGroup(
        f"{name}-endpoints", vpc_id=vpc.id, description="Reaches AWS endpoints of this network", tags=tags, opts=opts
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-endpoints-tls",
        security_group_id=group.id,
        description="TLS from the network itself",
        cidr_ipv4=cidr,
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        tags=tags,
        opts=opts,
    )
    aws.ec2.VpcEndpoint(
        f"{name}-endpoint-s3",
        vpc_id=vpc.id,
        service_name=f"{service}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=[table.id for table in tables],
        policy=json.dumps(s3_endpoint_policy(regime)),
        tags=tags | {"Name": f"{name}-s3"},
        opts=opts,
    )
    for endpoint in ENDPOINTS:
        aws.ec2.VpcEndpoint(
            f"{name}-endpoint-{endpoint.replace('.', '-')}",
            vpc_id=vpc.id,
            service_name=f"{service}.{endpoint}",
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=[subnet.id for subnet in subnets],
            security_group_ids=[group.id],
            policy=json.dumps(endpoint_policy(regime["account_id"])),
            tags=tags | {"Name": f"{name}-{endpoint}"},
            opts=opts,
        )


def _flow_log(
    name: str,
    vpc: aws.ec2.Vpc,
    *,
    key: pulumi.Output[str],
    days: int,
    regime: Regime,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Record every flow, accepted or refused, in an encrypted log group."""
    group = encrypted_log_group(
        f"{name}-flow-logs", f"/vpc/{tags['environment']}/{name}/flow-logs", key=key, days=days, tags=tags, opts=opts
    )
    role = aws.iam.Role(
        f"{name}-flow-logs-role",
        description=f"Writes the flow logs of {name}",
        assume_role_policy=json.dumps(flow_log_trust(regime)),
        tags=tags,
        opts=opts,
    )
    aws.iam.RolePolicy(
        f"{name}-flow-logs-write",
        role=role.id,
        # From the name, so that the plan shows the policy: the ARN itself is known only afterwards.
        policy=group.name.apply(lambda path: json.dumps(flow_log_permissions(log_group_arn(regime, path)))),
        opts=opts,
    )
    aws.ec2.FlowLog(
        f"{name}-flow-log",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination_type="cloud-watch-logs",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        max_aggregation_interval=60,
        tags=tags,
        opts=opts,
    )
