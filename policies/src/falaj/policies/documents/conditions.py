"""Conditions of policy documents: whom they bound, whom they spare, and whether they hold for a request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

import datetime
import ipaddress
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from falaj.policies.documents.patterns import Request, expand, glob, matches, resolve
from falaj.policies.values import Fact, View, all_of, any_of

# Operators that demand a value; ``...IfExists`` and ``ForAllValues:`` also match without one, as for anonymous callers.
_DEMANDING = re.compile(r"(foranyvalue:)?(string(equals|equalsignorecase|like)|arn(equals|like))")
_SPARING = re.compile(r"string(notequals|notequalsignorecase|notlike)(ifexists)?|arnnot(equals|like)(ifexists)?")
_ONLY_WILDCARDS = re.compile(r"[*?:]*")
_OPERATOR = re.compile(r"(?:(forallvalues|foranyvalue):)?([a-z]+?)(ifexists)?")


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of one statement; every key of every operator has to hold."""

    view: View

    def demands(self, keys: Iterable[str]) -> Fact:
        """Return whether a request needs a named value, not wildcards alone, for one of the keys.

        A key may have wildcards, such as ``aws:resourcetag/*`` or ``*:sub``.
        """
        return any_of(
            (all_of((_names_one(key, value) for value in values.each()), values.path) & values.is_set())
            for operation, key, values in self._entries()
            if (not operation or _DEMANDING.fullmatch(operation)) and (not key or _among(key, keys))
        )

    def demands_true(self, key: str) -> Fact:
        """Return whether a request needs the value true for the key."""
        return any_of(
            all_of((value.test(lambda text: _text(text).lower() == "true") for value in values.each()), values.path)
            & values.is_set()
            for operation, name, values in self._entries()
            if operation in ("", "bool", "stringequals") and name in ("", key)
        )

    def spares_only(self, keys: Iterable[str]) -> Fact:
        """Return whether it holds for every request but those with a named value for one of the keys."""
        return all_of(
            all_of((_names_one(key, value) for value in values.each()), values.path) & values.is_set()
            if not operation or (_SPARING.fullmatch(operation) and (not key or _among(key, keys)))
            else Fact(False, values.path)
            for operation, key, values in self._entries()
        )

    def values_of(self, key: str) -> Iterator[View]:
        """Yield the values that are compared with a key, which may have wildcards, by whichever operator."""
        for _, values in self.comparisons(key):
            yield from values.each()

    def comparisons(self, key: str) -> Iterator[tuple[str, View]]:
        """Yield the operators that look at a key, in small letters, with their values; unknown ones have no name."""
        for operation, name, values in self._entries():
            if not name or matches(key, name):
                yield operation, values

    def values(self) -> Iterator[View]:
        """Yield every value that it compares something with."""
        for _, _, values in self._entries():
            yield from values.each()

    def holds(self, request: Request | None, *, variables: bool = True) -> Fact:
        """Return whether it holds for a request; without a request only an absent condition is decided."""
        if request is None:
            return Fact(None, self.view.path) if self.view.is_set().truth is not False else Fact(True, self.view.path)
        return all_of(
            (_holds(operation, key, values, request, variables) for operation, key, values in self._entries()),
            self.view.path,
        )

    def _entries(self) -> Iterator[tuple[str, str, View]]:
        for operation, keys in self.view.entries():
            for key, values in keys.entries():
                yield operation.lower(), key.lower(), values


def _among(key: str, keys: Iterable[str]) -> bool:
    return any(matches(each, key) for each in keys)


def _names_one(key: str, value: View) -> Fact:
    """Return whether a condition's value names something: no wildcards alone, no ARN of any account, not itself."""

    def named(text: Any) -> bool:
        fields = str(text).split(":", 5)
        account = fields[4] if fields[0] == "arn" and len(fields) == 6 else ""
        itself = str(text).lower() == f"${{{key}}}"
        return not _ONLY_WILDCARDS.fullmatch(str(text)) and "*" not in account and "?" not in account and not itself

    return value.test(named)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _holds(operation: str, key: str, values: View, request: Request, variables: bool) -> Fact:
    parsed = _OPERATOR.fullmatch(operation)
    if not parsed or not key:
        return Fact(None, values.path)
    several, base, if_exists = parsed.groups()
    asked = request.get(key)
    if base == "null":
        return any_of(
            value.test(lambda text: (_text(text).lower() == "true") is (asked is None)) for value in values.each()
        )
    negated, compare = _comparison(base)
    if compare is None:
        return Fact(None, values.path)
    if asked is None or asked == []:
        return Fact(_without_key(several, negated, bool(if_exists)), values.path)
    found = [asked] if isinstance(asked, str) else list(asked)
    if several is None and len(found) != 1:
        return Fact(None, values.path)
    known = request if variables else None

    def one(text: str) -> Fact:
        hits = (value.test(lambda wanted: _compared(compare, _text(wanted), text, known)) for value in values.each())
        hit = any_of(hits, values.path)
        return ~hit if negated else hit

    return (any_of if several == "foranyvalue" else all_of)((one(text) for text in found), values.path)


def _without_key(several: str | None, negated: bool, if_exists: bool) -> bool | None:
    """Return whether an operator holds for a request that does not have the key."""
    if several == "foranyvalue":
        return None if if_exists else False  # AWS does not document which of the two decides.
    return if_exists or several == "forallvalues" or negated


_Comparison = Callable[[str, str], bool]


def _compared(compare: _Comparison, wanted: str, text: str, request: Request | None) -> bool:
    """Compare with the request's values in the place of variables; one without a value is equal to nothing."""
    if compare in _WITH_WILDCARDS:
        pattern = expand(wanted, request) if request is not None else expand(wanted.replace("$", "${$}"), {})
        return pattern is not None and compare(pattern, text)
    plain = resolve(wanted, request) if request is not None else wanted
    return plain is not None and compare(plain, text)


def _comparison(base: str) -> tuple[bool, _Comparison | None]:
    """Return whether an operator negates, and how it compares a policy's value with a request's."""
    if base in _COMPARISONS:
        return False, _COMPARISONS[base]
    return True, _COMPARISONS.get(base.replace("not", "", 1))


def _arn_like(pattern: str, text: str) -> bool:
    """Compare field by field: a wildcard does not reach over a colon, but in the last field."""
    wanted, found = pattern.split(":", 5), text.split(":", 5)
    return len(wanted) == len(found) == 6 and all(map(glob, wanted, found))


def _number(compare: Callable[[float, float], bool]) -> _Comparison:
    return lambda wanted, text: compare(float(text), float(wanted))


def _date(compare: Callable[[float, float], bool]) -> _Comparison:
    return lambda wanted, text: compare(_moment(text), _moment(wanted))


def _moment(text: str) -> float:
    return float(text) if text.isdigit() else datetime.datetime.fromisoformat(text).timestamp()


def _in_range(wanted: str, text: str) -> bool:
    return ipaddress.ip_address(text) in ipaddress.ip_network(wanted, strict=False)


def _same_case_ignored(wanted: str, text: str) -> bool:
    return wanted.lower() == text.lower()


_ORDERS = {
    "equals": operator.eq,
    "lessthan": operator.lt,
    "lessthanequals": operator.le,
    "greaterthan": operator.gt,
    "greaterthanequals": operator.ge,
}
_COMPARISONS: dict[str, _Comparison] = {
    "stringequals": operator.eq,
    "stringequalsignorecase": _same_case_ignored,
    "stringlike": glob,
    "arnequals": _arn_like,
    "arnlike": _arn_like,
    "bool": _same_case_ignored,
    "binaryequals": operator.eq,
    "ipaddress": _in_range,
    **{f"numeric{name}": _number(order) for name, order in _ORDERS.items()},
    **{f"date{name}": _date(order) for name, order in _ORDERS.items()},
}
_WITH_WILDCARDS = (glob, _arn_like)
