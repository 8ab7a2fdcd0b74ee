"""Waivers: reviewed decisions to live with a failure until a day; a waived failure is never a pass."""

import datetime
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from falaj.policies.errors import RefusedError

_NAMES = ("rule", "resource", "reason", "owner", "expires")


@dataclass(frozen=True, slots=True)
class Waiver:
    """One failure that somebody answers for."""

    rule: str
    """Id of the rule."""
    resource: str
    """URN of the resource; ``*`` stands for any text and ``?`` for one character."""
    reason: str
    owner: str
    expires: datetime.date
    """The last day on which it holds."""

    def covers(self, rule: str, urn: str) -> bool:
        """Return whether it is about this rule and resource."""
        return rule == self.rule and fnmatchcase(urn, self.resource)

    def __str__(self) -> str:
        return f"waived until {self.expires} by {self.owner}: {self.reason}"


class Waivers:
    """The waivers of a run, and which of them it needed."""

    def __init__(self, waivers: Iterable[Waiver], today: datetime.date) -> None:
        listed = list(waivers)
        self.today = today
        """The day of the run."""
        self.expired = [waiver for waiver in listed if waiver.expires < today]
        """Those that hold no longer."""
        self._valid = [waiver for waiver in listed if waiver.expires >= today]
        self._used: set[Waiver] = set()

    def find(self, rule: str, urn: str) -> Waiver | None:
        """Return the waiver that holds for a failure, if there is one, and remember that it was needed."""
        for waiver in self._valid:
            if waiver.covers(rule, urn):
                self._used.add(waiver)
                return waiver
        return None

    @property
    def unused(self) -> list[Waiver]:
        """Those that hold and that no failure needed."""
        return [waiver for waiver in self._valid if waiver not in self._used]


def read_waivers(path: Path, rules: Iterable[str]) -> list[Waiver]:
    """Read a waiver file: TOML with a list ``waivers``, each with rule, resource, reason, owner and expires.

    Raises ``RefusedError`` for a rule that there is not, a date that is none, and whatever is missing or too much.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RefusedError(str(path), str(error).splitlines()[0], "must be TOML") from None
    entries = given.get("waivers", [])
    if set(given) - {"waivers"} or not isinstance(entries, list):
        raise RefusedError(str(path), sorted(given), "must have a list [[waivers]] and nothing else")
    known = frozenset(rules)
    return [_waiver(f"{path}: waivers[{number}]", entry, known) for number, entry in enumerate(entries)]


def _waiver(at: str, entry: Any, rules: frozenset[str]) -> Waiver:
    if not isinstance(entry, Mapping) or set(entry) != set(_NAMES):
        raise RefusedError(at, sorted(entry) if isinstance(entry, Mapping) else entry, f"must have {', '.join(_NAMES)}")
    for name in _NAMES[:-1]:
        if not isinstance(entry[name], str) or not entry[name].strip():
            raise RefusedError(f"{at}.{name}", entry[name], "must be text")
    if entry["rule"] not in rules:
        raise RefusedError(f"{at}.rule", entry["rule"], "must be the id of a rule; `falaj-policy rules` lists them")
    if not entry["resource"].startswith("urn:pulumi:"):
        raise RefusedError(
            f"{at}.resource", entry["resource"], "must be a URN or a pattern that begins with urn:pulumi:"
        )
    expires = entry["expires"]
    if not isinstance(expires, datetime.date) or isinstance(expires, datetime.datetime):
        raise RefusedError(f"{at}.expires", expires, "must be a day, as in expires = 2027-01-31")
    return Waiver(entry["rule"], entry["resource"], entry["reason"], entry["owner"], expires)
