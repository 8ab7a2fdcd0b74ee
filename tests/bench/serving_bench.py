"""Measure serving: what batching is worth, what the gateway costs, and how long publishing and going back take.

    python tests/bench/serving_bench.py             all of it: about 15 minutes
    python tests/bench/serving_bench.py batching    only some of: batching, gateway, publishing, rollback

Prints the tables that docs/benchmarks.md keeps, and draws docs/serving-batching.svg. All traffic is on loopback, each
client has one request at a time, and what is compared is measured by turns.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("batching", "gateway", "publishing", "rollback")
# The worlds of the tests are measured here, and the examples' models.
sys.path[:0] = [
    str(ROOT / place) for place in ("tests", "tests/foundation", "tests/lab", "docs/examples/training-text")
]


def main() -> None:
    """Run the measurements and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each load (default: 5)")
    parser.add_argument("--versions", type=int, default=3, help="versions to publish, good and bad each (default: 3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of load in a run (default: 2)")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "serving-batching.svg", help="where to draw")
    told = parser.parse_args()
    parts = set(told.parts or PARTS)
    if unknown := parts - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: must be of {', '.join(PARTS)}")
    print(f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}")
    print(f"{told.runs} runs of {told.seconds:g} s of load, load average before {os.getloadavg()[0]:.1f}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="falaj-bench-") as folder:
        if "batching" in parts:
            from serving_batching import batching

            batching(Path(folder), told.seconds, told.runs, told.plot)
        if parts & {"gateway", "publishing", "rollback"}:
            from serving_canary import canary

            canary(Path(folder), parts, told.seconds, told.runs, told.versions)


if __name__ == "__main__":
    main()
