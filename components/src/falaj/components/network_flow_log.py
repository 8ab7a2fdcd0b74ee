"""What crossed a network: every flow, accepted or refused, in an encrypted log group."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from falaj.components.documents import allow, document, service_trust
from falaj.components.log_group import encrypted_log_group
from falaj.components.regime import Regime


def make_flow_log(
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
