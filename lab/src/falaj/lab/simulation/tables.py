"""Reads TOML tables strictly: every key is known and has its type, and an error names field, value and remedy."""

from collections.abc import Mapping
from typing import Any, TypeVar

from falaj.lab.errors import LabError

T = TypeVar("T")


class Table:
    """One TOML table that gives its keys away; what nobody took is refused by `finish`."""

    def __init__(self, content: Mapping[str, Any], name: str):
        self.name = name
        self._left = dict(content)

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """Return the value of a key, of this type; an integer will do for a float."""
        value: Any = self._left.pop(key, default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if value is None:
            raise wrong(self.field(key), "nothing", f"write {key} = a {kind.__name__}")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise wrong(self.field(key), value, f"it has to be a {kind.__name__}")
        return value

    def number(self, key: str, default: float | None = None, least: float = 0, most: float = float("inf")) -> float:
        """Return a number from ``least`` to ``most``."""
        value = self.take(key, float, default)
        if not least <= value <= most:
            raise wrong(self.field(key), value, f"choose from {least:g} to {most:g}")
        return value

    def count(self, key: str, default: int | None = None, least: int = 1) -> int:
        """Return a whole number of at least ``least``."""
        value = self.take(key, int, default)
        if value < least:
            raise wrong(self.field(key), value, f"choose {least} or more")
        return value

    def names(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of names."""
        values: list[Any] = self.take(key, list, list(default))
        if not all(isinstance(value, str) for value in values):
            raise wrong(self.field(key), values, "it has to be a list of names")
        return tuple(map(str, values))

    def span(self, key: str, default: tuple[float, float], most: float = float("inf")) -> tuple[float, float]:
        """Return two numbers, the first not above the second."""
        values: list[Any] = self.take(key, list, list(default))
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        if len(values) != 2 or len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1] <= most:
            raise wrong(self.field(key), values, f"write [least, most], both from 0 to {most:g}")
        return numbers[0], numbers[1]

    def weights(self, key: str, default: Mapping[str, float]) -> dict[str, float]:
        """Return positive numbers by name, as parts of their sum."""
        values: dict[str, Any] = self.take(key, dict, dict(default))
        numbers = {str(name): float(value) for name, value in values.items() if isinstance(value, int | float)}
        if len(numbers) != len(values) or not numbers or min(numbers.values()) <= 0:
            raise wrong(self.field(key), values, "write names with numbers above 0")
        return {name: value / sum(numbers.values()) for name, value in numbers.items()}

    def table(self, key: str) -> "Table":
        """Return the table below a key; empty where there is none."""
        return Table(self.take(key, dict, {}), self.field(key))  # pyright: ignore[reportUnknownArgumentType]

    def tables(self, key: str) -> list["Table"]:
        """Return the tables of an array of tables."""
        content: list[Any] = self.take(key, list, [])
        if not all(isinstance(one, dict) for one in content):
            raise wrong(self.field(key), content, f"write [[{key}]] tables")
        return [Table(one, f"{self.field(key)}[{number}]") for number, one in enumerate(content)]

    def named(self) -> list[tuple[str, "Table"]]:
        """Return the tables by name that this one consists of."""
        return [(name, self.table(name)) for name in list(self._left)]

    def rest(self) -> dict[str, Any]:
        """Return what nobody has taken."""
        return self._left

    def finish(self) -> None:
        """Refuse what nobody asked for: a misspelt key would be left out silently."""
        if self._left:
            key, value = next(iter(self._left.items()))
            raise wrong(self.field(key), value, "there is no such key; remove it or correct its name")

    def field(self, key: str) -> str:
        """Return how a key is called in a message."""
        return f"{self.name}.{key}" if self.name else key


def wrong(field: str, value: object, remedy: str) -> LabError:
    """Return the error of a wrong value."""
    return LabError(f"{field}: {value!r} cannot be used; {remedy}")
