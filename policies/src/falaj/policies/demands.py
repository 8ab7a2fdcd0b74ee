"""Demands that many types share, as tables: which property of which type must be how."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import reduce

from falaj.policies.model import Checks, Context, Resource, must
from falaj.policies.values import Fact, View

Holds = Callable[[View], Fact]
"""What a property must be."""
Table = Mapping[str, Mapping[str, Holds]]
"""For each type, its properties by dotted path, and what they must be."""


def at(resource: Resource, path: str) -> View:
    """Return the property at a dotted path."""
    return reduce(View.__getitem__, path.split("."), resource.properties)


def demanded(resource: Resource, table: Table, message: str) -> Checks:
    """Demand what a table says of the resource's type."""
    for path, holds in table[resource.type].items():
        yield must(holds(at(resource, path)), message)


def customer_key(key: View) -> Fact:
    """Return whether a key is named, and not by the alias of one of AWS's own, which nobody can revoke."""
    return key.is_set() & ~key.test(lambda name: "alias/aws/" in str(name))


def on(switch: View) -> Fact:
    """Return whether something is switched on, where leaving it out means off."""
    return switch.is_true()


def not_off(switch: View) -> Fact:
    """Return whether something is on, where leaving it out means on."""
    return ~switch.is_set() | switch.is_true()


def not_on(switch: View) -> Fact:
    """Return whether something is off, where leaving it out means off."""
    return ~switch.is_true()


def one_of(*values: object) -> Holds:
    """Demand one of the values."""
    return lambda view: view.among(values)


def none_of(*values: object) -> Holds:
    """Demand another value than these, or none."""
    return lambda view: ~view.among(values)


def at_least(least: float) -> Holds:
    """Demand a number that is not smaller."""
    return lambda view: view.test(lambda number: float(number) >= least)


def companions_by(
    key: str, target: Resource, context: Context, types: Iterable[str], link: str
) -> list[tuple[Resource, Fact]]:
    """Return companions that refer to the target by another property than its id, for example its name or its ARN."""
    known = View({"id": target["id"].value, link: target[key].value})
    return context.graph.companions(replace(target, properties=known), types, link)
