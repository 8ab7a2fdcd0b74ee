"""Vault and OpenBao: policies that name paths, keys that stay inside, records that two devices keep."""

from collections.abc import Callable

from falaj.policies import hcl
from falaj.policies.durations import ends_within
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact, any_of

_POLICY = "vault:index/policy:Policy"
_TRANSIT_KEY = "vault:transit/secretBackendKey:SecretBackendKey"
_MOUNT = "vault:index/mount:Mount"
_AUDIT = "vault:index/audit:Audit"
_REACHES = "every mount is reached"
_RULES_VAULT = "rules Vault itself"
# What every holder of a token may do with its own token and leases.
_OWN = (
    "auth/token/lookup-self",
    "auth/token/renew-self",
    "auth/token/revoke-self",
    "sys/capabilities-self",
    "sys/leases/lookup",
    "sys/leases/renew",
    "sys/renew",
    "sys/control-group/request",
    "sys/internal/ui/mounts",
    "identity/oidc/token/",
    "sys/wrapping/",
    "sys/tools/",
)
# Whoever reads these reads everything.
_EVERYTHING = ("sys/raw/", "sys/storage/raft/snapshot", "sys/audit-hash/")
_LONGEST_ROTATION = Setting(
    {"type": "integer", "minimum": 3600, "description": "Longest time between two versions of a key, in seconds"},
    31536000,
)
_WEAK_KEYS = ("aes128-gcm96", "aes128-cmac", "rsa-2048")


def _each_grant(policy: Resource, judge: Callable[[hcl.Grant], Fact], message: str) -> Checks:
    """Judge each grant of a policy's text; what cannot be read is undecided."""
    text = policy["policy"]
    if not isinstance(text.value, str):
        yield never(text.test(lambda _: True), message)
        return
    try:
        grants = hcl.grants(text.value)
    except hcl.UnreadableError:
        yield never(Fact(None, text.path), message)
        return
    for number, grant in enumerate(grants):
        yield never(Fact(judge(grant).truth, f"{text.path}.path[{number}]"), message)


@rule(
    "FJ-VLT-001",
    "Vault policies name their paths and need no sudo",
    Severity.CRITICAL,
    ("A.8.2", "A.5.3", "A.5.15", "ZT-6"),
    (_POLICY,),
    "Name the mount in each path, and grant create, read, update, delete or list rather than sudo.",
)
def policies(policy: Resource, _: Context) -> Checks:
    """A path that begins with a wildcard reaches every mount, sys/ included."""

    def everywhere(grant: hcl.Grant) -> Fact:
        return Fact("deny" not in grant.capabilities and grant.path.lstrip("/")[:1] in ("*", "+"))

    def sudo(grant: hcl.Grant) -> Fact:
        return Fact("deny" not in grant.capabilities and "sudo" in grant.capabilities)

    yield from _each_grant(policy, everywhere, _REACHES)
    yield from _each_grant(policy, sudo, "grants sudo")


@rule(
    "FJ-VLT-004",
    "Vault policies do not rule Vault itself",
    Severity.CRITICAL,
    ("A.8.2", "A.5.3", "A.5.18", "ZT-6"),
    (_POLICY,),
    "Leave sys/, auth/ and identity/ to Vault's operators, but for a token's own lookup, renewal and revocation.",
)
def rules_vault(policy: Resource, _: Context) -> Checks:
    """Whoever writes policies, logins or audit devices has every secret."""

    def judge(grant: hcl.Grant) -> Fact:
        path = grant.path.lstrip("/")
        if "deny" in grant.capabilities or path[:1] in ("*", "+", ""):
            return Fact(False)
        is_own = any(path.startswith(own) if own.endswith("/") else path == own for own in _OWN)
        changes = grant.writes and any(grant.may_reach(place) for place in ("sys/", "auth/", "identity/"))
        reads = "read" in grant.capabilities and any(grant.may_reach(place) for place in _EVERYTHING)
        return Fact(not is_own and (changes or reads))

    yield from _each_grant(policy, judge, _RULES_VAULT)


@rule(
    "FJ-VLT-003",
    "Transit keys cannot leave Vault, nor be deleted",
    Severity.CRITICAL,
    ("A.8.24", "A.8.10"),
    (_TRANSIT_KEY,),
    "Leave exportable, allowPlaintextBackup and deletionAllowed false.",
)
def transit_keys(key: Resource, _: Context) -> Checks:
    """Once set, exportable and allowPlaintextBackup cannot be taken back."""
    for name in ("exportable", "allowPlaintextBackup", "deletionAllowed"):
        yield never(key[name].is_true(), "is true")


@rule(
    "FJ-VLT-005",
    "Transit keys are rotated",
    Severity.HIGH,
    ("A.8.24",),
    (_TRANSIT_KEY,),
    "Set autoRotatePeriod, in seconds, to 90 days or less.",
    settings={"longestRotationSeconds": _LONGEST_ROTATION},
)
def rotated(key: Resource, context: Context) -> Checks:
    """Nothing, the default, means never."""
    limit = context.settings["longestRotationSeconds"]
    yield must(key["autoRotatePeriod"].test(ends_within(limit)), "is not rotated in time")


@rule(
    "FJ-VLT-006",
    "Transit keys are strong, and tell equal texts from nothing",
    Severity.MEDIUM,
    ("A.8.24",),
    (_TRANSIT_KEY,),
    "Use aes256-gcm96 or a key of its strength, without convergentEncryption.",
)
def strong(key: Resource, _: Context) -> Checks:
    """Convergent encryption makes one text of equal ones: who counts ciphertexts learns what they say."""
    yield never(key["type"].among(_WEAK_KEYS), "is a weak kind of key")
    yield never(key["convergentEncryption"].is_true(), "equal texts can be told")


@rule(
    "FJ-VLT-007",
    "Requests to Vault are recorded twice",
    Severity.HIGH,
    ("A.8.15", "A.8.14", "ZT-7"),
    (_AUDIT,),
    "Declare a second audit device, of another path.",
    reads=(_AUDIT,),
)
def twice(device: Resource, context: Context) -> Checks:
    """Vault serves nobody while its one device cannot write; OpenBao's devices stand in its server's file."""
    others = any_of(Fact(True) for other in context.graph.of((_AUDIT,)) if other.urn != device.urn)
    yield must(others, "there is no second audit device")


@rule(
    "FJ-VLT-008",
    "Records of Vault hold secrets as digests only",
    Severity.HIGH,
    ("A.8.15", "A.5.17", "A.8.11"),
    (_AUDIT, _MOUNT),
    "Leave log_raw false, and the lists of keys that are not hashed empty.",
)
def digests(resource: Resource, _: Context) -> Checks:
    """Records are read by many who must not know the secrets."""
    if resource.type == _AUDIT:
        yield never(resource["options"]["log_raw"].is_true(), "secrets are recorded as they are")
        return
    for key in ("auditNonHmacRequestKeys", "auditNonHmacResponseKeys"):
        yield never(resource[key].is_set(), "fields are recorded as they are")


RULES: tuple[Rule, ...] = (policies, transit_keys, rules_vault, rotated, strong, twice, digests)
