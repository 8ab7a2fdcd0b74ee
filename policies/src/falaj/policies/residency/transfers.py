"""The transfer register: by which entry, basis and owner, and until when, something may leave the home region."""

import datetime
import functools
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

from falaj.policies.errors import RefusedError
from falaj.policies.residency.places import GLOBAL, REGIONS, country

DEFAULT = "uae-restricted"
"""The regime of who names none: the strictest."""
CLASSIFICATIONS = ("public", "internal", "confidential", "restricted")
"""What the data of a transfer may be classified as."""
_TEXTS = ("id", "resource", "basis", "article", "owner", "classification")
_LISTS = ("rules", "destinations")
_NAMES = (*_TEXTS, *_LISTS, "expires")
_HOST = re.compile(r"\.?[a-z0-9-]+(\.[a-z0-9-]+)+")


@dataclass(frozen=True, slots=True)
class Regime:
    """A residency regime: a parameter of the rules, not a claim about the law."""

    name: str
    title: str
    home: tuple[str, ...]
    """Regions that data stays in."""
    source: str
    """The text that it answers."""
    bases: Mapping[str, str]
    """On what a transfer may lean, by short name."""


@functools.cache
def regimes() -> Mapping[str, Regime]:
    """Return the regimes by name, as ``regimes.toml`` has them."""
    text = resources.files("falaj.policies.residency").joinpath("regimes.toml").read_text()
    return {
        name: Regime(name, each["title"], tuple(each["home"]), each["source"], each["bases"])
        for name, each in tomllib.loads(text).items()
    }


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer that somebody answers for."""

    id: str
    resource: str
    """URN of what lets data out; ``*`` stands for any text and ``?`` for one character."""
    rules: tuple[str, ...]
    """Ids of the rules that it answers."""
    destinations: tuple[str, ...]
    """Regions, countries by two letters, ``global`` for the edge, or hosts; ``.example.com`` is all below it."""
    basis: str
    """One of the bases that the regime knows."""
    article: str
    """Which text and article, or which approval, it leans on."""
    owner: str
    classification: str
    """Highest classification of the data."""
    expires: datetime.date
    """The last day on which it holds."""

    def covers(self, rule: str, urn: str, place: str) -> bool:
        """Return whether it is about this rule, this resource and this destination."""
        return rule in self.rules and fnmatchcase(urn, self.resource) and bool(place) and self._reaches(place)

    def _reaches(self, place: str) -> bool:
        below = f".{place}"
        named = (place, country(place))
        return any(each in named or (each.startswith(".") and below.endswith(each)) for each in self.destinations)

    def __str__(self) -> str:
        return f"leaves by transfer {self.id} of the register, until {self.expires} by {self.owner}: {self.article}"


@dataclass(frozen=True, slots=True)
class Register:
    """The entries of a register and the day on which it is read; without a day no entry holds."""

    entries: tuple[Transfer, ...] = ()
    today: datetime.date | None = None

    def find(self, rule: str, urn: str, place: str) -> list[Transfer]:
        """Return the entries for what leaves, those that hold longest first."""
        found = [entry for entry in self.entries if entry.covers(rule, urn, place)]
        return sorted(found, key=lambda entry: entry.expires, reverse=True)

    @property
    def expired(self) -> list[Transfer]:
        """Entries that hold no longer."""
        return [entry for entry in self.entries if self.today is not None and entry.expires < self.today]

    def unused(self, notes: Iterable[str]) -> list[Transfer]:
        """Return the entries by which nothing leaves, given the notes of every judgement."""
        told = "\n".join(notes)
        return [entry for entry in self.entries if entry not in self.expired and str(entry) not in told]


def read_transfers(path: Path, rules: Iterable[str], regime: str = DEFAULT) -> list[Transfer]:
    """Read a register file: TOML with a list ``transfers``.

    Raises ``RefusedError`` for whatever is missing, unknown or too much; an entry that has expired is read.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RefusedError(str(path), str(error).splitlines()[0], "must be TOML") from None
    entries = given.get("transfers", [])
    if set(given) - {"transfers"} or not isinstance(entries, list):
        raise RefusedError(str(path), sorted(given), "must have a list [[transfers]] and nothing else")
    return read_entries(entries, regime, rules, str(path))


def read_entries(
    entries: Sequence[Any], regime: str = DEFAULT, rules: Iterable[str] | None = None, at: str = "register"
) -> list[Transfer]:
    """Read entries of plain values; ids stand once, and rules and bases are known ones."""
    known = None if rules is None else frozenset(rules)
    read = [_entry(f"{at}: transfers[{number}]", entry, regime, known) for number, entry in enumerate(entries)]
    ids = [entry.id for entry in read]
    for entry in read:
        if ids.count(entry.id) > 1:
            raise RefusedError(f"{at}: id", entry.id, "must stand once")
    return read


def _entry(at: str, entry: Any, regime: str, rules: frozenset[str] | None) -> Transfer:
    if isinstance(entry, Transfer):
        return entry
    if not isinstance(entry, Mapping) or set(entry) != set(_NAMES):
        raise RefusedError(at, sorted(entry) if isinstance(entry, Mapping) else entry, f"must have {', '.join(_NAMES)}")
    for name in _TEXTS:
        if not isinstance(entry[name], str) or not entry[name].strip():
            raise RefusedError(f"{at}.{name}", entry[name], "must be text")
    ids, destinations = (_texts(f"{at}.{name}", entry[name]) for name in _LISTS)
    _check(f"{at}.resource", entry["resource"], entry["resource"].startswith("urn:pulumi:"), "a URN or its pattern")
    _check(f"{at}.classification", entry["classification"], entry["classification"] in CLASSIFICATIONS, "a known one")
    bases = regimes()[regime].bases
    _check(f"{at}.basis", entry["basis"], entry["basis"] in bases, f"one that {regime} knows: {', '.join(bases)}")
    for named in ids:
        _check(f"{at}.rules", named, rules is None or named in rules, "ids of rules")
    for named in destinations:
        remedy = "regions, countries by two letters, global, or hosts"
        _check(f"{at}.destinations", named, _is_destination(named), remedy)
    texts = {name: str(entry[name]) for name in _TEXTS}
    return Transfer(**texts, rules=ids, destinations=destinations, expires=_day(f"{at}.expires", entry["expires"]))


def _check(at: str, value: object, holds: bool, remedy: str) -> None:
    if not holds:
        raise RefusedError(at, value, f"must be {remedy}")


def _texts(at: str, value: Any) -> tuple[str, ...]:
    good = isinstance(value, list) and value and all(isinstance(each, str) and each.strip() for each in value)
    _check(at, value, bool(good), "a list of texts, with one at least")
    return tuple(value)


def _is_destination(named: str) -> bool:
    return named in REGIONS or named in REGIONS.values() or named == GLOBAL or bool(_HOST.fullmatch(named))


def _day(at: str, value: Any) -> datetime.date:
    """Return a day that TOML gives as such and JSON as text."""
    try:
        day = datetime.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        day = None
    if not isinstance(day, datetime.date) or isinstance(day, datetime.datetime):
        raise RefusedError(at, value, "must be a day, as in 2027-01-31")
    return day
