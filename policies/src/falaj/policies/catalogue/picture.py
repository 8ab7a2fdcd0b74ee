"""The catalogue at a glance: an SVG bar for each family of controls, by how they stand."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from falaj.policies.catalogue.controls import CONTROLS, Control
from falaj.policies.catalogue.standing import Standing, served_by, standing
from falaj.policies.model import Rule
from falaj.policies.rules import RULES

_COLOURS = {Standing.SERVED: "#2f6fb5", Standing.GAP: "#e08a1e", Standing.NOT_BY_CODE: "#d5d5d5"}
_INK = {Standing.SERVED: "#fff", Standing.GAP: "#000", Standing.NOT_BY_CODE: "#333"}
_LEFT, _UNIT, _ROW, _TOP = 440, 13, 22, 40
_WIDTH = _LEFT + 37 * _UNIT + 80  # the largest family has 37 controls


def picture(rules: Sequence[Rule] = RULES) -> str:
    """Return the picture: how many controls of each family are served, could be, and cannot be."""
    families = [(key, list(members)) for key, members in groupby(CONTROLS.values(), key=_family)]
    rows: list[str] = []
    above = ""
    for (framework, family), members in families:
        if framework not in (above, family):
            rows.append(_text(8, _at(len(rows)), framework, 'font-weight="600"'))
        indent = 8 if family == framework else 22
        rows.append(_text(indent, _at(len(rows)), family) + _bar(_at(len(rows)), members, rules))
        above = framework
    height = _TOP + len(rows) * _ROW + 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        ' font-family="system-ui, sans-serif" font-size="12" role="img"'
        ' aria-label="Controls of each family: served by rules, gaps, and not assessable by code">'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>{_legend()}{"".join(rows)}</svg>\n'
    )


def _family(control: Control) -> tuple[str, str]:
    return control.framework, control.family


def _at(row: int) -> int:
    """Return the baseline of a row's text."""
    return _TOP + row * _ROW + 15


def _bar(y: int, controls: list[Control], rules: Sequence[Rule]) -> str:
    counts = Counter(standing(control, rules) for control in controls)
    parts: list[str] = []
    x = _LEFT
    for state in Standing:
        if count := counts[state]:
            width = count * _UNIT
            middle = f'fill="{_INK[state]}" text-anchor="middle"'
            parts.append(f'<rect x="{x}" y="{y - 13}" width="{width - 1}" height="17" fill="{_COLOURS[state]}"/>')
            parts.append(_text(x + width / 2, y, str(count), middle))
            x += width
    serving = {rule.id for control in controls for rule in served_by(control, rules).rules}
    told = f"{len(serving)} rule{'' if len(serving) == 1 else 's'}" if serving else ""
    return "".join(parts) + _text(x + 6, y, told, 'fill="#555"')


def _legend() -> str:
    parts: list[str] = []
    for place, state in enumerate(Standing):
        x = _LEFT + place * 130
        parts.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{_COLOURS[state]}"/>')
        parts.append(_text(x + 18, 22, state))
    return "".join(parts)


def _text(x: float, y: int, text: str, attributes: str = "") -> str:
    return f'<text x="{x:g}" y="{y}" {attributes}>{escape(text)}</text>' if text else ""
