"""Measure our engine against checkov on the same resources, both warm and in one process each.

    python tests/bench/checkov_bench.py                     1,000 resources
    python tests/bench/checkov_bench.py 100 200 --runs 3    other sizes

The resources are those of tests/policies/outside, repeated under other names. What is measured for each is from the
stack's plain values to all findings: for checkov that holds the hand-over and the pipe, but not its start, which is
told by itself.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import repeated

from falaj.policies import RULES, Level
from falaj.policies.checkov import Checkov, ask
from falaj.policies.checkov.environment import ensure
from falaj.policies.config import Config
from falaj.policies.engine import Engine, Stack
from falaj.policies.reading import read_state
from falaj.policies.waivers import Waivers

OUTSIDE = Path(__file__).parents[1] / "policies" / "outside"


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=[1000], help="about how many resources (default: 1000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: 3)")
    arguments = parser.parse_args()
    python = ensure(print)
    print(f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}\n")
    began = time.perf_counter()
    with Checkov(python) as checkov:
        print(f"checkov {checkov.version} starts in {time.perf_counter() - began:.1f} s\n")
        print("| resources | ours, median s | checkov, median s | checkov / ours |\n| --- | --- | --- | --- |")
        for size in arguments.sizes:
            stack = outside(size)
            ours = median(lambda stack=stack: engine().judge(stack), arguments.runs)
            theirs = median(lambda stack=stack: ask(checkov, stack), arguments.runs)
            print(f"| {len(stack.known):,} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f} |", flush=True)


def engine() -> Engine:
    """Return an engine of all rules."""
    return Engine(RULES, Config(default=Level.MANDATORY), Waivers((), datetime.date(2026, 1, 1)))


def outside(size: int) -> Stack:
    """Return the outside stacks' resources, repeated to about a size."""
    states = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(OUTSIDE.glob("*.json"))]
    rows = [row for state in states for row in state["deployment"]["resources"]]
    whole = repeated({**states[0], "deployment": {**states[0]["deployment"], "resources": rows}}, size)
    with tempfile.TemporaryDirectory(prefix="falaj-bench-") as folder:
        path = Path(folder, "state.json")
        path.write_text(json.dumps(whole), encoding="utf-8")
        return read_state(path)[0]


def median(work: Callable[[], object], runs: int) -> float:
    """Return the median of the seconds that something takes."""
    seconds: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
