"""Checks of plain values that several components share; each returns the value it accepts."""

import re
from collections.abc import Sequence

from falaj.components.errors import ConfigError

_DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_QUANTITY = re.compile(r"[1-9]\d*(Mi|Gi|Ti)")
_PRINCIPAL = re.compile(r"arn:aws:iam::\d{12}:(root|(role|user)/[\w+=,.@/-]+)")


def bounded(field: str, value: float, low: int, high: int, unit: str = "") -> int:
    """Return ``value`` as a whole number from ``low`` to ``high``; the component host hands integers over as floats."""
    if isinstance(value, bool) or value != int(value) or not low <= value <= high:
        raise ConfigError(field, value, f"must be a whole number from {low} to {high}{unit and ' ' + unit}")
    return int(value)


def dns_label(field: str, value: str, longest: int = 63) -> str:
    """Return ``value`` if it is a lower-case DNS label, which AWS, Kubernetes and Vault all take as a name."""
    if not _DNS_LABEL.fullmatch(value) or len(value) > longest:
        raise ConfigError(
            field, value, f"must be lower-case letters, digits and hyphens, start with a letter, at most {longest} long"
        )
    return value


def principals(field: str, values: Sequence[str]) -> list[str]:
    """Return the IAM principals, refusing anything that names more than one of them, such as a wildcard."""
    for value in values:
        if not _PRINCIPAL.fullmatch(value):
            raise ConfigError(field, value, "must be ARNs of IAM roles or users without wildcards")
    return list(values)


def quantity(field: str, value: str) -> str:
    """Return the amount if Kubernetes writes memory so, in powers of 1024."""
    if not _QUANTITY.fullmatch(value):
        raise ConfigError(field, value, "must be an amount of memory such as 512Mi or 64Gi")
    return value
