"""CloudWatch log groups."""

from collections.abc import Iterator

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, resource, tag_change
from falaj.lab.provider.kind import Autoname, Change, ProviderError
from falaj.lab.provider.values import Props


def _arn(aws: Aws, name: str) -> str:
    return aws.arn("logs", f"log-group:{name}")


def _tags(aws: Aws, identifier: str, change: Change) -> None:
    added, removed = tag_change(change)
    if added:
        aws.call("logs.tag_resource", resourceArn=_arn(aws, identifier), tags=added)
    if removed:
        aws.call("logs.untag_resource", resourceArn=_arn(aws, identifier), tagKeys=removed)


def _retention(aws: Aws, identifier: str, change: Change) -> None:
    days = change.wanted.get("retentionInDays")
    if days:
        aws.call("logs.put_retention_policy", logGroupName=identifier, retentionInDays=days)
    else:
        aws.call("logs.delete_retention_policy", logGroupName=identifier)


def _key(aws: Aws, identifier: str, change: Change) -> None:
    """Make the group anew: moto cannot change its key, and an emulated group holds no events to lose."""
    aws.call("logs.delete_log_group", logGroupName=identifier)
    _CREATE(aws, change.wanted)
    if change.wanted.get("retentionInDays"):
        _retention(aws, identifier, change)


def _seen(aws: Aws, identifier: str, props: Props) -> Props:
    tags = aws.call("logs.list_tags_for_resource", resourceArn=_arn(aws, identifier))["tags"]
    return {
        **props,
        "tags": aws.tags(tags),
        "retentionInDays": props["retentionInDays"] or 0,
    }


DAYS = {0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
"""The retentions that CloudWatch knows; 0 keeps events for ever."""


def _check(inputs: Props) -> Iterator[tuple[str, str]]:
    days = inputs.get("retentionInDays")
    if isinstance(days, int) and days not in DAYS:
        yield "retentionInDays", f"CloudWatch knows no retention of {days} days; the next ones are {_near(days)}"


def _near(days: int) -> str:
    return " and ".join(str(known) for known in sorted(sorted(DAYS, key=lambda known: abs(known - days))[:2]))


def _delete(aws: Aws, identifier: str, state: Props) -> None:
    if state.get("deletionProtectionEnabled"):
        raise ProviderError(f"the log group {identifier} is protected: set deletionProtectionEnabled to false first")
    if not state.get("skipDestroy"):
        aws.call("logs.delete_log_group", logGroupName=identifier)


_CREATE = Call(
    "logs.create_log_group",
    {
        "logGroupName": "@name",
        "kmsKeyId": "@kmsKeyId",
        "logGroupClass": "@logGroupClass",
        "tags": lambda p: p.get("tags") or None,
    },
    "@name",
)

GROUP = resource(
    "aws:cloudwatch/logGroup:LogGroup",
    create=_CREATE,
    read=Look(
        "logs.describe_log_groups",
        {"logGroupNamePrefix": "@id"},
        "logGroups[?logGroupName=='$id'] | [0]",
        "name=logGroupName kmsKeyId retentionInDays logGroupClass",
        camel=True,
    ),
    update=[Put("kmsKeyId", _key), Put("retentionInDays", _retention), Put("tags", _tags)],
    delete=_delete,
    finish=_seen,
    arn="logs:log-group:@id",
    local="skipDestroy deletionProtectionEnabled",
    defaults={"retentionInDays": 0, "skipDestroy": False},
    computed="logGroupClass",
    name=Autoname(prefix="namePrefix", longest=512),
    key="name",
    check=_check,
)

KINDS = [GROUP]
