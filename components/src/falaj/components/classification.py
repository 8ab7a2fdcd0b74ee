"""How sensitive data is: the word that decides keys, retention and reach."""

from enum import StrEnum

from falaj.components.errors import ConfigError


class Classification(StrEnum):
    """Classification of data, from open to closely held."""

    PUBLIC = "public"
    """May be published."""
    INTERNAL = "internal"
    """For everyone in the organisation."""
    CONFIDENTIAL = "confidential"
    """For named groups."""
    RESTRICTED = "restricted"
    """For named people and workloads; the strictest handling."""


_ORDER = list(Classification)


def reaches(data: Classification, level: Classification) -> bool:
    """Tell whether data is classified ``level`` or higher."""
    return _ORDER.index(data) >= _ORDER.index(level)


def check_key_covers(field: str, data: Classification, key: Classification) -> None:
    """Refuse a key that is classified lower than the data: its users would reach more than they are cleared for."""
    if not reaches(key, data):
        raise ConfigError(field, key.value, f"must be a key classified {data.value} or higher, as the data is")
