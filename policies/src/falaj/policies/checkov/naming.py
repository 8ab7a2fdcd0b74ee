"""From Pulumi's types, names and values to Terraform's, as far as checkov reads them."""

import functools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from falaj.policies.values import UNKNOWN

FILE = Path(__file__).with_name("names.json")
"""Made from the provider by ``names_made``: what differs from the rule of thumb, by Pulumi's type."""
BY_CONVENTION = Path(__file__).with_name("names-by-convention.toml")
"""Types of services that the bridged provider leaves out; their properties follow the provider's conventions."""

Path_ = tuple[str, ...]
"""Where a value is, by Terraform's names; positions in lists are left out."""


@dataclass(slots=True)
class Translated:
    """A resource as Terraform has it."""

    type: str
    values: dict[str, Any]
    unknown: list[Path_] = field(default_factory=list[Path_])
    """Where values are that are not known; ``values`` leaves them out."""


def snake(name: str) -> str:
    """Return a camelCase name in snake_case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def terraform_name(type_: str, property_: str) -> str:
    """Return what Terraform calls a property of a resource."""
    names = _names().get(type_, {})
    return names.get("fields", {}).get(property_, {}).get("as") or snake(property_)


def translate(type_: str, values: Mapping[str, Any]) -> Translated | None:
    """Return a resource as Terraform has it; None for a type that is not known."""
    names = _names().get(type_)
    if names is None:
        return None
    made = Translated(names["type"], {})
    made.values = _object(values, names.get("fields", {}), made, (), guess=names.get("guess", False))
    return made


@functools.cache
def _names() -> Mapping[str, Any]:
    made: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    by_convention = tomllib.loads(BY_CONVENTION.read_text(encoding="utf-8"))
    guessed = {token: {"type": name, "guess": True} for token, name in by_convention["types"].items()}
    return {**guessed, **made}


def _object(
    values: Mapping[str, Any], fields: Mapping[str, Any], made: Translated, at: Path_, *, guess: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        names = _guessed(name, value) if guess else fields.get(name, {})
        called = names.get("as") or snake(name)
        here = (*at, called)
        if value is UNKNOWN:
            made.unknown.append(here)
        elif names.get("map") or (isinstance(value, Mapping) and called.startswith("tags")):
            found[called] = dict(_entries(value, made, here))
        else:
            found[called] = _value(value, names, made, here, guess=guess)
    return found


def _value(value: Any, names: Mapping[str, Any], made: Translated, at: Path_, *, guess: bool) -> Any:
    if isinstance(value, Mapping):
        inner = _object(value, names.get("fields", {}), made, at, guess=guess)
        return [inner] if names.get("one") else inner
    if isinstance(value, list):
        if any(each is UNKNOWN for each in value):
            made.unknown.append(at)
        return [_value(each, {**names, "one": False}, made, at, guess=guess) for each in value if each is not UNKNOWN]
    return [value] if names.get("one") else value


def _entries(value: Any, made: Translated, at: Path_) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a map, whose keys are not names of properties."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if each is UNKNOWN:
                made.unknown.append((*at, key))
            else:
                yield key, each


_MAPS = frozenset({"variables", "parameters", "labels", "tags", "tagsAll", "runtimeEnvironmentVariables"})


def _guessed(name: str, value: Any) -> Mapping[str, Any]:
    """Return how the provider would have it: a single object is a block, a list of objects is a repeated block."""
    if name in _MAPS:
        return {"map": True}
    if isinstance(value, Mapping):
        return {"one": True}
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        plain = snake(name)
        if plain.endswith("ies"):
            return {"as": plain.removesuffix("ies") + "y"}
        return {"as": plain.removesuffix("s")}
    return {}
