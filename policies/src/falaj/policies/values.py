"""What a rule reads: plain values with a path, and facts that are true, false or not known yet."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self


class _Unknown:
    """A value that the engine knows only after an apply."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
"""Stands for every value that is not known yet; it is never equal to anything and never passes."""

_TRUE = ("1", "t", "T", "true", "True", "TRUE")


class Fact(NamedTuple):
    """A statement about a resource: true, false, or (``None``) undecided; ``at`` is the property that decided it.

    Facts combine by Kleene's logic, so that an unknown matters only where it could change the answer. A large stack
    makes millions of them, and a tuple is made four times as fast as a frozen dataclass.
    """

    truth: bool | None
    at: str = ""

    def __and__(self, other: "Fact") -> "Fact":
        first = self.truth is False or other.truth is True or (self.truth is None and other.truth is None)
        return self if first else other

    def __or__(self, other: "Fact") -> "Fact":
        first = self.truth is True or other.truth is False or (self.truth is None and other.truth is None)
        return self if first else other

    def __invert__(self) -> "Fact":
        return Fact(None if self.truth is None else not self.truth, self.at)

    def __bool__(self) -> bool:
        raise TypeError("a fact may be undecided: combine facts with & | ~")

    def and_then(self, other: "Callable[[], Fact]") -> "Fact":
        """Return this fact & another, which is worked out only where it matters."""
        return self if self.truth is False else self & other()


def any_of(facts: Iterable[Fact], at: str = "") -> Fact:
    """Return whether at least one fact holds; none does where there are none. After one that holds none is asked."""
    result = Fact(False, at)
    for fact in facts:
        if fact.truth is True:
            return fact
        if fact.truth is None and result.truth is False:
            result = fact
    return result


def all_of(facts: Iterable[Fact], at: str = "") -> Fact:
    """Return whether every fact holds."""
    return ~any_of((~fact for fact in facts), at)


@dataclass(slots=True)
class View:
    """A value and where it stands in its resource; what lies below an unknown is unknown, below nothing is nothing.

    Nobody changes one. It is not frozen only because that makes it three times as slow to make, a million times over.
    """

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
        """Return whether the value is the expected one, which may be unknown itself."""
        if self.value is UNKNOWN or (expected is UNKNOWN and self.value is not None):
            return Fact(None, self.path)
        return Fact(self.value is not None and self.value == expected, self.path)

    def among(self, allowed: Iterable[Any]) -> Fact:
        """Return whether the value is one of the allowed ones, some of which may be unknown."""
        choices = list(allowed)
        found = self.test(lambda value: value in choices)
        open_ = found.truth is False and self.value is not None and any(choice is UNKNOWN for choice in choices)
        return Fact(None, self.path) if open_ else found

    def is_true(self) -> Fact:
        """Return whether it is switched on; some AWS types take that as text, in any of Go's spellings."""
        return self.test(lambda value: value is True or value in _TRUE)

    def is_set(self) -> Fact:
        """Return whether there is a value, and not an empty one."""
        return self.test(lambda value: value not in ("", [], {}))

    def contains(self, expected: Any) -> Fact:
        """Return whether a list holds the expected value."""
        return any_of((element.equals(expected) for element in self.each()), self.path)
