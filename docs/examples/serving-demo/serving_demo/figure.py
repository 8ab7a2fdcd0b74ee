"""The figure: panels over one time axis, with a mark for each decision; a drawing of its own, in light and in dark.

The simulation's plots have one axis each and know no marks; what they share with these is borrowed from there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from falaj.lab.simulation.plots import thinned
from serving_demo import series
from serving_demo.series import Answers, Points

WIDTH, LEFT, RIGHT, TOP, GAP, BOTTOM = 1120, 58, 16, 84, 40, 40
STYLE = """
.timeline{--ink:#1d2630;--soft:#5d6975;--line:#e3e7eb;--card:#ffffff;
--v0:#9aa3ad;--v1:#4474b8;--v2:#279370;--v3:#d07f16;--v4:#c73a53;font:12px system-ui,sans-serif}
@media (prefers-color-scheme:dark){.timeline{--ink:#e8ebee;--soft:#a0abb6;--line:#2c3641;--card:#151b22;
--v0:#6b7683;--v1:#7aa5e3;--v2:#45c197;--v3:#eea63f;--v4:#ef6e84}}
.timeline text{fill:var(--soft)}.timeline .title{fill:var(--ink);font-weight:600;font-size:13px}
.timeline .mark{font-weight:600}.timeline .grid{stroke:var(--line)}.timeline .limit{stroke:var(--ink);
stroke-dasharray:5 4;opacity:.75}
"""


@dataclass
class Panel:
    """One of the drawings above each other."""

    title: str
    height: int
    top: float
    """The value at its upper edge."""
    ticks: Mapping[float, str]
    """What is written at which value."""
    logarithmic: bool = False
    """Whether each tick is ten times the one below; the lowest value is then 1."""
    place: float = 0.0
    """Where its upper edge is; set when the panels are put above each other."""
    drawn: list[Callable[["Panel", "Axis"], str]] = field(default_factory=list[Callable[["Panel", "Axis"], str]])
    """What is drawn in it, from the back to the front."""

    def y(self, value: float) -> float:
        """Return the place of a value."""
        part = math.log10(max(value, 1.0)) / math.log10(self.top) if self.logarithmic else value / self.top
        return self.place + self.height * (1 - min(max(part, 0.0), 1.0))


@dataclass(frozen=True)
class Axis:
    """The time that all panels have in common."""

    end: float

    def x(self, at: float) -> float:
        """Return the place of a moment."""
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(at / self.end, 0.0), 1.0)


def timeline(told: Mapping[str, Any]) -> str:
    """Draw the whole figure of a report."""
    answers = Answers.of(told)
    axis = Axis(max(answers.end, 1.0))
    panels = [
        _shares(answers, told),
        _rates("Wrong answers, % of each version's", 110, {v: series.wrong(answers, v) for v in answers.versions}),
        _rates("Failed requests, % of all", 60, {0: series.failed(answers)}),
        _latencies(answers, told),
    ]
    place = float(TOP)
    for panel in panels:
        panel.place = place + GAP
        place = panel.place + panel.height
    height = place + BOTTOM
    parts = [_legend(told, answers), _acts(told, axis, panels[0].place, place)]
    for panel in panels:
        parts += [_frame(panel), *(draw(panel, axis) for draw in panel.drawn)]
    parts += [_seconds(axis, place), _marks(told, axis, place)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="timeline" viewBox="0 0 {WIDTH} {height:.0f}" role="img"'
        f' aria-label="Traffic, wrong answers, failed requests and latency over time"><style>{STYLE}</style>'
        f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="var(--card)"/>{"".join(parts)}</svg>'
    )


def _shares(answers: Answers, told: Mapping[str, Any]) -> Panel:
    panel = Panel("Traffic by the version that answered, %", 150, 1.0, {0: "0", 0.5: "50", 1: "100"})
    below: Points = [(at, 0.0) for at, _ in series.shares(answers)[0]]
    for version, points in sorted(series.shares(answers).items(), key=lambda each: each[0] or math.inf):
        above = [(at, low + share) for (at, low), (_, share) in zip(below, points, strict=True)]
        panel.drawn.append(_area(version, below, above))
        below = above
    weights: Points = [(at, 1 - share / 100) for at, share in told["weights"]]
    panel.drawn.append(lambda panel, axis: _steps(panel, axis, weights))
    return panel


def _rates(title: str, height: int, lines: Mapping[int, Sequence[Points]]) -> Panel:
    panel = Panel(title, height, 1.0, {0: "0", 0.5: "50", 1: "100"})
    for version, pieces in lines.items():
        panel.drawn.append(_lines(version, pieces, 2.2))
    return panel


def _latencies(answers: Answers, told: Mapping[str, Any]) -> Panel:
    ticks = {10.0**power: f"{10**power:,}" for power in range(5)}
    panel = Panel("Latency that clients see, ms: p99 (thick) and p50 (thin)", 170, 10_000, ticks, logarithmic=True)
    limit = told["settings"]["p99_milliseconds"]
    panel.drawn.append(
        lambda panel, axis: (
            f'<path class="limit" d="M{LEFT} {panel.y(limit):.1f}H{WIDTH - RIGHT}" fill="none"/>'
            + _text(WIDTH - RIGHT - 4, panel.y(limit) - 5, f"limit of the new version's p99: {limit:,} ms", "end")
        )
    )
    for version in answers.versions:
        panel.drawn.append(_lines(version, series.latency(answers, version, 50), 1.1))
        panel.drawn.append(_lines(version, series.latency(answers, version, 99), 2.4))
    return panel


def _lines(version: int, pieces: Sequence[Points], width: float) -> Callable[[Panel, Axis], str]:
    def draw(panel: Panel, axis: Axis) -> str:
        drawn = ""
        for points in pieces:
            path = " ".join(f"{axis.x(at):.1f},{panel.y(value):.1f}" for at, value in thinned(points))
            drawn += f'<polyline points="{path}" fill="none" stroke="var(--v{_color(version)})"'
            drawn += f' stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round"/>'
        return drawn

    return draw


def _area(version: int, below: Points, above: Points) -> Callable[[Panel, Axis], str]:
    def draw(panel: Panel, axis: Axis) -> str:
        if not any(high > low for (_, low), (_, high) in zip(below, above, strict=True)):
            return ""
        there = [(at + more, value) for at, value in above for more in (0.0, series.BIN)]
        back = [(at + more, value) for at, value in reversed(below) for more in (series.BIN, 0.0)]
        path = " ".join(f"{axis.x(at):.1f},{panel.y(value):.1f}" for at, value in [*there, *back])
        return f'<polygon points="{path}" fill="var(--v{_color(version)})" opacity=".82"/>'

    return draw


def _steps(panel: Panel, axis: Axis, points: Points) -> str:
    """Draw what the gateway was told, as a line between the old and the new version."""
    path = f"M{LEFT} {panel.y(1):.1f}"
    for at, value in points:
        path += f"H{axis.x(at):.1f}V{panel.y(value):.1f}"
    return f'<path d="{path}H{WIDTH - RIGHT}" fill="none" stroke="var(--ink)" stroke-width="1.4"/>'


def _frame(panel: Panel) -> str:
    grid = "".join(
        f'<path class="grid" d="M{LEFT} {panel.y(value):.1f}H{WIDTH - RIGHT}"/>'
        + _text(LEFT - 8, panel.y(value) + 4, label, "end")
        for value, label in panel.ticks.items()
    )
    return grid + f'<text class="title" x="{LEFT}" y="{panel.place - 10:.0f}">{escape(panel.title)}</text>'


def _seconds(axis: Axis, low: float) -> str:
    apart = next(each for each in (10, 15, 30, 60, 120, 300, 600, 3600) if axis.end / each <= 14 or each == 3600)
    return "".join(
        _text(axis.x(at), low + 18, f"{at // 60}:{at % 60:02d}", "middle") for at in range(0, int(axis.end) + 1, apart)
    ) + _text(WIDTH / 2, low + 34, "minutes of traffic", "middle")


def _acts(told: Mapping[str, Any], axis: Axis, high: float, low: float) -> str:
    """Shade the time in which a version was tried."""
    return "".join(
        f'<rect x="{axis.x(each["published"]):.1f}" y="{high:.1f}"'
        f' width="{axis.x(each["decided"]) - axis.x(each["published"]):.1f}" height="{low - high:.1f}"'
        f' fill="var(--v{_color(each["version"])})" opacity=".09"/>'
        for each in told["versions"]
    )


def _marks(told: Mapping[str, Any], axis: Axis, low: float) -> str:
    return "".join(
        part
        for each in told["versions"]
        for part in (
            _mark(each["version"], axis.x(each["published"]), low, f"{each['version']} published", row=0),
            _mark(each["version"], axis.x(each["decided"]), low, _decision(each), row=1),
        )
    )


def _decision(judged: Mapping[str, Any]) -> str:
    figure = judged["why"].partition(", ")[0]
    return f"{judged['version']} {judged['outcome']}{f': {figure}' if figure else ''}"


def _mark(version: int, x: float, low: float, label: str, *, row: int) -> str:
    y = 62 + 20 * row
    # To the left of a decision there is the time in which it was found; of a publishing, only its beginning.
    anchor, shift = ("start", 5) if row == 0 or x < WIDTH / 4 else ("end", -5)
    color, dashes = f"var(--v{_color(version)})", "2 3" if row == 0 else "none"
    return (
        f'<path d="M{x:.1f} {y - 11}V{low:.1f}" stroke="{color}" stroke-width="1.3" stroke-dasharray="{dashes}"/>'
        f'<text class="mark" x="{x + shift:.1f}" y="{y}" text-anchor="{anchor}" style="fill:{color}">'
        f"{escape(label)}</text>"
    )


def _legend(told: Mapping[str, Any], answers: Answers) -> str:
    what = {each["version"]: each["what"] for each in told["versions"]}
    said = [(version, f"version {version}: {what.get(version, 'trained first')}") for version in answers.versions]
    place, drawn = float(LEFT), ""
    for version, label in said:
        drawn += f'<rect x="{place:.0f}" y="16" width="12" height="12" rx="3" fill="var(--v{_color(version)})"/>'
        drawn += f'<text x="{place + 18:.0f}" y="27" style="fill:var(--ink)">{escape(label)}</text>'
        place += 46 + 6.4 * len(label)
    return drawn


def _color(version: int) -> int:
    return version if version <= 4 else 1 + (version - 1) % 4


def _text(x: float, y: float, content: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
