"""Vault and OpenBao: policies that name paths, roles bound to named service accounts, keys that stay inside."""

from falaj.policies import hcl
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import Fact, any_of

_REACHES = "every mount is reached"


@rule(
    "FJ-VLT-001",
    "Vault policies name their paths and need no sudo",
    Severity.CRITICAL,
    ("A.8.2", "A.5.3", "A.5.15"),
    ("vault:index/policy:Policy",),
    "Name the mount in each path, and grant create, read, update, delete or list rather than sudo.",
)
def policies(policy: Resource, _: Context) -> Checks:
    """A path that begins with a wildcard reaches every mount, sys/ included."""
    text = policy["policy"]
    if not isinstance(text.value, str):
        yield never(text.test(lambda _: True), _REACHES)
        return
    try:
        grants = hcl.grants(text.value)
    except hcl.UnreadableError:
        yield never(Fact(None, text.path), _REACHES)
        return
    for number, grant in enumerate(grants):
        at = f"{text.path}.path[{number}]"
        allowed = "deny" not in grant.capabilities
        yield never(Fact(allowed and grant.path.lstrip("/")[:1] in ("*", "+"), at), _REACHES)
        yield never(Fact(allowed and "sudo" in grant.capabilities, at), "grants sudo")


@rule(
    "FJ-VLT-002",
    "Kubernetes roles of Vault are bound to named service accounts",
    Severity.CRITICAL,
    ("A.5.15", "A.5.16", "ZT-6"),
    ("vault:kubernetes/authBackendRole:AuthBackendRole",),
    "Name service accounts and namespaces in full, and set audience.",
)
def kubernetes_roles(role: Resource, _: Context) -> Checks:
    """A wildcard lets in whoever can make a service account."""
    namespaces = role["boundServiceAccountNamespaces"]
    selected = role["boundServiceAccountNamespaceSelector"].is_set()
    yield must(namespaces.is_set() | selected, "no namespace is named")
    for bound in (role["boundServiceAccountNames"], namespaces):
        wildcard = any_of((name.test(lambda text: "*" in str(text)) for name in bound.each()), bound.path)
        yield never(wildcard, "holds a wildcard")
    yield must(role["boundServiceAccountNames"].is_set(), "no service account is named")


@rule(
    "FJ-VLT-003",
    "Transit keys cannot leave Vault, nor be deleted",
    Severity.CRITICAL,
    ("A.8.24", "A.8.10"),
    ("vault:transit/secretBackendKey:SecretBackendKey",),
    "Leave exportable, allowPlaintextBackup and deletionAllowed false.",
)
def transit_keys(key: Resource, _: Context) -> Checks:
    """Once set, exportable and allowPlaintextBackup cannot be taken back."""
    for name in ("exportable", "allowPlaintextBackup", "deletionAllowed"):
        yield never(key[name].is_true(), "is true")


RULES: tuple[Rule, ...] = (policies, kubernetes_roles, transit_keys)
