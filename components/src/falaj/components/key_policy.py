"""The policy of a key: who administers it, who uses it through which service, and what is denied whatever IAM says."""

from collections.abc import Sequence
from typing import Any

from falaj.components.checks import principals
from falaj.components.documents import NO_SERVICE, deny, document
from falaj.components.errors import ConfigError
from falaj.components.key_uses import USE, KeyUse, statements_of
from falaj.components.regime import Regime, root_of

_ADMINISTER = [
    "kms:Describe*",
    "kms:Get*",
    "kms:List*",
    "kms:PutKeyPolicy",
    "kms:EnableKey",
    "kms:DisableKey",
    "kms:EnableKeyRotation",
    "kms:DisableKeyRotation",
    "kms:RotateKeyOnDemand",
    "kms:UpdateKeyDescription",
    "kms:CreateAlias",
    "kms:UpdateAlias",
    "kms:DeleteAlias",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
]
_IMPORT = ["kms:ImportKeyMaterial", "kms:DeleteImportedKeyMaterial"]


def key_policy(
    regime: Regime,
    uses: Sequence[KeyUse],
    administrators: Sequence[str] = (),
    users: Sequence[str] = (),
    *,
    imported: bool = False,
) -> dict[str, Any]:
    """Return the policy of a key for these uses; whose material is imported, its administrators import."""
    administer = {
        "Sid": "Administer",
        "Effect": "Allow",
        "Principal": {"AWS": list(administrators) or root_of(regime["account_id"])},
        "Action": [*_ADMINISTER, *(_IMPORT if imported else ())],
        "Resource": "*",
    }
    used = [statement for use in dict.fromkeys(uses) for statement in statements_of(use, regime, users, administrators)]
    return document(administer, *used, *_denials(regime))


def check_uses(field: str, uses: Sequence[str]) -> list[KeyUse]:
    """Return the uses, refusing an unknown one, a key that nothing uses, and a Vault's seal beside something else."""
    known = ", ".join(KeyUse)
    if not uses:
        raise ConfigError(field, list(uses), f"must name at least one of {known}")
    for use in uses:
        if use not in set(KeyUse):
            raise ConfigError(field, use, f"must be among {known}")
    if KeyUse.VAULT_SEAL in uses and len(set(uses)) > 1:
        raise ConfigError(field, list(uses), f"must be {KeyUse.VAULT_SEAL} alone, which uses the key directly")
    return [KeyUse(use) for use in uses]


def check_separation(
    name: str, uses: Sequence[KeyUse], administrators: Sequence[str], users: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return administrators and users, refusing who would be both, and a Vault's seal that no role is named for."""
    both = sorted(set(administrators) & set(users))
    if both:
        remedy = "must be others than the administrators: who could use the key could also change who may"
        raise ConfigError(f"{name}.users", both[0], remedy)
    if KeyUse.VAULT_SEAL in uses and not users:
        raise ConfigError(f"{name}.users", list(users), f"must name Vault's role, since {KeyUse.VAULT_SEAL} is direct")
    return principals(f"{name}.administrators", administrators), principals(f"{name}.users", users)


def _denials(regime: Regime) -> list[dict[str, Any]]:
    """Deny use from another region, account or organization, and copies; administration stays possible."""
    account, organization = regime["account_id"], regime.get("organization_id")
    use = [*USE[:-1], "kms:CreateGrant"]
    sources = {"aws:SourceAccount": account} | ({"aws:SourceOrgID": organization} if organization else {})

    denials = [
        deny("DenyOutsideHomeRegion", use, "*", {"StringNotEquals": {"aws:RequestedRegion": regime["home_region"]}}),
        deny("DenyOutsideAccount", use, "*", {"StringNotEquals": {"aws:PrincipalAccount": account}} | NO_SERVICE),
        # A service that says for whom it works works for us: for this account, or for its organization's trail.
        deny(
            "DenyServicesForOthers",
            use,
            "*",
            {
                "Bool": {"aws:PrincipalIsAWSService": "true"},
                "Null": {"aws:SourceAccount": "false"},
                "StringNotEquals": sources,
            },
        ),
        deny("DenyCopies", ["kms:ReplicateKey", "kms:UpdatePrimaryRegion"], "*"),
    ]
    if organization:
        condition = {"StringNotEquals": {"aws:PrincipalOrgID": organization}} | NO_SERVICE
        denials.insert(2, deny("DenyOutsideOrganization", use, "*", condition))
    return denials
