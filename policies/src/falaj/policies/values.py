"""What a rule reads: plain values with a path, and facts that are true, false or not known yet."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pulumi_policy import proxy


class _Unknown:
    """A value that the engine knows only after an apply."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
"""Stands for every value that is not known yet; it is never equal to anything and never passes."""

# At preview the engine sends these strings in place of unknown values; `pulumi policy analyze --file` sends the last
# one in place of a secret, of whatever type, that it cannot decrypt.
_SENTINELS = frozenset(
    {
        proxy.UNKNOWN_BOOLEAN_VALUE,
        proxy.UNKNOWN_NUMBER_VALUE,
        proxy.UNKNOWN_STRING_VALUE,
        proxy.UNKNOWN_ARRAY_VALUE,
        proxy.UNKNOWN_OBJECT_VALUE,
        proxy.UNKNOWN_ASSET_VALUE,
        proxy.UNKNOWN_ARCHIVE_VALUE,
        "[secret]",
    }
)


_TRUE = ("1", "t", "T", "true", "True", "TRUE")


def decode(value: Any) -> Any:
    """Return the value as dicts, lists and scalars, each unknown in it as ``UNKNOWN``."""
    if isinstance(value, str):
        return UNKNOWN if value in _SENTINELS else value
    if isinstance(value, Mapping):
        return {str(key): _child(value, key) for key in value}
    if isinstance(value, Sequence):
        return [_child(value, index) for index in range(len(value))]
    return value


def decode_provider(value: Any) -> Any:
    """Return a provider's configuration: the engine holds all but its strings as JSON text."""
    decoded = decode(value)
    return {key: _from_json(text) for key, text in decoded.items()} if isinstance(decoded, dict) else decoded


def _child(container: Any, key: Any) -> Any:
    try:
        return decode(container[key])
    except proxy.UnknownValueError:
        return UNKNOWN


def _from_json(text: Any) -> Any:
    # A string such as an access key stays a string even if it looks like a number.
    if not isinstance(text, str) or (text[:1] not in ("[", "{") and text not in ("true", "false")):
        return text
    try:
        return decode(json.loads(text))
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement about a resource: true, false, or (``None``) undecided; ``at`` is the property that decided it.

    Facts combine by Kleene's logic, so that an unknown matters only where it could change the answer.
    """

    truth: bool | None
    at: str = ""

    def __and__(self, other: "Fact") -> "Fact":
        return self._least(other, (False, None))

    def __or__(self, other: "Fact") -> "Fact":
        return self._least(other, (True, None))

    def __invert__(self) -> "Fact":
        return Fact(None if self.truth is None else not self.truth, self.at)

    def __bool__(self) -> bool:
        raise TypeError("a fact may be undecided: combine facts with & | ~")

    def _least(self, other: "Fact", order: tuple[bool | None, ...]) -> "Fact":
        for truth in order:
            for fact in (self, other):
                if fact.truth is truth:
                    return fact
        return self


def any_of(facts: Iterable[Fact], at: str = "") -> Fact:
    """Return whether at least one fact holds; none does where there are none."""
    result = Fact(False, at)
    for fact in facts:
        result = result | fact
    return result


def all_of(facts: Iterable[Fact], at: str = "") -> Fact:
    """Return whether every fact holds."""
    return ~any_of((~fact for fact in facts), at)


@dataclass(frozen=True, slots=True)
class View:
    """A value and where it stands in its resource; what lies below an unknown is unknown, below nothing is nothing."""

    value: Any
    path: str = ""

    def __getitem__(self, key: str) -> "View":
        path = f"{self.path}.{key}" if self.path else key
        if self.value is None:
            return View(None, path)
        # A value of another shape than the rule expects says nothing: it must not pass for an absent one.
        return View(self.value.get(key) if isinstance(self.value, dict) else UNKNOWN, path)

    def each(self) -> Iterator["View"]:
        """Yield the elements of a list; one object or scalar counts as a list of itself."""
        if isinstance(self.value, list):
            yield from (View(element, f"{self.path}[{index}]") for index, element in enumerate(self.value))
        elif self.value is not None:
            yield self

    def entries(self) -> Iterator[tuple[str, "View"]]:
        """Yield the names and values of an object; an unknown object has one unknown entry of no name."""
        if isinstance(self.value, dict):
            yield from ((key, self[key]) for key in self.value)
        elif self.value is not None:
            yield "", View(UNKNOWN, self.path)

    def replaced(self, value: Any) -> Self:
        """Return another value at the same place, for example parsed text."""
        return type(self)(value, self.path)

    def test(self, predicate: Callable[[Any], bool]) -> Fact:
        """Return whether the value is there and the predicate holds for it.

        A value that is unknown, or that the predicate cannot read, is undecided.
        """
        if self.value is UNKNOWN:
            return Fact(None, self.path)
        try:
            return Fact(self.value is not None and predicate(self.value), self.path)
        except (TypeError, ValueError):
            return Fact(None, self.path)

    def equals(self, expected: Any) -> Fact:
        """Return whether the value is the expected one."""
        return self.test(lambda value: value == expected)

    def among(self, allowed: Iterable[Any]) -> Fact:
        """Return whether the value is one of the allowed ones."""
        choices = list(allowed)
        return self.test(lambda value: value in choices)

    def is_true(self) -> Fact:
        """Return whether it is switched on; some AWS types take that as text, in any of Go's spellings."""
        return self.test(lambda value: value is True or value in _TRUE)

    def is_set(self) -> Fact:
        """Return whether there is a value, and not an empty one."""
        return self.test(lambda value: value not in ("", [], {}))

    def contains(self, expected: Any) -> Fact:
        """Return whether a list holds the expected value."""
        return any_of((element.equals(expected) for element in self.each()), self.path)
