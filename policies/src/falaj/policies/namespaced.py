"""Where an object of Kubernetes lies, and which pods a selector chooses."""

from falaj.policies.links import Candidates
from falaj.policies.model import Graph, Resource
from falaj.policies.values import UNKNOWN, Fact, View, all_of

NAMESPACE = "kubernetes:core/v1:Namespace"


def namespace_of(resource: Resource) -> View:
    """Return the name of the namespace that the object lies in: its own word, its provider's, or Kubernetes's."""
    own = resource["metadata"]["namespace"]
    if own.value is None:
        own = own.replaced(resource.provider["namespace"].value)
    return own.replaced("default") if own.value is None else own


def near(graph: Graph, types: tuple[str, ...], place: View, *origins: str) -> list[Resource]:
    """Return the objects that may lie in a namespace, by its name or by where their metadata comes from."""
    found = graph.once(
        ("near", types),
        lambda: Candidates(
            graph.of(types), lambda each: (namespace_of(each).value, *each.links.get("metadata", frozenset()))
        ),
    )
    return found.meant_by(place.value, *origins)


def around(graph: Graph, resource: Resource) -> list[Resource]:
    """Return the namespaces that an object may lie in."""
    found = graph.once(
        "namespaces",
        lambda: Candidates(graph.of((NAMESPACE,)), lambda each: (each["metadata"]["name"].value, each.urn)),
    )
    return found.meant_by(namespace_of(resource).value, *resource.links.get("metadata", frozenset()))


def lies_in(resource: Resource, namespace: Resource) -> Fact:
    """Return whether the object lies in the namespace; before names are known, what they come from tells."""
    place = namespace_of(resource)
    if namespace.urn in resource.links.get("metadata", ()):
        if place.value is UNKNOWN:
            return Fact(True, place.path)
        if place.value == "default":
            # At preview the Kubernetes provider puts "default" in place of a namespace that is not known yet.
            return Fact(None, place.path)
    return same(place, namespace["metadata"]["name"])


def same(one: View, other: View) -> Fact:
    """Return whether two values are the same."""
    return Fact(None, other.path) if other.value is UNKNOWN else one.equals(other.value)


def beside(one: Resource, other: Resource) -> Fact:
    """Return whether two objects lie in the same namespace; unknown names from the same objects are the same."""
    here, there = namespace_of(one), namespace_of(other)
    origins = one.links.get("metadata")
    if origins and here.value is UNKNOWN and there.value is UNKNOWN and origins == other.links.get("metadata"):
        return Fact(True, here.path)
    return same(here, there)


def selects(selector: View, labels: View) -> Fact:
    """Return whether a selector chooses pods of these labels; an empty one chooses all, an absent one none."""
    if selector.value is None:
        return Fact(False, selector.path)
    wanted = (same(labels[key], value) for key, value in selector["matchLabels"].entries())
    # Expressions are few, and may say anything.
    unread = Fact(None if selector["matchExpressions"].value else True, selector["matchExpressions"].path)
    return all_of(wanted, selector.path) & unread
