"""KMS keys whose material is imported: brought by the program, or awaited from somebody who must not give it away."""

import base64
from collections.abc import Iterator

from falaj.lab.provider.aws_types.kms import (
    POLICY_AND_TAGS,
    PUT_DESCRIPTION,
    all_tags,
    find_key,
    put_policy,
    put_tags,
    schedule_deletion,
)
from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Look, Put, outside, resource
from falaj.lab.provider.kind import Change, GoneError
from falaj.lab.provider.values import Props

_WRAPPED_BY = "RSAES_OAEP_SHA_256"


def _import(aws: Aws, identifier: str, change: Change) -> None:
    """Wrap the material for KMS, and hand it over."""
    # Imported late: a run without such a key needs none of it.
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    material = change.wanted.get("keyMaterialBase64")
    if not material:
        return
    how = {"WrappingAlgorithm": _WRAPPED_BY, "WrappingKeySpec": "RSA_2048"}
    given = aws.call("kms.get_parameters_for_import", KeyId=identifier, **how)
    public = load_der_public_key(given["PublicKey"])
    assert isinstance(public, RSAPublicKey)
    wrapped = public.encrypt(base64.b64decode(str(material)), OAEP(MGF1(SHA256()), SHA256(), None))
    until = change.wanted.get("validTo")
    expiry = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": until} if until else None
    aws.call(
        "kms.import_key_material",
        KeyId=identifier,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrapped,
        **(expiry or {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}),
    )


def _enable(aws: Aws, identifier: str, change: Change) -> None:
    """Enable or disable a key, which one that awaits its material can not be."""
    if change.wanted.get("keyMaterialBase64"):
        aws.call(f"kms.{'disable' if change.wanted.get('enabled') is False else 'enable'}_key", KeyId=identifier)


def _seen(aws: Aws, identifier: str, props: Props) -> Props:
    del aws, identifier
    if props["keyState"] == "PendingDeletion":
        raise GoneError
    until = props["validTo"]
    return {**props, "validTo": until.strftime("%Y-%m-%dT%H:%M:%SZ") if until else None}


def _check(inputs: Props) -> Iterator[tuple[str, str]]:
    yield from outside(inputs, "deletionWindowInDays", 7, 30)


EXTERNAL_KEY = resource(
    "aws:kms/externalKey:ExternalKey",
    create=Call(
        "kms.create_key",
        {
            "Origin": "EXTERNAL",
            "Description": "@description",
            "KeyUsage": "@keyUsage",
            "KeySpec": "@keySpec",
            "MultiRegion": lambda p: p.get("multiRegion") or None,
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
            "arn description enabled expirationModel keyState keyUsage keySpec multiRegion validTo",
        ),
        *POLICY_AND_TAGS,
    ],
    update=[
        # The state of a key that was just made has no material yet: what is wanted differs from what is observed.
        Put("keyMaterialBase64 validTo", _import),
        Put("enabled", _enable),
        PUT_DESCRIPTION,
        Put("policy", put_policy),
        Put("tags", put_tags),
    ],
    delete=schedule_deletion,
    find=find_key,
    check=_check,
    finish=_seen,
    local="deletionWindowInDays bypassPolicyLockoutSafetyCheck",
    replace="multiRegion keyMaterialBase64",
    defaults={"deletionWindowInDays": 30, "bypassPolicyLockoutSafetyCheck": False},
    computed="enabled keyUsage keySpec multiRegion policy",
    documents="policy",
)

KINDS = [EXTERNAL_KEY]
