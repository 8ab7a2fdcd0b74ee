"""Which Kubernetes versions EKS supports until when, and each one's pinned add-ons: ``kubernetes_versions.toml``."""

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources

from falaj.components.errors import ConfigError

WARNED_DAYS = 60
"""Days before the end of standard support from which on a cluster is warned of it, as AWS itself gives notice."""
_FILE = "kubernetes_versions.toml"
_VERSION = re.compile(r"1\.\d+")


@dataclass(frozen=True)
class Support:
    """How long EKS supports a version; both dates are the first day without."""

    standard_until: date
    extended_until: date


@dataclass(frozen=True)
class KubernetesVersions:
    """What is known of EKS's versions."""

    support: Mapping[str, Support]
    """Support by version, the oldest version first."""
    addons: Mapping[str, Mapping[str, str]]
    """Versions of add-ons by the version of Kubernetes."""


@functools.cache
def kubernetes_versions() -> KubernetesVersions:
    """Return what the file says."""
    values = tomllib.loads(resources.files("falaj.components").joinpath(_FILE).read_text())
    support = {name: Support(**dates) for name, dates in values["versions"].items()}
    ordered = dict(sorted(support.items(), key=lambda item: _minor(item[0])))
    return KubernetesVersions(ordered, values["addons"]["versions"])


def check_version(field: str, version: str, on: date, *, served: bool = True) -> str | None:
    """Refuse a version that EKS does not support on that day; return the warning if the end is near.

    Where another API server stands in for EKS's (not ``served`` by EKS), an old version is warned of, not refused.
    """
    known = kubernetes_versions().support
    if version not in known:
        raise ConfigError(field, version, f"must be a Kubernetes version that {_FILE} knows: {', '.join(known)}")
    ends = known[version].standard_until
    if on >= ends and served:
        raise ConfigError(field, version, _past(version, ends, on))
    if on >= ends:
        return f"{field}: EKS's standard support of {version} ended on {ends}; the API server that stands in serves it"
    if on >= ends - timedelta(days=WARNED_DAYS):
        days = (ends - on).days
        return f"{field}: EKS's standard support of {version} ends on {ends}, in {days} days; plan {_next(version)}"
    return None


def pinned_addon(version: str, addon: str) -> str | None:
    """Return the add-on's pinned version for a version of Kubernetes, if a source was found for one."""
    return kubernetes_versions().addons.get(version, {}).get(addon)


def check_day(field: str, value: str | None) -> date:
    """Return the day that is meant: an ISO date, or today."""
    if value is None:
        return today()
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ConfigError(field, value, "must be a date such as 2027-01-31") from error


def today() -> date:
    """Return the day that it is."""
    return date.today()


def _past(version: str, ends: date, on: date) -> str:
    """Return the remedy for a version past its standard support: the next one that still has it."""
    known = kubernetes_versions().support
    supported = [name for name, support in known.items() if on < support.standard_until]
    if not supported:
        return f"must be a version in EKS's standard support, and {_FILE} knows none on {on}: bring it up to date"
    return (
        f"must be {supported[0]} or newer: EKS's standard support of {version} ended on {ends}."
        " A cluster goes up one minor version at a time"
    )


def _next(version: str) -> str:
    following = f"1.{_minor(version) + 1}"
    if following in kubernetes_versions().support:
        return f"the upgrade to {following}"
    return f"an upgrade, and add the next version to {_FILE}"


def _minor(version: str) -> int:
    assert _VERSION.fullmatch(version), version
    return int(version.partition(".")[2])
