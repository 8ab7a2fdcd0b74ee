"""Which versions of Kubernetes EKS gives standard support on a day: ``kubernetes_support.toml``."""

import datetime
import functools
import tomllib
from collections.abc import Mapping
from importlib import resources


def in_standard_support(version: str, today: str | datetime.date) -> bool:
    """Return whether a version has standard support on a day, such as ``2027-01-31``.

    Versions end in their order, so one that is older than the table has ended, and one that is newer has not while the
    newest in it has not. Raises ``ValueError`` where neither says so, and for what is no version or no day.
    """
    day = datetime.date.fromisoformat(today) if isinstance(today, str) else today
    ends, asked = _ends(), _number(version)
    if asked in ends:
        return day < ends[asked]
    if asked < min(ends):
        return False
    if asked > max(ends) and day < ends[max(ends)]:
        return True
    raise ValueError("the table does not know the version")


@functools.cache
def _ends() -> Mapping[tuple[int, ...], datetime.date]:
    """Return the first day without standard support of each version."""
    text = resources.files("falaj.policies").joinpath("kubernetes_support.toml").read_text()
    return {_number(name): day for name, day in tomllib.loads(text)["standard_until"].items()}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
