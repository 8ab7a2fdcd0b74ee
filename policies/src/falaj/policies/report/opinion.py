"""The report of a second opinion: what checkov finds, under a heading of its own."""

from collections.abc import Iterable, Iterator
from typing import Any

from falaj.policies.checkov import CheckovFinding, Opinion
from falaj.policies.model import Verdict
from falaj.policies.report.text import number, printable


def lines(opinion: Opinion) -> list[str]:
    """Return what a person must know: failures, what is undecided, what was skipped and why, and counts."""
    failed, unknown = opinion.of(Verdict.FAIL), opinion.of(Verdict.UNDETERMINED)
    told = [f"Second opinion: checkov {opinion.version}, {number(opinion.resources, 'resource')}"]
    told += _section("Failed", failed)
    told += _section("Undetermined", unknown)
    told += _section("Skipped, since following it would break residency", opinion.contradictions)
    told += [f"  Left out: {type_} ({count})" for type_, count in opinion.left_out.items()]
    passed = len(opinion.of(Verdict.PASS))
    told.append(f"{len(failed):,} failed, {len(unknown):,} undetermined, {passed:,} passed, as checkov sees it")
    return told


def plain(opinion: Opinion) -> dict[str, Any]:
    """Return the opinion as JSON has it."""
    return {
        "checkov": opinion.version,
        "resources": opinion.resources,
        "findings": [_plain(finding) for finding in opinion.findings],
        "contradictions": [{**_plain(finding), "reason": finding.contradicts} for finding in opinion.contradictions],
        "leftOut": dict(opinion.left_out),
    }


def _section(title: str, findings: Iterable[CheckovFinding]) -> Iterator[str]:
    for place, finding in enumerate(findings):
        if not place:
            yield f"  {title}"
        covered = f" (ours: {', '.join(finding.rules)})" if finding.rules else ""
        reason = f": {finding.contradicts}" if finding.contradicts else ""
        yield f"    {finding.check}  {printable(finding.urn)}  {printable(finding.name)}{reason}{covered}"


def _plain(finding: CheckovFinding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "name": finding.name,
        "verdict": finding.verdict.value,
        "urn": finding.urn,
        "type": finding.type,
        "controls": list(finding.controls),
        "rules": list(finding.rules),
    }
