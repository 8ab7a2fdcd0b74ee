"""Residency: every resource in the home region, every provider pinned to its account and known to stay."""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

from falaj.policies.model import Context, Graph, Resource, Rule, Setting, Severity
from falaj.policies.residency import places
from falaj.policies.residency.crossings import (
    BUCKETS,
    URL,
    Crossing,
    Way,
    bucket,
    crossing,
    follow,
    homes_of,
    region_of,
    residency_rule,
)
from falaj.policies.residency.places import HERE
from falaj.policies.values import Fact, View

_PROVIDER = "pulumi:providers:aws"
_ACCOUNTS = Setting(
    {
        "type": "array",
        "items": {"type": "string", "pattern": "^[0-9]{12}$"},
        "description": "Accounts that may be used; none given means that the provider must name some",
    },
    (),
)
# Providers whose resources are where rules can see them, or are in the state alone.
_KNOWN_PROVIDERS = Setting(
    {"type": "array", "items": {"type": "string"}, "description": "Providers whose resources are known to stay"},
    ("aws", "kubernetes", "vault", "random", "tls", "time", "pulumi"),
)
_FOREIGN_PROVIDERS = Setting(
    {"type": "array", "items": {"type": "string"}, "description": "Providers of services known to be elsewhere"},
    ("cloudflare", "datadog", "fastly", "newrelic", "netlify", "pagerduty", "vercel"),
)
_STATE = {
    "stateBackend": Setting({"type": "string", "description": "URL of the backend that keeps the stack's state"}, ""),
    "secretsProvider": Setting({"type": "string", "description": "URL of the key that encrypts the state"}, ""),
}
_STATE_SERVICES = {"gs": "storage.googleapis.com", "azblob": "blob.core.windows.net"}
_KEY_SERVICES = {"gcpkms": "cloudkms.googleapis.com", "azurekeyvault": "vault.azure.net"}


@residency_rule(
    "FJ-RES-001",
    "Resources are in the home region",
    Severity.CRITICAL,
    ("RES-1", "A.5.34", "A.5.23"),
    ("aws:*",),
    "Set region on the provider (or the resource) to a home region; a region that is not stated counts as elsewhere.",
)
def home_region(resource: Resource, context: Context) -> Iterator[Crossing]:
    """The resource's own region comes before its provider's; where neither says, the rule fails."""
    region = region_of(resource)
    yield _named(region, context, "is not a home region")


@residency_rule(
    "FJ-RES-002",
    "Providers are pinned to their account and region",
    Severity.CRITICAL,
    ("RES-3", "RES-1", "A.5.23", "A.8.31"),
    (_PROVIDER,),
    "Give the provider allowedAccountIds and a home region; use no default provider.",
    settings={"allowedAccounts": _ACCOUNTS},
)
def provider_pinned(provider: Resource, context: Context) -> Iterator[Crossing]:
    """With the wrong credentials a pinned provider stops instead of building elsewhere."""
    accounts = provider["allowedAccountIds"]
    yield Crossing(~accounts.is_set(), "the provider works in any account")
    if allowed := context.settings["allowedAccounts"]:
        for account in accounts.each():
            yield Crossing(~account.among(allowed), "is not an account that may be used")
    yield _named(provider["region"], context, "is not a home region")


def _named(region: View, context: Context, message: str) -> Crossing:
    """Return whether a region that must be named is elsewhere."""
    place = region.value if isinstance(region.value, str) else ""
    return Crossing(~region.test(homes_of(context).hold), message, place)


@residency_rule(
    "FJ-RES-003",
    "Providers talk to the home region",
    Severity.HIGH,
    ("RES-1", "A.5.23"),
    (_PROVIDER,),
    "Remove endpoints that are of no home region; loopback is for labs.",
)
def provider_endpoints(provider: Resource, context: Context) -> Iterator[Crossing]:
    """An endpoint set by hand overrides the region, and a proxy sees what goes to it."""
    for services in provider["endpoints"].each():
        for _, endpoint in services.entries():
            yield crossing(provider, endpoint, Way("endpoints", URL), context, "is an endpoint outside the home region")
    proxies = (Way(name, URL) for name in ("httpProxy", "httpsProxy"))
    yield from follow(provider, proxies, context, "is a proxy outside the home region")


@residency_rule(
    "FJ-RES-004",
    "Vault and its proxies are in the home region",
    Severity.CRITICAL,
    ("RES-1", "A.5.23", "A.5.17"),
    ("pulumi:providers:vault",),
    "Use a Vault inside the home region; name hosts that are known to be at home in homeDomains.",
)
def vault_address(provider: Resource, context: Context) -> Iterator[Crossing]:
    """Whoever runs Vault holds the keys: a Vault that is offered as a service is somebody else's."""
    address = provider["address"]
    if address.value is None:
        yield Crossing(Fact(None, "address"), "the address comes from the environment")
    yield from follow(provider, (Way("address", URL),), context, "is a Vault outside the home region")


@residency_rule(
    "FJ-RES-005",
    "Only providers that are known to stay are used",
    Severity.HIGH,
    ("RES-1", "A.5.23", "A.5.19"),
    ("pulumi:*",),
    "Use a provider whose resources are in the home region, and name it in knownProviders once that has been reviewed.",
    settings={"knownProviders": _KNOWN_PROVIDERS, "foreignProviders": _FOREIGN_PROVIDERS},
)
def known_providers(resource: Resource, context: Context) -> Iterator[Crossing]:
    """Another cloud, or a service of others, keeps things in places of its own: nobody can say where from here."""
    name = resource.type.removeprefix("pulumi:providers:")
    if name != resource.type:
        elsewhere = name in context.settings["foreignProviders"]
        known = name in context.settings["knownProviders"]
        leaves = Fact(True if elsewhere else False if known else None, "type")
        yield Crossing(leaves, "the provider keeps things outside the home region", places.GLOBAL if elsewhere else "")


@residency_rule(
    "FJ-RES-006",
    "The stack's own state stays in the home region",
    Severity.CRITICAL,
    ("RES-9", "A.5.33", "A.8.13"),
    (_PROVIDER,),
    "Keep the state in a bucket of the home region and name that in the backend's URL, as s3://states?region="
    "me-central-1; encrypt its secrets with a key of the home region.",
    kind="state",
    reads=BUCKETS,
    settings=_STATE,
)
def state_backend(provider: Resource, context: Context) -> Iterator[Crossing]:
    """The state holds every property of every resource; where it is kept the program does not say, a person does."""
    tables = (("stateBackend", _STATE_SERVICES, "the state"), ("secretsProvider", _KEY_SERVICES, "the state's key"))
    for name, services, what in tables:
        if text := context.settings[name]:
            place = _state_place(text, services, provider, context.graph)
            leaves = Fact(None if not place else not homes_of(context).hold(place), name)
            yield Crossing(leaves, f"{what} is outside the home region", place)


def _state_place(text: str, services: Mapping[str, str], provider: Resource, graph: Graph) -> str:
    """Return where a backend or a key of Pulumi's is, and nothing where neither its URL nor the stack says."""
    parts = urlsplit(text)
    named = parse_qs(parts.query).get("region", [""])[0]
    try:
        if parts.scheme == "s3":
            return named or bucket(text.partition("?")[0], provider, graph)
        if parts.scheme == "awskms":
            return named or places.arn(text.removeprefix("awskms:").lstrip("/").partition("?")[0])
        if parts.scheme in ("hashivault", "file", ""):
            return HERE
        return services.get(parts.scheme) or places.host(parts.hostname or "")
    except ValueError:
        return ""


RULES: tuple[Rule, ...] = (
    home_region,
    provider_pinned,
    provider_endpoints,
    vault_address,
    known_providers,
    state_backend,
)
