"""Service accounts, secrets and settings of a cluster: no tokens unasked or without end, no secrets in the clear."""

from falaj.policies.clear_text import assigns_secret, is_literal, names_secret_entry
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.namespaced import namespace_of, same
from falaj.policies.values import Fact, View, any_of

_ACCOUNT = "kubernetes:core/v1:ServiceAccount"
_SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a type, not a secret
_SETTINGS = "kubernetes:core/v1:ConfigMap"
_BINDINGS = tuple(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("RoleBinding", "ClusterRoleBinding"))
_TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 - a type, not a secret
_TOKEN_OF = "kubernetes.io/service-account.name"  # noqa: S105 - an annotation, not a secret
_REVIEWER = "system:auth-delegator"


@rule(
    "FJ-SAC-001",
    "Service accounts hand out no tokens unasked",
    Severity.MEDIUM,
    ("A.8.5", "A.5.17", "ZT-3"),
    (_ACCOUNT,),
    "Set automountServiceAccountToken to false; project a short-lived token where one is needed.",
    fix={"automountServiceAccountToken": False},
)
def automount(account: Resource, _: Context) -> Checks:
    """Most pods never speak to the API server."""
    yield must(account["automountServiceAccountToken"].equals(False), "every pod gets a token")


@rule(
    "FJ-SAC-002",
    "Tokens without end are for asking about tokens only",
    Severity.HIGH,
    ("A.5.17", "A.5.16", "ZT-3"),
    (_SECRET,),
    "Use projected tokens; an account by which a system outside asks about tokens has system:auth-delegator alone.",
    reads=_BINDINGS,
)
def endless_tokens(secret: Resource, context: Context) -> Checks:
    """A token in a Secret is valid until it is deleted; a system that reviews tokens from outside has no other."""
    endless = secret["type"].equals(_TOKEN_TYPE)
    if endless.truth is False:
        return
    reviews, others = Fact(False, "type"), Fact(False, "type")
    for binding in context.graph.of(_BINDINGS):
        holds = any_of(_is_of(secret, subject) for subject in binding["subjects"].each())
        may_review = binding["roleRef"]["name"].equals(_REVIEWER)
        reviews, others = reviews | (holds & may_review), others | (holds & ~may_review)
    yield must(~endless | (reviews & ~others), "the token never ends")


def _is_of(secret: Resource, subject: View) -> Fact:
    """Return whether the subject is the account whose token the secret holds."""
    account = secret["metadata"]["annotations"][_TOKEN_OF]
    by_name = same(subject["name"], account) & same(subject["namespace"], namespace_of(secret))
    return subject["kind"].equals("ServiceAccount") & by_name


@rule(
    "FJ-SAC-003",
    "Secrets are not written by the program",
    Severity.MEDIUM,
    ("A.5.17", "A.8.3", "ZT-3"),
    (_SECRET,),
    "Let the workload read the secret from Vault, or have an operator write the Secret.",
)
def declared_secrets(secret: Resource, _: Context) -> Checks:
    """What the program writes stands in its state and its configuration too, and is as old as the last apply."""
    # The API server itself fills in the token of an account, which is judged on its own.
    of_account = secret["type"].equals(_TOKEN_TYPE)
    yield never((secret["data"].is_set() | secret["stringData"].is_set()) & ~of_account, "the program holds the secret")


@rule(
    "FJ-SAC-004",
    "There are no secrets among settings",
    Severity.CRITICAL,
    ("A.5.17", "A.8.3"),
    (_SETTINGS,),
    "Move the value into Vault, and let the workload read it from a mounted file.",
)
def secrets_in_settings(settings: Resource, _: Context) -> Checks:
    """A ConfigMap is read by everyone who may look at the namespace."""
    for name, value in settings["data"].entries():
        named = Fact(names_secret_entry(name), value.path) & value.test(is_literal)
        # Whoever put a secret into the name of an entry must not find it in a message.
        found = value.test(assigns_secret) | named
        yield never(Fact(found.truth, "data"), "an entry holds a secret in the clear")


RULES: tuple[Rule, ...] = (automount, endless_tokens, declared_secrets, secrets_in_settings)
