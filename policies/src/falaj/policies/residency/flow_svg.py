"""The data-flow picture as SVG: one file, no script, told in words as well as drawn, no meaning by colour alone."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from falaj.policies.residency.flow import GROUPS, Flow, Group, Leaving, headline

_COLUMNS: Sequence[Sequence[str]] = (("compute", "image", "state"), ("store",), ("log sink", "telemetry", "key"))
_WIDTH, _GAP, _MARGIN, _LINE, _TOP = 300, 60, 24, 18, 92
_CHARACTERS = 40
_MOST = 12
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1a1a1a}"
    ".t{font-weight:600;font-size:14px}.h{font-weight:600;font-size:17px}"
    ".box{fill:#fff;stroke:#33475b}.home{fill:#f2f7f2;stroke:#1e6b34;stroke-width:2}"
    ".flow{stroke:#33475b;fill:none;stroke-width:1.5}.n{font-size:12px;stroke:#f2f7f2;stroke-width:4;paint-order:stroke}"
    ".out{fill:#fff;stroke:#b00020;stroke-width:3}.outline{stroke:#b00020;stroke-width:3;fill:none}.red{fill:#b00020}"
    ".reg{fill:#fff;stroke:#6b4e00;stroke-width:2;stroke-dasharray:6 4}"
    ".regline{stroke:#6b4e00;stroke-width:2;stroke-dasharray:6 4;fill:none}.amber{fill:#6b4e00}"
)


@dataclass(frozen=True, slots=True)
class _Box:
    x: int
    y: int
    height: int
    lines: tuple[str, ...]

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


def svg(shown: Flow) -> str:
    """Return the picture; it scales to the width that it is given."""
    boxes = _placed(shown)
    right = _MARGIN + len(_COLUMNS) * (_WIDTH + _GAP)
    bottom = max(box.y + box.height for box in boxes.values()) + _MARGIN
    drawn = shown.leaving[:_MOST]
    more = [(f"and {len(shown.leaving) - _MOST} more, see below",)] if len(shown.leaving) > _MOST else []
    outside = _stacked([*(_leaving_lines(each) for each in drawn), *more], right + _GAP, _TOP)
    told = _told(shown)
    low = max(bottom, *(box.y + box.height + _MARGIN for box in outside), 0)
    width = right + (_GAP + _WIDTH + _MARGIN if outside else _MARGIN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {low + _LINE * len(told) + 2 * _MARGIN}" '
        f'role="img" aria-labelledby="flow-title flow-description">',
        f'<title id="flow-title">{escape(headline(shown))}</title>',
        f'<desc id="flow-description">{escape(" ".join(told))}</desc>',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#33475b"/></marker></defs>',
        f'<text class="h" x="{_MARGIN}" y="30">{escape(headline(shown))}</text>',
        f'<rect class="home" x="{_MARGIN // 2}" y="46" width="{right - _MARGIN}" height="{bottom - 46}" rx="10"/>',
        f'<text class="t" x="{_MARGIN}" y="70">Home: {escape(shown.home)}</text>',
    ]
    parts += (_arrow(boxes[start], boxes[end], number) for start, end, number in shown.flows)
    parts += (_drawn(boxes[group.kind], "box", "t") for group in shown.groups)
    for each, box in zip(drawn, outside, strict=False):
        parts += _over_the_border(each, box, right - _MARGIN // 2)
    parts += (_drawn(box, "box", "t") for box in outside[len(drawn) :])
    parts += (
        f'<text x="{_MARGIN}" y="{low + _MARGIN + _LINE * number}">{escape(line)}</text>'
        for number, line in enumerate(told)
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _told(shown: Flow) -> list[str]:
    """Return the picture in sentences."""
    titles = {group.kind: group.title for group in shown.groups}
    lines = [f"{titles[start]} refer to {titles[end].lower()}: {number}." for start, end, number in shown.flows]
    lines += (
        f"{', '.join(each.names)} ({GROUPS.get(each.kind, each.kind).lower()}): "
        f"{'registered transfer' if each.registered else 'leaves'} to {each.region}, {each.rule}: {each.why}."
        for each in shown.leaving
    )
    lines += (
        f"{group.title}: {group.undetermined} undetermined, until values are known."
        for group in shown.groups
        if group.undetermined
    )
    return [part for line in lines for part in textwrap.wrap(line, 150)] or ["No resource refers to another."]


def _placed(shown: Flow) -> Mapping[str, _Box]:
    by_kind = {group.kind: group for group in shown.groups}
    leaving = Counter(each.kind for each in shown.leaving)
    placed: dict[str, _Box] = {}
    for number, kinds in enumerate(_COLUMNS):
        x = _MARGIN + number * (_WIDTH + _GAP)
        boxes = _stacked([_group_lines(by_kind[kind], leaving[kind]) for kind in kinds], x, _TOP)
        placed.update(zip(kinds, boxes, strict=True))
    return placed


def _group_lines(group: Group, leaving: int) -> tuple[str, ...]:
    lines = [part for line in group.lines() for part in textwrap.wrap(line, _CHARACTERS, break_long_words=True)]
    waits = [f"? {group.undetermined} undetermined"] if group.undetermined else []
    leads = [f"✗ {leaving} over the border, see right"] if leaving else []
    return (f"{group.title} ({group.size})", *(lines or ["none"]), *waits, *leads)


def _leaving_lines(each: Leaving) -> tuple[str, ...]:
    mark = "Registered transfer to" if each.registered else "✗ Leaves to"
    names = ", ".join(each.names[:4]) + (f" and {len(each.names) - 4} more" if len(each.names) > 4 else "")
    texts = (f"{GROUPS.get(each.kind, each.kind.title())}: {names}", f"{each.rule}: {each.why}")
    return (f"{mark} {each.region}", *(part for text in texts for part in textwrap.wrap(text, _CHARACTERS)))


def _stacked(texts: Sequence[tuple[str, ...]], x: int, y: int) -> list[_Box]:
    """Return boxes one below the other."""
    boxes: list[_Box] = []
    for lines in texts:
        boxes.append(_Box(x, y, _LINE * len(lines) + 16, lines))
        y += boxes[-1].height + _MARGIN
    return boxes


def _drawn(box: _Box, style: str, first: str) -> str:
    texts = "".join(
        f'<text class="{first if number == 0 else ""}" x="{box.x + 12}" y="{box.y + 21 + _LINE * number}">'
        f"{escape(line)}</text>"
        for number, line in enumerate(box.lines)
    )
    return f'<rect class="{style}" x="{box.x}" y="{box.y}" width="{_WIDTH}" height="{box.height}" rx="6"/>{texts}'


def _arrow(start: _Box, end: _Box, number: int) -> str:
    """Return an arrow between two groups that crosses no third: over the top where one stands between them."""
    columns = (end.x - start.x) // (_WIDTH + _GAP)
    x, y, to = start.x + _WIDTH, start.middle, end.middle
    if columns == 0:
        path, label = f"M{x} {y}C{x + 40} {y} {x + 40} {to} {x} {to}", (x + 12, (y + to) // 2)
    elif columns < 0:
        x, right = start.x, end.x + _WIDTH
        path, label = f"M{x} {y}C{x - 30} {y} {right + 30} {to} {right} {to}", (x - 18, (y + to) // 2 - 6)
    elif columns == 1:
        path, label = f"M{x} {y}C{x + 30} {y} {end.x - 30} {to} {end.x} {to}", (x + 22, (y + to) // 2 - 6)
    else:
        path, label = f"M{x} {y}H{x + 14}V{_TOP - 12}H{end.x - 14}V{to}H{end.x}", (x + 20, _TOP - 16)
    text = f'<text class="n" x="{label[0]}" y="{label[1]}">{number}</text>'
    return f'<path class="flow" marker-end="url(#tip)" d="{path}"/>{text}'


def _over_the_border(each: Leaving, box: _Box, border: int) -> list[str]:
    style, line, text = ("reg", "regline", "t amber") if each.registered else ("out", "outline", "t red")
    return [f'<path class="{line}" d="M{border} {box.middle}H{box.x}"/>', _drawn(box, style, text)]
