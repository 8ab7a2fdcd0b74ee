"""What the emulated provider only records: state without a thing in AWS, so that some of it cannot be compared.

All of it follows from the provider's own list of the types that it enacts.
"""

from collections.abc import Iterable

from falaj.lab.provider.aws import ENACTED


def is_recorded(token: str) -> bool:
    """Say whether a type is one of AWS's and not enacted by the emulated provider."""
    return token.startswith("aws:") and token not in ENACTED


def enacted(types: Iterable[str]) -> frozenset[str]:
    """Return the types of AWS that the emulated provider enacts."""
    return frozenset(types) & frozenset(ENACTED)
