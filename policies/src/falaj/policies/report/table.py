"""The report for a terminal: plain text, what must be done first."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from falaj.policies.assessment import Assessment, counts
from falaj.policies.engine import Finding
from falaj.policies.model import Verdict
from falaj.policies.report.text import (
    message,
    number,
    open_failures,
    ordered,
    printable,
    served,
    waived_failures,
    waiver_line,
)

_SHOWN = 20
"""Undetermined resources of one rule, and unmapped types, that are listed; the other formats list all."""


def render(assessment: Assessment) -> str:
    """Return the report: failures by severity and rule, then what is undecided, waived or unmapped, then counts."""
    findings = assessment.findings
    sections = (
        _section("Failed", _by_rule(open_failures(findings), None)),
        _section("Undetermined", _by_rule(ordered(assessment.of(Verdict.UNDETERMINED)), _SHOWN)),
        _section("Waived: failures that somebody answers for", _waived(waived_failures(findings))),
        _section("Expired waivers, which hold no longer", [f"  {waiver_line(each)}" for each in assessment.expired]),
        _section("Unused waivers, which no failure needs", [f"  {waiver_line(each)}" for each in assessment.unused]),
        _section("Passed by the transfer register", _registered(ordered(assessment.of(Verdict.PASS)))),
        _section("Unmapped types, which no rule judges", _unmapped(assessment)),
    )
    return "\n".join([*(line for section in sections for line in section), *_summary(assessment)]) + "\n"


def _section(title: str, lines: Sequence[str] | Iterator[str]) -> list[str]:
    body = list(lines)
    return [title, *body, ""] if body else []


def _by_rule(findings: list[Finding], limit: int | None) -> Iterator[str]:
    for rule, group in groupby(findings, key=lambda each: each.rule):
        members = list(group)
        yield f"  {rule.severity.value:<8}  {rule.id}  {printable(rule.title)}"
        for finding in members[:limit]:
            advisory = "" if finding.violates or finding.verdict is not Verdict.FAIL else " (advisory)"
            yield f"    {printable(finding.urn)}{advisory}"
            yield f"      {message(finding)}"
        if limit is not None and len(members) > limit:
            yield f"    and {number(len(members) - limit, 'more resource')}: every other format lists all"
        yield f"    To do: {printable(rule.remediation)}"
        yield f"    Serves: {served(members[0])}"


def _waived(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"  {finding.rule.severity.value:<8}  {finding.rule.id}  {printable(finding.urn)}"
        yield f"      {message(finding)}"
        yield f"      {printable(str(finding.waiver))}"


def _registered(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.notes:
            yield f"  {finding.rule.severity.value:<8}  {finding.rule.id}  {printable(finding.urn)}"
            yield f"      {message(finding)}"


def _unmapped(assessment: Assessment) -> Iterator[str]:
    types = list(assessment.unmapped.items())
    for type_, count in types[:_SHOWN]:
        yield f"  {printable(type_)}: {number(count, 'resource')}"
    if len(types) > _SHOWN:
        rest = sum(count for _, count in types[_SHOWN:])
        yield f"  and {number(len(types) - _SHOWN, 'more type')} with {number(rest, 'resource')}: json lists all"


def _summary(assessment: Assessment) -> list[str]:
    told = counts(assessment.findings)
    violations = len(assessment.violations)
    source = printable(f"{assessment.source.kind} {assessment.source.name}")
    return [
        f"{printable(assessment.stack.name)} ({source}): {number(len(assessment.stack.known), 'resource')},"
        f" {number(len(assessment.rules), 'rule')} of {', '.join(assessment.packs)}",
        f"{told['fail']:,} failed ({number(violations, 'violation')}, {told['waived']:,} waived),"
        f" {told['undetermined']:,} undetermined, {told['pass']:,} passed;"
        f" {number(len(assessment.unmapped), 'unmapped type')}",
    ]
