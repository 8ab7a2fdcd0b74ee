"""What the kinds of the emulated `vault` provider share: a client of OpenBao, and names and durations both ways."""

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import hvac
import hvac.exceptions

from falaj.lab.provider.declared import declared
from falaj.lab.provider.values import Props


@dataclass(frozen=True)
class OpenBao:
    """A client of one namespace."""

    client: hvac.Client
    answers: dict[str, Props] = field(default_factory=dict[str, Props])
    """What OpenBao tells once, when it makes a thing, by the thing's identifier."""

    def read(self, path: str) -> dict[str, Any] | None:
        """Return the data at a path, None when there is nothing."""
        answer: Any = self.client.read(path)
        return answer["data"] if answer else None

    def write(self, path: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write data to a path, leaving out what is None, and return the data of the answer."""
        answer: Any = self.client.write_data(path, data={k: v for k, v in data.items() if v is not None})
        return (answer.get("data") or {}) if isinstance(answer, dict) else {}

    def delete(self, path: str) -> None:
        """Delete what is at a path; what went with its mount is deleted already."""
        with contextlib.suppress(hvac.exceptions.InvalidPath):
            self.client.delete(path)


def snake(name: str) -> str:
    """Return a Pulumi name as the API spells it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def camel(name: str) -> str:
    """Return a name of the API as Pulumi spells it."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def taken(inputs: Props, names: Iterable[str]) -> dict[str, Any]:
    """Return inputs under the names of the API."""
    return {snake(name): inputs.get(name) for name in names}


def seen(data: Mapping[str, Any], names: Iterable[str]) -> Props:
    """Return what the API told under Pulumi's names."""
    return {name: data[snake(name)] for name in names if snake(name) in data}


def in_order(value: Any) -> Any:
    """Return a list in an order of its own: the API keeps sets."""
    return sorted(value) if isinstance(value, list) else value


def last(identifier: str) -> str:
    """Return the last part of a path."""
    return identifier.rpartition("/")[2]


def seconds(duration: Any) -> int:
    """Return a duration, a number or text such as ``1h30m``, in seconds."""
    units = {"d": 24 * 3600, "h": 3600, "m": 60, "s": 1, "": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([dhms]?)", str(duration)))


def as_given(value: Any, given: Any) -> Any:
    """Return seconds in the program's own spelling (``1h``) when they mean the same."""
    if isinstance(value, int) and isinstance(given, str):
        return given if seconds(given) == value else f"{value}s"
    return value


def every_input(token: str) -> frozenset[str]:
    """Return all inputs that the SDK declares for a type: what is made once can only be made anew."""
    known = declared("pulumi_vault", token)
    assert known is not None, f"pulumi_vault declares {token}"
    return frozenset(known.inputs)
