"""The hand-reviewed table: which of checkov's checks serve which controls and rules, and which contradict residency."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from falaj.policies.catalogue.controls import CONTROLS
from falaj.policies.rules import RULES

FILE = Path(__file__).with_name("mapping.toml")


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the table says of one check."""

    controls: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    """Our rules that look at the same thing."""
    contradicts: str = ""
    """Why following it would break residency; empty for nearly all."""
    aside: str = ""
    """Why no rule of ours looks at it, where that is a choice."""


@functools.cache
def table() -> Mapping[str, Mapped]:
    """Return what is said of each check, by its id."""
    read: dict[str, Any] = tomllib.loads(FILE.read_text(encoding="utf-8"))
    by_id = {rule.id: rule for rule in RULES}
    rules: dict[str, list[str]] = {}
    for rule, checks in read["rules"].items():
        for check in checks:
            rules.setdefault(check, []).append(rule)
    served: dict[str, list[str]] = {}
    for check, ours in rules.items():
        served[check] = [control for rule in ours if rule in by_id for control in by_id[rule].controls]
    for control, checks in read["controls"].items():
        for check in checks:
            served.setdefault(check, []).append(control)
    contradicted: dict[str, str] = read["contradictions"]
    aside = {check: reason for reason, checks in read["aside"].items() for check in checks}
    return {
        check: Mapped(
            tuple(control for control in CONTROLS if control in served.get(check, ())),
            tuple(rules.get(check, ())),
            contradicted.get(check, ""),
            aside.get(check, ""),
        )
        for check in sorted({*served, *rules, *contradicted, *aside})
    }
