"""The report for people: one HTML file that needs nothing else, works offline and can be printed."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from falaj.policies.assessment import Assessment, counts
from falaj.policies.catalogue.controls import CONTROLS, FRAMEWORKS, Assessed, Control, served
from falaj.policies.engine import Finding
from falaj.policies.model import Rule
from falaj.policies.report.text import WORST_FIRST, message, number, ordered, printable, tool_version, waiver_line

_FOLDER = Path(__file__).parent
_GROUPS = (("fail", "Failed"), ("undetermined", "Undetermined"), ("waived", "Waived"), ("pass", "Passed"))


@dataclass(frozen=True, slots=True)
class Cell:
    """One control in the heat map."""

    control: Control
    state: str
    """A word for the worst that there is, told in text and by a sign, not by colour alone."""
    sign: str
    heat: int
    """How much of what was judged does not pass: 0 (nothing) to 3 (more than half)."""
    said: str


@dataclass(frozen=True, slots=True)
class Section:
    """One rule with all that it says."""

    rule: Rule
    controls: tuple[str, ...]
    """Every control that it serves, those of the crosswalk too."""
    groups: tuple[tuple[str, str, list[Finding]], ...]
    """Verdict, its title, and the findings."""


def render(assessment: Assessment, flow: str | None = None) -> str:
    """Return the page; ``flow`` is the SVG of where data goes, shown as a picture that can run nothing."""
    style, script = _read("page.css"), _read("page.js")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_safe,
    )
    return environment.get_template("page.html.jinja").render(
        assessment=assessment,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        counts=counts(assessment.findings),
        frameworks=_heat_map(assessment),
        sections=[*_sections(assessment.findings)],
        severities=[severity.value for severity in WORST_FIRST],
        groups=_GROUPS,
        flow=base64.b64encode(flow.encode("utf-8", "replace")).decode() if flow else None,
        version=tool_version(),
        message=message,
        number=number,
        waiver_line=waiver_line,
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _safe(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(style: str, script: str) -> str:
    """Return what a browser may do with the page: our style, our script, the pictures in it; and fetch nothing."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _heat_map(assessment: Assessment) -> list[tuple[str, list[Cell], int]]:
    """Return each framework with its controls, and how many of them code cannot assess."""
    told: dict[str, list[Finding]] = {}
    for finding in assessment.findings:
        for control in _serves(finding.rule.controls):
            told.setdefault(control, []).append(finding)
    ran = {control for rule in assessment.rules for control in _serves(rule.controls)}
    rows: list[tuple[str, list[Cell], int]] = []
    for framework in FRAMEWORKS.values():
        controls = [control for control in CONTROLS.values() if control.framework == framework.name]
        cells = [_cell(control, told.get(control.id, []), ran) for control in controls]
        if any(cell.state != "not by code" for cell in cells):
            rows.append((framework.title, cells, sum(cell.state == "not by code" for cell in cells)))
    return rows


@cache
def _serves(controls: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(control.id for control in served(controls))


def _cell(control: Control, findings: Sequence[Finding], ran: set[str]) -> Cell:
    told = counts(findings)
    said = (
        f"{told['fail']} failed ({told['waived']} waived), {told['undetermined']} undetermined, {told['pass']} passed"
    )
    if control.assessed is Assessed.NO:
        return Cell(control, "not by code", "-", 0, f"Code cannot assess it. {control.basis}")
    if control.id not in ran:
        return Cell(control, "no rule", "-", 0, "No rule that ran serves it: nothing is said of it.")
    if not findings:
        return Cell(control, "nothing to judge", "-", 0, "Rules ran and found no resource to judge.")
    if told["fail"] > told["waived"]:
        return Cell(control, "failed", "✗", _heat(told["fail"], len(findings)), said)
    if told["undetermined"]:
        return Cell(control, "undetermined", "?", 0, said)
    if told["waived"]:
        state, sign = "waived", "!"
    else:
        state, sign = ("passed in part" if control.assessed is Assessed.PARTLY else "passed"), "✓"
    return Cell(control, state, sign, 0, said)


def _heat(failed: int, judged: int) -> int:
    return 1 if failed * 10 <= judged else 2 if failed * 2 <= judged else 3


def _sections(findings: Sequence[Finding]) -> Iterator[Section]:
    """Yield the rules: those with failures first, then those with something undecided, then the rest."""
    grouped = [list(group) for _, group in groupby(ordered(findings), key=lambda each: each.rule)]
    for members in sorted(grouped, key=lambda group: min(_rank(each) for each in group)):
        by_group: Mapping[str, list[Finding]] = {name: [] for name, _ in _GROUPS}
        for finding in members:
            by_group[_group(finding)].append(finding)
        rule = members[0].rule
        yield Section(
            rule,
            _serves(rule.controls),
            tuple((name, title, by_group[name]) for name, title in _GROUPS if by_group[name]),
        )


def _group(finding: Finding) -> str:
    return "waived" if finding.waiver is not None else finding.verdict.value


def _rank(finding: Finding) -> int:
    return [name for name, _ in _GROUPS].index(_group(finding))
