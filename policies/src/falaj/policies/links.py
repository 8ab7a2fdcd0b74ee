"""Where a property of one resource leads: by where its value comes from, where the engine tells, else by value."""

from falaj.policies.model import Resource
from falaj.policies.values import Fact, any_of


def refers(resource: Resource, link: str, target: Resource, *names: str) -> Fact:
    """Return whether a property is one of the target's names; without names, whether it is the target's id."""
    if origins := resource.links.get(link):
        return Fact(target.urn in origins, link)
    known = [value for name in names or ("id",) if isinstance(value := target[name].value, str)]
    if not known:
        return resource[link].test(undecided)
    return any_of((resource[link].equals(value) for value in known), link)


def holds(resource: Resource, link: str, target: Resource) -> Fact:
    """Return whether a list holds the target's id."""
    if origins := resource.links.get(link):
        return Fact(target.urn in origins, link)
    identity = target["id"].value
    each = (
        element.equals(identity) if isinstance(identity, str) else element.test(undecided)
        for element in resource[link].each()
    )
    return any_of(each, link)


def agree(one: Resource, other: Resource, link: str) -> Fact:
    """Return whether two resources have the same value of a property."""
    mine, yours = one.links.get(link), other.links.get(link)
    if mine and yours:
        return Fact(bool(mine & yours), link)
    value = other[link].value
    return one[link].equals(value) if isinstance(value, str) else one[link].test(undecided)


def undecided(_: object) -> bool:
    """Leave it open: what it would be compared with is not known."""
    raise ValueError
