"""A KMS key whose use is confined to the home region and account."""

import json
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded, dns_label, principals
from falaj.components.classification import Classification
from falaj.components.key_policy import check_uses, key_policy
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef
from falaj.components.regime import Regime, check_regime


class ResidencyKeyArgs(TypedDict):
    """What may be said of a residency key."""

    purpose: str
    """What the key protects, for example ``datasets``; part of the alias."""
    used_by: list[str]
    """Services that work with the key: members of ``KeyUse``. No other use is granted."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the key and pays for it."""
    classification: NotRequired[Classification]
    """Highest classification of the data. Default: ``restricted``."""
    administrators: NotRequired[list[str]]
    """ARNs of the roles that administer the key. Default: whom IAM of the account allows to."""
    deletion_window_days: NotRequired[int]
    """Days between scheduling deletion and losing the key, 7 to 30. Default: 30."""


class ResidencyKey(pulumi.ComponentResource):
    """One customer-managed key: single region, rotated every year, unusable from elsewhere.

    Serves ISO/IEC 27001:2022 A.8.24 and the regime's residency rules.
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
        policy = key_policy(
            regime,
            check_uses(f"{name}.used_by", args["used_by"]),
            principals(f"{name}.administrators", args.get("administrators", [])),
        )
        tags = labels(f"{name}.ownership", ownership, classification) | {"purpose": purpose}

        super().__init__("falaj:index:ResidencyKey", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"{purpose} of {ownership['environment']}",
            policy=json.dumps(policy),
            multi_region=False,
            enable_key_rotation=True,
            deletion_window_in_days=window,
            tags=tags,
            opts=child,
        )
        alias = aws.kms.Alias(
            f"{name}-alias", name=f"alias/{ownership['environment']}/{purpose}", target_key_id=key.key_id, opts=child
        )

        self.arn = key.arn
        self.key_id = key.key_id
        self.alias = alias.name
        self.ref = {"arn": key.arn, "classification": classification.value}
        self.register_outputs({"arn": self.arn, "keyId": self.key_id, "alias": self.alias, "ref": self.ref})
