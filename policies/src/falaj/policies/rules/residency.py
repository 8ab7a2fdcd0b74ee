"""Residency: every resource in the home region, every provider pinned to its account and region."""

from urllib.parse import urlsplit

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, rule

_PROVIDER = "pulumi:providers:aws"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HOME_REGIONS = Setting(
    {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "Regions that data may be in"},
    ("me-central-1",),
)
_ACCOUNTS = Setting(
    {
        "type": "array",
        "items": {"type": "string", "pattern": "^[0-9]{12}$"},
        "description": "Accounts that may be used; none given means that the provider must name some",
    },
    (),
)


@rule(
    "FJ-RES-001",
    "Resources are in the home region",
    Severity.CRITICAL,
    ("RES-1", "A.5.34", "A.5.23"),
    ("aws:*",),
    "Set region on the provider (or the resource) to a home region; a region that is not stated counts as elsewhere.",
    settings={"homeRegions": _HOME_REGIONS},
)
def home_region(resource: Resource, context: Context) -> Checks:
    """The resource's own region comes before its provider's; where neither says, the rule fails."""
    own = resource["region"]
    region = resource.provider["region"] if own.value is None else own
    yield must(region.among(context.settings["homeRegions"]), "is not a home region")


@rule(
    "FJ-RES-002",
    "Providers are pinned to their account and region",
    Severity.CRITICAL,
    ("RES-3", "RES-1", "A.5.23", "A.8.31"),
    (_PROVIDER,),
    "Give the provider allowedAccountIds and a home region; use no default provider.",
    settings={"homeRegions": _HOME_REGIONS, "allowedAccounts": _ACCOUNTS},
)
def provider_pinned(provider: Resource, context: Context) -> Checks:
    """With the wrong credentials a pinned provider stops instead of building elsewhere."""
    accounts = provider["allowedAccountIds"]
    yield must(accounts.is_set(), "the provider works in any account")
    if allowed := context.settings["allowedAccounts"]:
        for account in accounts.each():
            yield must(account.among(allowed), "is not an account that may be used")
    yield must(provider["region"].among(context.settings["homeRegions"]), "is not a home region")


@rule(
    "FJ-RES-003",
    "Providers talk to the home region",
    Severity.HIGH,
    ("RES-1", "A.5.23"),
    (_PROVIDER,),
    "Remove endpoints that are of no home region; loopback is for labs.",
    settings={"homeRegions": _HOME_REGIONS},
)
def provider_endpoints(provider: Resource, context: Context) -> Checks:
    """An endpoint set by hand overrides the region."""
    regions = context.settings["homeRegions"]

    def at_home(url: object) -> bool:
        host = urlsplit(str(url)).hostname or ""
        return host in _LOOPBACK or (
            any(f".{region}." in host for region in regions) and host.endswith(".amazonaws.com")
        )

    for services in provider["endpoints"].each():
        for _, endpoint in services.entries():
            yield must(endpoint.test(at_home), "is an endpoint outside the home region")


RULES: tuple[Rule, ...] = (home_region, provider_pinned, provider_endpoints)
