"""The controls that rules serve, with their sources: read from ``frameworks/*.toml``, a file for each framework."""

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "frameworks"
"""Where the frameworks are."""
_FILES = ("iso27001", "sp800-207", "sp800-207a", "cisa-ztmm", "pdpl", "gdpr", "uae-ias", "residency", "cost-energy")

ISO = "ISO/IEC 27001:2022"
ZERO_TRUST = "NIST SP 800-207"
RESIDENCY = "Residency regime"
COST = "Cost and energy"
CISA = "CISA Zero Trust Maturity Model v2.0"


class Assessed(StrEnum):
    """How far machine checks can tell whether a control is kept."""

    CODE = "code"
    """What it demands of a platform is declared in resources."""
    PARTLY = "partly"
    """A part of it is; the rest is with people, or outside the stack."""
    NO = "no"
    """Nothing of it is: no report may call it passed."""


@dataclass(frozen=True, slots=True)
class Framework:
    """A catalogue of controls that somebody published."""

    name: str
    """With the version."""
    title: str
    document: str
    """What the controls' sections are sections of."""
    url: str
    """Where the document is, or a public copy of its text; empty for falaj's own."""
    note: str
    """What a reader must know before trusting the list; empty where it is complete."""


@dataclass(frozen=True, slots=True)
class Follows:
    """One row of the crosswalk: who keeps these controls keeps, by so much, the one that the row belongs to."""

    controls: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Control:
    """One control of a framework."""

    id: str
    name: str
    framework: str
    """Name of the framework, with the version."""
    section: str
    """Where in the framework's document it is."""
    family: str
    """The group that the framework puts it into; the framework's name where it has none."""
    assessed: Assessed
    basis: str
    """What code sees of it, or why it sees nothing."""
    follows: tuple[Follows, ...] = ()
    """Controls of other frameworks by whose rules it is served too."""


def _framework(read: dict[str, Any]) -> Framework:
    return Framework(read["name"], read["title"], read["document"], read.get("url", ""), read.get("note", ""))


def _control(framework: str, row: dict[str, Any]) -> Control:
    return Control(
        row["id"],
        row["name"],
        framework,
        row["section"],
        row.get("family", framework),
        Assessed(row["assessed"]),
        row["basis"],
        tuple(Follows(tuple(each["controls"]), each["reason"]) for each in row.get("follows", ())),
    )


_TEXTS = [(FOLDER / f"{file}.toml").read_text(encoding="utf-8") for file in _FILES]
_READ = [tomllib.loads(text) for text in _TEXTS]

VERSION = hashlib.sha256("".join(_TEXTS).encode()).hexdigest()[:12]
"""Names this catalogue: another list, name, assessment or crosswalk has another one."""

FRAMEWORKS: dict[str, Framework] = {read["name"]: _framework(read) for read in _READ}
"""Every framework, by name, in the order of the pages."""

CONTROLS: dict[str, Control] = {row["id"]: _control(read["name"], row) for read in _READ for row in read["control"]}
"""Every control that a rule may name, by id."""


def served(ids: Iterable[str]) -> list[Control]:
    """Return the controls that a rule serves that names these: they, and those that follow from them."""
    named = set(ids)
    return [
        control
        for control in CONTROLS.values()
        if control.id in named or any(not named.isdisjoint(row.controls) for row in control.follows)
    ]
