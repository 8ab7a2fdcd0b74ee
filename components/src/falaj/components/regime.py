"""The residency rules that hold: where data and keys stay, whose they are, and how long records are kept."""

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import NotRequired, TypedDict

from falaj.components.classification import Classification
from falaj.components.errors import ConfigError

DEFAULT = "uae-restricted"
"""The regime of who names none: the strictest."""
_ACCOUNT = re.compile(r"\d{12}")
_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")


class Regime(TypedDict):
    """One home region and one account; everything a component makes stays inside both."""

    home_region: str
    """Region that data and keys never leave, for example ``me-central-1``."""
    account_id: str
    """The AWS account, 12 digits."""
    name: NotRequired[str]
    """Name of the rules: ``uae-restricted``, ``uae-general`` or ``gdpr``. Default: ``uae-restricted``."""
    organization_id: NotRequired[str]
    """The AWS organization, for example ``o-a1b2c3d4e5``: whoever is outside it is refused. Default: none."""


@dataclass(frozen=True)
class RegimeRules:
    """What a regime allows and asks for; days are minimums by classification."""

    name: str
    title: str
    regions: tuple[str, ...]
    """Regions that may be home."""
    key_origins: tuple[str, ...]
    """Where key material may come from: ``aws``, ``imported``, ``external``."""
    customer_key_from: Classification
    """Lowest classification whose data needs a customer-managed key."""
    lock_from: Classification
    """Lowest classification whose records and models nobody may alter or delete before their time."""
    scratch_to: Classification
    """Highest classification that a scratch store may hold."""
    log_days: Mapping[Classification, int]
    """Days that operational logs are kept."""
    record_days: Mapping[Classification, int]
    """Days that audit records are kept."""
    backup_days: Mapping[Classification, int]
    """Days that backups are kept."""
    sources: Mapping[str, str]
    """Where each of these comes from, by its name."""


@functools.cache
def regimes() -> Mapping[str, RegimeRules]:
    """Return the regimes by name, as ``regimes.toml`` has them."""
    text = resources.files("falaj.components").joinpath("regimes.toml").read_text()
    return {name: _rules(name, values) for name, values in tomllib.loads(text).items()}


def rules_of(regime: Regime) -> RegimeRules:
    """Return the rules of a regime whose name `check_regime` accepted."""
    return regimes()[regime.get("name", DEFAULT)]


def check_regime(field: str, regime: Regime) -> None:
    """Refuse a regime that is unknown, or whose region, account or organization it could not be."""
    name = regime.get("name", DEFAULT)
    if name not in regimes():
        raise ConfigError(f"{field}.name", name, f"must be one of {', '.join(regimes())}")
    allowed = rules_of(regime).regions
    if regime["home_region"] not in allowed:
        remedy = f"must be a region that {name} allows: {', '.join(allowed)}"
        raise ConfigError(f"{field}.home_region", regime["home_region"], remedy)
    if not _ACCOUNT.fullmatch(regime["account_id"]):
        raise ConfigError(f"{field}.account_id", regime["account_id"], "must be the 12 digits of an AWS account")
    organization = regime.get("organization_id")
    if organization is not None and not _ORGANIZATION.fullmatch(organization):
        raise ConfigError(f"{field}.organization_id", organization, "must be an organization such as o-a1b2c3d4e5")


def check_zones(field: str, zones: Sequence[str], region: str) -> list[str]:
    """Return the zones if there are two to six different ones (EKS wants two), all of the home region."""
    for zone in zones:
        if not re.fullmatch(f"{region}[a-z]", zone):
            raise ConfigError(field, zone, f"must be zones of the home region, such as {region}a")
    if not 2 <= len(zones) <= 6 or len(set(zones)) != len(zones):
        raise ConfigError(field, list(zones), "must be 2 to 6 different zones")
    return list(zones)


def at_least(field: str, days: int, minimum: int, regime_name: str) -> int:
    """Return a retention, refusing one that is shorter than what the regime asks for."""
    if days < minimum:
        remedy = f"must be at least {minimum} days, as {regime_name} asks for this classification"
        raise ConfigError(field, days, remedy)
    return days


def root_of(account_id: str) -> str:
    """Return the principal that stands for every identity of the account to which IAM grants an action."""
    return f"arn:aws:iam::{account_id}:root"


def _rules(name: str, values: Mapping[str, object]) -> RegimeRules:
    """Return a regime from its table; a name that is missing or unknown is an error of ours."""
    given = dict(values)
    for key in ("customer_key_from", "lock_from", "scratch_to"):
        given[key] = Classification(str(given[key]))
    for key in ("log_days", "record_days", "backup_days"):
        days = given[key]
        assert isinstance(days, dict) and set(days) == set(Classification), f"{name}.{key} misses a classification"
        given[key] = {Classification(level): number for level, number in days.items()}
    for key in ("regions", "key_origins"):
        listed = given[key]
        assert isinstance(listed, list)
        given[key] = tuple(listed)
    return RegimeRules(name=name, **given)  # pyright: ignore[reportArgumentType] - a test compares every type
