"""What changed between two assessments, as `falaj-policy check --format json` writes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falaj.policies.errors import RefusedError
from falaj.policies.model import Verdict

Verdicts = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Changes:
    """The findings that are not as they were; each a rule and the URN of a resource."""

    fails: tuple[tuple[str, str], ...]
    """Fail now and did not."""
    mended: tuple[tuple[str, str], ...]
    """Failed and do not any more."""
    undetermined: tuple[tuple[str, str], ...]
    """Cannot be decided now and could."""
    gone: int
    """Findings of resources or rules that are not there any more."""

    @property
    def worse(self) -> bool:
        """Whether something fails that did not fail before."""
        return bool(self.fails)

    def lines(self) -> list[str]:
        """Return the changes for a reader."""
        told = [f"fails         {rule}  {urn}" for rule, urn in self.fails]
        told += [f"undetermined  {rule}  {urn}" for rule, urn in self.undetermined]
        told += [f"mended        {rule}  {urn}" for rule, urn in self.mended]
        counted = f"{len(self.fails)} fail, {len(self.undetermined)} undetermined, {len(self.mended)} mended"
        return [*told, f"{counted}, {self.gone} gone"]


def compare(old: Verdicts, new: Verdicts) -> Changes:
    """Compare the verdicts of two assessments."""
    fail, undetermined = Verdict.FAIL.value, Verdict.UNDETERMINED.value
    fails = [key for key, verdict in new.items() if verdict == fail and old.get(key) != fail]
    unclear = [key for key, verdict in new.items() if verdict == undetermined and old.get(key) != undetermined]
    mended = [key for key, verdict in old.items() if verdict == fail and key in new and new[key] == Verdict.PASS.value]
    gone = sum(key not in new for key in old)
    return Changes(tuple(sorted(fails)), tuple(sorted(mended)), tuple(sorted(unclear)), gone)


def read_findings(path: Path) -> dict[tuple[str, str], str]:
    """Return the verdicts in a file, by rule and URN.

    Raises ``RefusedError`` for what `check --format json` did not write.
    """
    try:
        given: Any = json.loads(path.read_text(encoding="utf-8"))
        return {(each["rule"], each["urn"]): str(Verdict(each["verdict"])) for each in given["findings"]}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise RefusedError(
            str(path), "something else", "must be what `falaj-policy check --format json` wrote"
        ) from None
