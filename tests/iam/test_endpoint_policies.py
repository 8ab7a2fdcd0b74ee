"""What passes a network's endpoints: our identities to our resources, and what AWS itself owns and a cluster needs.

Identities are granted everything here and resources open to all, so that nothing but the endpoint refuses.
"""

import pytest
from asked import ACCOUNT, COLLEAGUES, ELSEWHERE, HOME, ORGANIZATION, OTHERS, REGIME, STRANGERS, Who, role
from simulator import FULL_ACCESS, Decision, Document, Simulator

from falaj.components.network_endpoints import ENDPOINTS, endpoint_policy, s3_endpoint_policy

POD, STRANGER = role("pod"), role("pod", STRANGERS, OTHERS)
IMAGES = "759879836304"
"""AWS's account of EKS's add-ons in the home region."""

# One thing that a pod or a node does through each endpoint.
CALLS = {
    "ec2": ("ec2:TerminateInstances", "arn:aws:ec2:{region}:{account}:instance/i-1"),
    "ecr.api": ("ecr:DescribeImages", "arn:aws:ecr:{region}:{account}:repository/base"),
    "ecr.dkr": ("ecr:PutImage", "arn:aws:ecr:{region}:{account}:repository/base"),
    "sts": ("sts:AssumeRole", "arn:aws:iam::{account}:role/other"),
    "eks": ("eks:DescribeCluster", "arn:aws:eks:{region}:{account}:cluster/one"),
    "eks-auth": ("eks-auth:AssumeRoleForPodIdentity", "arn:aws:eks:{region}:{account}:cluster/one"),
    "elasticloadbalancing": (
        "elasticloadbalancing:DeleteLoadBalancer",
        "arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/net/one/0123456789abcdef",
    ),
    "autoscaling": (
        "autoscaling:SetDesiredCapacity",
        "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:one:autoScalingGroupName/one",
    ),
    "logs": ("logs:PutLogEvents", "arn:aws:logs:{region}:{account}:log-group:one:log-stream:two"),
    "monitoring": ("cloudwatch:PutMetricAlarm", "arn:aws:cloudwatch:{region}:{account}:alarm:one"),
    "kms": ("kms:Decrypt", "arn:aws:kms:{region}:{account}:key/11111111-2222-3333-4444-555555555555"),
    "secretsmanager": ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:{region}:{account}:secret:one-AbCdEf"),
    "sqs": ("sqs:SendMessage", "arn:aws:sqs:{region}:{account}:jobs"),
    "ssm": ("ssm:GetParameter", "arn:aws:ssm:{region}:{account}:parameter/one"),
    "ssmmessages": ("ssmmessages:OpenDataChannel", "*"),
    "elasticfilesystem": (
        "elasticfilesystem:ClientMount",
        "arn:aws:elasticfilesystem:{region}:{account}:file-system/fs-0123456789abcdef0",
    ),
    "fsx": ("fsx:DeleteFileSystem", "arn:aws:fsx:{region}:{account}:file-system/fs-0123456789abcdef0"),
    "s3": ("s3:PutObject", "arn:aws:s3:::bucket/object"),
}
# AWS's public parameters are not among them: the simulator takes no parameter without an account in its ARN.
AWS_S_OWN = {
    "ec2": ("ec2:RunInstances", "arn:aws:ec2:{region}::image/ami-1"),
    "ecr.api": ("ecr:BatchGetImage", "arn:aws:ecr:{region}:{account}:repository/eks/coredns"),
    "ecr.dkr": ("ecr:GetDownloadUrlForLayer", "arn:aws:ecr:{region}:{account}:repository/eks/coredns"),
    "s3": ("s3:GetObject", "arn:aws:s3:::prod-{region}-starport-layer-bucket/layer"),
}


def policy_of(endpoint: str) -> Document:
    return s3_endpoint_policy(REGIME) if endpoint == "s3" else endpoint_policy(REGIME, endpoint)


def passes(
    iam: Simulator,
    endpoint: str,
    call: tuple[str, str],
    *,
    who: Who = POD,
    account: str = ACCOUNT,
    organization: str = ORGANIZATION,
    region: str = HOME,
) -> Decision:
    """Decide a call through an endpoint to a resource of an account."""
    action, resource = call
    allow = {"Effect": "Allow", "Principal": {"AWS": who.arn}, "Action": action}
    # An assumed role's policy has no resource.
    opened = allow if action.startswith("sts:") else allow | {"Resource": "*"}
    of = {"aws:ResourceAccount": account, "aws:ResourceOrgID": organization, "aws:RequestedRegion": region}
    return iam.decide(
        who.arn,
        action,
        resource.format(region=HOME, account=account),
        account=account,
        identity_policies=[FULL_ACCESS],
        resource_policy={"Version": "2012-10-17", "Statement": [opened]},
        endpoint_policies=[policy_of(endpoint)],
        context={**who.context, **of},
    )


def test_every_endpoint_is_proven():
    assert {*ENDPOINTS, "s3"} == set(CALLS)


@pytest.mark.parametrize("endpoint", CALLS)
def test_ours_reach_ours_and_nobody_else_s(iam, endpoint):
    call = CALLS[endpoint]
    assert passes(iam, endpoint, call)
    assert passes(iam, endpoint, call, account=COLLEAGUES)

    theirs = passes(iam, endpoint, call, account=STRANGERS, organization=OTHERS)
    assert theirs.because == "not allowed by vpce"
    assert passes(iam, endpoint, call, who=STRANGER).because == "not allowed by vpce"
    assert passes(iam, endpoint, call, who=role("pod", COLLEAGUES)).because == "not allowed by vpce"
    assert passes(iam, endpoint, call, who=role("pod", organization=OTHERS)).because == "not allowed by vpce"
    assert passes(iam, endpoint, call, region=ELSEWHERE).because == "not allowed by vpce"


@pytest.mark.parametrize("endpoint", AWS_S_OWN)
def test_what_aws_owns_and_a_cluster_needs_passes(iam, endpoint):
    call = AWS_S_OWN[endpoint]
    of_aws = {"account": IMAGES, "organization": "o-aws0000000"}
    assert passes(iam, endpoint, call, **of_aws)

    assert not passes(iam, endpoint, call, **of_aws, who=STRANGER)
    assert not passes(iam, endpoint, CALLS[endpoint], **of_aws)


def test_layers_of_images_are_read_and_not_written(iam):
    action, layers = AWS_S_OWN["s3"]
    of_aws = {"account": IMAGES, "organization": "o-aws0000000"}
    assert passes(iam, "s3", (action, layers), **of_aws)
    assert not passes(iam, "s3", ("s3:PutObject", layers), **of_aws)


def test_without_an_organization_an_endpoint_keeps_to_the_account(iam):
    policy = endpoint_policy({"home_region": HOME, "account_id": ACCOUNT}, "sqs")

    def sends(account: str) -> bool:
        return iam.decide(
            POD.arn,
            "sqs:SendMessage",
            f"arn:aws:sqs:{HOME}:{account}:jobs",
            account=ACCOUNT,
            identity_policies=[FULL_ACCESS],
            endpoint_policies=[policy],
            context={**POD.context, "aws:ResourceAccount": account, "aws:RequestedRegion": HOME},
        ).allowed

    assert sends(ACCOUNT)
    assert not sends(COLLEAGUES)
