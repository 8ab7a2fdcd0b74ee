"""The residency rules that hold: where data and keys stay, and whose they are."""

import re
from collections.abc import Sequence
from typing import NotRequired, TypedDict

from falaj.components.errors import ConfigError

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ACCOUNT = re.compile(r"\d{12}")


class Regime(TypedDict):
    """One home region and one account; everything a component makes stays inside both."""

    home_region: str
    """Region that data and keys never leave, for example ``me-central-1``."""
    account_id: str
    """The AWS account, 12 digits."""
    name: NotRequired[str]
    """Name of the rules, for example ``uae-restricted``; shown in tags. Default: ``home-region``."""


def check_regime(field: str, regime: Regime) -> None:
    """Refuse a regime whose region or account could not be real."""
    if not _REGION.fullmatch(regime["home_region"]):
        raise ConfigError(f"{field}.home_region", regime["home_region"], "must be a region such as me-central-1")
    if not _ACCOUNT.fullmatch(regime["account_id"]):
        raise ConfigError(f"{field}.account_id", regime["account_id"], "must be the 12 digits of an AWS account")


def check_zones(field: str, zones: Sequence[str], region: str) -> list[str]:
    """Return the zones if there are two to six different ones (EKS wants two), all of the home region."""
    for zone in zones:
        if not re.fullmatch(f"{region}[a-z]", zone):
            raise ConfigError(field, zone, f"must be zones of the home region, such as {region}a")
    if not 2 <= len(zones) <= 6 or len(set(zones)) != len(zones):
        raise ConfigError(field, list(zones), "must be 2 to 6 different zones")
    return list(zones)


def root_of(account_id: str) -> str:
    """Return the principal that stands for every identity of the account to which IAM grants an action."""
    return f"arn:aws:iam::{account_id}:root"
