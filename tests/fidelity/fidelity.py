"""Judge the emulated AWS provider: do the same in two labs, one with HashiCorp's logic, and name every difference.

    python tests/fidelity/fidelity.py                  the stacks local and prod
    python tests/fidelity/fidelity.py --stack local    one of them
    python tests/fidelity/fidelity.py --keep DIR       leave the labs running, below DIR, as the last phase left them
    python tests/fidelity/fidelity.py --json           the report for programs
    python tests/fidelity/fidelity.py --judge official your official plugin as the judge, where you have one

The exit code is 0 when every difference is a known gap (gaps.toml) and every known gap still exists, else 1.
docs/fidelity.md says what is compared and how to read the report.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import gaps
from changes import CHANGES, DISTURBANCES
from judge import Judge
from sides import platform, two_labs

from falaj.lab import tools
from falaj.lab.plugins import BRIDGED, Aws

STACKS = ("local", "prod")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the stacks and print the report; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", choices=STACKS, action="append", help="only this stack (default: all)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the labs in DIR, one folder a provider")
    parser.add_argument(
        "--judge", choices=(Aws.BRIDGED, Aws.OFFICIAL), type=Aws, default=Aws.BRIDGED, help="default: bridged"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    stacks = options.stack or STACKS
    if options.judge is Aws.BRIDGED and tools.resolve(BRIDGED).path is None:
        print(
            "The bridged provider is built first; `falaj-lab install --aws bridged` does that alone.", file=sys.stderr
        )
    judges = [Judge(stack, CHANGES[stack], DISTURBANCES[stack]) for stack in stacks]
    for judge in judges:
        with tempfile.TemporaryDirectory(prefix="falaj-fidelity-") as folder:
            place = options.keep / judge.stack if options.keep else Path(folder)
            with two_labs(place, platform(judge.stack), keep=bool(options.keep), judge=options.judge) as sides:
                judge.whole(sides)
    found = gaps.explain([each for judge in judges for each in judge.differences], gaps.read(), stacks)
    print(as_json(judges, found) if options.json else as_text(judges, found, options.judge))
    return 1 if found.unexplained or found.stale else 0


def as_text(judges: Sequence[Judge], found: gaps.Explained, against: str) -> str:
    """Return the report for people: each difference on a line, then the known gaps, then the figures."""
    lines = [*map(str, found.unexplained), *(["(no unexplained difference)"] if not found.unexplained else [])]
    lines += ["", "known gaps:", *(f"  {count:4} x {gap.why}" for gap, count in found.gaps.items() if count)]
    lines += [f"  STALE: explains nothing any more, remove it: {gap.why}" for gap in found.stale]
    lines += ["", f"{'stack':8}{'phase':28}{'differences':>12}{'of these known':>16}{'seconds':>9}"]
    for judge in judges:
        for phase, seconds in judge.seconds.items():
            differences = [each for each in judge.differences if each.phase == phase]
            unknown = [each for each in found.unexplained if each in differences]
            known = len(differences) - len(unknown)
            lines.append(f"{judge.stack:8}{phase:28}{len(differences):12}{known:16}{seconds:9.1f}")
    total = sum(sum(judge.seconds.values()) for judge in judges)
    words = f"{len(found.unexplained)} unexplained, {len(found.stale)} stale gaps"
    return "\n".join([*lines, "", f"{words}, {total:.0f} s, {Aws.EMULATED} against {against}"])


def as_json(judges: Sequence[Judge], found: gaps.Explained) -> str:
    """Return the report for programs."""
    report = {
        "unexplained": [asdict(each) for each in found.unexplained],
        "gaps": [{**asdict(gap), "explains": count} for gap, count in found.gaps.items()],
        "seconds": {judge.stack: judge.seconds for judge in judges},
    }
    return json.dumps(report, indent=2, default=str)


if __name__ == "__main__":
    sys.exit(main())
