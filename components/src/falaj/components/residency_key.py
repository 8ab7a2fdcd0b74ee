"""A KMS key whose use is confined to the home region and account."""

import json
import re
from enum import StrEnum
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.key_policy import check_separation, check_uses, key_policy
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef
from falaj.components.regime import Regime, check_regime, rules_of

_KEY_STORE_ID = re.compile(r"cks-[a-z0-9]{1,18}")
_XKS_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class KeyOrigin(StrEnum):
    """Where the key's material comes from; the regime says which may be."""

    AWS = "aws"
    """Made in KMS, which rotates it."""
    IMPORTED = "imported"
    """Made by you and imported into KMS; you keep a copy, and may let it expire."""
    EXTERNAL = "external"
    """Held outside AWS by a key manager of yours, which KMS asks each time (XKS)."""


class ExternalKey(TypedDict):
    """A key in a key manager outside AWS, and the external key store of KMS through which AWS reaches it."""

    key_store_id: str
    """Id of the external key store, connected, for example ``cks-1234567890abcdef0``."""
    xks_key_id: str
    """Id of the key in the key manager."""


class ResidencyKeyArgs(TypedDict):
    """What may be said of a residency key."""

    purpose: str
    """What the key protects, for example ``datasets``; part of the alias."""
    used_by: list[str]
    """Services that work with the key: members of ``KeyUse``. No other use is granted."""
    regime: Regime
    """Home region, account, and the rules that hold."""
    ownership: Ownership
    """Who answers for the key and pays for it."""
    classification: NotRequired[Classification]
    """Highest classification of the data. Default: ``restricted``."""
    administrators: NotRequired[list[str]]
    """ARNs of the roles that administer the key and cannot use it. Default: whom IAM of the account allows to."""
    users: NotRequired[list[str]]
    """ARNs of the roles that use the key, through the services alone. Default: whom IAM of the account allows to."""
    origin: NotRequired[KeyOrigin]
    """Where the key's material comes from. Default: ``aws``."""
    external_key: NotRequired[ExternalKey]
    """The key outside AWS, for origin ``external``. Default: none."""
    rotation_days: NotRequired[int]
    """Days after which AWS renews the material, 90 to 2560; for origin ``aws`` only. Default: 365."""
    deletion_window_days: NotRequired[int]
    """Days between scheduling deletion and losing the key, 7 to 30. Default: 30."""


class ResidencyKey(pulumi.ComponentResource):
    """One customer-managed key: single region, rotated, unusable from elsewhere, administered by others than its users.

    Serves ISO/IEC 27001:2022 A.5.3, A.8.24 and the regime's residency rules.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    arn: pulumi.Output[str]
    """ARN of the key."""
    key_id: pulumi.Output[str]
    """Id of the key."""
    alias: pulumi.Output[str]
    """Alias of the key, ``alias/<environment>/<purpose>``."""
    ref: KeyRef
    """The key as other components take it."""

    def __init__(self, name: str, args: ResidencyKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership = args["regime"], args["ownership"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        purpose = dns_label(f"{name}.purpose", args["purpose"])
        window = bounded(f"{name}.deletion_window_days", args.get("deletion_window_days", 30), 7, 30, "days")
        check_regime(f"{name}.regime", regime)
        origin = check_origin(f"{name}.origin", args.get("origin", KeyOrigin.AWS), regime)
        rotation = check_rotation(f"{name}.rotation_days", args.get("rotation_days"), origin)
        external = check_external_key(f"{name}.external_key", args.get("external_key"), origin)
        uses = check_uses(f"{name}.used_by", args["used_by"])
        administrators, users = check_separation(name, uses, args.get("administrators", []), args.get("users", []))
        policy = key_policy(regime, uses, administrators, users, imported=origin is KeyOrigin.IMPORTED)
        tags = labels(f"{name}.ownership", ownership, classification) | {"purpose": purpose}

        super().__init__("falaj:index:ResidencyKey", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        description = f"{purpose} of {ownership['environment']}"
        if origin is KeyOrigin.IMPORTED:
            key = aws.kms.ExternalKey(
                f"{name}-key",
                description=description,
                policy=json.dumps(policy),
                multi_region=False,
                deletion_window_in_days=window,
                tags=tags,
                # Who imports the material says until when it is good; it never passes through Pulumi.
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=["validTo"]),
            )
            key_id = key.id.apply(str)
        else:
            key = aws.kms.Key(
                f"{name}-key",
                description=description,
                policy=json.dumps(policy),
                multi_region=False,
                enable_key_rotation=rotation is not None,
                rotation_period_in_days=rotation,
                custom_key_store_id=external["key_store_id"] if external else None,
                xks_key_id=external["xks_key_id"] if external else None,
                deletion_window_in_days=window,
                tags=tags,
                opts=child,
            )
            key_id = key.key_id
        alias = aws.kms.Alias(
            f"{name}-alias", name=f"alias/{ownership['environment']}/{purpose}", target_key_id=key_id, opts=child
        )

        self.arn = key.arn
        self.key_id = key_id
        self.alias = alias.name
        self.ref = {"arn": key.arn, "classification": classification.value}
        self.register_outputs({"arn": self.arn, "keyId": self.key_id, "alias": self.alias, "ref": self.ref})


def check_origin(field: str, origin: str, regime: Regime) -> KeyOrigin:
    """Return the origin if the regime allows it."""
    rules = rules_of(regime)
    if origin not in rules.key_origins:
        raise ConfigError(field, str(origin), f"must be one that {rules.name} allows: {', '.join(rules.key_origins)}")
    return KeyOrigin(origin)


def check_rotation(field: str, days: int | None, origin: KeyOrigin) -> int | None:
    """Return the days between rotations; AWS rotates only what it made, so that elsewhere none may be named."""
    if origin is KeyOrigin.AWS:
        return bounded(field, 365 if days is None else days, 90, 2560, "days")
    if days is not None:
        raise ConfigError(field, days, f"must be left out: AWS does not rotate a key whose origin is {origin}")
    return None


def check_external_key(field: str, key: ExternalKey | None, origin: KeyOrigin) -> ExternalKey | None:
    """Return the key outside AWS, which goes with origin ``external`` and with no other."""
    if (key is None) is (origin is KeyOrigin.EXTERNAL):
        raise ConfigError(field, key, f"must be there for origin {KeyOrigin.EXTERNAL}, and for no other")
    if key is None:
        return None
    if not _KEY_STORE_ID.fullmatch(key["key_store_id"]):
        raise ConfigError(f"{field}.key_store_id", key["key_store_id"], "must be an id such as cks-1234567890abcdef0")
    if not _XKS_KEY_ID.fullmatch(key["xks_key_id"]):
        remedy = "must be 1 to 128 letters, digits, dots, hyphens or underscores"
        raise ConfigError(f"{field}.xks_key_id", key["xks_key_id"], remedy)
    return key
