"""KMS: keys and aliases."""

from collections.abc import Iterator
from typing import Any

from falaj.lab.provider.aws_types.session import CREATION_TAG, Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, as_pairs, outside, resource, tag_change
from falaj.lab.provider.kind import Autoname, Change, GoneError
from falaj.lab.provider.values import Props


def _tags(aws: Aws, identifier: str, change: Change) -> None:
    added, removed = tag_change(change)
    if added:
        aws.call("kms.tag_resource", KeyId=identifier, Tags=as_pairs(added, "TagKey", "TagValue"))
    if removed:
        aws.call("kms.untag_resource", KeyId=identifier, TagKeys=removed)


def _rotation(aws: Aws, identifier: str, change: Change) -> None:
    if change.wanted.get("enableKeyRotation"):
        period = change.wanted.get("rotationPeriodInDays")
        aws.call("kms.enable_key_rotation", KeyId=identifier, **({"RotationPeriodInDays": period} if period else {}))
    else:
        aws.call("kms.disable_key_rotation", KeyId=identifier)


def _enabled(aws: Aws, identifier: str, change: Change) -> None:
    aws.call(f"kms.{'enable' if change.wanted.get('isEnabled') else 'disable'}_key", KeyId=identifier)


def _policy(aws: Aws, identifier: str, change: Change) -> None:
    if change.wanted.get("policy"):
        aws.call("kms.put_key_policy", KeyId=identifier, PolicyName="default", Policy=change.wanted["policy"])


def _check(inputs: Props) -> Iterator[tuple[str, str]]:
    yield from outside(inputs, "deletionWindowInDays", 7, 30)
    yield from outside(inputs, "rotationPeriodInDays", 90, 2560)


def _delete(aws: Aws, identifier: str, state: Props) -> None:
    days = state.get("deletionWindowInDays") or 30
    aws.call("kms.schedule_key_deletion", KeyId=identifier, PendingWindowInDays=days)


def _seen(aws: Aws, identifier: str, props: Props) -> Props:
    """A key that waits for its deletion is gone, as for the official provider."""
    del aws, identifier
    if props.pop("state") == "PendingDeletion":
        raise GoneError
    if not props.get("enableKeyRotation"):
        props["rotationPeriodInDays"] = None
    return props


def _with_key_arn(aws: Aws, identifier: str, props: Props) -> Props:
    del identifier
    return {**props, "targetKeyArn": aws.arn("kms", f"key/{props['targetKeyId']}")}


def _same_key(value: Any) -> Any:
    """An alias may be given its key by identifier or by ARN."""
    return value.rpartition("/")[2] if isinstance(value, str) else value


def _find(aws: Aws, token: str) -> str | None:
    for key in aws.call("kms.list_keys")["Keys"]:
        tags = aws.call("kms.list_resource_tags", KeyId=key["KeyId"])["Tags"]
        if {"TagKey": CREATION_TAG, "TagValue": token} in tags:
            return key["KeyId"]
    return None


def _all_tags(props: Props) -> Any:
    return as_pairs({**(props.get("tags") or {}), **props["creationTags"]}, "TagKey", "TagValue") or None


KEY = resource(
    "aws:kms/key:Key",
    create=Call(
        "kms.create_key",
        {
            "Description": "@description",
            "KeyUsage": "@keyUsage",
            "KeySpec": "@customerMasterKeySpec",
            "MultiRegion": lambda p: p.get("multiRegion") or None,
            "Origin": lambda p: "EXTERNAL_KEY_STORE" if p.get("xksKeyId") else None,
            "CustomKeyStoreId": "@customKeyStoreId",
            "XksKeyId": "@xksKeyId",
            "Policy": "@policy",
            "BypassPolicyLockoutSafetyCheck": "@bypassPolicyLockoutSafetyCheck",
            "Tags": _all_tags,
        },
        "KeyMetadata.KeyId",
    ),
    read=[
        Look(
            "kms.describe_key",
            {"KeyId": "@id"},
            "KeyMetadata",
            "arn keyId description keyUsage customerMasterKeySpec=KeySpec multiRegion isEnabled=Enabled state=KeyState "
            "customKeyStoreId xksKeyId=XksKeyConfiguration.Id",
        ),
        Look(
            "kms.get_key_rotation_status",
            {"KeyId": "@id"},
            fields="enableKeyRotation=KeyRotationEnabled rotationPeriodInDays",
        ),
        Look("kms.get_key_policy", {"KeyId": "@id", "PolicyName": "default"}, fields="policy"),
        Look("kms.list_resource_tags", {"KeyId": "@id"}, fields="tags"),
    ],
    update=[
        Put("description", Call("kms.update_key_description", {"KeyId": "@id", "Description": "@description"})),
        Put("enableKeyRotation rotationPeriodInDays", _rotation),
        Put("isEnabled", _enabled),
        Put("policy", _policy),
        Put("tags", _tags),
    ],
    delete=_delete,
    find=_find,
    check=_check,
    finish=_seen,
    local="deletionWindowInDays bypassPolicyLockoutSafetyCheck",
    replace="multiRegion customKeyStoreId xksKeyId",
    defaults={
        "keyUsage": "ENCRYPT_DECRYPT",
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "isEnabled": True,
        "enableKeyRotation": False,
        "bypassPolicyLockoutSafetyCheck": False,
    },
    computed="description multiRegion policy rotationPeriodInDays",
    documents="policy",
)

ALIAS = resource(
    "aws:kms/alias:Alias",
    create=Call("kms.create_alias", {"AliasName": "@name", "TargetKeyId": "@targetKeyId"}, "@name"),
    read=Look("kms.list_aliases", {}, "Aliases[?AliasName=='$id'] | [0]", "arn=AliasArn name=AliasName targetKeyId"),
    update=[Put("targetKeyId", Call("kms.update_alias", {"AliasName": "@id", "TargetKeyId": "@targetKeyId"}))],
    delete=Call("kms.delete_alias", {"AliasName": "@id"}),
    name=Autoname(prefix="namePrefix", longest=256, before="alias/"),
    key="name",
    finish=_with_key_arn,
    normalise={"targetKeyId": _same_key},
)

KINDS = [KEY, ALIAS]
