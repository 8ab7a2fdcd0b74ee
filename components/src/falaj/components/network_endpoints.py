"""How a network reaches AWS: private endpoints, each with a policy that lets only our own through to our own."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from falaj.components.documents import document
from falaj.components.network_plan import NetworkPlan
from falaj.components.regime import Regime

# What a private cluster, its nodes and its pods call. GuardDuty makes the endpoint of its agent itself, and ec2messages
# is no longer needed by the Systems Manager agent. DynamoDB has none, because nothing here keeps its data there.
# https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html
ENDPOINTS = (
    *("ec2", "ecr.api", "ecr.dkr", "sts", "eks", "eks-auth", "elasticloadbalancing", "autoscaling"),
    *("logs", "monitoring", "kms", "secretsmanager", "sqs", "ssm", "ssmmessages"),
    # The drivers of shared file systems.
    *("elasticfilesystem", "fsx"),
)

# Accounts of AWS that hold the images of EKS's add-ons.
# https://docs.aws.amazon.com/eks/latest/userguide/add-ons-images.html
_ADD_ON_IMAGES = {
    "eu-south-1": "590381155156",
    "eu-south-2": "455263428931",
    "me-central-1": "759879836304",
    "me-south-1": "558608220178",
}
_ADD_ON_IMAGES_ELSEWHERE = "602401143452"


def endpoint_policy(regime: Regime, service: str) -> dict[str, Any]:
    """Return the policy of an interface endpoint: our identities reach our resources, in the home region.

    Without the bound on the resource an endpoint would be a way out: data could be handed to a stranger's account.
    What AWS itself owns and a cluster needs to read is let through by name.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_data-perimeters.html
    """
    theirs = _OF_AWS.get(service)
    return document(
        _pass("OwnToOwn", "*", "*", _identities(regime) | _resources(regime)),
        *([theirs(regime)] if theirs else []),
    )


def s3_endpoint_policy(regime: Regime) -> dict[str, Any]:
    """Return the policy of the S3 endpoint: our buckets, and the layers of ECR images.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
    """
    layers = f"arn:aws:s3:::prod-{regime['home_region']}-starport-layer-bucket/*"
    return document(
        _pass("OwnToOwn", "*", "*", _identities(regime) | _resources(regime)),
        _pass("ImageLayers", "s3:GetObject", layers, _identities(regime)),
    )


def make_endpoints(
    name: str,
    vpc: aws.ec2.Vpc,
    *,
    plan: NetworkPlan,
    subnets: Sequence[aws.ec2.Subnet],
    tables: Sequence[aws.ec2.RouteTable],
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
        cidr_ipv4=plan.cidr,
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
            policy=json.dumps(endpoint_policy(regime, endpoint)),
            tags=tags | {"Name": f"{name}-{endpoint}"},
            opts=opts,
        )


def _identities(regime: Regime) -> dict[str, str]:
    """Return who may pass, and where to."""
    organization = regime.get("organization_id")
    return {
        "aws:PrincipalAccount": regime["account_id"],
        "aws:RequestedRegion": regime["home_region"],
        **({"aws:PrincipalOrgID": organization} if organization else {}),
    }


def _resources(regime: Regime) -> dict[str, str]:
    """Return whose resources may be reached: the organization's, or else the account's."""
    organization = regime.get("organization_id")
    return {"aws:ResourceOrgID": organization} if organization else {"aws:ResourceAccount": regime["account_id"]}


def _add_on_images(regime: Regime) -> dict[str, Any]:
    """The images of EKS's add-ons lie in an account of AWS."""
    region = regime["home_region"]
    account = _ADD_ON_IMAGES.get(region, _ADD_ON_IMAGES_ELSEWHERE)
    actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return _pass("AddOnImages", actions, f"arn:aws:ecr:{region}:{account}:repository/*", _identities(regime))


def _machine_images(regime: Regime) -> dict[str, Any]:
    """Whoever starts instances names an image, and with it a snapshot, that AWS may own."""
    resources = [f"arn:aws:ec2:{regime['home_region']}::{kind}/*" for kind in ("image", "snapshot")]
    return _pass("MachineImages", ["ec2:CreateFleet", "ec2:RunInstances"], resources, _identities(regime))


def _public_parameters(regime: Regime) -> dict[str, Any]:
    """The ids of machine images are parameters that AWS publishes."""
    parameters = f"arn:aws:ssm:{regime['home_region']}::parameter/aws/service/*"
    return _pass("PublicParameters", ["ssm:GetParameter", "ssm:GetParameters"], parameters, _identities(regime))


_OF_AWS: dict[str, Callable[[Regime], dict[str, Any]]] = {
    "ec2": _machine_images,
    "ecr.api": _add_on_images,
    "ecr.dkr": _add_on_images,
    "ssm": _public_parameters,
}


def _pass(sid: str, action: str | list[str], resource: str | list[str], equals: dict[str, str]) -> dict[str, Any]:
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
