"""Compare our findings with checkov's on stacks that were not written for falaj.

    python tests/policies/outside/compare.py            prints the table and every difference with what was said of it
    python tests/policies/outside/compare.py --write    writes them into docs/policy-outside.md

The states hold the resources' inputs of public examples (github.com/pulumi/examples, Apache-2.0), taken over by hand;
no code of theirs is here. Two findings agree where a check fails a resource that a rule fails which looks at the same
thing (mapping.toml). Every other finding of either side is looked at by hand, and reviewed.toml says what came of it.
"""

import argparse
import datetime
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from falaj.policies import RULES, Level, Verdict
from falaj.policies.checkov import Checkov, Opinion, ask
from falaj.policies.checkov.environment import ensure
from falaj.policies.checkov.table import table
from falaj.policies.config import Config
from falaj.policies.engine import Engine, Stack
from falaj.policies.reading import read_state
from falaj.policies.waivers import Waivers

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[2] / "docs" / "policy-outside.md"
REVIEWED = FOLDER / "reviewed.toml"
MARKS = ("<!-- made by compare.py -->", "<!-- end -->")


@dataclass(slots=True)
class Compared:
    """What both say of one stack."""

    name: str
    resources: int
    handed: int
    agreed: int = 0
    ours_alone: int = 0
    """Failures of our rules that no check of checkov looks at."""
    differences: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """Who says so (``ours`` or ``checkov``), the rule or check, and the resource's name."""


def states() -> dict[str, Stack]:
    """Return every outside stack by its name."""
    return {path.stem: read_state(path)[0] for path in sorted(FOLDER.glob("*.json"))}


def compare(name: str, stack: Stack, opinion: Opinion) -> Compared:
    """Hold the failures of both sides beside each other."""
    engine = Engine(RULES, Config(default=Level.MANDATORY), Waivers((), datetime.date(2026, 1, 1)))
    failures = [finding for finding in engine.judge(stack) if finding.verdict is Verdict.FAIL]
    ours = {(finding.rule.id, finding.urn) for finding in failures}
    theirs = opinion.of(Verdict.FAIL)
    agreed = [each for each in theirs if any((rule, each.urn) in ours for rule in each.rules)]
    known = {(rule, each.urn) for each in agreed for rule in each.rules}
    covered = {rule for mapped in table().values() for rule in mapped.rules}
    compared = Compared(name, len(stack.known), opinion.resources, len(agreed))
    for each in theirs:
        if each not in agreed:
            compared.differences.append(("checkov", each.check, each.urn.rpartition("::")[2]))
    for rule, urn in sorted(ours - known):
        if rule in covered:
            compared.differences.append(("ours", rule, urn.rpartition("::")[2]))
        else:
            compared.ours_alone += 1
    return compared


def reviews() -> dict[str, dict[str, str]]:
    """Return what was said of each rule's and check's differences, by stack or for every stack."""
    return tomllib.loads(REVIEWED.read_text(encoding="utf-8"))


def judged(stack: str, id_: str) -> tuple[str, str]:
    """Return what a difference is, and why; ``not reviewed`` where nobody has looked."""
    found = reviews().get(f"{stack}/{id_}") or reviews().get(id_)
    return (found["verdict"], found["reason"]) if found else ("not reviewed", "")


def page(compared: list[Compared]) -> str:
    """Return the part of the page that is made."""
    return "\n".join([MARKS[0], "", *_counts(compared), "", *_differences(compared), "", MARKS[1]])


def _counts(compared: list[Compared]) -> Iterator[str]:
    yield "| stack | resources | handed to checkov | both fail | ours fails, checkov has no such check | differences |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for each in compared:
        numbers = (each.resources, each.handed, each.agreed, each.ours_alone, len(each.differences))
        yield f"| {each.name} | {' | '.join(map(str, numbers))} |"
    verdicts = Counter(judged(each.name, id_)[0] for each in compared for _, id_, _ in each.differences)
    yield ""
    yield f"What the differences are: {', '.join(f'{count} {verdict}' for verdict, count in verdicts.most_common())}."


def _differences(compared: list[Compared]) -> Iterator[str]:
    yield "| stack | fails by | rule or check | on | what it is | why |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for each in compared:
        grouped: dict[tuple[str, str], list[str]] = {}
        for side, id_, resource in each.differences:
            grouped.setdefault((side, id_), []).append(resource)
        for (side, id_), resources in grouped.items():
            verdict, reason = judged(each.name, id_)
            yield f"| {each.name} | {side} | {id_} | {', '.join(resources)} | {verdict} | {reason} |"


def main() -> None:
    """Compare all stacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the tables into the page")
    write = parser.parse_args().write
    with Checkov(ensure(print)) as checkov:
        made = page([compare(name, stack, ask(checkov, stack)) for name, stack in states().items()])
    if not write:
        print(made)
        return
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    PAGE.write_text(before + made + rest.partition(MARKS[1])[2], encoding="utf-8")


if __name__ == "__main__":
    main()
