"""What a run of the serving demonstration tells, played: a good version, a slow one and a wrong one."""

import sys
from pathlib import Path
from typing import Any

DEMO = Path(__file__).parents[2] / "docs" / "examples" / "serving-demo"
sys.path.insert(0, str(DEMO))

Told = dict[str, Any]
RATE, END = 20, 120
PUBLISHED, DECIDED = {2: 10.0, 3: 55.0, 4: 90.0}, {2: 45.0, 3: 75.0, 4: 110.0}
WANTED = {2: "promoted", 3: "refused", 4: "refused"}
WHY = {2: "", 3: "latency 2485, wanted <= 1000", 4: "right-answers 0.04, wanted >= 0.8"}
SHARE = 4
"""Of so many requests one goes to the version that is tried."""


def told() -> Told:
    """Return what a run tells in which all was as it should be."""
    rows = [row(number / RATE, number) for number in range(END * RATE)]
    names = ("at", "milliseconds", "status", "version", "right")
    return {
        "format": 1,
        "started": "2026-01-01T12:00:00+00:00",
        "machine": "2 CPUs, 8 GiB, Linux",
        "traffic_began": 1767268800.0,
        "settings": {"rate": RATE, "p99_milliseconds": 1000},
        "limits": {"latency": "<= 1000", "right-answers": ">= 0.8"},
        "versions": [
            {
                "version": version,
                "what": f"what {version} is",
                "wanted": WANTED[version],
                "outcome": WANTED[version],
                "published": PUBLISHED[version],
                "decided": DECIDED[version],
                "why": WHY[version],
            }
            for version in WANTED
        ],
        "weights": [[0.0, 0], *([each[version], weight] for version in WANTED for each, weight in moments())],
        "analyses": [analysis(3, "latency", "Failed", "[2485.0]"), analysis(4, "right-answers", "Failed", "[NaN]")],
        "audit": [event(1, "publish", 1), event(2, "refused", 3, why="<latency>")],
        "answers": {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)},
    }


def moments() -> tuple[tuple[dict[int, float], int], ...]:
    return ((PUBLISHED, 100 // SHARE), (DECIDED, 0))


def row(at: float, number: int) -> tuple[float, float, int, int, bool]:
    """Return one answer: that of the version which is tried for each fourth request while it is, else the stable's."""
    tried = next((v for v in WANTED if PUBLISHED[v] <= at < DECIDED[v]), None)
    version = tried if tried and number % SHARE == 0 else 1 if at < DECIDED[2] else 2
    return (at, 1500.0 if version == 3 else 4.0 + number % 3, 200, version, version != 4)


def analysis(version: int, figure: str, phase: str, value: str) -> Told:
    return {"version": version, "name": f"tumours-{version}", "metrics": [metric(figure, phase, value)]}


def metric(name: str, phase: str, value: str) -> Told:
    return {"name": name, "phase": phase, "values": [value, value]}


def event(number: int, what: str, version: int, **more: str) -> Told:
    who = {"user": "salma"}
    return {"number": number, "time": "2026-01-01T12:00:01+00:00", "what": what, "version": version, "who": who, **more}
