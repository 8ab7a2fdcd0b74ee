"""KMS: keys and aliases."""

from collections.abc import Iterator
from typing import Any

from falaj.lab.provider.aws_types.session import CREATION_TAG, Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, as_pairs, outside, resource, tag_change
from falaj.lab.provider.kind import Autoname, Change, GoneError, ProviderError
from falaj.lab.provider.values import Props


def put_tags(aws: Aws, identifier: str, change: Change) -> None:
    """Set and remove tags of a key."""
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


def put_policy(aws: Aws, identifier: str, change: Change) -> None:
    """Set a key's policy; one that is left out stays as it is."""
    if change.wanted.get("policy"):
        aws.call("kms.put_key_policy", KeyId=identifier, PolicyName="default", Policy=change.wanted["policy"])


def _check(inputs: Props) -> Iterator[tuple[str, str]]:
    yield from outside(inputs, "deletionWindowInDays", 7, 30)
    yield from outside(inputs, "rotationPeriodInDays", 90, 2560)


def schedule_deletion(aws: Aws, identifier: str, state: Props) -> None:
    """Let a key wait for its deletion; one that does so already is as good as gone."""
    days = state.get("deletionWindowInDays") or 30
    try:
        aws.call("kms.schedule_key_deletion", KeyId=identifier, PendingWindowInDays=days)
    except ProviderError as error:
        if "pending deletion" not in str(error):
            raise


def _seen(aws: Aws, identifier: str, props: Props) -> Props:
    """A key that waits for its deletion is gone, as for the official provider; KMS renews only its own material."""
    if props.pop("state") == "PendingDeletion":
        raise GoneError
    own = props.pop("origin") == "AWS_KMS"
    status = aws.call("kms.get_key_rotation_status", KeyId=identifier) if own else {}
    props["enableKeyRotation"] = bool(status.get("KeyRotationEnabled"))
    props["rotationPeriodInDays"] = status.get("RotationPeriodInDays") if props["enableKeyRotation"] else None
    return props


def _origin(props: Props) -> str | None:
    if props.get("xksKeyId"):
        return "EXTERNAL_KEY_STORE"
    return "AWS_CLOUDHSM" if props.get("customKeyStoreId") else None


def _with_key_arn(aws: Aws, identifier: str, props: Props) -> Props:
    del identifier
    return {**props, "targetKeyArn": aws.arn("kms", f"key/{props['targetKeyId']}")}


def _same_key(value: Any) -> Any:
    """An alias may be given its key by identifier or by ARN."""
    return value.rpartition("/")[2] if isinstance(value, str) else value


def find_key(aws: Aws, token: str) -> str | None:
    """Return the key that an interrupted creation made."""
    for key in aws.call("kms.list_keys")["Keys"]:
        tags = aws.call("kms.list_resource_tags", KeyId=key["KeyId"])["Tags"]
        if {"TagKey": CREATION_TAG, "TagValue": token} in tags:
            return key["KeyId"]
    return None


def all_tags(props: Props) -> Any:
    """Return the tags that a key is created with."""
    return as_pairs({**(props.get("tags") or {}), **props["creationTags"]}, "TagKey", "TagValue") or None


POLICY_AND_TAGS = (
    Look("kms.get_key_policy", {"KeyId": "@id", "PolicyName": "default"}, fields="policy"),
    Look("kms.list_resource_tags", {"KeyId": "@id"}, fields="tags"),
)
"""What is asked of every kind of key beside its description."""
PUT_DESCRIPTION = Put(
    "description", Call("kms.update_key_description", {"KeyId": "@id", "Description": "@description"})
)
"""Changes the description of any kind of key."""

KEY = resource(
    "aws:kms/key:Key",
    create=Call(
        "kms.create_key",
        {
            "Description": "@description",
            "KeyUsage": "@keyUsage",
            "KeySpec": "@customerMasterKeySpec",
            "MultiRegion": lambda p: p.get("multiRegion") or None,
            "Origin": _origin,
            "CustomKeyStoreId": "@customKeyStoreId",
            "XksKeyId": "@xksKeyId",
            "Policy": "@policy",
            "BypassPolicyLockoutSafetyCheck": "@bypassPolicyLockoutSafetyCheck",
            "Tags": all_tags,
        },
        "KeyMetadata.KeyId",
    ),
    read=[
        Look(
            "kms.describe_key",
            {"KeyId": "@id"},
            "KeyMetadata",
            "arn keyId description keyUsage customerMasterKeySpec=KeySpec multiRegion isEnabled=Enabled state=KeyState "
            "origin customKeyStoreId xksKeyId=XksKeyConfiguration.Id",
        ),
        *POLICY_AND_TAGS,
    ],
    update=[
        PUT_DESCRIPTION,
        Put("enableKeyRotation rotationPeriodInDays", _rotation),
        Put("isEnabled", _enabled),
        Put("policy", put_policy),
        Put("tags", put_tags),
    ],
    delete=schedule_deletion,
    find=find_key,
    check=_check,
    finish=_seen,
    local="deletionWindowInDays bypassPolicyLockoutSafetyCheck",
    replace="multiRegion",
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
