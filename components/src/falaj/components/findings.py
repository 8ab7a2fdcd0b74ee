"""What becomes of findings: the grave ones are told to a topic, all are kept; part of the detective baseline.

Security Hub gathers the findings of all detectors, so that rules on its events hear them all.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from falaj.components.documents import deny, document
from falaj.components.log_group import encrypted_log_group, offered_retention
from falaj.components.regime import Regime

_IMPORTED = "Security Hub Findings - Imported"


@dataclass(frozen=True)
class Findings:
    """Whose findings these are, and the key under which they are told and kept."""

    name: str
    environment: str
    regime: Regime
    key: pulumi.Output[str]
    tags: dict[str, str]

    def rule_arn(self, rule: str) -> str:
        """Return the ARN of an event rule, which its name foretells."""
        return f"arn:aws:events:{self.regime['home_region']}:{self.regime['account_id']}:rule/{rule}"


def tell_findings(of: Findings, severities: Sequence[str], opts: pulumi.ResourceOptions) -> aws.sns.Topic:
    """Send each new finding of these severities to an encrypted topic, and return the topic."""
    rule = f"{of.environment}-grave-findings"
    topic = aws.sns.Topic(f"{of.name}-topic", name=rule, kms_master_key_id=of.key, tags=of.tags, opts=opts)
    policy = aws.sns.TopicPolicy(
        f"{of.name}-topic-policy",
        arn=topic.arn,
        policy=topic.arn.apply(lambda arn: json.dumps(topic_policy(arn, of.rule_arn(rule)))),
        opts=opts,
    )
    _rule(of, rule, grave_findings(severities), to=topic.arn, after=policy, opts=opts)
    return topic


def keep_findings(of: Findings, days: pulumi.Output[int], opts: pulumi.ResourceOptions) -> aws.cloudwatch.LogGroup:
    """Write each finding to an encrypted log group that is kept as long as records are, and return the group."""
    rule = f"{of.environment}-findings"
    group = encrypted_log_group(
        f"{of.name}-findings",
        f"/aws/events/{rule}",
        key=of.key,
        days=days.apply(offered_retention),
        tags=of.tags,
        opts=opts,
    )
    policy = aws.cloudwatch.LogResourcePolicy(
        f"{of.name}-findings-policy",
        policy_name=rule,
        policy_document=group.arn.apply(lambda arn: json.dumps(group_policy(arn, of.rule_arn(rule)))),
        opts=opts,
    )
    _rule(of, rule, {"source": ["aws.securityhub"], "detail-type": [_IMPORTED]}, to=group.arn, after=policy, opts=opts)
    return group


def grave_findings(severities: Sequence[str]) -> dict[str, Any]:
    """Return the events that are told: active findings of these severities that nobody has taken up yet."""
    finding = {
        "Severity": {"Label": list(severities)},
        "Workflow": {"Status": ["NEW"]},
        "RecordState": ["ACTIVE"],
    }
    return {"source": ["aws.securityhub"], "detail-type": [_IMPORTED], "detail": {"findings": finding}}


def topic_policy(topic_arn: str, rule_arn: str) -> dict[str, Any]:
    """Return who publishes: the rule alone, and nobody over plain HTTP."""
    return document(
        {
            "Sid": "PublishByRule",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        },
        deny("DenyPlaintext", "sns:Publish", topic_arn, {"Bool": {"aws:SecureTransport": "false"}}),
    )


def group_policy(group_arn: str, rule_arn: str) -> dict[str, Any]:
    """Return who writes to the log group: EventBridge for the rule alone.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    """
    return document(
        {
            "Sid": "WriteByRule",
            "Effect": "Allow",
            "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{group_arn}:*",
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        }
    )


def _rule(
    of: Findings,
    name: str,
    pattern: dict[str, Any],
    *,
    to: pulumi.Input[str],
    after: pulumi.Resource,
    opts: pulumi.ResourceOptions,
) -> None:
    """Send the events of a pattern to a target, after what allows it."""
    suffix = name.removeprefix(f"{of.environment}-")
    rule = aws.cloudwatch.EventRule(
        f"{of.name}-{suffix}-rule", name=name, event_pattern=json.dumps(pattern), tags=of.tags, opts=opts
    )
    aws.cloudwatch.EventTarget(
        f"{of.name}-{suffix}-target",
        rule=rule.name,
        target_id="findings",
        arn=to,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[after])),
    )
