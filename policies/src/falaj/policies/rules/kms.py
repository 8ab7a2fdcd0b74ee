"""Keys: rotated, of one region, and used by named principals only."""

from falaj.policies.documents import statements
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, never, rule
from falaj.policies.values import Fact

KEY = "aws:kms/key:Key"


@rule(
    "FJ-KMS-001",
    "Keys are rotated",
    Severity.HIGH,
    ("A.8.24",),
    (KEY,),
    "Set enableKeyRotation to true.",
)
def rotation(key: Resource, _: Context) -> Checks:
    """Only symmetric encryption keys whose material AWS made itself can be rotated by it."""
    spec, usage = key["customerMasterKeySpec"], key["keyUsage"]
    rotatable = ~(spec.is_set() & ~spec.equals("SYMMETRIC_DEFAULT")) & ~(
        usage.is_set() & ~usage.equals("ENCRYPT_DECRYPT")
    )
    rotatable = rotatable & ~key["customKeyStoreId"].is_set()
    yield never(~key["enableKeyRotation"].is_true() & rotatable, "yearly rotation is not on")


@rule(
    "FJ-KMS-002",
    "Keys exist in the home region only",
    Severity.CRITICAL,
    ("A.8.24", "A.5.34", "RES-2"),
    (
        KEY,
        "aws:kms/externalKey:ExternalKey",
        "aws:kms/replicaKey:ReplicaKey",
        "aws:kms/replicaExternalKey:ReplicaExternalKey",
    ),
    "Set multiRegion to false and declare no replica keys: a key's material must not leave the region.",
)
def single_region(key: Resource, _: Context) -> Checks:
    """A replica is the same key in another region."""
    yield never(Fact("/replica" in key.type), "this is a copy of a key of another region")
    yield never(key["multiRegion"].is_true(), "the key can be copied to other regions")


@rule(
    "FJ-KMS-003",
    "Key policies name who uses the key",
    Severity.CRITICAL,
    ("A.5.15", "A.8.24", "ZT-6"),
    (KEY, "aws:kms/keyPolicy:KeyPolicy"),
    'Name principals, or bound "*" by a condition on aws:PrincipalAccount, aws:PrincipalOrgID or aws:SourceArn.',
)
def key_policy(key: Resource, _: Context) -> Checks:
    """Without a policy of its own a key gets AWS's default, which names the account."""
    for statement in statements(key["policy"]):
        yield never(statement.open_to_anyone(), "anyone may use the key")


RULES: tuple[Rule, ...] = (rotation, single_region, key_policy)
