"""Logins to Vault: by identities that are proven and named, with tokens that end."""

from falaj.policies.durations import ends_within, seconds
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact, View, any_of

_KUBERNETES = "vault:kubernetes/authBackendRole:AuthBackendRole"
_JWT = "vault:jwt/authBackendRole:AuthBackendRole"
_APP_ROLE = "vault:appRole/authBackendRole:AuthBackendRole"
_METHOD = "vault:index/authBackend:AuthBackend"
_JWT_METHOD = "vault:jwt/authBackend:AuthBackend"
_ROLES = (
    _KUBERNETES,
    _JWT,
    _APP_ROLE,
    "vault:aws/authBackendRole:AuthBackendRole",
    "vault:index/certAuthBackendRole:CertAuthBackendRole",
)
_PASSWORDS = ("userpass", "ldap", "radius", "okta", "github")
_LONGEST_TOKEN = Setting(
    {"type": "integer", "minimum": 60, "description": "Longest life of a token of Vault, in seconds"},
    43200,
)
_LONGEST_SECRET_ID = Setting(
    {"type": "integer", "minimum": 60, "description": "Longest life of an AppRole's secret id, in seconds"},
    86400,
)


@rule(
    "FJ-VLT-002",
    "Kubernetes roles of Vault are bound to named service accounts",
    Severity.CRITICAL,
    ("A.5.15", "A.5.16", "ZT-6"),
    (_KUBERNETES,),
    "Name service accounts and namespaces in full.",
)
def kubernetes_roles(role: Resource, _: Context) -> Checks:
    """A wildcard lets in whoever can make a service account."""
    namespaces = role["boundServiceAccountNamespaces"]
    selected = role["boundServiceAccountNamespaceSelector"].is_set()
    yield must(namespaces.is_set() | selected, "no namespace is named")
    for bound in (role["boundServiceAccountNames"], namespaces):
        yield never(_wildcard(bound), "holds a wildcard")
    yield must(role["boundServiceAccountNames"].is_set(), "no service account is named")


def _wildcard(bound: View) -> Fact:
    return any_of((name.test(lambda text: "*" in str(text)) for name in bound.each()), bound.path)


@rule(
    "FJ-VLT-009",
    "Kubernetes roles of Vault take tokens that were made for Vault",
    Severity.HIGH,
    ("A.8.5", "A.5.17", "ZT-3", "ZT-6"),
    (_KUBERNETES,),
    "Set audience, and project a token for it into the pod.",
)
def audience(role: Resource, _: Context) -> Checks:
    """Without it any token of the account logs in, also one that was shown to another service."""
    yield must(role["audience"].is_set(), "tokens for others are taken too")


@rule(
    "FJ-VLT-010",
    "Nobody logs in to Vault by a password of its own",
    Severity.HIGH,
    ("A.8.5", "A.5.17", "ZT-3", "ZT-6"),
    (_METHOD, "vault:index/userpassAuthBackendUser:UserpassAuthBackendUser"),
    "Use OIDC for people, and kubernetes, jwt or cert for programs.",
)
def passwords(method: Resource, _: Context) -> Checks:
    """A password knows no second factor, no device and no end."""
    if method.type != _METHOD:
        yield never(Fact(True), "a user with a password")
        return
    yield never(method["type"].among(_PASSWORDS), "takes passwords")


@rule(
    "FJ-VLT-011",
    "Login methods of Vault bound the life of tokens",
    Severity.MEDIUM,
    ("A.8.5", "A.5.17", "ZT-3"),
    (_METHOD, _JWT_METHOD),
    "Set tune.maxLeaseTtl to 12 hours or less.",
    settings={"longestTokenSeconds": _LONGEST_TOKEN},
)
def method_tokens(method: Resource, context: Context) -> Checks:
    """Vault's own bound is 32 days."""
    longest = method["tune"]["maxLeaseTtl"]
    yield must(longest.test(ends_within(context.settings["longestTokenSeconds"])), "tokens live too long")


@rule(
    "FJ-VLT-012",
    "Tokens of Vault's roles end",
    Severity.HIGH,
    ("A.8.5", "A.5.17", "ZT-3"),
    _ROLES,
    "Set tokenMaxTtl to 12 hours or less, and no tokenPeriod.",
    settings={"longestTokenSeconds": _LONGEST_TOKEN},
)
def role_tokens(role: Resource, context: Context) -> Checks:
    """A token with a period can be renewed for ever, whatever else is set."""
    in_time = ends_within(context.settings["longestTokenSeconds"])
    explicit = role["tokenExplicitMaxTtl"].test(in_time)
    periodic = role["tokenPeriod"].test(lambda span: seconds(span) > 0)
    yield must(explicit | role["tokenMaxTtl"].test(in_time), "tokens live too long")
    yield never(periodic & ~explicit, "tokens can be renewed for ever")


@rule(
    "FJ-VLT-013",
    "JWT and OIDC roles of Vault are bound to an audience and to claims",
    Severity.CRITICAL,
    ("A.5.15", "A.5.16", "A.8.5", "ZT-6"),
    (_JWT,),
    "Set boundAudiences, and boundSubject or boundClaims without a bare wildcard.",
)
def jwt_roles(role: Resource, _: Context) -> Checks:
    """The issuer signs for everybody: what tells one pipeline from another are claims."""
    # At a login by browser Vault checks its own client id as the audience.
    by_browser = role["roleType"].equals("oidc") | Fact(role["roleType"].value is None, "roleType")
    yield must(by_browser | role["boundAudiences"].is_set(), "tokens for others are taken too")
    yield must(role["boundSubject"].is_set() | role["boundClaims"].is_set(), "everybody of the issuer may log in")
    glob = role["boundClaimsType"].equals("glob")
    for _name, claim in role["boundClaims"].entries():
        yield never(glob & claim.test(lambda text: str(text).strip("*") == ""), "everybody of the issuer may log in")


@rule(
    "FJ-VLT-014",
    "Secret ids of AppRoles are needed, and end",
    Severity.HIGH,
    ("A.5.17", "A.8.5", "ZT-3"),
    (_APP_ROLE,),
    "Leave bindSecretId true; set secretIdTtl to a day or less and secretIdNumUses.",
    settings={"longestSecretIdSeconds": _LONGEST_SECRET_ID},
)
def app_roles(role: Resource, context: Context) -> Checks:
    """Without a secret id the role's name is the login; one without end is a password."""
    yield never(role["bindSecretId"].equals(False), "no secret is needed")
    in_time = ends_within(context.settings["longestSecretIdSeconds"])
    yield must(role["secretIdTtl"].test(in_time), "the secret id lives too long")
    yield must(role["secretIdNumUses"].test(lambda uses: uses > 0), "the secret id can be used without end")


@rule(
    "FJ-VLT-015",
    "The program makes no credentials of Vault",
    Severity.HIGH,
    ("A.5.17", "A.5.16", "ZT-3"),
    ("vault:index/token:Token", "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId"),
    "Let each workload log in by its own identity.",
)
def declared_tokens(_resource: Resource, _: Context) -> Checks:
    """What the program makes stands in its state, and lives from one apply to the next."""
    yield never(Fact(True), "a credential that the state holds")


@rule(
    "FJ-VLT-016",
    "Vault is asked over TLS, and its certificate is checked",
    Severity.CRITICAL,
    ("A.8.24", "A.8.5", "ZT-2"),
    ("pulumi:providers:vault",),
    "Use an address of https://, and caCertFile rather than skipTlsVerify.",
)
def provider_tls(provider: Resource, _: Context) -> Checks:
    """Whoever stands between would be given the provider's token, and every secret that it writes."""
    yield never(provider["skipTlsVerify"].is_true(), "the certificate is not checked")
    yield never(provider["address"].test(lambda url: not str(url).startswith("https://")), "is in plain text")


RULES: tuple[Rule, ...] = (
    kubernetes_roles,
    audience,
    passwords,
    method_tokens,
    role_tokens,
    jwt_roles,
    app_roles,
    declared_tokens,
    provider_tls,
)
