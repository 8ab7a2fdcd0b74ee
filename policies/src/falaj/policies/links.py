"""Where a property of one resource leads: by where its value comes from, where the engine tells, else by value."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from falaj.policies.model import Graph, Links, Resource
from falaj.policies.values import UNKNOWN, Fact

Found = Iterator[tuple[Resource, Fact]]
"""Resources that are meant, or may be, and whether they are."""


def leading(resource: Resource, link: str) -> tuple[frozenset[str], str]:
    """Return where a property leads: two resources of whom this is the same lead to the same."""
    value = resource[link].value
    # What is no text leads where no other does.
    return resource.links.get(link, frozenset()), value if isinstance(value, str) else f"\0{resource.urn}"


def targets(graph: Graph, resource: Resource, link: str, type_: str) -> Found:
    """Yield the resources of a type to whose ids a property, or a list, leads."""
    if origins := resource.links.get(link):
        known = (graph.by_urn[urn] for urn in sorted(origins) if urn in graph.by_urn)
        yield from ((target, Fact(True, link)) for target in known if target.type == type_)
        return
    index = _index(graph, type_, "id")
    values = [each.value for each in resource[link].each()]
    for value in dict.fromkeys(value for value in values if isinstance(value, str)):
        yield from ((target, Fact(True, link)) for target in index.by_value.get(value, ()))
    open_ = graph.of((type_,)) if UNKNOWN in values else index.unknown if values else ()
    yield from ((target, Fact(None, link)) for target in open_)


def pointing(graph: Graph, target: Resource, type_: str, link: str, *names: str) -> Found:
    """Yield the resources of a type whose property is one of the target's names, as others than its id."""
    index = _index(graph, type_, link)
    yield from ((each, Fact(True, link)) for each in index.by_origin.get(target.urn, ()))
    for name in dict.fromkeys(value for key in names if isinstance(value := target[key].value, str)):
        yield from ((each, Fact(True, link)) for each in index.by_value.get(name, ()) if not each.links.get(link))
    yield from ((each, Fact(None, link)) for each in index.unknown if not each.links.get(link))


def sharing(graph: Graph, resource: Resource, link: str, type_: str) -> Found:
    """Yield the resources of a type that have the same value of a property."""
    index, value = _index(graph, type_, link), resource[link].value
    origins = resource.links.get(link, frozenset[str]())
    for urn in sorted(origins):
        yield from ((other, Fact(True, link)) for other in index.by_origin.get(urn, ()))
    if isinstance(value, str):
        alike = index.by_value.get(value, ())
        yield from ((other, Fact(True, link)) for other in alike if not (origins and other.links.get(link)))
    if value is None and not origins:
        return
    open_ = index.unknown if isinstance(value, str) else graph.of((type_,))
    yield from ((other, Fact(None, link)) for other in open_ if not (origins and other.links.get(link)))


def _index(graph: Graph, type_: str, key: str) -> Links:
    """Return the index by values too where origins are known, made once for each stack."""

    def make() -> Links:
        index = Links()
        for resource in graph.of((type_,)):
            for urn in resource.links.get(key, ()):
                index.by_origin.setdefault(urn, []).append(resource)
            value = resource[key].value
            if isinstance(value, str):
                index.by_value.setdefault(value, []).append(resource)
            elif value is UNKNOWN or key == "id":
                index.unknown.append(resource)
        return index

    return graph.once(("links", type_, key), make)


class Candidates:
    """Objects by names that they have; one of a name that is not known, or is no text, may be meant by any."""

    def __init__(self, objects: Iterable[Resource], names: Callable[[Resource], Iterable[Any]]) -> None:
        self._objects = list(objects)
        self._by_name: dict[Any, list[int]] = {}
        for position, each in enumerate(self._objects):
            for name in set(map(_text, names(each))):
                self._by_name.setdefault(name, []).append(position)

    def meant_by(self, *names: Any) -> list[Resource]:
        """Return, in their order, the objects that one of the names may mean; no other has any of them."""
        wanted = {_text(name) for name in names}
        if UNKNOWN in wanted:
            return self._objects
        return [
            self._objects[at]
            for at in sorted({at for name in (*wanted, UNKNOWN) for at in self._by_name.get(name, ())})
        ]


def _text(name: Any) -> Any:
    return name if isinstance(name, str) else UNKNOWN
