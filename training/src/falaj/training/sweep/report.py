"""What came of a sweep: for programs as JSON, for people as one page that needs nothing else."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState

from falaj.training.sweep.study import WHY, Sweep

VERSION = 1
"""Of the report's JSON."""
JSON_FILE, PAGE = "report.json", "report.html"
_FEWEST_FOR_IMPORTANCE = 4
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 0 auto; padding: 16px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 4px 10px; border-bottom: 1px solid #8886; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; } svg text { fill: currentColor; font: 12px system-ui, sans-serif; }
.bar, .dot { fill: #2864ae; } .best { font-weight: bold; } line, polyline { stroke: #8888; fill: none; }
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One trial."""

    number: int
    """Its number; its job is called after it."""
    state: str
    """``complete``, ``pruned``, ``failed``, ``running`` or ``waiting``."""
    value: float | None
    """The metric; of a trial that is not complete none."""
    steps: int | None
    """The last step at which it was looked at."""
    seconds: float | None
    """How long it took."""
    values: Mapping[str, Any]
    """What was tried."""
    why: str | None
    """Why it failed, where that is known."""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What is known of a sweep."""

    job: str
    metric: str
    direction: str
    measured: str
    trials: Sequence[Row]
    best: Row | None
    """The best of the complete trials; none where none is."""
    importances: Mapping[str, float]
    """How much of the difference between trials each parameter explains; empty where too few are complete to tell."""


def report_of(sweep: Sweep) -> SweepReport:
    """Return what is known by now."""
    rows = [_row(each) for each in sweep.trials()]
    complete = [each for each in rows if each.value is not None]
    pick = min if sweep.minimizes else max
    best = pick(complete, key=lambda row: row.value or 0.0) if complete else None
    section = sweep.section
    return SweepReport(
        sweep.job.name, section.metric, section.direction.value, section.measured.value, rows, best, _importances(sweep)
    )


def write_report(sweep: Sweep) -> SweepReport:
    """Write both forms into the sweep's folder, and return the report."""
    found = report_of(sweep)
    _write(sweep.folder / JSON_FILE, json.dumps({"version": VERSION, **asdict(found)}, indent=2) + "\n")
    _write(sweep.folder / PAGE, page(found))
    return found


def said(row: Row) -> list[str]:
    """Return a trial's values as ``falaj-train run --set`` takes them."""
    return [f"{name}={json.dumps(value)}" for name, value in row.values.items()]


def page(report: SweepReport) -> str:
    """Return the page."""
    body = [f"<h1>Sweep of {escape(report.job)}</h1><p>{escape(_summary(report))}</p>"]
    if report.best is not None:
        best = " ".join(f"--set {each}" for each in said(report.best))
        body.append(f"<p>To train with the best values: <code>falaj-train run JOB {escape(best)}</code></p>")
        body += ["<h2>Values over trials</h2>", _history(report)]
    if report.importances:
        body += ["<h2>How much each parameter matters</h2>", _bars(report.importances)]
    body += ["<h2>Trials</h2>", _table(report)]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    meta = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    title = f"<title>Sweep of {escape(report.job)}</title>"
    head = f"<head>{meta}{title}<style>{_STYLE}</style></head>"
    return f'<!doctype html><html lang="en">{head}<body>{"".join(body)}</body></html>\n'


def _summary(report: SweepReport) -> str:
    states = [row.state for row in report.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "none"
    told = f"{report.metric} on {report.measured} data, to {report.direction}. Trials: {counts}."
    if report.best is None or report.best.value is None:
        return f"{told} None is complete, so none is the best."
    return f"{told} The best is trial {report.best.number} with {report.best.value:.6g}."


def _history(report: SweepReport) -> str:
    """Draw the values of the complete trials, and the best one up to each."""
    points = [(row.number, row.value) for row in report.trials if row.value is not None and math.isfinite(row.value)]
    if not points:
        return ""
    low, high = min(value for _, value in points), max(value for _, value in points)
    last = max(1, *(number for number, _ in points))

    def place(number: int, value: float) -> tuple[float, float]:
        return 60 + 720 * number / last, 20 + 200 * (high - value) / ((high - low) or 1)

    pick = min if report.direction == "minimize" else max
    best = [place(number, pick(value for _, value in points[: at + 1])) for at, (number, _) in enumerate(points)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in best)
    dots = "".join(
        f'<circle class="dot" r="4" cx="{place(*point)[0]:.1f}" cy="{place(*point)[1]:.1f}">'
        f"<title>trial {point[0]}: {point[1]:.6g}</title></circle>"
        for point in points
    )
    labels = f'<text x="0" y="24">{high:.4g}</text><text x="0" y="224">{low:.4g}</text>'
    axis = '<line x1="60" y1="230" x2="790" y2="230"/>'
    return f'<svg viewBox="0 0 800 240" role="img">{axis}<polyline points="{line}"/>{dots}{labels}</svg>'


def _bars(importances: Mapping[str, float]) -> str:
    rows = "".join(
        f'<text x="0" y="{20 + 30 * at}">{escape(name)}</text>'
        f'<rect class="bar" x="300" y="{6 + 30 * at}" height="18" width="{400 * share:.1f}"/>'
        f'<text x="{310 + 400 * share:.1f}" y="{20 + 30 * at}">{share:.2f}</text>'
        for at, (name, share) in enumerate(importances.items())
    )
    return f'<svg viewBox="0 0 800 {30 * len(importances) + 10}" role="img">{rows}</svg>'


def _table(report: SweepReport) -> str:
    names = sorted({name for row in report.trials for name in row.values})
    lines = [_cells("th", ["trial", "state", report.metric, "steps", "seconds", *names, "why it failed"])]
    for row in report.trials:
        shown = [
            row.number,
            row.state,
            row.value,
            row.steps,
            row.seconds,
            *(row.values.get(name) for name in names),
            row.why,
        ]
        lines.append(_cells("td", shown, best=report.best is not None and row.number == report.best.number))
    return f"<table>{''.join(lines)}</table>"


def _cells(kind: str, values: Iterable[Any], *, best: bool = False) -> str:
    cells = "".join(f"<{kind}>{escape(_shown(each))}</{kind}>" for each in values)
    return f'<tr class="best">{cells}</tr>' if best else f"<tr>{cells}</tr>"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _row(trial: optuna.trial.FrozenTrial) -> Row:
    states = {TrialState.FAIL: "failed"}
    complete = trial.state is TrialState.COMPLETE
    seconds = trial.duration.total_seconds() if trial.duration else None
    return Row(
        trial.number,
        states.get(trial.state, trial.state.name.lower()),
        trial.value if complete else None,
        trial.last_step,
        seconds,
        dict(trial.params),
        trial.user_attrs.get(WHY),
    )


def _importances(sweep: Sweep) -> dict[str, float]:
    complete = [each for each in sweep.trials() if each.state is TrialState.COMPLETE]
    if len(complete) < _FEWEST_FOR_IMPORTANCE or len({each.value for each in complete}) == 1:
        return {}
    return get_param_importances(sweep.study, evaluator=PedAnovaImportanceEvaluator())


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
