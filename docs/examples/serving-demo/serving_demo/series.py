"""What the clients saw, over time and by version: the numbers of the report's figure and tables."""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Points = list[tuple[float, float]]

BIN = 2.0
"""Seconds of one step of the traffic shares."""
WINDOW = 4.0
"""Seconds that a rate or a percentile looks back on."""
LEAST = 3
"""Answers in a window below which it says nothing."""


@dataclass(frozen=True)
class Answers:
    """Every answer, a list for each of its fields, in the order in which they were asked; see `traffic.Answer`."""

    at: Sequence[float]
    milliseconds: Sequence[float]
    status: Sequence[int]
    version: Sequence[int]
    right: Sequence[bool]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Answers":
        """Return those of a report."""
        return cls(**told["answers"])

    @property
    def end(self) -> float:
        """When the last one was asked."""
        return self.at[-1] if self.at else 0.0

    @property
    def versions(self) -> list[int]:
        """Which versions answered."""
        return sorted({each for each in self.version if each})

    def within(self, begin: float, end: float, version: int | None = None) -> list[int]:
        """Return the places of the answers that were asked from ``begin`` to before ``end``, of one version or all."""
        places = range(bisect_left(self.at, begin), bisect_left(self.at, end))
        return [place for place in places if version is None or self.version[place] == version]


def shares(answers: Answers) -> dict[int, Points]:
    """Return which part of the requests each version answered, from the beginning of each bin; 0 is no version."""
    found: dict[int, Points] = {version: [] for version in (0, *answers.versions)}
    for number in range(math.ceil(answers.end / BIN)):
        places = answers.within(number * BIN, (number + 1) * BIN)
        for version, points in found.items():
            count = sum(answers.version[place] == version for place in places)
            points.append((number * BIN, count / len(places) if places else 0.0))
    return found


def wrong(answers: Answers, version: int) -> list[Points]:
    """Return which part of a version's answers was wrong; a piece for each time in which it answered."""
    return _sliding(answers, version, lambda places: _part(not answers.right[place] for place in places))


def failed(answers: Answers) -> list[Points]:
    """Return which part of all requests failed."""
    return _sliding(answers, None, lambda places: _part(answers.status[place] != 200 for place in places))


def latency(answers: Answers, version: int, percent: float) -> list[Points]:
    """Return a percentile of a version's latency in milliseconds, as the clients see it."""
    return _sliding(
        answers, version, lambda places: percentile([answers.milliseconds[place] for place in places], percent)
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed (the nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def figures(answers: Answers, version: int, begin: float = 0.0, end: float = math.inf) -> dict[str, float | None]:
    """Return how many answers a version gave within a time, how many were wrong, and how long they took."""
    places = answers.within(begin, end, version)
    took = [answers.milliseconds[place] for place in places]
    return {
        "answers": len(places),
        "wrong": sum(not answers.right[place] for place in places),
        "p50": percentile(took, 50) if took else None,
        "p99": percentile(took, 99) if took else None,
    }


def _sliding(answers: Answers, version: int | None, of: Callable[[list[int]], float]) -> list[Points]:
    pieces: list[Points] = [[]]
    for second in range(1, math.floor(answers.end) + 1):
        places = answers.within(second - WINDOW, second, version)
        if len(places) >= LEAST:
            pieces[-1].append((float(second), of(places)))
        elif pieces[-1]:
            pieces.append([])
    return [each for each in pieces if each]


def _part(true: Any) -> float:
    told = list(true)
    return sum(told) / len(told)
