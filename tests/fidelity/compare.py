"""Where two values differ, as lines for a person."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from normalize import Names, canonical
from recorded import is_recorded

ABSENT = "(absent)"
# How the engine words a property that a check refused; with a bridged provider the provider words it itself.
_PROPERTY = re.compile(r"resource '[^']*': property (\S+) |Examine values at '[^'.]+\.([^']+)'")
_MEMBER = re.compile(r"\[\d+\].*")


@dataclass(frozen=True)
class Difference:
    """One difference between the emulated and the bridged provider."""

    stack: str
    phase: str
    resource: str
    """The resource's Pulumi name and type, or the thing in AWS."""
    path: str
    emulated: Any
    bridged: Any

    def __str__(self) -> str:
        values = f"emulated {_short(self.emulated)}, bridged {_short(self.bridged)}"
        return f"{self.stack} {self.phase}: {self.resource}: {self.path or '(whole)'}: {values}"


def leaves(left: Any, right: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path of each leaf that differs, with both values; lists are sets here."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in sorted({*left, *right}):
            where = f"{path}.{key}" if path else str(key)
            yield from leaves(left.get(key, ABSENT), right.get(key, ABSENT), where)
    elif isinstance(left, list) and isinstance(right, list):
        ours, theirs = _less(left, right), _less(right, left)
        if len(ours) == len(theirs):
            for one, other in zip(ours, theirs, strict=True):
                yield from leaves(one, other, f"{path}[]")
        else:
            yield from ((f"{path}[]", one, ABSENT) for one in ours)
            yield from ((f"{path}[]", ABSENT, other) for other in theirs)
    elif canonical(left) != canonical(right):
        yield path, left, right


def inventories(left: Mapping[str, list[Any]], right: Mapping[str, list[Any]]) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield the thing, the path and both values of each difference between two inventories."""
    for name in sorted({*left, *right}):
        ours, theirs = left.get(name, []), right.get(name, [])
        if not ours or not theirs:
            yield name, "", len(ours) or ABSENT, len(theirs) or ABSENT
        elif len(ours) == len(theirs) == 1:
            yield from ((name, *leaf) for leaf in leaves(ours[0], theirs[0]))
        else:
            yield from ((name, *leaf) for leaf in leaves(ours, theirs))


def states(
    left: list[dict[str, Any]], right: list[dict[str, Any]], named: tuple[Names, Names]
) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield resource, path and values of each difference between two states: AWS's resources and the stack.

    Of a type that the emulated provider records, the outputs are made up: its inputs are compared.
    """
    ours, theirs = ({each["urn"]: each for each in resources} for resources in (left, right))
    for urn in sorted({*ours, *theirs}):
        one, other = ours.get(urn), theirs.get(urn)
        if one is None or other is None:
            yield title(urn), "", ABSENT if one is None else "exists", ABSENT if other is None else "exists"
        elif one["type"].startswith("aws:") or one["type"] == "pulumi:pulumi:Stack":
            for part in ("inputs",) if is_recorded(one["type"]) else ("inputs", "outputs"):
                given, made = named[0].value(one.get(part) or {}), named[1].value(other.get(part) or {})
                yield from ((title(urn), *leaf) for leaf in leaves(given, made, part))


@dataclass(frozen=True)
class Plan:
    """What a preview would do to one resource."""

    operations: tuple[str, ...]
    properties: Mapping[str, str] | None = None
    """The kind of change of each property, where the preview names some; of what is in a list, that of the list."""


SAME = Plan(("same",))


def plan(preview: Mapping[str, Any]) -> dict[str, Plan]:
    """Return what a preview would do, by resource; what stays as it is is left out."""
    planned: dict[str, Plan] = {}
    for step in preview.get("steps", []):
        if step["op"] not in ("same", "read", "refresh"):
            resource = title(step["urn"])
            before = planned.get(resource, Plan(()))
            kinds = _kinds({path: how["kind"] for path, how in (step.get("detailedDiff") or {}).items()})
            planned[resource] = Plan((*before.operations, step["op"]), kinds or before.properties)
    return planned


def _kinds(told: Mapping[str, str]) -> dict[str, str]:
    """Return the kind of change of each property, of a list whether it changes and whether that makes a new thing.

    Which member is told, and of which kind, follows from the order in which a provider keeps what has none.
    """
    kinds: dict[str, str] = {}
    for path, kind in told.items():
        whole = _MEMBER.sub("", path)
        again = kind.endswith("-replace") or kinds.get(whole, "").endswith("-replace")
        kinds[whole] = kind if whole == path else "update-replace" if again else "update"
    return kinds


def refusals(preview: Mapping[str, Any]) -> dict[str, str]:
    """Return why a preview failed, by the resource that it names."""
    return {
        title(each.get("urn", "")) or "(program)": " ".join(each["message"].split())
        for each in preview.get("diagnostics", [])
        if each["severity"] == "error"
    }


def plans(left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield resource, path and values of each difference between two previews.

    Properties are compared where both sides name some: the engine itself names none for what it replaces because of
    another resource.
    """
    refused = refusals(left), refusals(right)
    for resource in sorted({*refused[0], *refused[1]}):
        one, other = (each.get(resource, ABSENT) for each in refused)
        property, properties = _property(one), {_property(one), _property(other)}
        if ABSENT in (one, other):
            properties.discard("")
            yield resource, f"refused ({'/'.join(properties)})" if properties else "refused", one, other
        elif len(properties) == 2:
            yield resource, "refused property", property, _property(other)
    if any(refused):
        return  # A preview that failed says nothing of the rest.
    ours, theirs = plan(left), plan(right)
    for resource in sorted({*ours, *theirs}):
        one, other = ours.get(resource, SAME), theirs.get(resource, SAME)
        if one.operations != other.operations:
            properties = sorted({*(one.properties or ()), *(other.properties or ())})
            where = f"operation ({', '.join(properties)})" if properties else "operation"
            yield resource, where, "/".join(one.operations), "/".join(other.operations)
        elif one.properties is not None and other.properties is not None:
            yield from ((resource, *leaf) for leaf in leaves(one.properties, other.properties))


def title(urn: str) -> str:
    """Return a resource's Pulumi name and type, for people."""
    if not urn:
        return ""
    chain, _, name = urn.rpartition("::")
    return f"{name} {chain.rpartition('::')[2].rpartition('$')[2]}"


def _property(message: str) -> str:
    """Return the property that a refusal names, as the engine words it, else nothing."""
    found = _PROPERTY.search(message)
    return (found[1] or found[2]) if found else ""


def _less(values: list[Any], others: list[Any]) -> list[Any]:
    """Return the values without those that the others hold as well, one for one."""
    counted: dict[str, int] = {}
    for other in others:
        counted[canonical(other)] = counted.get(canonical(other), 0) + 1
    left: list[Any] = []
    for value in sorted(values, key=canonical):
        if counted.get(canonical(value), 0):
            counted[canonical(value)] -= 1
        else:
            left.append(value)
    return left


def _short(value: Any, longest: int = 160) -> str:
    text = value if value == ABSENT else canonical(value)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
