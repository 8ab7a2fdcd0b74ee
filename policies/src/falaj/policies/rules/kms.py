"""Keys: rotated, of one region, used by named principals only, and not lost by mistake."""

from collections.abc import Iterator
from typing import Any

from falaj.policies.documents import statements
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.residency import places
from falaj.policies.residency.crossings import Crossing, homes_of, region_of, residency_rule
from falaj.policies.residency.places import GLOBAL
from falaj.policies.values import Fact, any_of

KEY = "aws:kms/key:Key"
_EXTERNAL = "aws:kms/externalKey:ExternalKey"
_REPLICA = "aws:kms/replicaKey:ReplicaKey"
_EXTERNAL_REPLICA = "aws:kms/replicaExternalKey:ReplicaExternalKey"
_POLICY = "aws:kms/keyPolicy:KeyPolicy"
_STORE = "aws:kms/customKeyStore:CustomKeyStore"
_KEYS = (KEY, _EXTERNAL, _REPLICA, _EXTERNAL_REPLICA)


@rule(
    "FJ-KMS-001",
    "Keys are rotated",
    Severity.HIGH,
    ("A.8.24",),
    (KEY,),
    "Set enableKeyRotation to true.",
    fix={"enableKeyRotation": True},
)
def rotation(key: Resource, _: Context) -> Checks:
    """Only symmetric encryption keys whose material AWS made itself can be rotated by it."""
    spec, usage = key["customerMasterKeySpec"], key["keyUsage"]
    rotatable = ~(spec.is_set() & ~spec.equals("SYMMETRIC_DEFAULT")) & ~(
        usage.is_set() & ~usage.equals("ENCRYPT_DECRYPT")
    )
    rotatable = rotatable & ~key["customKeyStoreId"].is_set()
    yield never(~key["enableKeyRotation"].is_true() & rotatable, "yearly rotation is not on")


@residency_rule(
    "FJ-KMS-002",
    "Keys exist in the home region only",
    Severity.CRITICAL,
    ("A.8.24", "A.5.34", "RES-2"),
    _KEYS,
    "Set multiRegion to false and declare no replica keys: a key's material must not leave the region; "
    "or enter the copy in the transfer register, and the key that it is made of with the destination global.",
    kind="key",
)
def single_region(key: Resource, context: Context) -> Iterator[Crossing]:
    """A replica is the same key in another region; whoever may copy a key chooses the region later."""
    if "/replica" in key.type:
        yield Crossing(Fact(True), "this is a copy of a key of another region", _other_region(key, context))
    copied = key["multiRegion"].is_true()
    yield Crossing(copied, "the key can be copied to other regions", GLOBAL if copied.truth else "")


def _other_region(replica: Resource, context: Context) -> str:
    """Return where a replica takes its key: its own region, or that of its original where it is at home itself."""
    own = region_of(replica).value
    if isinstance(own, str) and not homes_of(context).hold(own):
        return own
    original = replica["primaryKeyArn"].value
    try:
        return places.arn(original) if isinstance(original, str) else ""
    except ValueError:
        return ""


@rule(
    "FJ-KMS-003",
    "Key policies name who uses the key",
    Severity.CRITICAL,
    ("A.5.15", "A.8.24", "ZT-6"),
    (KEY, _POLICY),
    'Name principals, or bound "*" by a condition on aws:PrincipalAccount, aws:PrincipalOrgID or aws:SourceArn.',
)
def key_policy(key: Resource, _: Context) -> Checks:
    """Without a policy of its own a key gets AWS's default, which names the account."""
    for statement in statements(key["policy"]):
        yield never(statement.open_to_anyone(), "anyone may use the key")


@rule(
    "FJ-KMS-004",
    "Keys can be saved from deletion for two weeks",
    Severity.MEDIUM,
    ("A.8.24", "A.8.10", "A.8.13"),
    _KEYS,
    "Set deletionWindowInDays to 14 or more; AWS's default is 30.",
    settings={
        "deletionWindowInDays": Setting(
            {"type": "integer", "minimum": 7, "maximum": 30, "description": "Days to take a deletion back"}, 14
        )
    },
)
def deletion_window(key: Resource, context: Context) -> Checks:
    """With the key goes everything that it encrypted."""
    least, window = context.settings["deletionWindowInDays"], key["deletionWindowInDays"]
    yield never(window.test(lambda days: days < least), "the key is lost too soon after a mistake")


@rule(
    "FJ-KMS-005",
    "Keys that are declared are enabled",
    Severity.MEDIUM,
    ("A.8.24", "A.8.14"),
    _KEYS,
    "Set isEnabled (enabled) to true, or remove the key with what it encrypted.",
)
def enabled(key: Resource, _: Context) -> Checks:
    """What a disabled key encrypted cannot be read, and nobody notices until it is needed."""
    for name in ("isEnabled", "enabled"):
        yield never(key[name].equals(False), "what the key encrypted cannot be read")


@rule(
    "FJ-KMS-006",
    "Nobody locks the account out of its keys",
    Severity.HIGH,
    ("A.8.24", "A.5.15"),
    (*_KEYS, _POLICY),
    "Remove bypassPolicyLockoutSafetyCheck.",
    fix={"bypassPolicyLockoutSafetyCheck": False},
)
def lockout(key: Resource, _: Context) -> Checks:
    """A key whose policy nobody may change any more cannot even be deleted."""
    yield never(key["bypassPolicyLockoutSafetyCheck"].is_true(), "AWS does not check who may still change the policy")


@rule(
    "FJ-KMS-007",
    "Grants are for one principal, and are not passed on",
    Severity.HIGH,
    ("A.5.15", "A.8.24", "ZT-3", "ZT-6"),
    ("aws:kms/grant:Grant",),
    "Name a role as granteePrincipal, and leave CreateGrant out of operations.",
)
def grants(grant: Resource, _: Context) -> Checks:
    """Grants stand in no policy: who reads the key's policy does not see them."""
    whose = grant["granteePrincipal"]
    yield never(whose.test(lambda arn: "*" in arn or arn.endswith(":root")), "everyone of an account may use the key")
    yield never(grant["operations"].contains("CreateGrant"), "whoever has the grant may give it to others")


@rule(
    "FJ-KMS-008",
    "Nobody but the account itself may do everything with a key",
    Severity.HIGH,
    ("A.5.3", "A.8.2", "A.8.24", "ZT-6"),
    (KEY, _POLICY, _EXTERNAL, _REPLICA, _EXTERNAL_REPLICA),
    "Give administrators the actions that administer and users those that encrypt, instead of kms:*.",
)
def every_action(key: Resource, _: Context) -> Checks:
    """Who administers a key must not read with it; the account's root hands on what IAM policies then name."""
    for statement in statements(key["policy"]):
        every = any_of(action.test(_is_everything) for action in statement.view["Action"].each())
        principals = statement.view["Principal"]
        # A principal that is a text is everyone, which FJ-KMS-003 is about.
        if not isinstance(principals.value, str):
            named = any_of((who.test(_is_named) for who in principals["AWS"].each()), principals.path)
            yield never(statement.allows() & every & named, "one principal may do everything with the key")


@rule(
    "FJ-KMS-009",
    "Key material does not pass through a program",
    Severity.CRITICAL,
    ("A.8.24", "A.5.17"),
    (_EXTERNAL, _EXTERNAL_REPLICA),
    "Leave keyMaterialBase64 out, and import the material by a ceremony of its own.",
)
def material(key: Resource, _: Context) -> Checks:
    """What a program held is in its state, in its logs and in the memory of whoever ran it."""
    yield never(key["keyMaterialBase64"].is_set(), "the material is in the program and in its state")


@rule(
    "FJ-KMS-010",
    "Key stores outside KMS are named",
    Severity.HIGH,
    ("A.8.24", "A.5.23", "A.8.14"),
    (KEY, _STORE),
    "Name the store in keyStores, once somebody answers for its availability and its place.",
    settings={
        "keyStores": Setting(
            {
                "type": "array",
                "items": {"type": "string"},
                "description": "Ids and names of key stores",
            },
            (),
        )
    },
)
def key_stores(resource: Resource, context: Context) -> Checks:
    """A store that cannot be reached takes everything with it that its keys encrypted."""
    stores = context.settings["keyStores"]
    if resource.type == _STORE:
        yield must(resource["customKeyStoreName"].among(stores), "nobody named the key store")
        return
    store = resource["customKeyStoreId"]
    yield must(~store.is_set() | store.among(stores), "nobody named the key store")


@rule(
    "FJ-KMS-011",
    "Keys are rotated at least once a year",
    Severity.MEDIUM,
    ("A.8.24",),
    (KEY,),
    "Set rotationPeriodInDays to 365 or less; AWS's default is 365.",
    settings={
        "rotationPeriodInDays": Setting(
            {"type": "integer", "minimum": 90, "maximum": 2560, "description": "Days after which a key is rotated"}, 365
        )
    },
)
def rotation_period(key: Resource, context: Context) -> Checks:
    """Ten years of data under one key is what a rotation every ten years means."""
    most, period = context.settings["rotationPeriodInDays"], key["rotationPeriodInDays"]
    yield never(period.test(lambda days: days > most), "the key is rotated too seldom")


def _is_everything(action: Any) -> bool:
    return str(action).lower() in ("*", "kms:*")


def _is_named(principal: Any) -> bool:
    """Return whether a principal is neither everyone nor an account."""
    text = str(principal)
    return text != "*" and not text.endswith(":root") and not text.isdigit()


RULES: tuple[Rule, ...] = (
    rotation,
    single_region,
    key_policy,
    deletion_window,
    enabled,
    lockout,
    grants,
    every_action,
    material,
    key_stores,
    rotation_period,
)
