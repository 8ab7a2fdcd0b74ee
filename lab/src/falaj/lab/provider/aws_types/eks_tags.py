"""EKS: the tags of all that has an ARN."""

from typing import Any

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Put, tag_change
from falaj.lab.provider.kind import Change
from falaj.lab.provider.values import Props


def _tags(aws: Aws, identifier: str, change: Change) -> None:
    del identifier
    observed = change.observed
    arn = next(observed[name] for name in ("arn", "accessEntryArn", "associationArn") if observed.get(name))
    added, removed = tag_change(change)
    if added:
        aws.call("eks.tag_resource", resourceArn=arn, tags=added)
    if removed:
        aws.call("eks.untag_resource", resourceArn=arn, tagKeys=removed)


def all_tags(props: Props) -> Any:
    """Return the tags of something new, with the one by which an interrupted creation is found again."""
    return {**(props.get("tags") or {}), **props["creationTags"]} or None


TAGS = Put("tags", _tags)
