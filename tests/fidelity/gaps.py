"""The known gaps: differences that are explained, as data. One that matches nothing any more is an error."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from compare import ABSENT, Difference
from normalize import canonical

TABLE = Path(__file__).with_name("gaps.toml")
_EMPTY: tuple[Any, ...] = (None, "", 0, False, [], {}, ABSENT)


@dataclass(frozen=True)
class Gap:
    """One explained difference; each pattern is a regular expression for the whole text, and none matches all."""

    why: str
    stack: str | None = None
    phase: str | None = None
    resource: str | None = None
    path: str | None = None
    emulated: str | None = None
    bridged: str | None = None
    empty: bool = False
    """Whether it explains only that nothing is said in two ways: null on one side, an empty text or 0 on the other."""

    def explains(self, difference: Difference) -> bool:
        """Say whether the difference is this gap."""
        texts = {
            "stack": difference.stack,
            "phase": difference.phase,
            "resource": difference.resource,
            "path": difference.path,
            "emulated": _text(difference.emulated),
            "bridged": _text(difference.bridged),
        }
        wanted = {name: getattr(self, name) for name in texts}
        if not all(pattern is None or re.fullmatch(pattern, texts[name], re.S) for name, pattern in wanted.items()):
            return False
        return not self.empty or (is_empty(difference.emulated) and is_empty(difference.bridged))


@dataclass(frozen=True)
class Explained:
    """The differences, sorted by whether a gap explains them."""

    unexplained: Sequence[Difference]
    gaps: Mapping[Gap, int]
    """How many differences each gap explains, those of stacks that were not compared left out."""

    @property
    def stale(self) -> list[Gap]:
        """Gaps that explain nothing any more."""
        return [gap for gap, count in self.gaps.items() if not count]


def read(path: Path = TABLE) -> list[Gap]:
    """Return the table; a key that is not known is an error, for it would explain too much."""
    known = {each.name for each in fields(Gap)}
    rows = tomllib.loads(path.read_text()).get("gap", [])
    for row in rows:
        if unknown := sorted(row.keys() - known):
            raise ValueError(f"{path.name}: a gap has unknown keys: {', '.join(unknown)}")
        if not row.get("why") or row.keys() <= {"why", "stack"}:
            raise ValueError(f"{path.name}: a gap needs `why` and at least one pattern (got {row})")
    return [Gap(**row) for row in rows]


def explain(differences: Iterable[Difference], gaps: Sequence[Gap], stacks: Sequence[str]) -> Explained:
    """Sort differences by whether a gap explains them; a gap of a stack that was not compared cannot be stale."""
    counts = {gap: 0 for gap in gaps if gap.stack is None or any(re.fullmatch(gap.stack, stack) for stack in stacks)}
    unexplained: list[Difference] = []
    for difference in differences:
        found = next((gap for gap in counts if gap.explains(difference)), None)
        if found:
            counts[found] += 1
        else:
            unexplained.append(difference)
    return Explained(unexplained, counts)


def is_empty(value: Any) -> bool:
    """Say whether a value says nothing."""
    return any(value == empty and type(value) is type(empty) for empty in _EMPTY)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)
