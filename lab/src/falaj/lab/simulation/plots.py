"""Plots as SVG, drawn here: a report is one file that needs nothing, and shows in any browser."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

COLORS = ("#1b6ca8", "#d1495b", "#2e8b57", "#b8860b", "#6a4c93", "#5c677d")
WIDTH, HEIGHT = 620, 270
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 42
MOST_POINTS = 600
"""Points of one line: more than the plot is wide would only make the file larger."""


def lines(title: str, x: str, y: str, series: Mapping[str, Points], *, top: float | None = None) -> str:
    """Draw lines over a common x, for example time."""
    every = [point for points in series.values() for point in points]
    if not every:
        return nothing(title)
    most_x = max([1e-9, *(at for at, _ in every)])
    most_y = top if top is not None else nice(max(value for _, value in every))
    to_x, to_y = scales(most_x, most_y)
    drawn = [frame(title, x, y), y_ticks(most_y), x_ticks(most_x)]
    for number, (name, points) in enumerate(series.items()):
        path = " ".join(f"{to_x(at):.1f},{to_y(min(value, most_y)):.1f}" for at, value in thinned(points))
        color = COLORS[number % len(COLORS)]
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.6"/>')
        drawn.append(legend(number, name))
    return svg(drawn)


def bars(title: str, y: str, groups: Mapping[str, Mapping[str, float]], *, line: float | None = None) -> str:
    """Draw groups of bars, the same names in each; ``line`` is drawn across, for example a target."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    if not names:
        return nothing(title)
    most = nice(max([*(value for group in groups.values() for value in group.values()), line or 0, 1e-9]))
    _, to_y = scales(1, most)
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    wide = room * 0.8 / len(names)
    drawn = [frame(title, "", y), y_ticks(most)]
    for place, (label, group) in enumerate(groups.items()):
        for number, name in enumerate(names):
            value = group.get(name, 0.0)
            left, high = LEFT + place * room + room * 0.1 + number * wide, to_y(0) - to_y(value)
            color = COLORS[number % len(COLORS)]
            drawn.append(
                f'<rect x="{left:.1f}" y="{to_y(value):.1f}" width="{max(wide - 1, 0.8):.1f}" height="{high:.1f}"'
                f' fill="{color}"><title>{escape(label)}, {escape(name)}: {value:g}</title></rect>'
            )
        if len(groups) <= 12:
            drawn.append(text(LEFT + (place + 0.5) * room, HEIGHT - BOTTOM + 15, label, "middle"))
    if line is not None:
        drawn.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{to_y(line):.1f}" y2="{to_y(line):.1f}" stroke="#222"'
            ' stroke-dasharray="4 3"/>'
        )
    if len(names) > 1:
        drawn += [legend(number, name) for number, name in enumerate(names)]
    return svg(drawn)


def distribution(values: Sequence[float]) -> Points:
    """Return which part of the values is at most x, for every x; the values are in order."""
    return [(value, (number + 1) / len(values)) for number, value in enumerate(values)]


def thinned(points: Points) -> Points:
    """Return as many points as can be seen, the last one among them."""
    every = max(1, math.ceil(len(points) / MOST_POINTS))
    kept = list(points[::every])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def scales(most_x: float, most_y: float) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Return what turns values into places."""
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return (lambda value: LEFT + wide * value / most_x), (lambda value: HEIGHT - BOTTOM - high * value / most_y)


def nice(value: float) -> float:
    """Return a round number that is not less."""
    if value <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if power * step >= value * 0.999)


def frame(title: str, x: str, y: str) -> str:
    """Draw the title, the axes and what they show."""
    middle = (LEFT + WIDTH - RIGHT) / 2
    return (
        f'<text x="{LEFT}" y="15" font-weight="600" font-size="13">{escape(title)}</text>'
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#888"/>'
        + text(middle, HEIGHT - 8, x, "middle")
        + f'<text x="12" y="{HEIGHT / 2:.0f}" font-size="11" fill="#555" text-anchor="middle"'
        f' transform="rotate(-90 12 {HEIGHT / 2:.0f})">{escape(y)}</text>'
    )


def y_ticks(most: float) -> str:
    """Draw five lines across with their values."""
    _, to_y = scales(1, most)
    return "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{to_y(value):.1f}" y2="{to_y(value):.1f}" stroke="#eee"/>'
        + text(LEFT - 6, to_y(value) + 4, f"{value:g}", "end")
        for value in (round(most * step / 5, 6) for step in range(6))
    )


def x_ticks(most: float) -> str:
    """Write five values below."""
    to_x, _ = scales(most, 1)
    digits = 0 if most > 20 else 2
    return "".join(
        text(to_x(most * step / 5), HEIGHT - BOTTOM + 15, f"{most * step / 5:.{digits}f}", "middle")
        for step in range(6)
    )


def legend(number: int, name: str) -> str:
    """Draw one line's or bar's colour with its name."""
    left = LEFT + number * 112
    color = COLORS[number % len(COLORS)]
    return f'<rect x="{left}" y="21" width="10" height="8" fill="{color}"/>' + text(left + 14, 29, name, "start")


def text(x: float, y: float, content: str, anchor: str) -> str:
    """Write a small text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" fill="#555" text-anchor="{anchor}">{escape(content)}</text>'


def nothing(title: str) -> str:
    """Draw a plot without anything in it, that says so."""
    return svg([frame(title, "", ""), text(WIDTH / 2, HEIGHT / 2, "there was nothing of this", "middle")])


def svg(parts: Sequence[str]) -> str:
    """Return a whole drawing."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        f' font-family="system-ui, sans-serif"><rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        + "".join(parts)
        + "</svg>"
    )
